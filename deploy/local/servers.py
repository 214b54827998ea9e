"""PostgreSQL and RabbitMQ for one run: those of the environment, else private ones.

`python -m deploy.local.servers` keeps a pair up in the foreground and writes their addresses to
`.local/servers.env`, for a shell to source.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from deploy.local.children import Child, ChildDied, Run, raise_on_signals
from deploy.local.postgres import POSTGRES, make_postgres
from deploy.local.progress import say, step
from deploy.local.rabbitmq import RABBITMQ, find_broker, make_rabbit
from deploy.local.state import SetupError, local_folder

_ATTEMPTS = 3
_PORT_TAKEN = re.compile("address already in use|eaddrinuse", re.IGNORECASE)


class PrivateServers:
    """A context manager that gives `database_url` and `amqp_url`, and stops what it started.

    durable: False turns PostgreSQL's fsync off; for functional tests, never for measurements.
    data: a folder to keep the data in; without one the data goes away with the run.
    alone: not those of the environment, which others use as well; for tests that kill servers.

    Raises SetupError when the machine lacks something, ChildDied when a server does not come up.
    """

    def __init__(self, *, durable: bool, data: Path | None = None, alone: bool = False) -> None:
        self.durable = durable
        self.data = data
        self.database_url = "" if alone else os.environ.get("SLUICE_DATABASE_URL", "")
        self.amqp_url = "" if alone else os.environ.get("SLUICE_AMQP_URL", "")
        self.run: Run | None = None
        self._starts: dict[str, Callable[[], None]] = {}

    def __enter__(self) -> Self:
        for name, url in self.environment().items():
            if url:
                say(f"  Using {name}: {without_password(url)}")
                _require_listener(name, url)
        if self.database_url and self.amqp_url:
            return self
        with ExitStack() as stack:
            self.run = stack.enter_context(Run.begin())
            self._start(self.run)
            stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.run:
            with step("Stopping the private servers"):
                self.run.end()

    def environment(self) -> dict[str, str]:
        """What to set for a process that shall use these servers."""
        return {"SLUICE_DATABASE_URL": self.database_url, "SLUICE_AMQP_URL": self.amqp_url}

    def dead(self) -> Child | None:
        """A server that has ended by itself, if one has."""
        children = self.run.children if self.run else []
        return next((child for child in children if not child.is_alive()), None)

    def process(self, name: str) -> Child:
        """The present process of POSTGRES or RABBITMQ; LookupError when that is not private."""
        for child in self.run.children if self.run else []:
            if child.name == name:
                return child
        raise LookupError(f"there is no private {name}")

    def restart(self, name: str) -> None:
        """Stop it, unless it has been killed, and start it again on the same port and data."""
        child = self.process(name)
        if self.run:
            self.run.stop([child])
        self._starts[name]()

    def _start(self, run: Run) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._start_once(run)
            except ChildDied as died:
                # Another run may have taken a port between our choice and the bind.
                if attempt == _ATTEMPTS or not _PORT_TAKEN.search(str(died)):
                    raise
                say("  A port was taken meanwhile: starting again with others")
                run.stop(list(run.children))
        raise AssertionError("the last attempt returns or raises")

    def _start_once(self, run: Run) -> None:
        data = self.data or run.folder
        data.mkdir(mode=0o711, parents=True, exist_ok=True)
        # RabbitMQ takes seconds to boot, so PostgreSQL is made ready meanwhile.
        begun = time.monotonic()
        rabbit = None if self.amqp_url else make_rabbit(run, find_broker(run), data / "rabbitmq")
        node = rabbit.spawn() if rabbit else None
        postgres = None
        if not self.database_url:
            postgres = make_postgres(run, data / "postgres", durable=self.durable)
            postgres.start()
        if rabbit and node:
            with step("Starting RabbitMQ") as note:
                rabbit.wait(node)
                took_s = time.monotonic() - begun
                note.detail = f"127.0.0.1:{rabbit.port}, up {took_s:.1f} s after its start"
            self.amqp_url = rabbit.amqp_url
            self._starts[RABBITMQ] = rabbit.start
        if postgres:
            self.database_url = postgres.database_url
            self._starts[POSTGRES] = postgres.start


def without_password(url: str) -> str:
    """The address for a log or a terminal."""
    return re.sub(r"(//[^:/@]*):[^@]*@", r"\1:***@", url)


def _require_listener(name: str, url: str) -> None:
    """Say at once when nobody is there: the services themselves would wait for it patiently."""
    parts = urlsplit(url)
    ports = {"postgresql": 5432, "postgres": 5432, "amqp": 5672, "amqps": 5671}
    port = parts.port or ports.get(parts.scheme)
    if not parts.hostname or not port:
        return  # a socket's path or several hosts: for the driver to judge
    try:
        socket.create_connection((parts.hostname, port), timeout=5).close()
    except OSError as error:
        raise SetupError(f"Nobody answers at {without_password(url)} ({name}): {error}") from error


def main() -> int:
    """Keep a pair of servers up until Ctrl-C, a SIGTERM, or the end of one of them."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.servers", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="fsync off: for functional tests only")
    options = parser.parse_args()
    raise_on_signals()
    addresses = local_folder() / "servers.env"
    text = ""
    try:
        with PrivateServers(durable=not options.fast) as servers:
            lines = [f"export {k}={shlex.quote(v)}" for k, v in servers.environment().items()]
            addresses.touch(0o600)
            text = "\n".join(lines) + "\n"
            addresses.write_text(text)
            say("\n".join(["", *lines, "", f"(also in {addresses}) Ctrl-C stops them."]))
            while not (dead := servers.dead()):
                time.sleep(0.5)
            raise ChildDied(dead)
    except KeyboardInterrupt:
        return 0
    except (SetupError, ChildDied) as error:
        say(str(error))
        return 1
    finally:
        # Another pair of this checkout may have written its own meanwhile.
        if addresses.exists() and addresses.read_text() == text:
            addresses.unlink()


if __name__ == "__main__":
    sys.exit(main())
