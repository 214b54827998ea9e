"""How soon a reply is with the provider, behind a million initials of its own organization.

The initials flow meanwhile, as fast as the limit allows, and take all the room there is: a reply
goes first as soon as there is some, every 20 ms at 3,000 a minute. From just before the reply's
MessageQueued is published until it arrives at the sandbox.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from deploy.local.platform import Platform
from tests.bench.exact import NO_RECEIPTS
from tests.bench.goals import Figures
from tests.bench.handoff import quantile
from tests.bench.ledger import Arrival, Sandbox, sandbox
from tests.bench.publishing import Feed, feed, single
from tests.bench.stand import Stand
from tests.bench.stock import Campaign, campaigns, collider_database, fill, hear

NAME = "reply"
BOUND_S = 150.0
QUICK_BOUND_S = 60.0

PER_MINUTE = 3000
REPLIES = 100
APART_S = (0.05, 0.25)
"""Replies come at any moment: drawn evenly from between these."""
FLOWING_S = 3.0
WITHIN_S = 30.0


async def run(stand: Stand) -> Figures:
    """Replies of one organization, one by one."""
    queued = 100_000 if stand.quick else 1_000_000
    async with stand.place() as place, collider_database(place.database_url) as database:
        campaign = campaigns(1, opens_in_s=3600)[0]
        await fill(
            place.database_url,
            database,
            [campaign],
            per_minute=PER_MINUTE,
            per_lane=queued,
            carriers=("att",),
        )
        stand.say(f"{queued:,} initials are queued")
        async with (
            Platform(
                database_url=place.database_url,
                amqp_url=place.amqp_url,
                bus_prefix=place.bus_prefix,
                services=("collider",),
                behaviour=NO_RECEIPTS,
            ) as platform,
            sandbox(platform.url("sandbox")) as provider,
            feed(place) as out,
        ):
            opened = replace(campaign, opens_at=datetime.now(UTC))
            await provider.know([opened])
            await provider.limit(campaign.org_id, "att", PER_MINUTE)
            await hear(database, [opened.rescheduled(2)])
            await asyncio.sleep(FLOWING_S)
            published = await _reply(out, campaign)
            replies = await _arrived(provider, published)
            verdict = await provider.verdict()
            initials = await _initials(provider, published)
    return {
        **_figures(published, replies),
        "initials_meanwhile_per_s": initials,
        "judge_ok": verdict["ok"],
    }


async def _reply(out: Feed, campaign: Campaign) -> dict[str, datetime]:
    """Publish the replies; when each was, by its id."""
    dice = random.Random("reply")
    published: dict[str, datetime] = {}
    for index in range(REPLIES):
        await asyncio.sleep(dice.uniform(*APART_S))
        text = campaign.text("att", 500_000 + index, "reply")
        made = single(text)
        published[text.message_id] = datetime.now(UTC)
        await out.publish(made)
    return published


async def _arrived(provider: Sandbox, published: dict[str, datetime]) -> list[Arrival]:
    """The replies' arrivals, once all have come."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            arrivals = await provider.arrivals()
            replies = [one for one in arrivals if one.message_id in published]
            if len(replies) == len(published):
                return replies
            await asyncio.sleep(0.5)


async def _initials(provider: Sandbox, published: dict[str, datetime]) -> float:
    """How many initials arrived each second while the replies came."""
    since, until = min(published.values()), max(published.values())
    arrivals = await provider.arrivals()
    initials = [
        one for one in arrivals if one.kind == "initial" and since <= one.arrived_at < until
    ]
    return round(len(initials) / (until - since).total_seconds(), 1)


def _figures(published: dict[str, datetime], replies: Sequence[Arrival]) -> dict[str, object]:
    took_ms = sorted(
        (one.arrived_at - published[one.message_id]) / timedelta(milliseconds=1) for one in replies
    )
    return {
        "p99_ms": round(quantile(took_ms, 0.99), 1),
        "p50_ms": round(quantile(took_ms, 0.5), 1),
        "replies": len(took_ms),
    }
