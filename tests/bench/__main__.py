"""`python -m tests.bench [names] [--quick]`: run the benches, print a table, keep the figures."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import os
import sys
import time
import traceback
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, cast

from deploy.local.children import ChildDied, Run, raise_on_signals
from deploy.local.platform import interruptible
from deploy.local.progress import say
from deploy.local.servers import PrivateServers
from deploy.local.state import SetupError, local_folder
from tests.bench.goals import GOALS, Figures, flat
from tests.bench.machine import machine
from tests.bench.stand import Stand

BENCHES = ("unthrottled", "scale", "exact", "growth", "intake", "memory", "reply", "close", "api",
           "provisioning")  # fmt: skip

WITHIN_S = 30 * 60.0
QUICK_WITHIN_S = 5 * 60.0
"""All of them together."""


class Bench(Protocol):
    """What a bench's module holds; see the package."""

    NAME: str
    BOUND_S: float
    QUICK_BOUND_S: float

    def run(self, stand: Stand) -> Awaitable[Figures]:
        """Measure."""
        ...


async def measure(
    benches: list[Bench], servers: PrivateServers, *, quick: bool
) -> tuple[dict[str, object], dict[str, str]]:
    """All figures, and by bench why one has none."""
    figures: dict[str, object] = {}
    failed: dict[str, str] = {}
    deadline = time.monotonic() + (QUICK_WITHIN_S if quick else WITHIN_S)
    for bench in benches:
        left_s = deadline - time.monotonic()
        bound_s = min(left_s, bench.QUICK_BOUND_S if quick else bench.BOUND_S)
        say(f"== {bench.NAME} (at most {bound_s:.0f} s, load {os.getloadavg()[0]:.1f})")
        begun = time.monotonic()
        try:
            with Run.begin() as run:
                async with asyncio.timeout(bound_s):
                    figures[bench.NAME] = await bench.run(Stand(servers, run, quick))
        except Exception as error:
            traceback.print_exc()
            late = f" after {time.monotonic() - begun:.0f} s" if _is_late(error) else ""
            failed[bench.NAME] = f"{type(error).__name__}{late}: {error}".splitlines()[0]
        say(f"== {bench.NAME}: {time.monotonic() - begun:.0f} s, load {os.getloadavg()[0]:.1f}")
    return figures, failed


@dataclass(frozen=True)
class Kept:
    """What one run of benches has found."""

    figures: dict[str, object]
    failed: dict[str, str]
    ran: list[str]
    machine: dict[str, object]


def _is_late(error: BaseException) -> bool:
    return isinstance(error, TimeoutError)


async def _run(names: list[str], *, quick: bool) -> Kept:
    benches = [
        cast(Bench, importlib.import_module(f"tests.bench.{name}"))
        for name in names
        if importlib.util.find_spec(f"tests.bench.{name}")
    ]
    with PrivateServers(durable=True) as servers:
        about = await machine(servers)
        figures, failed = await measure(benches, servers, quick=quick)
    return Kept(figures, failed, [bench.NAME for bench in benches], about)


def _show(kept: Kept) -> None:
    """The table: asked figures with their goals, then the others that were measured."""
    known = flat(kept.figures)
    lines = [("figure", "measured", "goal", "")]
    for goal in GOALS:
        bench = goal.name.partition(".")[0]
        if bench not in kept.ran:
            continue
        verdict = "failed" if bench in kept.failed else goal.verdict(known)
        lines.append((goal.name, _shown(known.get(goal.name)), goal.wanted(), verdict))
    asked = {goal.name for goal in GOALS}
    lines += [(name, _shown(value), "", "") for name, value in known.items() if name not in asked]
    widths = [max(len(line[index]) for line in lines) for index in range(3)]
    say("")
    for line in lines:
        cells = [line[0].ljust(widths[0]), line[1].rjust(widths[1]), line[2].ljust(widths[2])]
        say("  ".join([*cells, line[3]]).rstrip())
    for name, reason in kept.failed.items():
        say(f"{name} failed: {reason}")


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "-" if value is None else str(value)


def main() -> int:
    """Run what was named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="bench", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="less of everything: 5 minutes")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHES):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    raise_on_signals()
    names = [name for name in BENCHES if name in (options.names or BENCHES)]
    try:
        kept = interruptible(_run(names, quick=options.quick))
    except KeyboardInterrupt:
        return 130
    except (SetupError, ChildDied) as error:
        say(str(error))
        return 1
    _show(kept)
    file = local_folder() / "bench.json"
    about = {"failed": kept.failed, "quick": options.quick, "machine": kept.machine}
    file.write_text(json.dumps(kept.figures | about, indent=2, ensure_ascii=False) + "\n")
    say(f"\nAll figures and the machine: {file}")
    return 1 if kept.failed else 0


if __name__ == "__main__":
    sys.exit(main())
