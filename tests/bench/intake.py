"""Whether steady intake holds up the claim: 150 buckets, 5,000 more texts a second for them.

The texts come over RabbitMQ to the collider's own consumer, in a process of its own. Claims are
made in this process as the collider makes them, one after the other and 50 ms apart when none was
due, and what they claim goes the whole way to a provider that takes it at once. Each claim's time
counts, with and without intake in turn; 99th percentiles.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from itertools import cycle

from deploy.local.children import clean_environment
from deploy.local.state import ROOT, local_folder
from services.collider.dispatch import Dispatcher
from services.collider.handlers import HANDLERS
from services.collider.worker import Claimer
from shared.bus import Publisher, queues_for
from shared.database import Database
from tests.bench.cpu import Watch
from tests.bench.goals import Figures
from tests.bench.growth import Instant
from tests.bench.handoff import quantile
from tests.bench.publishing import Feed, body, feed
from tests.bench.stand import Place, Stand, servers_of
from tests.bench.stock import Campaign, campaigns, collider_database, fill, stored

NAME = "intake"
BOUND_S = 180.0
QUICK_BOUND_S = 60.0

ORGS = 50
PER_MINUTE = 400
TEXTS_PER_S = 5000
BATCH = 100
IDLE_S = 0.05
"""As the collider rests when no bucket was due."""


async def run(stand: Stand) -> Figures:
    """Quiet and busy in turn."""
    part_s, parts = (5.0, 2) if stand.quick else (15.0, 3)
    async with stand.place() as place, collider_database(place.database_url) as database:
        there = campaigns(ORGS)
        per_lane = int(PER_MINUTE / 60 * (2 * parts * part_s + 20))
        await fill(place.database_url, database, there, per_minute=PER_MINUTE, per_lane=per_lane)
        publisher = Publisher(place.amqp_url, place.bus_prefix, "bench")
        await publisher.open(queues_for(place.bus_prefix, "collider", HANDLERS))
        await publisher.close()
        made = _bodies(there, int(parts * part_s * TEXTS_PER_S))
        times = _Times()
        async with feed(place) as out:
            pids = {"consumer": _consumer(stand, place), **servers_of(stand.servers)}
            await _claims(database, 2.0)
            for part in range(parts):
                times.quiet += await _claims(database, part_s)
                with Watch(pids) as watch:
                    await times.busily(database, out, made[part::parts], part_s)
                stand.say(f"{times.taken[-1] / part_s:.0f} texts a second came in")
    return {**times.figures(), "taken_in_per_s": times.rate(part_s), "cores_used": watch.shares}


class _Times:
    """Milliseconds of each claim, and how many texts came in meanwhile."""

    def __init__(self) -> None:
        self.quiet: list[float] = []
        self.busy: list[float] = []
        self.taken: list[int] = []

    async def busily(
        self, database: Database, out: Feed, made: Sequence[bytes], part_s: float
    ) -> None:
        """Claim while these come in; return when they all have."""
        before = await stored(database)
        incoming = asyncio.create_task(_publish(out, made))
        self.busy += await _claims(database, part_s)
        self.taken.append(await stored(database) - before)
        await incoming
        while await stored(database) - before < BATCH * len(made):
            await asyncio.sleep(0.05)

    def rate(self, part_s: float) -> int:
        """Texts that came in a second."""
        return round(sum(self.taken) / (part_s * len(self.taken)))

    def figures(self) -> dict[str, object]:
        """Quantiles of both."""
        found: dict[str, object] = {}
        for name, times in (("claim", sorted(self.busy)), ("quiet", sorted(self.quiet))):
            found[f"{name}_p99_ms"] = round(quantile(times, 0.99), 1)
            found[f"{name}_p50_ms"] = round(quantile(times, 0.5), 1)
            found[f"{name}s"] = len(times)
        return found


def _bodies(there: Sequence[Campaign], count: int) -> list[bytes]:
    """Made beforehand: their JSON is not what is measured."""
    return [
        body(campaign, start, BATCH)
        for start, campaign in zip(range(0, count, BATCH), cycle(there), strict=False)
    ]


async def _publish(out: Feed, made: Sequence[bytes]) -> None:
    """TEXTS_PER_S, whatever becomes of them."""
    begun = time.monotonic()
    for number, one in enumerate(made):
        await asyncio.sleep(max(0.0, begun + number * BATCH / TEXTS_PER_S - time.monotonic()))
        await out.publish(one)


async def _claims(database: Database, lasts_s: float) -> list[float]:
    """Claim and hand over for so long, as the runtime does it; the claims' milliseconds."""
    dispatcher = Dispatcher(database, Instant(), calls_most=500, timeout_s=10)
    claimer = Claimer(database, dispatcher)
    times: list[float] = []
    async with dispatcher:
        handing = asyncio.create_task(_hand_over(database, dispatcher))
        until = time.monotonic() + lasts_s
        while time.monotonic() < until:
            begun = time.perf_counter()
            found = await claimer.step()
            if found:
                times.append(1000 * (time.perf_counter() - begun))
            else:
                await asyncio.sleep(IDLE_S)
            if handing.done():
                break
        handing.cancel()
        await asyncio.gather(handing, return_exceptions=True)
    return times


async def _hand_over(database: Database, dispatcher: Dispatcher) -> None:
    while True:
        dispatcher.wake.clear()
        while await dispatcher.step():
            pass
        async with database.connection() as connection:
            await connection.execute("DELETE FROM outbox")
        await dispatcher.wake.wait()


def _consumer(stand: Stand, place: Place) -> int:
    """Start the intake; its process id."""
    logs = local_folder() / "logs"
    logs.mkdir(exist_ok=True)
    child = stand.run.spawn(
        "consumer",
        [sys.executable, "-m", "tests.bench.consuming"],
        env={
            **clean_environment(),
            "SLUICE_DATABASE_URL": place.database_url,
            "SLUICE_AMQP_URL": place.amqp_url,
            "SLUICE_BUS_PREFIX": place.bus_prefix,
        },
        cwd=ROOT,
        log=logs / "bench-consumer.log",
    )
    return child.process.pid
