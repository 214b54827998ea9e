"""What a claim costs as more waits: more texts, more buckets, more campaigns, more dead rows.

The claim is the collider's own (`Claimer.step`), with the database's clock, in this process; in
between, what was claimed goes the whole way (marked as calling, called at a provider that takes it
at once, its result stored, its event told and forgotten as by the relay), untimed. Each ratio
compares with the same base: 150 buckets of one campaign each, 10,000 texts. Claims of base and
rival alternate, so that whatever else the machine does meets both alike; medians.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg

from services.collider.dispatch import Dispatcher
from services.collider.domain import Outbound, Outcome
from services.collider.worker import Claimer
from shared.database import Database
from shared.ids import new_id
from tests.bench.goals import Figures
from tests.bench.stand import Stand
from tests.bench.stock import campaigns, collider_database, copy, fill, tidy

NAME = "growth"
BOUND_S = 420.0
QUICK_BOUND_S = 60.0

ORGS = 50
PER_MINUTE = 600_000
"""High enough that there is always room; low enough that meters are read and written."""
CLAIMED = 1000
IDLE_MOST = 500
CLAIMED_BUCKETS = 150
"""A claim takes from somewhat more of them at most."""


class Instant:
    """A provider in this process that takes everything at once."""

    name = "telnyx"

    async def send(self, text: Outbound) -> Outcome:
        """Take it."""
        return Outcome("accepted", new_id())


class Scene:
    """One database with a collider at work on it."""

    def __init__(self, url: str, database: Database, buckets: int) -> None:
        self.url = url
        self.buckets = buckets
        self.database = database
        self.dispatcher = Dispatcher(database, Instant(), calls_most=CLAIMED, timeout_s=10)
        self.claimer = Claimer(database, self.dispatcher)
        self.claims = 0

    async def claim(self) -> float:
        """Claim CLAIMED texts; milliseconds."""
        claimed, spent_s, idle = 0, 0.0, 0
        while claimed < 0.9 * CLAIMED:
            begun = time.perf_counter()
            await self.claimer.step()
            spent_s += time.perf_counter() - begun
            now = CLAIMED - self.dispatcher.free
            if not now:
                idle += 1
                if idle > IDLE_MOST:
                    raise RuntimeError("no bucket lets anything out any more")
                await asyncio.sleep(0.02)
            claimed += now
            self.claims += bool(now)
            await self.finish()
        return 1000 * spent_s * CLAIMED / claimed

    async def finish(self) -> None:
        """Let everything that was claimed come to its end."""
        while await self.dispatcher.step() or self.dispatcher.busy:
            await asyncio.sleep(0)
        async with self.database.connection() as connection:
            await connection.execute("DELETE FROM outbox")


@dataclass(frozen=True)
class Sizes:
    """How much of everything; quick runs take less of it."""

    base: int = 10_000
    backlog: int = 1_000_000
    buckets: int = 15_000
    campaigns: int = 300
    rounds: int = 15
    held: int = 400
    """Claims while a transaction is held open."""


QUICK = Sizes(base=10_000, backlog=100_000, buckets=3_000, campaigns=50, rounds=7, held=100)


async def run(stand: Stand) -> Figures:
    """All three ratios, and what they are made of."""
    sizes = QUICK if stand.quick else Sizes()
    async with AsyncExitStack() as stack:
        base = await stack.enter_async_context(_scene(stand, ORGS, 1, sizes.base))
        figures: dict[str, object] = {}
        async with _scene(stand, ORGS, 1, sizes.backlog) as large:
            by_backlog = await _ratio(stand, base, large, sizes, f"{sizes.backlog:,} queued")
            held, growth = await _held(stand, large, sizes)
        async with _scene(stand, sizes.buckets // 3, 1, 30 * sizes.buckets) as many:
            by_buckets = await _ratio(stand, base, many, sizes, f"{sizes.buckets:,} buckets")
        lanes = 3 * ORGS * sizes.campaigns
        async with _scene(stand, ORGS, sizes.campaigns, 4 * lanes) as crowded:
            by_campaigns = await _ratio(
                stand, base, crowded, sizes, f"{sizes.campaigns} campaigns a bucket"
            )
        figures |= {
            "claim_ratio_backlog": by_backlog,
            "claim_ratio_buckets": max(by_buckets, by_campaigns),
            "claim_ratio_more_buckets": by_buckets,
            "claim_ratio_more_campaigns": by_campaigns,
            "claim_ratio_held_xmin": held,
            "held_xmin_by_claims": growth,
        }
    return figures


@asynccontextmanager
async def _scene(stand: Stand, orgs: int, each: int, queued: int) -> AsyncIterator[Scene]:
    begun = time.monotonic()
    async with stand.place() as place, collider_database(place.database_url) as database:
        launched = campaigns(orgs, each=each)
        per_lane = max(1, queued // (3 * len(launched)))
        await fill(place.database_url, database, launched, per_minute=PER_MINUTE, per_lane=per_lane)
        filled_s = time.monotonic() - begun
        stand.say(f"{3 * orgs:,} buckets × {each} campaigns, {queued:,} texts: {filled_s:.0f} s")
        yield Scene(place.database_url, database, 3 * orgs)


async def _ratio(stand: Stand, base: Scene, rival: Scene, sizes: Sizes, what: str) -> float:
    """How many times as long the rival's claims take; base and rival in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    refill = -(-CLAIMED // base.buckets)
    # A bucket's first claim takes up the fill's wake-up and writes its first rows: not measured.
    for scene in (base, rival):
        for _ in range(2 + scene.buckets // CLAIMED_BUCKETS):
            await scene.claim()
            await copy(base.url, refill if scene is base else 0)
        await tidy(scene.url)
    for _ in range(sizes.rounds):
        for scene, mine in zip((base, rival), times, strict=True):
            mine.append(await scene.claim())
        # The base stays as small as it is said to be.
        await copy(base.url, refill)
    await tidy(base.url)
    medians = [statistics.median(mine) for mine in times]
    stand.say(f"{what}: {medians[1]:.0f} ms for {CLAIMED} texts, base {medians[0]:.0f} ms")
    return round(medians[1] / medians[0], 3)


async def _held(stand: Stand, scene: Scene, sizes: Sizes) -> tuple[float, dict[str, float]]:
    """Claims before and under a transaction that is held open: no dead row can be cleared away.

    The ratio after all of them, and on the way there by the number of claims made.
    """
    rounds = max(5, sizes.rounds // 3)
    before = statistics.median([await scene.claim() for _ in range(rounds)])
    holder = await asyncpg.connect(scene.url)
    growth: dict[str, float] = {}
    ratio = 1.0
    try:
        await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await holder.execute("SELECT pg_current_xact_id()")
        begun = scene.claims
        for part in range(1, 5):
            while scene.claims - begun < part * sizes.held // 4:
                await _small_claim(scene)
            ratio = statistics.median([await scene.claim() for _ in range(rounds)]) / before
            growth[str(scene.claims - begun)] = round(ratio, 3)
            stand.say(f"held xmin, {scene.claims - begun} claims: {ratio:.2f} × {before:.0f} ms")
        await holder.execute("ROLLBACK")
    finally:
        await holder.close(timeout=10)
    return round(ratio, 3), growth


async def _small_claim(scene: Scene) -> None:
    """A claim as a busy collider makes ten of a second: a text or so from each bucket."""
    hands = Dispatcher(scene.database, Instant(), calls_most=3 * ORGS, timeout_s=10)
    claimer = Claimer(scene.database, hands)
    if not await claimer.step():
        await asyncio.sleep(0.02)
    scene.claims += hands.free < 3 * ORGS
    while await hands.step() or hands.busy:
        await asyncio.sleep(0)
    async with scene.database.connection() as connection:
        await connection.execute("DELETE FROM outbox")
