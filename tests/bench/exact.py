"""How much of what the carriers allow is used, and never more: over HTTP, with a death in it.

50 organizations x 3 carriers at 400 messages a minute each, a thousand a second in all, for 180 s
from the instant at which the windows open, with a backlog that does not run dry. Two replicas; a
third joins after a third of the time, and the first is killed with -9 at half of it.

- `peak_over_limit`: the judge's worst sliding half-open 60 s of any bucket, less the limit; 0 when
  none was over. Slow requests count.
- `utilisation`: a bucket's texts that arrived in the measured span, by what the limit allows in a
  span of that length (400 / 60 a second). The span starts WARM_UP_S after the opening, when
  empty meters, which let out a little more, have been used up. Median and minimum of 150 buckets.
- `handoff`: from room free in the meter to the provider; handoff.py says how that is known.
  The joining and the killing are in it; `calm` is without the 10 s after each.

The provider posts no receipts here, so that the cores go to what is measured, the way out: all
processes together take 0.84 of them, and with one receipt a text 1.4 (seen once each).

Celery then gets the same limits, in the easiest case there is (peers/limiting.py).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from deploy.local.children import ChildDied
from deploy.local.platform import Platform
from shared.database import Database
from tests.bench.cpu import Watch
from tests.bench.goals import Figures
from tests.bench.handoff import (
    Poured,
    all_poured,
    delays_ms,
    quantile,
    room_free,
    under_way,
)
from tests.bench.ledger import Arrival, Sandbox, sandbox
from tests.bench.peers.limiting import limited
from tests.bench.stand import Place, Stand, servers_of
from tests.bench.stock import CARRIERS, Campaign, campaigns, collider_database, fill, hear

NAME = "exact"
BOUND_S = 480.0
QUICK_BOUND_S = 120.0

ORGS = 50
PER_MINUTE = 400
WARM_UP_S = 10.0
RECOVERY_S = 10.0
NO_RECEIPTS = {"sent_webhooks": False, "receipt_lost_share": 1.0}


@dataclass(frozen=True)
class Run:
    """What came of the traffic. `until`: when the ledger was closed."""

    opened_at: datetime
    joined_at: datetime
    killed_at: datetime
    until: datetime
    in_flight: Sequence[Poured]
    """What the replicas had in their hands at the kill."""


async def run(stand: Stand) -> Figures:
    """The collider, then Celery as its users would try the same."""
    lasts_s = 40.0 if stand.quick else 180.0
    async with (
        stand.place() as place,
        collider_database(place.database_url) as database,
        Platform(
            database_url=place.database_url,
            amqp_url=place.amqp_url,
            bus_prefix=place.bus_prefix,
            services=("collider",),
            replicas={"collider": 2},
            behaviour=NO_RECEIPTS,
        ) as platform,
        sandbox(platform.url("sandbox")) as provider,
    ):
        there = campaigns(ORGS, opens_in_s=3600)
        per_lane = int(PER_MINUTE / 60 * (lasts_s + 15))
        await fill(place.database_url, database, there, per_minute=PER_MINUTE, per_lane=per_lane)
        for campaign in there:
            for carrier in CARRIERS:
                await provider.limit(campaign.org_id, carrier, PER_MINUTE)
        with Watch(_pids(stand, platform)) as watch:
            ran = await _traffic(stand, platform, database, provider, there, lasts_s)
        figures = await _judged(database, provider, ran)
    async with stand.place() as place:
        celery = await _celery(stand, place)
    return {**figures, **celery, "cores_used": watch.shares}


async def _celery(stand: Stand, place: Place) -> Mapping[str, object]:
    """Celery at the same limits. When it cannot be measured, that costs nobody our own figures."""
    try:
        return await limited(
            stand,
            place,
            buckets=30 if stand.quick else ORGS * len(CARRIERS),
            per_minute=PER_MINUTE,
            lasts_s=15.0 if stand.quick else 75.0,
        )
    except (TimeoutError, ChildDied) as error:
        stand.say(f"celery was not measured: {error!r}")
        return {"celery_failed": repr(error)}


async def _traffic(
    stand: Stand,
    platform: Platform,
    database: Database,
    provider: Sandbox,
    there: Sequence[Campaign],
    lasts_s: float,
) -> Run:
    """Open all windows at once, add a replica, kill one, wait."""
    opened_at = datetime.now(UTC) + timedelta(seconds=3)
    open_now = [replace(campaign, opens_at=opened_at) for campaign in there]
    await hear(database, (campaign.rescheduled(2) for campaign in open_now))
    await provider.know(open_now)
    await _sleep_until(opened_at + timedelta(seconds=lasts_s / 3))
    joined_at = datetime.now(UTC)
    await platform.start_replica("collider")
    stand.say(f"a third replica has joined after {lasts_s / 3:.0f} s")
    await _sleep_until(opened_at + timedelta(seconds=lasts_s / 2))
    killed_at = datetime.now(UTC)
    await platform.kill("collider", 0)
    in_flight = await under_way(database)
    stand.say(f"the first was killed with {len(in_flight)} texts in the replicas' hands")
    until = opened_at + timedelta(seconds=lasts_s)
    await _sleep_until(until)
    return Run(opened_at, joined_at, killed_at, until, in_flight)


async def _judged(database: Database, provider: Sandbox, ran: Run) -> dict[str, object]:
    """The figures, by the judge's ledger and the collider's rows."""
    verdict = await provider.verdict()
    arrivals = await provider.arrivals()
    poured = [*ran.in_flight, *await all_poured(database)]
    peaks = [line["peak_60s"] for line in verdict["buckets"] if line["channel"] == "sms"]
    since = ran.opened_at + timedelta(seconds=WARM_UP_S)
    used = utilisations(arrivals, since, ran.until)
    free, unseen = room_free(poured, PER_MINUTE)
    delays = delays_ms(free, arrivals, since, ran.until)
    calm = sorted(
        delays_ms(free, arrivals, since, ran.joined_at)
        + delays_ms(free, arrivals, ran.killed_at + timedelta(seconds=RECOVERY_S), ran.until)
    )
    return {
        "peak_over_limit": max(0, max(peaks) - PER_MINUTE),
        "peak_60s": max(peaks),
        "utilisation_median": round(quantile(used, 0.5), 4),
        "utilisation_min": round(used[0], 4),
        "handoff_p50_ms": round(quantile(delays, 0.5), 1),
        "handoff_p99_ms": round(quantile(delays, 0.99), 1),
        "handoff_calm_p99_ms": round(quantile(calm, 0.99), 1),
        "unseen_attempts": unseen,
        "arrived": len(arrivals),
        "doubles": verdict["doubles"]["count"],
        "outside_hours": verdict["outside_hours"]["count"],
        "judge_ok": verdict["ok"],
    }


def utilisations(arrivals: Sequence[Arrival], since: datetime, until: datetime) -> list[float]:
    """What share of its limit each bucket used in [since, until), the least first."""
    allowed = PER_MINUTE / 60 * (until - since).total_seconds()
    seen = Counter((one.org_id, one.carrier) for one in arrivals if since <= one.arrived_at < until)
    buckets = [(f"org-{org:05d}", carrier) for org in range(ORGS) for carrier in CARRIERS]
    return sorted(seen[bucket] / allowed for bucket in buckets)


def _pids(stand: Stand, platform: Platform) -> dict[str, int]:
    pids = {"sandbox": platform.process("sandbox").process.pid}
    for index in range(2):
        pids[f"collider-{index}"] = platform.process("collider", index).process.pid
    return {**pids, **servers_of(stand.servers)}


async def _sleep_until(at: datetime) -> None:
    await asyncio.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
