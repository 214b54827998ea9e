"""How many texts a second go through, stored, claimed, handed over and told, without any limit."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from statistics import median

from deploy.local.postgres import POSTGRES
from deploy.local.rabbitmq import RABBITMQ
from shared.ids import new_id
from tests.bench.colliders import colliders
from tests.bench.cpu import Watch
from tests.bench.goals import Figures
from tests.bench.stand import Stand
from tests.bench.traffic import bodies, launch, producing

NAME = "unthrottled"
BOUND_S = 780.0
QUICK_BOUND_S = 100.0

ORGS = 50
MESSAGES, QUICK_MESSAGES = 100_000, 10_000
WARM_UP = 5_000
WITHIN_S = 300.0


@dataclass(frozen=True)
class Measured:
    """One run: texts a second, and how many cores each process kept busy meanwhile."""

    per_s: float
    cores: dict[str, float]
    load: float


async def ours(stand: Stand, *, replicas: int, messages: int) -> Measured:
    """From the first publish to the last MessageSent that was heard, on a database of its own."""
    orgs = [f"org-{index}-{new_id()[-8:]}" for index in range(ORGS)]
    warm_up, made = bodies(orgs, WARM_UP), bodies(orgs, messages)
    async with (
        stand.place() as place,
        colliders(stand, place, replicas) as running,
        producing(place) as (producer, counter),
    ):
        await launch(place, orgs)
        await producer.publish(warm_up)
        await counter.until(WARM_UP, WITHIN_S)
        watched = {one.child.name: one.pid for one in running.replicas} | servers_of(stand)
        with Watch(watched) as watch:
            await producer.publish(made)
            await counter.until(WARM_UP + messages, WITHIN_S)
        assert len(counter.sent) == WARM_UP + messages
    return Measured(messages / watch.took_s, watch.shares, os.getloadavg()[0])


def servers_of(stand: Stand) -> dict[str, int]:
    """The process ids of the private servers."""
    found = {}
    for name in (POSTGRES, RABBITMQ):
        try:
            found[name] = stand.servers.process(name).process.pid
        except LookupError:
            continue
    return found


async def run(stand: Stand) -> Figures:
    """A and B in turn, and their medians."""
    messages = QUICK_MESSAGES if stand.quick else MESSAGES
    runs = []
    for _ in range(2 if stand.quick else 5):
        begun = time.monotonic()
        one = await ours(stand, replicas=1, messages=messages)
        stand.say(f"ours {one} {time.monotonic() - begun:.0f} s")
        runs.append(one.per_s)
    return {"msgs_per_s": median(runs)}
