"""A private RabbitMQ node as a child process: own name, ports, port mapper, cookie and data.

It never touches a broker of the machine: the node registers with a port mapper (epmd) of its own,
reads no configuration of the system and runs the programs only.
"""

from __future__ import annotations

import os
import secrets
import shutil
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.local.children import Account, Child, Run, unprivileged
from deploy.local.ports import free_port, wait_until_it_answers
from deploy.local.progress import step
from deploy.local.rabbitmq_copy import private_copy
from deploy.local.state import SetupError

RABBITMQ = "rabbitmq"
_READY_WITHIN_S = 90
"""Usually 5 s; 22 s were seen on a busy machine with two cores."""

_PROTOCOL = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME = b"\x01"
"""A broker that serves connections answers the protocol's name with connection.start."""

_CONFIG = """\
listeners.tcp.local = 127.0.0.1:{port}
default_user = sluice
default_pass = {password}
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
log.console = true
log.console.level = warning
log.file = false
"""


@dataclass(frozen=True)
class Broker:
    """RabbitMQ's start script, and the environment in which it finds Erlang."""

    script: Path
    environment: dict[str, str]

    @property
    def path(self) -> str:
        return self.environment["PATH"]


@dataclass(frozen=True)
class PrivateRabbit:
    """A node's programs, data and ports; one process after another may be the node."""

    run: Run
    broker: Broker
    data: Path
    account: Account | None
    port: int
    mapper_port: int
    password: str

    @property
    def amqp_url(self) -> str:
        return f"amqp://sluice:{self.password}@127.0.0.1:{self.port}/"

    def spawn(self) -> Child:
        """Start the node; it serves only some seconds later: `wait` until then."""
        return self.run.spawn(
            RABBITMQ,
            [self.broker.script],
            env=_environment(self.broker, self.data, self.port, self.mapper_port),
            cwd=self.data,
            log=self.run.folder / "rabbitmq.log",
            account=self.account,
        )

    def wait(self, node: Child) -> None:
        """Return when the node takes connections; ChildDied when it ends or takes too long."""
        wait_until_it_answers(self.run, node, self.port, _PROTOCOL, _METHOD_FRAME, _READY_WITHIN_S)

    def start(self) -> None:
        """Return when it serves."""
        with step("Starting RabbitMQ") as note:
            self.wait(self.spawn())
            note.detail = f"127.0.0.1:{self.port}"


def find_broker(run: Run) -> Broker:
    """The machine's RabbitMQ, else a private copy; SetupError with what to do where none can be."""
    for script in _installed():
        path = f"{script.parent}:{os.environ.get('PATH', '')}:{os.defpath}"
        return Broker(script, {"PATH": path, "LC_ALL": "C.UTF-8"})
    copy = private_copy(run)
    return Broker(copy.script, copy.environment)


def _installed() -> Iterator[Path]:
    """Start scripts of the machine; /usr/sbin's changes the user, so the real one is wanted."""
    for prefix in ("usr/lib/rabbitmq", "usr/local/lib/rabbitmq", "opt/rabbitmq"):
        yield from sorted(Path("/").glob(f"{prefix}/lib/rabbitmq_server-*/sbin/rabbitmq-server"))
    for brew in ("/opt/homebrew", "/usr/local"):
        script = Path(brew) / "opt/rabbitmq/sbin/rabbitmq-server"
        if script.exists():
            yield script


def make_rabbit(run: Run, broker: Broker, data: Path) -> PrivateRabbit:
    """Write what a node on `data` needs, and start its port mapper; `spawn` the node then."""
    account = unprivileged()
    data.mkdir(mode=0o700, exist_ok=True)
    if account:
        account.own(data)
    password = _secret(data / "password", account)
    _secret(data / ".erlang.cookie", account)
    port, mapper_port = free_port(), free_port()
    (data / "rabbitmq.conf").write_text(_CONFIG.format(port=port, password=password))
    (data / "enabled_plugins").write_text("[].\n")
    _start_mapper(run, broker, mapper_port, account)
    return PrivateRabbit(run, broker, data, account, port, mapper_port, password)


def _start_mapper(run: Run, broker: Broker, port: int, account: Account | None) -> None:
    """Start a port mapper in the foreground: the one that a node starts itself outlives it."""
    program = shutil.which("epmd", path=broker.path)
    if program is None:
        raise SetupError("RabbitMQ is here, but Erlang's epmd is not on the PATH.")
    args = [program, "-port", str(port), "-address", "127.0.0.1"]
    log = run.folder / "epmd.log"
    child = run.spawn("epmd", args, env=broker.environment, log=log, account=account)
    wait_until_it_answers(run, child, port, b"\x00\x01n", port.to_bytes(4, "big"), within_s=10)


def _environment(broker: Broker, data: Path, port: int, mapper_port: int) -> dict[str, str]:
    arguments = (
        "-noinput",  # with RABBITMQ_ALLOW_INPUT: the process that we hold is the node itself
        "+S 1:1 +sbwt none",  # one scheduler that does not spin: the machine has other work
        "-kernel inet_dist_use_interface {127,0,0,1}",
    )
    return broker.environment | {
        "HOME": str(data),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(mapper_port),
        "RABBITMQ_NODENAME": "sluice@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
        "RABBITMQ_LOG_BASE": str(data / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "enabled_plugins"),
        "RABBITMQ_CONFIG_FILE": str(data / "rabbitmq.conf"),
        "RABBITMQ_PID_FILE": str(data / "pid"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": " ".join(arguments),
    }


def _secret(path: Path, account: Account | None) -> str:
    """The secret in that file, made at the first start and kept with the data."""
    if not path.exists():
        path.touch(0o600)
        path.write_text("".join(secrets.choice(string.ascii_uppercase) for _ in range(24)))
        path.chmod(0o400)
        if account:
            os.chown(path, account.uid, account.gid)
    return path.read_text()
