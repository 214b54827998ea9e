"""`make test`: lint, format, types, imports, then all tests against one pair of servers."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping, Sequence

from deploy.local.children import (
    Child,
    ChildDied,
    Run,
    clean_environment,
    raise_on_signals,
    uninterrupted,
)
from deploy.local.progress import say
from deploy.local.servers import PrivateServers
from deploy.local.state import ROOT, SetupError

STATIC: Sequence[tuple[str, Sequence[str]]] = (
    ("lint", ("-m", "ruff", "check", ".")),
    ("format", ("-m", "ruff", "format", "--check", ".")),
    ("types", ("-m", "mypy")),
    (
        "imports",
        ("-c", "from importlinter.cli import lint_imports_command as go; go()", "--no-logo"),
    ),
    ("unit tests", ("-m", "pytest", "-q", "tests/unit")),
)

UNWIND_WITHIN_S = 60
"""Time for a stage to stop the processes that it started, after a Ctrl-C."""


class StageFailed(Exception):
    """A stage that ended with another code than 0; it has said why."""


def main() -> int:
    """Run the stages up to the first that fails."""
    raise_on_signals()
    begun = time.monotonic()
    try:
        with Run.begin() as run:
            for name, arguments in STATIC:
                _stage(run, name, arguments, {})
            say("== servers")
            with PrivateServers(durable=False) as servers:
                for name, arguments in _stages_with_servers():
                    _stage(run, name, ("-m", "pytest", *arguments), servers.environment())
    except KeyboardInterrupt:
        say("== interrupted")
        return 130
    except StageFailed as failed:
        say(f"== {failed}")
        return 1
    except (SetupError, ChildDied) as error:
        say(str(error))
        return 1
    say(f"== everything passed ({time.monotonic() - begun:.0f} s)")
    return 0


def _stages_with_servers() -> list[tuple[str, Sequence[str]]]:
    """The tests that are not pure. Those of integration/ mostly wait for one service, so two files
    go at once, each with databases of its own; stories of whole platforms have the machine alone.
    """
    tests = ROOT / "tests"
    found = {test.relative_to(tests).parts[0] for test in tests.glob("*/**/test_*.py")}
    stories = [f"tests/{name}" for name in sorted(found - {"unit", "bench", "integration"})]
    return [
        ("integration tests", ("-n", "2", "--dist", "loadfile", "tests/integration")),
        ("stories", stories),
    ]


def _stage(run: Run, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run one stage with its output on ours; raise StageFailed when it says no."""
    say(f"== {name}")
    begun = time.monotonic()
    # Its own session, recorded like a server: one Ctrl-C reaches it once, and only through us.
    child = run.spawn(
        name,
        [sys.executable, *arguments],
        env=clean_environment() | dict(environment),
        cwd=ROOT,
        log=None,
        stop_signal=signal.SIGINT,
    )
    try:
        code = child.process.wait()
    except KeyboardInterrupt:
        _unwind(run, child)
        raise
    took_s = time.monotonic() - begun
    if code:
        raise StageFailed(f"{name}: failed with {code} after {took_s:.1f} s")
    run.stop([child])
    say(f"== {name}: passed ({took_s:.1f} s)")


def _unwind(run: Run, child: Child) -> None:
    with uninterrupted(drop=True):
        run.stop([child], grace_s=UNWIND_WITHIN_S)


if __name__ == "__main__":
    sys.exit(main())
