"""`make up` and `make down`: a platform that stays up in the background.

A process of its own holds the servers and the services, and says in `.local/platform.json` where
they are; it is recognized by its process id and birth, never by its name.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from deploy.local.children import ChildDied, Run, birth, raise_on_signals
from deploy.local.first_steps import PROFILE, FirstSteps, prepare
from deploy.local.platform import GRACE_S, Platform, interruptible
from deploy.local.progress import say
from deploy.local.servers import PrivateServers
from deploy.local.state import LOCAL, ROOT, SetupError, local_folder

RECORD = LOCAL / "platform.json"
LOG = LOCAL / "logs" / "platform.log"
UP_WITHIN_S = 15 * 60
"""With the first download of RabbitMQ on a slow line."""

DOWN_WITHIN_S = 3 * GRACE_S + 30


def up() -> int:
    """Start the platform in the background and print where it is; print it again if it is up."""
    if (found := _read_record()) is None:
        LOG.parent.mkdir(parents=True, exist_ok=True)
        with LOG.open("wb") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "deploy.local.stay", "keep"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            found = _follow(keeper)
        except BaseException:
            keeper.terminate()
            keeper.wait()
            raise
    if found is None:
        say(f"The platform did not come up; see {LOG}")
        return 1
    say(FirstSteps(**found["first_steps"]).as_text())
    return 0


def _follow(keeper: subprocess.Popen[bytes]) -> dict[str, Any] | None:
    """Show what the keeper says until everything is up; None when it gives up."""
    deadline = time.monotonic() + UP_WITHIN_S
    with LOG.open() as log:
        while time.monotonic() < deadline:
            ended = keeper.poll() is not None
            for line in log:
                say(line.rstrip("\n"))
            if ended:
                return None
            if found := _read_record():
                return found
            time.sleep(0.1)
    raise TimeoutError(f"not up within {UP_WITHIN_S} s")


def down() -> int:
    """Stop the platform, or what a killed one has left."""
    found = _read_record()
    if found is None:
        with Run.begin():  # stops what dead runs left behind
            say("The platform is not up.")
        return 0
    begun = time.monotonic()
    os.kill(found["pid"], signal.SIGTERM)
    while birth(found["pid"]) == found["birth"]:
        if time.monotonic() - begun > DOWN_WITHIN_S:
            say(f"It has not stopped within {DOWN_WITHIN_S:.0f} s: killed")
            os.kill(found["pid"], signal.SIGKILL)
            break
        time.sleep(0.1)
    with Run.begin():
        say(f"The platform is down ({time.monotonic() - begun:.1f} s)")
    return 0


def keep() -> int:
    """Hold everything up until a signal comes or a part dies."""
    RECORD.unlink(missing_ok=True)
    try:
        with PrivateServers(durable=True) as servers:
            return interruptible(_keep(servers))
    finally:
        RECORD.unlink(missing_ok=True)


async def _keep(servers: PrivateServers) -> int:
    mail = local_folder() / "mail"
    for old in mail.glob("*.eml"):
        old.unlink()
    async with Platform(
        database_url=servers.database_url,
        amqp_url=servers.amqp_url,
        # So that a use case that names no profile, as in docs/api.md, gets a number and answers.
        settings={"provisioner": {"SLUICE_TELNYX_PROFILE_ID": PROFILE}},
        mail=mail,
    ) as platform:
        first_steps = await prepare(platform, str(mail))
        _write_record(first_steps)
        while True:
            if dead := servers.dead():
                raise ChildDied(dead)
            await asyncio.sleep(1)


def _write_record(first_steps: FirstSteps) -> None:
    """Whole or not at all, and readable for the owner alone: it holds tokens."""
    me = os.getpid()
    unfinished = RECORD.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(0o600)
    unfinished.write_text(
        json.dumps({"pid": me, "birth": birth(me), "first_steps": first_steps.as_json()})
    )
    unfinished.rename(RECORD)


def _read_record() -> dict[str, Any] | None:
    """What the keeper wrote, if that keeper is alive."""
    try:
        found: dict[str, Any] = json.loads(RECORD.read_text())
    except (OSError, ValueError):
        return None
    return found if birth(found["pid"]) == found["birth"] else None


def main() -> int:
    """Run one of the three commands."""
    raise_on_signals()
    command = {"up": up, "down": down, "keep": keep}[sys.argv[1]]
    try:
        return command()
    except KeyboardInterrupt:
        say("Interrupted.")
        return 0 if command is keep else 130
    except (SetupError, ChildDied, TimeoutError) as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
