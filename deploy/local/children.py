"""Child processes that do not outlive their run.

A run is a folder below `<state>/runs`. Its `processes` file names the owner and every child by
process id and birth, so that the next run of the checkout can stop what a kill -9 left behind
without ever touching a process that merely got the same id later.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from deploy.local.progress import say
from deploy.local.state import state_folder, state_lock

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def raise_on_signals(*, once_more: bool = True) -> None:
    """Let SIGTERM and a closed terminal unwind the program as Ctrl-C does.

    Only the first signal does anything: a second one would break the clean-up that it started.
    once_more: False when that first one has come already.
    """
    left = [KeyboardInterrupt()] if once_more else []

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if left:
            raise left.pop()

    for number in INTERRUPTS:  # SIGINT too: a shell starts background jobs with it ignored
        signal.signal(number, interrupt)


@contextmanager
def uninterrupted(*, drop: bool = False) -> Iterator[None]:
    """Hold back interrupts during the block; deliver the last one after it, or drop them all.

    Without it a Ctrl-C between the birth of a child and its record would leak the child, and a
    second Ctrl-C would break the clean-up after the first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: held.append(number))
        for number in INTERRUPTS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if held and not drop:
            os.kill(os.getpid(), held[-1])


def birth(pid: int) -> str | None:
    """A text that no other process with this id ever has; None when nothing runs under it."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        # Nothing else may pass for a death: a run would be stopped that is alive.
        if Path("/proc/self/stat").exists():
            return None
        return _birth_by_ps(pid)
    if state in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {fields[18]}"


def _birth_by_ps(pid: int) -> str | None:
    """The same where there is no /proc (macOS)."""
    ps = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    found = subprocess.run(ps, capture_output=True, text=True, check=False).stdout.split()
    return None if not found or found[0].startswith("Z") else " ".join(found[1:])


def clean_environment() -> dict[str, str]:
    """The caller's environment without settings of Sluice: no test gets a real account's key."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
    environment["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
    )
    return environment


@dataclass(frozen=True)
class Account:
    """The user that a child runs as when we are root."""

    name: str
    uid: int
    gid: int

    def own(self, folder: Path) -> None:
        """Give the folder to the user alone."""
        folder.mkdir(exist_ok=True)
        os.chown(folder, self.uid, self.gid)
        folder.chmod(0o700)


def unprivileged() -> Account | None:
    """`nobody` for root (PostgreSQL refuses to run as root); None for everybody else."""
    if os.geteuid() != 0:
        return None
    found = pwd.getpwnam("nobody")
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


@dataclass(frozen=True)
class Child:
    """One process that we started: what it is called and how it likes to be stopped."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None
    stop_signal: signal.Signals

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its output, for an error message."""
        if self.log is None:
            return ""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


class ChildDied(Exception):
    """A child ended by itself or does not answer; the text names it and shows its last words."""

    def __init__(self, child: Child) -> None:
        self.child = child
        tail = f"; the end of {child.log}:\n{child.log_tail()}" if child.log else ""
        code = child.process.poll()
        what = "does not answer" if code is None else f"ended with {code}"
        super().__init__(f"{child.name} {what}{tail}")


class Run:
    """One run of this checkout: its folder, and the children that end with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[Child] = []
        self._record("owner", os.getpid(), signal.SIGTERM)

    @classmethod
    def begin(cls) -> Run:
        """Stop what dead runs left behind, then make a folder for this one."""
        with state_lock("runs"), uninterrupted():
            runs = state_folder() / "runs"
            runs.mkdir(mode=0o711, exist_ok=True)
            # Again, as long as something was stopped: it may have owned a run itself.
            while any(_bury(earlier) for earlier in sorted(runs.iterdir())):
                pass
            folder = runs / f"{os.getpid()}-{secrets.token_hex(4)}"
            folder.mkdir(mode=0o711)
            folder.chmod(0o711)
            return cls(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def spawn(
        self,
        name: str,
        args: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        log: Path | None,
        cwd: Path = Path("/"),
        account: Account | None = None,
        stdin: int = subprocess.DEVNULL,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> Child:
        """Start a process in a session of its own, so that a Ctrl-C is ours to pass on.

        log: where its output goes; without one it writes to our own.
        """
        with uninterrupted(), ExitStack() as stack:
            output = stack.enter_context(log.open("ab")) if log else None
            process = subprocess.Popen(
                [os.fspath(arg) for arg in args],
                env=dict(env),
                cwd=cwd,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
            child = Child(name, process, log, stop_signal)
            self.children.append(child)
            self._record(name, process.pid, stop_signal)
        return child

    def call(
        self,
        name: str,
        args: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path = Path("/"),
        account: Account | None = None,
        stdin: bytes = b"",
        timeout_s: float = 120,
    ) -> None:
        """Run a program to its end; ChildDied when it fails, TimeoutExpired when it hangs."""
        with tempfile.TemporaryFile() as source:
            source.write(stdin)
            source.seek(0)
            child = self.spawn(
                name,
                args,
                env=env,
                log=log,
                cwd=cwd,
                account=account,
                stdin=source.fileno(),
                stop_signal=signal.SIGKILL,
            )
        try:
            if child.process.wait(timeout_s) != 0:
                raise ChildDied(child)
        finally:
            self.stop([child])

    def stop(self, children: Sequence[Child], grace_s: float = 10) -> None:
        """Ask the children to stop, all at once; kill those that are there after the grace."""
        for child in children:
            _signal(child.process.pid, child.stop_signal, child.is_alive)
        deadline = time.monotonic() + grace_s
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.05, deadline - time.monotonic()))
            if child.is_alive():
                say(f"  {child.name} did not stop in {grace_s:.0f} s: killed")
            _kill_group(child.process.pid)
            child.process.wait()
            if child in self.children:
                self.children.remove(child)

    def end(self, grace_s: float = 10) -> None:
        """Stop the children, the last started first, and remove the run's folder."""
        with uninterrupted(drop=True):
            while self.children:
                self.stop([self.children[-1]], grace_s)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _record(self, name: str, pid: int, stop_signal: signal.Signals) -> None:
        line = {"name": name, "pid": pid, "birth": birth(pid), "stop_signal": int(stop_signal)}
        with (self.folder / "processes").open("a") as file:
            file.write(json.dumps(line) + "\n")


def _signal(pid: int, number: signal.Signals, is_alive: Callable[[], bool]) -> None:
    if is_alive():
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            # A test may have frozen it, and a frozen process is deaf to everything but SIGKILL.
            os.kill(pid, signal.SIGCONT)


def _kill_group(pid: int) -> None:
    """Kill what is left of a child's session; gone already is the usual case."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _bury(folder: Path) -> bool:
    """Stop what a run whose owner is dead has left, remove its folder; whether any process was."""
    try:
        lines = (folder / "processes").read_text().splitlines()
        owner, *children = [json.loads(line) for line in lines]
    except (OSError, ValueError):
        # Its owner died in the middle of its first line: nothing had been started yet.
        shutil.rmtree(folder, ignore_errors=True)
        return False
    if birth(owner["pid"]) == owner["birth"]:
        return False
    left = [child for child in children if birth(child["pid"]) == child["birth"] is not None]
    for child in left:
        say(f"  Stopping {child['name']} (process {child['pid']}) that a dead run left behind")
        with suppress(ProcessLookupError):
            os.kill(child["pid"], child["stop_signal"])
    deadline = time.monotonic() + 10
    for child in left:
        while birth(child["pid"]) == child["birth"] and time.monotonic() < deadline:
            time.sleep(0.05)
        _kill_group(child["pid"])
    shutil.rmtree(folder, ignore_errors=True)
    return bool(left)
