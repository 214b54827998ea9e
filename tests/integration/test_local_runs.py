"""Private servers and processes: nothing outlives its run, also where the run was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiosmtplib
import pytest

from deploy.local.children import ChildDied, Run, birth
from deploy.local.platform import SANDBOX, Platform
from deploy.local.ports import free_port
from deploy.local.state import ROOT

SLEEP = ("import time; time.sleep(600)",)

OWNER = """
import os, sys, time
from pathlib import Path
from deploy.local.children import Run

run = Run.begin()
child = run.spawn("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"],
                  env=dict(os.environ), log=run.folder / "log")
print("owner of", child.process.pid, run.folder, flush=True)
time.sleep(600)
"""


def _until(condition: object, within_s: float = 10) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_run_stops_what_a_killed_run_left_behind() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        lines = (line.removeprefix("owner of ") for line in owner.stdout if "owner of" in line)
        pid_text, folder = next(lines).strip().split(" ", 1)
        owner.kill()
    pid = int(pid_text)
    assert birth(pid) is not None
    with Run.begin():
        assert _until(lambda: birth(pid) is None)
        assert not Path(folder).exists()


def test_a_run_leaves_a_living_run_of_the_same_checkout_alone() -> None:
    with Run.begin() as first:
        child = first.spawn(
            "sleeper", [sys.executable, "-c", *SLEEP], env=dict(os.environ), log=None
        )
        with Run.begin():
            assert child.is_alive()
            assert first.folder.exists()
        assert child.is_alive()
    assert not child.is_alive()
    assert not first.folder.exists()


def test_a_child_that_ignores_its_signal_is_killed() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); "
    with Run.begin() as run:
        log = run.folder / "log"
        child = run.spawn(
            "deaf", [sys.executable, "-uc", deaf + SLEEP[0]], env=dict(os.environ), log=log
        )
        assert _until(lambda: "deaf" in log.read_text())
        run.stop([child], grace_s=0.2)
        assert child.process.returncode == -signal.SIGKILL


async def test_a_process_that_dies_by_itself_ends_the_platform_and_is_named(
    tmp_path: Path,
) -> None:
    async def work_on_while_the_sandbox_dies() -> None:
        async with Platform(
            database_url="unused", amqp_url="unused", services=(), logs=tmp_path
        ) as platform:
            os.kill(platform.process(SANDBOX).process.pid, signal.SIGKILL)
            await asyncio.sleep(30)

    with pytest.raises(ChildDied, match="sandbox ended with -9"):
        await work_on_while_the_sandbox_dies()


async def test_a_process_that_was_killed_on_purpose_comes_back_at_its_old_address(
    tmp_path: Path,
) -> None:
    async with Platform(
        database_url="unused", amqp_url="unused", services=(), logs=tmp_path
    ) as platform:
        before = platform.url(SANDBOX), platform.process(SANDBOX).process.pid
        await platform.kill(SANDBOX)
        await platform.start_replica(SANDBOX)
        assert platform.url(SANDBOX) == before[0]
        assert platform.process(SANDBOX).process.pid != before[1]


async def test_the_mailbox_keeps_mail_as_it_came_also_after_it_was_away(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    async with Platform(
        database_url="unused", amqp_url="unused", services=(), logs=tmp_path, mail=mail
    ) as platform:
        box = platform.mailbox
        await box.go_away()
        with pytest.raises(aiosmtplib.SMTPConnectError):
            await _send(box.host, box.port, "lost")
        await box.take_mail()
        await _send(box.host, box.port, "Grüße")
        found = await box.wait_for(lambda one: one["subject"] == "Grüße", within_s=5)
        assert found["to"] == "admin@example.com"
        assert len(list(mail.glob("*.eml"))) == 1


async def _send(host: str, port: int, subject: str) -> None:
    text = f"From: us@example.com\nTo: admin@example.com\nSubject: {subject}\n\nHello\n"
    await aiosmtplib.send(
        text.encode(),
        sender="us@example.com",
        recipients=["admin@example.com"],
        hostname=host,
        port=port,
        timeout=5,
    )


def test_no_port_is_given_twice_while_its_server_may_be_starting() -> None:
    ports = [free_port() for _ in range(1_000)]
    assert len(set(ports)) == len(ports)
