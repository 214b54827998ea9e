"""How soon everybody knows, when a window closes with 200,000 texts queued, that they will not go.

The campaign sends to the last moment, at 3,000 a minute with each of three carriers. `seconds` runs
from the window's end until the last of its initials has been marked and its MessageFailed was seen
by a consumer with a queue of its own; `sent_after_end` is by the judge's ledger.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from deploy.local.platform import Platform
from services.collider.domain import SENDING_FAILED
from shared.database import Database
from tests.bench.cpu import Watch
from tests.bench.exact import NO_RECEIPTS
from tests.bench.goals import Figures
from tests.bench.ledger import sandbox
from tests.bench.stand import Place, Stand, servers_of
from tests.bench.stock import CARRIERS, campaigns, collider_database, fill, hear

NAME = "close"
BOUND_S = 150.0
QUICK_BOUND_S = 60.0

PER_MINUTE = 3000
SENDS_S = 6.0
"""The campaign sends for so long before its end."""
REPLICAS = 2
WITHIN_S = 120.0


class Failures:
    """The messages that were told to have failed because their window had closed."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.last_at = datetime.now(UTC)

    async def hear(self, message: AbstractIncomingMessage) -> None:
        """Take one delivery."""
        for event in json.loads(message.body):
            if event["data"]["reason"] == SENDING_FAILED:
                self.ids.add(event["data"]["message_id"])
        self.last_at = datetime.now(UTC)
        await message.ack()


async def run(stand: Stand) -> Figures:
    """Send, close, wait for the last word."""
    queued = 40_000 if stand.quick else 200_000
    async with stand.place() as place, collider_database(place.database_url) as database:
        campaign = campaigns(1, opens_in_s=3600)[0]
        await fill(
            place.database_url,
            database,
            [campaign],
            per_minute=PER_MINUTE,
            per_lane=queued // len(CARRIERS),
        )
        stand.say(f"{queued:,} texts are queued")
        async with (
            Platform(
                database_url=place.database_url,
                amqp_url=place.amqp_url,
                bus_prefix=place.bus_prefix,
                services=("collider",),
                replicas={"collider": REPLICAS},
                behaviour=NO_RECEIPTS,
            ) as platform,
            sandbox(platform.url("sandbox")) as provider,
            failures(place) as failed,
        ):
            for carrier in CARRIERS:
                await provider.limit(campaign.org_id, carrier, PER_MINUTE)
            opens_at = datetime.now(UTC) + timedelta(seconds=1)
            closes_at = opens_at + timedelta(seconds=SENDS_S)
            closing = replace(campaign, opens_at=opens_at, closes_at=closes_at)
            await provider.know([closing])
            await hear(database, [closing.rescheduled(2)])
            await asyncio.sleep((closes_at - datetime.now(UTC)).total_seconds())
            pids = {
                f"collider-{index}": platform.process("collider", index).process.pid
                for index in range(REPLICAS)
            }
            with Watch({**pids, **servers_of(stand.servers)}) as watch:
                marked_at = await _all_marked(database, failed)
            arrivals = await provider.arrivals()
    after = [one for one in arrivals if one.arrived_at >= closes_at]
    return {
        "seconds": round((max(marked_at, failed.last_at) - closes_at).total_seconds(), 2),
        "sent_after_end": len(after),
        "marked_s": round((marked_at - closes_at).total_seconds(), 2),
        "failed": len(failed.ids),
        "sent_before_end": len(arrivals) - len(after),
        "cores_used": watch.shares,
    }


async def _all_marked(database: Database, failed: Failures) -> datetime:
    """Return when nothing is queued and each failure was heard; when the first was so."""
    marked_at: datetime | None = None
    async with asyncio.timeout(WITHIN_S):
        while True:
            if marked_at is None and not await _count(database, "queued"):
                marked_at = datetime.now(UTC)
            # What is in a replica's hands at the end may still be put back, and marked then.
            in_hand = await _count(database, "claimed") + await _count(database, "calling")
            marked = await _count(database, "sending failed")
            if marked_at and not in_hand and len(failed.ids) == marked:
                return marked_at
            await asyncio.sleep(0.2)


async def _count(database: Database, status: str) -> int:
    async with database.connection() as connection:
        if status == "queued":
            there = "SELECT count(*) FROM (SELECT FROM messages WHERE status = $1 LIMIT 1) AS one"
        else:
            there = "SELECT count(*) FROM messages WHERE status = $1"
        count: int = await connection.fetchval(there, status)
    return count


@asynccontextmanager
async def failures(place: Place) -> AsyncIterator[Failures]:
    """Hears what the colliders of this place tell, by a durable queue of its own."""
    name = f"{place.bus_prefix}.failures"
    place.queues.append(name)
    failed = Failures()
    async with await aio_pika.connect(place.amqp_url, timeout=10) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=100)
        queue = await channel.declare_queue(
            name, durable=True, arguments={"x-queue-type": "quorum"}
        )
        await queue.bind(place.bus_prefix, "MessageFailed")
        await queue.consume(failed.hear)
        yield failed
