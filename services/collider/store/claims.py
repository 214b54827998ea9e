"""Claims: which lanes are open, what stands at their heads, and marking it as claimed."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from asyncpg import Record

from services.collider.bucket import BEFORE_CLOSE, Bucket, BucketKey, Candidate, Lane
from services.collider.domain import Outbound
from services.collider.plan import Chosen
from shared.database import Transaction, columns

# As many lanes of a bucket are looked at in one claim; the others have their turn when these rest.
LANES_MOST, LANES_MORE = 64, 8


def lanes_read(most: int) -> int:
    """How many open lanes of a bucket are read where there are hands for `most` texts of it."""
    return min(LANES_MOST, LANES_MORE + most)


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
                    AND shut.use_case_id IN ('', lanes.use_case_id)
                    AND shut.channel = lanes.channel)
            ORDER BY (kind <> 'reply'), last_sendable_at, lane_id LIMIT key.most) AS lane
        """,
        *columns([bucket.key for bucket in buckets], 2),
        now,
        now + BEFORE_CLOSE,
        [lanes_read(most[bucket.key]) for bucket in buckets],
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


async def heads(
    tx: Transaction, asked: Mapping[int, int], cursors: Mapping[int, int]
) -> Mapping[int, list[Candidate]]:
    """The first so many queued messages of each of these lanes after its cursor, in their order.

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
        FROM unnest($1::bigint[], $2::int[], $3::bigint[]) AS asked (lane_id, most, cursor)
        JOIN lanes USING (lane_id)
        JOIN campaigns USING (org_id, campaign_id)
        CROSS JOIN LATERAL (
            SELECT org_id, message_id, phone, position, segments, queued_at FROM messages
            WHERE messages.lane_id = asked.lane_id AND status = 'queued'
              AND position > asked.cursor
            ORDER BY position LIMIT asked.most) AS head
        """,
        list(asked),
        list(asked.values()),
        [cursors.get(lane_id, 0) for lane_id in asked],
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


async def empty(tx: Transaction, lane_ids: Collection[int]) -> None:
    """These lanes have no backlog now; what commits later brings a wake-up."""
    await tx.sql.execute(
        "UPDATE lanes SET backlog = false WHERE lane_id = ANY($1::bigint[])", sorted(lane_ids)
    )
