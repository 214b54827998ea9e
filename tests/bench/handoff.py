"""How long a text waited that might have gone: from room free in its meter to the provider.

The meter's whole state is one moment, so each bucket's is replayed from the collider's own record
of what it claimed and when: before each claimed text stands the instant at which the meter, with
all that had been poured in before, first had room for it. The judge's ledger says when that text
arrived; the difference holds everything in between: the wait for the next claim, the claim, the
writing down, the call, the provider's reading of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.database import Database
from shared.rules import meters
from tests.bench.ledger import Arrival

Attempt = tuple[str, int]
"""A message's id and the number of its attempt."""


@dataclass(frozen=True, slots=True, order=True)
class Poured:
    """One claimed text: it was poured into its bucket's meter then."""

    claimed_at: datetime
    position: int
    message_id: str
    attempt: int
    bucket: tuple[str, str]


async def under_way(database: Database) -> list[Poured]:
    """What is claimed or being called at this moment: a later attempt would hide this one."""
    return await _poured(database, "status IN ('claimed', 'calling')")


async def all_poured(database: Database) -> list[Poured]:
    """The last claim of each text that was ever claimed."""
    return await _poured(database, "attempt > 0 AND claimed_at IS NOT NULL")


async def _poured(database: Database, which: str) -> list[Poured]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            f"SELECT claimed_at, position, message_id, attempt, org_id, carrier"
            f" FROM messages WHERE {which}",
            timeout=60,
        )
    return [
        Poured(
            row["claimed_at"],
            row["position"],
            row["message_id"],
            row["attempt"],
            (row["org_id"], row["carrier"]),
        )
        for row in rows
    ]


def room_free(poured: Iterable[Poured], per_minute: int) -> tuple[dict[Attempt, datetime], int]:
    """For each claimed text when its meter first had room for it; and how many earlier attempts
    nobody saw: they were poured some moment before the next one and are taken to be poured with
    it."""
    buckets: dict[tuple[str, str], dict[Attempt, Poured]] = defaultdict(dict)
    for one in poured:
        buckets[one.bucket][one.message_id, one.attempt] = one
    free: dict[Attempt, datetime] = {}
    unseen = 0
    for known in buckets.values():
        claimed = sorted(known.values())
        meter = meters.fresh(per_minute, claimed[0].claimed_at)
        for one in claimed:
            free[one.message_id, one.attempt] = _room_at(meter)
            lost = one.attempt > 1 and (one.message_id, one.attempt - 1) not in known
            unseen += lost
            meter = meters.poured(meter, 1 + lost, one.claimed_at)
    return free, unseen


def _room_at(meter: meters.Meter) -> datetime:
    """When the level had sunk, or will, to where one text more fits: also before now."""
    return meter.dry_at - timedelta(seconds=(meter.capacity - 1) / meter.leak)


def delays_ms(
    free: dict[Attempt, datetime], arrivals: Sequence[Arrival], since: datetime, until: datetime
) -> list[float]:
    """From room free to arrival, sorted: of the texts that arrived in [since, until)."""
    return sorted(
        (one.arrived_at - free[one.message_id, one.attempt]) / timedelta(milliseconds=1)
        for one in arrivals
        if since <= one.arrived_at < until and (one.message_id, one.attempt) in free
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest of these sorted values that so large a share does not pass."""
    if not ordered:
        raise ValueError("nothing was measured")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
