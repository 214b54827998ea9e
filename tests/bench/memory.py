"""What a backlog costs a replica and the broker: a million texts queued for tomorrow.

They come in over RabbitMQ in batches of 500, as another system sends them, as fast as one replica
takes them in. `replica_mb` is then its resident memory, shared pages included, `broker_depth` what
its queue still holds.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

from shared.database import Database
from tests.bench.colliders import REAL, colliders
from tests.bench.cpu import Watch
from tests.bench.goals import Figures
from tests.bench.publishing import Feed, body, feed
from tests.bench.stand import Stand, servers_of
from tests.bench.stock import CARRIERS, Campaign, campaigns, collider_database, hear, limits, stored

NAME = "memory"
BOUND_S = 420.0
QUICK_BOUND_S = 60.0

ORGS = 50
PER_MINUTE = 400
TOMORROW_S = 24 * 3600.0
SETTLE_S = 2.0
BATCH = 500
DEPTH_MOST = 100
"""Batches that wait with the broker at most: it is the collider that is to hold them."""


async def run(stand: Stand) -> Figures:
    """Queue them all, then look."""
    count = 50_000 if stand.quick else 1_000_000
    async with (
        stand.place() as place,
        collider_database(place.database_url) as database,
        colliders(stand, place, 1, module=REAL) as mine,
        feed(place) as out,
    ):
        there = campaigns(ORGS, opens_in_s=TOMORROW_S)
        await hear(
            database, (limits(one.org_id, name, PER_MINUTE) for one in there for name in CARRIERS)
        )
        await hear(database, (campaign.launched() for campaign in there))
        pid = mine.replicas[0].pid
        empty_mb = resident_mb(pid)
        begun = time.monotonic()
        with Watch({"collider": pid, **servers_of(stand.servers)}) as watch:
            peak_mb = max(empty_mb, await _take_in(stand, database, out, there, count, pid))
        took_s = time.monotonic() - begun
        await asyncio.sleep(SETTLE_S)
        return {
            "replica_mb": round(resident_mb(pid), 1),
            "broker_depth": await out.depth(),
            "replica_peak_mb": round(peak_mb, 1),
            "replica_empty_mb": round(empty_mb, 1),
            "queued": await _queued(database),
            "taken_in_per_s": round(count / took_s),
            "cores_used": watch.shares,
        }


async def _take_in(
    stand: Stand, database: Database, out: Feed, there: Sequence[Campaign], count: int, pid: int
) -> float:
    """Publish them all and wait until they are rows; the most megabytes on the way."""
    peak_mb = 0.0
    for number, made in enumerate(_bodies(there, count)):
        await out.publish(made)
        if number % 20 == 0:
            peak_mb = max(peak_mb, resident_mb(pid))
            while await out.depth() > DEPTH_MOST:
                await asyncio.sleep(0.05)
        if number % 400 == 399:
            stand.say(f"{BATCH * (number + 1):,} of {count:,} published")
    while await stored(database) < count:
        peak_mb = max(peak_mb, resident_mb(pid))
        await asyncio.sleep(0.1)
    return peak_mb


def _bodies(there: Sequence[Campaign], count: int) -> Iterator[bytes]:
    for start, campaign in zip(range(0, count, BATCH), cycle(there), strict=False):
        yield body(campaign, start, min(BATCH, count - start))


async def _queued(database: Database) -> int:
    async with database.connection() as connection:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM messages WHERE status = 'queued'"
        )
    return count


def resident_mb(pid: int) -> float:
    """A process's resident memory, shared pages included."""
    try:
        found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    except OSError:
        found = None
    if found is None:
        ps = ["ps", "-o", "rss=", "-p", str(pid)]
        return int(subprocess.run(ps, capture_output=True, text=True, check=True).stdout) / 1024
    return int(found[1]) / 1024
