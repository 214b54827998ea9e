"""The same as unthrottled with 1, 2 and 4 replicas: how much each more replica brings."""

from __future__ import annotations

import os
from statistics import median

from tests.bench.goals import Figures
from tests.bench.stand import Stand
from tests.bench.unthrottled import Measured, ours

NAME = "scale"
BOUND_S = 240.0
QUICK_BOUND_S = 60.0

REPLICAS = (1, 2, 4)
ROUNDS, MESSAGES, QUICK_MESSAGES = 2, 50_000, 10_000


async def run(stand: Stand) -> Figures:
    """1, 2 and 4 replicas in turn, and what kept them from more."""
    runs: dict[int, list[Measured]] = {count: [] for count in REPLICAS}
    for _ in range(1 if stand.quick else ROUNDS):
        for count in REPLICAS:
            messages = QUICK_MESSAGES if stand.quick else MESSAGES
            one = await ours(stand, replicas=count, messages=messages)
            runs[count].append(one)
            stand.say(f"{count} replicas: {one.per_s:,.0f} a second, load {one.load:.1f}")
    per_s = {count: median(one.per_s for one in those) for count, those in runs.items()}
    return {
        "linearity_4": per_s[4] / (4 * per_s[1]),
        "msgs_per_s": {str(count): round(rate) for count, rate in per_s.items()},
        "bound_by": {str(count): _bound(those[-1]) for count, those in runs.items()},
        "cores": {str(count): those[-1].cores for count, those in runs.items()},
    }


def _bound(one: Measured) -> str:
    """What was busiest: the machine as a whole, or one process, or nothing but waiting."""
    cores = len(os.sched_getaffinity(0))
    busy = sum(one.cores.values())
    name, most = max(one.cores.items(), key=lambda item: item[1])
    if busy > 0.85 * cores:
        return f"the machine: {busy:.2f} of {cores} cores are busy, most of all {name} ({most:.2f})"
    if most > 0.85:
        return f"{name}: {most:.2f} cores"
    return f"waiting: {busy:.2f} of {cores} cores are busy, most of all {name} ({most:.2f})"
