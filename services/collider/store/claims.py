"""Claims: due buckets are locked, read, and what was planned for them is written down."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from asyncpg import Record

from services.collider.domain import Outbound
from services.collider.plan import BEFORE_CLOSE, Bucket, Candidate, Chosen, Lane, Plan, Quota
from services.collider.store import paces
from services.collider.store.intake import limits_of
from shared.database import Transaction, columns
from shared.rules.limits import CAUTIOUS
from shared.rules.meters import Meter

BucketKey = tuple[str, str]

# As many lanes of a bucket are looked at in one claim; the others have their turn when these rest.
LANES_MOST, LANES_MORE = 64, 8
# And as many wake-ups: however many wait, finding the oldest of them takes the same time.
WAKES_MOST = 2000


async def paused_until(tx: Transaction, provider: str) -> datetime | None:
    """Until when the provider's account asked not to be called."""
    until = await tx.sql.fetchval("SELECT paused_until FROM pauses WHERE provider = $1", provider)
    assert until is None or isinstance(until, datetime)
    return until


async def lock_due(
    tx: Transaction, now: datetime, *, most: int, without: Sequence[str] = ()
) -> list[BucketKey]:
    """Lock buckets that are due or have been woken, those first that have waited longest, but none
    `without` organizations': the only lock a claim takes, and it never waits for one."""
    rows = await tx.sql.fetch(
        """
        WITH due AS (
            SELECT org_id, carrier, row_number() OVER (ORDER BY due_at) AS place
            FROM buckets WHERE due_at <= $1 AND org_id <> ALL($4::text[])
            ORDER BY due_at LIMIT $2),
        oldest AS (
            SELECT org_id, carrier, wake_id FROM wakes WHERE org_id <> ALL($4::text[])
            ORDER BY wake_id LIMIT $3),
        woken AS (
            SELECT org_id, carrier, row_number() OVER (ORDER BY min(wake_id)) AS place
            FROM oldest GROUP BY org_id, carrier),
        candidates AS (
            SELECT org_id, carrier, min(place) AS place
            FROM (SELECT * FROM due UNION ALL SELECT * FROM woken) AS one
            GROUP BY org_id, carrier)
        SELECT org_id, carrier FROM buckets JOIN candidates USING (org_id, carrier)
        ORDER BY place LIMIT $2 FOR UPDATE OF buckets SKIP LOCKED
        """,
        now,
        most,
        WAKES_MOST,
        without,
    )
    return [(row["org_id"], row["carrier"]) for row in rows]


async def consume_wakes(tx: Transaction, keys: Sequence[BucketKey]) -> None:
    """Mark the lanes that wake-ups of these buckets name as having backlog.

    What is queued under a wake-up that is seen here is seen by the reading that follows; what
    commits later brings a wake-up of its own.
    """
    await tx.sql.execute(
        """
        WITH woken AS (
            DELETE FROM wakes USING unnest($1::text[], $2::text[]) AS key (org_id, carrier)
            WHERE wakes.org_id = key.org_id AND wakes.carrier = key.carrier
            RETURNING lane_id, position),
        lane AS (
            SELECT lane_id, min(position) AS position FROM woken
            WHERE lane_id IS NOT NULL GROUP BY lane_id)
        UPDATE lanes SET backlog = true, cursor = least(cursor, lane.position - 1)
        FROM lane WHERE lanes.lane_id = lane.lane_id
          AND NOT (backlog AND cursor < lane.position)
        """,
        *columns(keys, 2),
    )


async def read_buckets(tx: Transaction, keys: Sequence[BucketKey], now: datetime) -> list[Bucket]:
    """All that a plan needs to know of these locked buckets."""
    told = await limits_of(tx, keys)
    meters = await _meters(tx, keys)
    quotas = await _quotas(tx, keys, now)
    imposed = await paces.read(tx, keys)
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
    known = {(row["org_id"], row["carrier"]): row for row in rows}
    return [
        Bucket(
            *key,
            told[key],
            CAUTIOUS[row["carrier"]],
            meters[key],
            quotas[key],
            lanes=(),
            opens_at=row["opens_at"],
            paused_until=row["paused_until"],
            paces=imposed.get(key, {}),
        )
        for key, row in known.items()
    ]


async def _meters(
    tx: Transaction, keys: Sequence[BucketKey]
) -> Mapping[BucketKey, dict[Any, Meter]]:
    rows = await tx.sql.fetch(
        """
        SELECT meters.* FROM meters
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, carrier) USING (org_id, carrier)
        """,
        *columns(keys, 2),
    )
    found: dict[BucketKey, dict[Any, Meter]] = defaultdict(dict)
    for row in rows:
        found[row["org_id"], row["carrier"]][row["use_case_id"], row["channel"]] = Meter(
            row["per_minute"], row["largest"], row["largest_at"], row["dry_at"]
        )
    return found


async def _quotas(
    tx: Transaction, keys: Sequence[BucketKey], now: datetime
) -> Mapping[BucketKey, dict[Any, Quota]]:
    # Any zone's today is within a day of the date in UTC.
    rows = await tx.sql.fetch(
        """
        SELECT day_quotas.* FROM day_quotas
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, carrier) USING (org_id, carrier)
        WHERE day BETWEEN $3::date - 1 AND $3::date + 1
        """,
        *columns(keys, 2),
        now.date(),
    )
    found: dict[BucketKey, dict[Any, Quota]] = defaultdict(dict)
    for row in rows:
        found[row["org_id"], row["carrier"]][row["use_case_id"], row["day"]] = Quota(
            row["day"], row["spent"] - row["given_back"], row["full_at"] is not None
        )
    return found


async def open_lanes(
    tx: Transaction, buckets: Sequence[Bucket], now: datetime, *, most: Mapping[BucketKey, int]
) -> Mapping[BucketKey, list[Lane]]:
    """Lanes with backlog that are open, and stay so for as long as a call may take to start, in
    the order in which they go; without those of use cases that are shut. A few more than there
    are hands for: `most` of each bucket."""
    shut = [
        (*bucket.key, use_case_id, channel)
        for bucket in buckets
        for use_case_id, channel in bucket.shut
    ]
    rows = await tx.sql.fetch(
        """
        SELECT lane.* FROM unnest($1::text[], $2::text[], $5::int[]) AS key (org_id, carrier, most)
        CROSS JOIN LATERAL (
            SELECT org_id, carrier, lane_id, use_case_id, kind, channel, last_sendable_at
            FROM lanes
            WHERE lanes.org_id = key.org_id AND lanes.carrier = key.carrier
              AND backlog AND opens_at <= $3 AND closes_at > $4
              AND (held_until IS NULL OR held_until <= $3)
              AND NOT EXISTS (
                  SELECT FROM unnest($6::text[], $7::text[], $8::text[], $9::text[])
                      AS shut (org_id, carrier, use_case_id, channel)
                  WHERE shut.org_id = lanes.org_id AND shut.carrier = lanes.carrier
                    AND shut.use_case_id = lanes.use_case_id AND shut.channel = lanes.channel)
            ORDER BY (kind <> 'reply'), last_sendable_at, lane_id LIMIT key.most) AS lane
        """,
        *columns([bucket.key for bucket in buckets], 2),
        now,
        now + BEFORE_CLOSE,
        [min(LANES_MOST, LANES_MORE + most[bucket.key]) for bucket in buckets],
        *columns(shut, 4),
    )
    found: dict[BucketKey, list[Lane]] = defaultdict(list)
    for row in rows:
        found[row["org_id"], row["carrier"]].append(
            Lane(
                row["lane_id"],
                row["use_case_id"],
                row["kind"],
                row["channel"],
                row["last_sendable_at"],
            )
        )
    return found


async def heads(tx: Transaction, asked: Mapping[int, int]) -> Mapping[int, list[Candidate]]:
    """The first so many queued messages of each of these lanes, in their order.

    They are not locked: most would be for nothing, and a lock is a write. Nobody else claims them
    while the bucket is held; those that are ended meanwhile the claim finds not queued any more.
    """
    rows = await tx.sql.fetch(
        """
        SELECT asked.lane_id, head.*, EXISTS (
            SELECT FROM opt_outs
            WHERE opt_outs.org_id = head.org_id AND opt_outs.phone = head.phone
              AND coalesce(opted_out_at >= opted_in_at, true)) AS opted_out,
            coalesce(head.queued_at <= campaigns.withdrawn_at, false) AS withdrawn
        FROM unnest($1::bigint[], $2::int[]) AS asked (lane_id, most)
        JOIN lanes USING (lane_id)
        JOIN campaigns USING (org_id, campaign_id)
        CROSS JOIN LATERAL (
            SELECT org_id, message_id, phone, position, segments, queued_at FROM messages
            WHERE messages.lane_id = lanes.lane_id AND status = 'queued'
              AND position > lanes.cursor
            ORDER BY position LIMIT asked.most) AS head
        """,
        list(asked),
        list(asked.values()),
    )
    found: dict[int, list[Candidate]] = defaultdict(list)
    for row in rows:
        found[row["lane_id"]].append(
            Candidate(
                row["lane_id"],
                row["org_id"],
                row["message_id"],
                row["position"],
                row["segments"],
                row["opted_out"],
                row["withdrawn"],
            )
        )
    return found


async def write_plans(
    tx: Transaction, plans: Sequence[tuple[BucketKey, Plan]], now: datetime
) -> None:
    """Write down meters, quotas, cursors and when these buckets are due next."""
    minute_at = now.replace(second=0, microsecond=0)
    await tx.sql.execute(
        _WRITE_BUCKETS,
        *columns([(*key, plan.due_at, len(plan.chosen)) for key, plan in plans], 4),
        minute_at,
        minute_at - timedelta(minutes=1),
    )
    lifted = [(*key, *pace) for key, plan in plans for pace in plan.lifted]
    if lifted:
        await paces.lift(tx, lifted)
    meters = [
        (*key, *scope, meter.per_minute, meter.largest, meter.largest_at, meter.dry_at)
        for key, plan in plans
        for scope, meter in plan.meters.items()
    ]
    if meters:
        await tx.sql.execute(_WRITE_METERS, *columns(meters, 8))
    lanes = [
        (lane_id, plan.cursors.get(lane_id), lane_id not in plan.emptied)
        for _, plan in plans
        for lane_id in {*plan.cursors, *plan.emptied}
    ]
    if lanes:
        await tx.sql.execute(
            """
            UPDATE lanes SET cursor = coalesce(new.cursor, lanes.cursor), backlog = new.backlog
            FROM unnest($1::bigint[], $2::bigint[], $3::boolean[]) AS new (lane_id, cursor, backlog)
            WHERE lanes.lane_id = new.lane_id
            """,
            *columns(lanes, 3),
        )
    spent: dict[tuple[Any, ...], int] = defaultdict(int)
    for key, plan in plans:
        for use_case_id, day, segments in plan.spent():
            spent[(*key, use_case_id, day)] += segments
    if spent:
        await tx.sql.execute(
            """
            INSERT INTO day_quotas AS known (org_id, carrier, use_case_id, day, spent)
            SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::int[])
            ON CONFLICT (org_id, carrier, use_case_id, day) DO UPDATE
            SET spent = known.spent + excluded.spent
            """,
            *columns([(*key, segments) for key, segments in spent.items()], 5),
        )


_WRITE_BUCKETS = """
    UPDATE buckets SET due_at = new.due_at, minute_at = $5,
        this_minute = new.chosen + CASE minute_at WHEN $5 THEN this_minute ELSE 0 END,
        last_minute = CASE minute_at WHEN $5 THEN last_minute WHEN $6 THEN this_minute ELSE 0 END
    FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::int[])
        AS new (org_id, carrier, due_at, chosen)
    WHERE buckets.org_id = new.org_id AND buckets.carrier = new.carrier
"""
_WRITE_METERS = """
    INSERT INTO meters (
        org_id, carrier, use_case_id, channel, per_minute, largest, largest_at, dry_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[],
                         $7::timestamptz[], $8::timestamptz[])
    ON CONFLICT (org_id, carrier, use_case_id, channel) DO UPDATE
    SET per_minute = excluded.per_minute, largest = excluded.largest,
        largest_at = excluded.largest_at, dry_at = excluded.dry_at
"""


async def claim(
    tx: Transaction, chosen: Sequence[Chosen], now: datetime, *, lease_s: float
) -> list[Outbound]:
    """Mark messages as claimed for `lease_s` seconds, those that are queued still; what is needed
    to hand them over."""
    rows = await tx.sql.fetch(
        """
        WITH claimed AS (
            UPDATE messages SET status = 'claimed', attempt = attempt + 1, claimed_at = $5,
                lease_until = $5::timestamptz + make_interval(secs => $6),
                quota_day = new.quota_day, use_case_quota_day = new.use_case_quota_day
            FROM unnest($1::text[], $2::text[], $3::date[], $4::date[])
                AS new (org_id, message_id, quota_day, use_case_quota_day)
            WHERE messages.org_id = new.org_id AND messages.message_id = new.message_id
              AND status = 'queued'
            RETURNING messages.*)
        SELECT claimed.*, campaigns.number, use_cases.messaging_profile_id, lanes.closes_at
        FROM claimed JOIN campaigns USING (org_id, campaign_id)
        JOIN lanes ON lanes.lane_id = claimed.lane_id
        LEFT JOIN use_cases ON use_cases.org_id = claimed.org_id
            AND use_cases.use_case_id = lanes.use_case_id
        """,
        [one.candidate.org_id for one in chosen],
        [one.candidate.message_id for one in chosen],
        [one.quota_day for one in chosen],
        [one.use_case_quota_day for one in chosen],
        now,
        lease_s,
    )
    return [_outbound(row) for row in rows]


def _outbound(row: Record) -> Outbound:
    return Outbound(
        row["org_id"],
        row["message_id"],
        row["attempt"],
        row["carrier"],
        row["channel"],
        row["kind"],
        row["number"],
        row["phone"],
        row["text"],
        tuple(row["media_urls"]),
        row["messaging_profile_id"],
        row["closes_at"],
    )
