"""Buckets as claims find them and leave them: limits, paces, meters, days, and where to read on."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from asyncpg import Record

from services.collider.bucket import Bucket, BucketKey, Quota, Scope
from services.collider.standing import Standing, days_over, woken
from services.collider.store import paces
from services.collider.store.intake import limits_of
from shared.database import Transaction, columns
from shared.rules.limits import CAUTIOUS
from shared.rules.meters import Meter

QuotaKey = tuple[Scope, date]


async def read(tx: Transaction, keys: Sequence[BucketKey]) -> dict[BucketKey, Standing]:
    """How these buckets stand; a new one stands nowhere yet.

    The newest version is found first, whatever is dead behind it and not swept up yet.
    """
    rows = await tx.sql.fetch(
        """
        SELECT latest.* FROM unnest($1::text[], $2::text[]) AS key (org_id, carrier)
        CROSS JOIN LATERAL (
            SELECT * FROM standings
            WHERE standings.org_id = key.org_id AND standings.carrier = key.carrier
            ORDER BY version DESC LIMIT 1) AS latest
        """,
        *columns(keys, 2),
    )
    found = {(row["org_id"], row["carrier"]): standing_of(row) for row in rows}
    return {key: found.get(key) or Standing() for key in keys}


async def read_buckets(
    tx: Transaction,
    standings: Mapping[BucketKey, Standing],
    positions: Mapping[int, int],
    now: datetime,
) -> list[Bucket]:
    """All that a plan needs to know of these locked buckets, but their lanes. `positions`: from
    where on lanes have been woken."""
    keys = list(standings)
    told = await limits_of(tx, keys)
    imposed = await paces.read(tx, keys)
    days = await _days(tx, keys, now)
    rows = await tx.sql.fetch(
        """
        SELECT org_id, carrier, paused_until,
               (SELECT greatest(opens_at, held_until) FROM lanes
                WHERE lanes.org_id = buckets.org_id AND lanes.carrier = buckets.carrier
                  AND backlog AND greatest(opens_at, held_until) > $3
                ORDER BY greatest(opens_at, held_until) LIMIT 1) AS opens_at
        FROM buckets JOIN unnest($1::text[], $2::text[]) AS key (org_id, carrier)
            USING (org_id, carrier)
        """,
        *columns(keys, 2),
        now,
    )
    buckets = []
    for row in rows:
        key = (row["org_id"], row["carrier"])
        standing = standings[key]
        buckets.append(
            Bucket(
                *key,
                told[key],
                CAUTIOUS[row["carrier"]],
                standing.meters,
                _quotas(standing, days[key]),
                lanes=(),
                opens_at=row["opens_at"],
                paused_until=row["paused_until"],
                paces=imposed.get(key, {}),
                cursors=woken(standing.cursors, positions),
            )
        )
    return buckets


async def _days(
    tx: Transaction, keys: Sequence[BucketKey], now: datetime
) -> dict[BucketKey, dict[QuotaKey, Record]]:
    """What carriers gave back, or said, of the days around now."""
    # Any zone's today is within a day of the date in UTC.
    rows = await tx.sql.fetch(
        """
        SELECT one.* FROM unnest($1::text[], $2::text[]) AS key (org_id, carrier)
        CROSS JOIN LATERAL (
            SELECT * FROM day_quotas
            WHERE day_quotas.org_id = key.org_id AND day_quotas.carrier = key.carrier
              AND day BETWEEN $3::date - 1 AND $3::date + 1) AS one
        """,
        *columns(keys, 2),
        now.date(),
    )
    found: dict[BucketKey, dict[QuotaKey, Record]] = defaultdict(dict)
    for row in rows:
        found[row["org_id"], row["carrier"]][row["use_case_id"], row["day"]] = row
    return found


def _quotas(standing: Standing, days: Mapping[QuotaKey, Record]) -> dict[QuotaKey, Quota]:
    quotas = {key: Quota(spent, full=False) for key, spent in standing.spent.items()}
    for key, row in days.items():
        used = row["spent"] - row["given_back"] + standing.spent.get(key, 0)
        quotas[key] = Quota(used, row["full_at"] is not None)
    return quotas


async def write(tx: Transaction, standings: Mapping[BucketKey, Standing], now: datetime) -> None:
    """Replace how these locked buckets stand; days that are over go to the archive."""
    over = {key: days for key, one in standings.items() if (days := days_over(one, now))}
    if over:
        await _archive(tx, over)
        standings = {key: one.without(over.get(key, {})) for key, one in standings.items()}
    await tx.sql.execute(
        """
        WITH replaced AS (
            DELETE FROM standings USING unnest($1::text[], $2::text[], $3::bigint[])
                AS old (org_id, carrier, version)
            WHERE standings.org_id = old.org_id AND standings.carrier = old.carrier
              AND standings.version = old.version)
        INSERT INTO standings (org_id, carrier, due_at, minute_at, this_minute, last_minute,
                               meters, spent, cursors)
        SELECT org_id, carrier, due_at, minute_at, this_minute, last_minute,
               meters::jsonb, spent::jsonb, cursors::jsonb
        FROM unnest($1::text[], $2::text[], $4::timestamptz[], $5::timestamptz[],
                    $6::int[], $7::int[], $8::text[], $9::text[], $10::text[])
            AS new (org_id, carrier, due_at, minute_at, this_minute, last_minute,
                    meters, spent, cursors)
        """,
        *columns([(*key, *_columns(standing)) for key, standing in standings.items()], 10),
    )


async def _archive(tx: Transaction, over: Mapping[BucketKey, Mapping[QuotaKey, int]]) -> None:
    """Keep what was spent of days that are over."""
    await tx.sql.execute(
        """
        INSERT INTO day_quotas AS known (org_id, carrier, use_case_id, day, spent)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::int[])
        ON CONFLICT (org_id, carrier, use_case_id, day) DO UPDATE
        SET spent = known.spent + excluded.spent
        """,
        *columns(
            [(*key, *day, count) for key, days in over.items() for day, count in days.items()], 5
        ),
    )


def standing_of(row: Record) -> Standing:
    """The standing in a row of its table."""
    return Standing(
        row["version"],
        row["due_at"],
        row["minute_at"],
        row["this_minute"],
        row["last_minute"],
        {
            (scope, channel): Meter(
                per_minute,
                largest,
                datetime.fromisoformat(largest_at),
                datetime.fromisoformat(dry_at),
            )
            for scope, channel, per_minute, largest, largest_at, dry_at in row["meters"]
        },
        {(scope, date.fromisoformat(day)): count for scope, day, count in row["spent"]},
        dict(row["cursors"]),
    )


def _columns(standing: Standing) -> tuple[Any, ...]:
    return (
        standing.version,
        standing.due_at,
        standing.minute_at,
        standing.this_minute,
        standing.last_minute,
        json.dumps(
            [
                (
                    *key,
                    meter.per_minute,
                    meter.largest,
                    meter.largest_at.isoformat(),
                    meter.dry_at.isoformat(),
                )
                for key, meter in standing.meters.items()
            ]
        ),
        json.dumps(
            [(scope, day.isoformat(), count) for (scope, day), count in standing.spent.items()]
        ),
        json.dumps(list(standing.cursors.items())),
    )
