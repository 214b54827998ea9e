"""What the survey and the pages read. Nothing here locks a bucket: the claim would skip it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from asyncpg import Record

from services.collider.bucket import BucketKey
from services.collider.domain import NEVER
from services.collider.standing import Standing
from services.collider.state import State, Waiting
from shared.database import Transaction, columns

STATE = tuple(field.name for field in fields(State))

# A bucket that was handed nothing in this while has a rate of none.
LATELY = timedelta(minutes=2)
# So many texts of a lane are counted, even where it has more: a statement must end.
COUNT_MOST = 2_000_000


# --- the round -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Round:
    """How far the survey has come: up to the bucket (`org_id`, `carrier`)."""

    due_at: datetime
    round: int
    begun_at: datetime | None
    ended_at: datetime | None
    org_id: str
    carrier: str

    @property
    def begins(self) -> bool:
        """Whether it has looked at no bucket yet."""
        return not self.org_id

    def at(self, key: BucketKey) -> "Round":
        """The same, having come to this bucket."""
        return replace(self, org_id=key[0], carrier=key[1])


async def take(tx: Transaction, now: datetime, *, until: datetime) -> Round | None:
    """The round, leased until then, when its next step is due and no other replica is at it."""
    row = await tx.sql.fetchrow(
        """
        UPDATE surveys SET due_at = $2 WHERE due_at <= $1 AND one IN (
            SELECT one FROM surveys WHERE due_at <= $1 FOR UPDATE SKIP LOCKED)
        RETURNING due_at, round, begun_at, ended_at, org_id, carrier
        """,
        now,
        until,
    )
    if row is None:
        await tx.sql.execute("INSERT INTO surveys DEFAULT VALUES ON CONFLICT (one) DO NOTHING")
        return None
    return Round(**row)


async def put(tx: Transaction, at: Round, *, leased_until: datetime) -> bool:
    """Write down how far the round has come, and when it goes on; False: the lease ran out, and
    another replica is at it."""
    status = await tx.sql.execute(
        """
        UPDATE surveys SET due_at = $1, round = $2, begun_at = $3, ended_at = $4, org_id = $5,
                           carrier = $6
        WHERE due_at = $7
        """,
        at.due_at,
        at.round,
        at.begun_at,
        at.ended_at,
        at.org_id,
        at.carrier,
        leased_until,
    )
    return bool(status == "UPDATE 1")


async def buckets_after(
    tx: Transaction, at: Round, now: datetime, *, told_by: datetime, whole: bool, most: int
) -> list[tuple[BucketKey, int]]:
    """The next buckets of the round in which anything waits or goes, or did when it was told last;
    all of them in a `whole` one. Each with the backlog that it had last. Without those that were
    told of after `told_by`."""
    rows = await tx.sql.fetch(
        """
        SELECT org_id, carrier, coalesce(backlog, 0) AS backlog
        FROM buckets LEFT JOIN bucket_states AS state USING (org_id, carrier)
        WHERE (org_id, carrier) > ($1, $2) AND coalesce(state.told_at <= $3, true)
          AND ($4 OR state.backlog > 0 OR state.sent_per_minute > 0 OR state.slowed
               OR (SELECT minute_at >= $5 FROM standings
                   WHERE standings.org_id = buckets.org_id AND standings.carrier = buckets.carrier
                   ORDER BY version DESC LIMIT 1)
               OR EXISTS (SELECT FROM lanes WHERE lanes.org_id = buckets.org_id
                          AND lanes.carrier = buckets.carrier AND backlog)
               OR EXISTS (SELECT FROM wakes WHERE wakes.org_id = buckets.org_id
                          AND wakes.carrier = buckets.carrier))
        ORDER BY org_id, carrier LIMIT $6
        """,
        at.org_id,
        at.carrier,
        told_by,
        whole,
        now - LATELY,
        most,
    )
    return [((row["org_id"], row["carrier"]), row["backlog"]) for row in rows]


# --- what is there ---------------------------------------------------------------------------


async def waiting(
    tx: Transaction, standings: Mapping[BucketKey, Standing], now: datetime
) -> Mapping[BucketKey, list[Waiting]]:
    """What is queued in these buckets, by use case and channel.

    Counted in the index alone, lane by lane from the lane's cursor on, so that neither lanes that
    are done nor dead entries before the cursors are walked. A wake-up may say that a lane has
    texts again, or from further back: it counts as if the claim had taken it up already.
    """
    rows = await tx.sql.fetch(
        """
        WITH key AS (SELECT * FROM unnest($1::text[], $2::text[]) AS key (org_id, carrier)),
        woken AS (
            SELECT lane_id, min(position) AS position FROM wakes JOIN key USING (org_id, carrier)
            WHERE lane_id IS NOT NULL GROUP BY lane_id),
        lane AS (
            SELECT lanes.*, least(coalesce(cursor, 0), position - 1) AS starts
            FROM lanes JOIN key USING (org_id, carrier) LEFT JOIN woken USING (lane_id)
            LEFT JOIN unnest($6::bigint[], $7::bigint[]) AS read (lane_id, cursor) USING (lane_id)
            WHERE backlog
            UNION ALL
            SELECT lanes.*, position - 1 FROM woken JOIN lanes USING (lane_id)
            WHERE NOT backlog),
        seen AS (
            SELECT lane.*, queued.count, head.recorded_at,
                   coalesce(held_until > $3, false) AS is_held,
                   opens_at <= $3 AND closes_at > $3 AS is_open
            FROM lane
            CROSS JOIN LATERAL (
                SELECT count(*) FROM (
                    SELECT FROM messages
                    WHERE messages.lane_id = lane.lane_id AND status = 'queued'
                      AND position > starts LIMIT $5) AS one) AS queued
            CROSS JOIN LATERAL (
                SELECT recorded_at FROM messages
                WHERE messages.lane_id = lane.lane_id AND status = 'queued' AND position > starts
                ORDER BY position LIMIT 1) AS head)
        SELECT org_id, carrier, use_case_id, channel, sum(count)::int AS queued,
               coalesce(sum(count) FILTER (WHERE kind = 'reply'), 0)::int AS replies,
               coalesce(sum(count) FILTER (WHERE is_open AND NOT is_held), 0)::int AS open,
               coalesce(sum(count) FILTER (WHERE is_held), 0)::int AS held,
               min(recorded_at) AS oldest_queued_at,
               min(recorded_at) FILTER (
                   WHERE kind = 'reply' AND is_open AND NOT is_held) AS oldest_reply_at,
               min(greatest(opens_at, held_until)) FILTER (
                   WHERE greatest(opens_at, held_until) > $3 AND opens_at < $4
                     AND coalesce(held_until < $4, true)) AS opens_at
        FROM seen GROUP BY org_id, carrier, use_case_id, channel ORDER BY use_case_id, channel
        """,
        *columns(list(standings), 2),
        now,
        NEVER,
        COUNT_MOST,
        *columns([read for one in standings.values() for read in one.cursors.items()], 2),
    )
    found: dict[BucketKey, list[Waiting]] = {key: [] for key in standings}
    for row in rows:
        found[row["org_id"], row["carrier"]].append(
            Waiting(**{name: row[name] for name in Waiting.__slots__})
        )
    return found


# --- what was seen ---------------------------------------------------------------------------


async def states(tx: Transaction, keys: Sequence[BucketKey]) -> Mapping[BucketKey, State]:
    """How these buckets were doing when they were told of last."""
    rows = await tx.sql.fetch(
        """
        SELECT bucket_states.* FROM bucket_states
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, carrier) USING (org_id, carrier)
        """,
        *columns(keys, 2),
    )
    return {state.key: state for state in map(_state, rows)}


async def write(tx: Transaction, states: Sequence[State], now: datetime) -> None:
    """Remember how these buckets are doing."""
    rows = [tuple(getattr(state, name) for name in STATE) for state in states]
    await tx.sql.execute(
        """
        INSERT INTO bucket_states (
            org_id, carrier, backlog, replies, ready, oldest_queued_at, oldest_reply_at,
            sent_per_minute, per_minute, room, day_quota_left, slowed, told_at)
        SELECT *, $13::timestamptz FROM unnest(
            $1::text[], $2::text[], $3::int[], $4::int[], $5::int[], $6::timestamptz[],
            $7::timestamptz[], $8::int[], $9::int[], $10::int[], $11::int[], $12::boolean[])
        ON CONFLICT (org_id, carrier) DO UPDATE
        SET backlog = excluded.backlog, replies = excluded.replies, ready = excluded.ready,
            oldest_queued_at = excluded.oldest_queued_at,
            oldest_reply_at = excluded.oldest_reply_at,
            sent_per_minute = excluded.sent_per_minute, per_minute = excluded.per_minute,
            room = excluded.room, day_quota_left = excluded.day_quota_left,
            slowed = excluded.slowed, told_at = excluded.told_at
        """,
        *columns(rows, len(STATE)),
        now,
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """What every replica shows on its ops port."""

    busy: int
    """Buckets in which anything waits or goes."""
    states: Sequence[State]
    """Of those, the largest."""
    surveyed_at: datetime | None
    """When the last whole round ended."""
    unrouted: int
    paused: Mapping[str, datetime]
    """Providers whose account asked for a rest, and until when."""


async def seen(tx: Transaction, *, buckets_most: int, count_most: int) -> Seen:
    """What the last survey saw of the largest buckets, and what else waits (counted up to
    `count_most`)."""
    rows = await tx.sql.fetch(
        """
        SELECT *, count(*) OVER () AS busy FROM bucket_states
        WHERE backlog > 0 OR sent_per_minute > 0 OR slowed
        ORDER BY backlog DESC, org_id, carrier LIMIT $1
        """,
        buckets_most,
    )
    unrouted = await tx.sql.fetchval(
        """
        SELECT count(*) FROM (
            SELECT FROM messages WHERE status = 'unrouted' LIMIT $1) AS waiting
        """,
        count_most,
    )
    surveyed_at: datetime | None = await tx.sql.fetchval("SELECT ended_at FROM surveys")
    pauses = await tx.sql.fetch("SELECT provider, paused_until FROM pauses")
    return Seen(
        busy=rows[0]["busy"] if rows else 0,
        states=[_state(row) for row in rows],
        surveyed_at=surveyed_at,
        unrouted=unrouted,
        paused={row["provider"]: row["paused_until"] for row in pauses},
    )


def _state(row: Record) -> State:
    return State(**{name: row[name] for name in STATE})


# --- the page --------------------------------------------------------------------------------


async def bucket_keys(
    tx: Transaction, *, org_id: str | None, carrier: str | None, after: BucketKey, most: int
) -> list[BucketKey]:
    """Buckets in the order of their keys, after this one; of one organization or carrier only."""
    rows = await tx.sql.fetch(
        """
        SELECT org_id, carrier FROM buckets
        WHERE (org_id, carrier) > ($1, $2)
          AND coalesce(org_id = $3, true) AND coalesce(carrier = $4, true)
        ORDER BY org_id, carrier LIMIT $5
        """,
        *after,
        org_id,
        carrier,
        most,
    )
    return [(row["org_id"], row["carrier"]) for row in rows]


async def lanes(
    tx: Transaction, key: BucketKey, now: datetime, *, most: int
) -> list[dict[str, Any]]:
    """A bucket's lanes that have backlog, in the order in which they go."""
    rows = await tx.sql.fetch(
        """
        SELECT campaign_id, kind, channel, lanes.use_case_id, opens_at, closes_at,
               last_sendable_at, held_until, campaigns.paused,
               campaigns.hold_until_provisioned AND campaigns.provisioned_at IS NULL
                   AS awaits_provisioning,
               campaigns.number IS NOT NULL AS has_number,
               opens_at <= $3 AND closes_at > $3 AND coalesce(held_until <= $3, true) AS open
        FROM lanes LEFT JOIN campaigns USING (org_id, campaign_id)
        WHERE lanes.org_id = $1 AND lanes.carrier = $2 AND backlog
        ORDER BY (kind <> 'reply'), last_sendable_at, lane_id LIMIT $4
        """,
        *key,
        now,
        most,
    )
    return [dict(row) for row in rows]
