"""What becomes of claimed messages: called, sent, put back, failed or unclear.

`attempt` fences: whoever records names the attempt it speaks of, and a message that has gone on to
another is left alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncpg import Record

from services.collider.bucket import BEFORE_CLOSE, SPREAD, Candidate
from services.collider.store.campaigns import lock_buckets
from shared.database import Transaction, columns
from shared.fields import Carrier

# Longer than the longest pause between two tries of a worker that found the database away.
UP_FOR_S = 10.0

AttemptKey = tuple[str, str, int]
"""Organization, message, number of the attempt."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as far as its outcome and its events need it."""

    org_id: str
    message_id: str
    campaign_id: str
    attempt: int
    status: str
    kind: str
    carrier: Carrier
    phone: str
    segments: int
    provider_id: str | None
    claimed_at: datetime | None
    reason: str | None

    @property
    def key(self) -> tuple[str, str]:
        """Its identity."""
        return (self.org_id, self.message_id)

    @property
    def registration(self) -> tuple[str, str, Carrier]:
        """Organization, campaign and carrier."""
        return (self.org_id, self.campaign_id, self.carrier)

    @property
    def bucket(self) -> tuple[str, str]:
        """Organization and carrier."""
        return (self.org_id, self.carrier)


async def mark_calling(
    tx: Transaction, keys: Sequence[AttemptKey], *, lease_s: float
) -> set[AttemptKey]:
    """Write down the intent to call these claimed messages; those that may be called.

    The last look before the call: the claim is still ours, was made a moment ago, and the lane is
    open and will be until the call has started.
    """
    if not keys:
        return set()
    now = await tx.now()
    rows = await tx.sql.fetch(
        """
        UPDATE messages
        SET status = 'calling', lease_until = $4::timestamptz + make_interval(secs => $5)
        FROM unnest($1::text[], $2::text[], $3::int[]) AS key (org_id, message_id, attempt), lanes
        WHERE messages.org_id = key.org_id AND messages.message_id = key.message_id
          AND messages.attempt = key.attempt AND status = 'claimed'
          AND lease_until > $4 AND claimed_at >= $6
          AND lanes.lane_id = messages.lane_id
          AND (lanes.held_until IS NULL OR lanes.held_until <= $4)
          AND lanes.opens_at <= $4 AND lanes.closes_at > claimed_at + $7::interval
          AND NOT EXISTS (
              SELECT FROM opt_outs
              WHERE opt_outs.org_id = messages.org_id AND opt_outs.phone = messages.phone
                AND coalesce(opted_out_at >= opted_in_at, true))
        RETURNING messages.org_id, messages.message_id, messages.attempt
        """,
        *columns(keys, 3),
        now,
        lease_s,
        now - SPREAD,
        BEFORE_CLOSE,
    )
    return {(row["org_id"], row["message_id"], row["attempt"]) for row in rows}


async def lock_attempts(tx: Transaction, keys: Collection[AttemptKey]) -> dict[AttemptKey, Message]:
    """Lock messages that are at these attempts, in one order for all who do."""
    rows = await tx.sql.fetch(
        """
        SELECT messages.* FROM messages
        JOIN unnest($1::text[], $2::text[], $3::int[]) AS key (org_id, message_id, attempt)
            USING (org_id, message_id, attempt)
        ORDER BY org_id, message_id FOR NO KEY UPDATE OF messages
        """,
        *columns(keys, 3),
    )
    found = [message_of(row) for row in rows]
    return {(*message.key, message.attempt): message for message in found}


async def lock_expired(tx: Transaction, *, most: int) -> list[Message]:
    """Lock claimed or calling messages whose lease has run out: their replica has died.

    Not just after the server has come up: then the replicas may be alive, and are about to write
    down what came of calls that they made before it went away.
    """
    rows = await tx.sql.fetch(
        """
        SELECT messages.* FROM messages
        WHERE status IN ('claimed', 'calling') AND lease_until < $1
          AND $1 NOT BETWEEN pg_postmaster_start_time()
              AND pg_postmaster_start_time() + make_interval(secs => $3)
        ORDER BY lease_until LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
        """,
        await tx.now(),
        most,
        UP_FOR_S,
    )
    return [message_of(row) for row in rows]


async def lock_old_replies(tx: Transaction, *, most: int, older_than_s: float) -> list[Message]:
    """Lock queued replies that have waited longer than a reply may."""
    rows = await tx.sql.fetch(
        """
        SELECT messages.* FROM messages
        WHERE status = 'queued' AND kind = 'reply'
          AND recorded_at < $1::timestamptz - make_interval(secs => $2)
        LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
        """,
        await tx.now(),
        older_than_s,
        most,
    )
    return [message_of(row) for row in rows]


async def lock_queued_to(tx: Transaction, phones: Collection[tuple[str, str]]) -> list[Message]:
    """Lock what is queued for these (organization, phone)."""
    rows = await tx.sql.fetch(
        """
        SELECT messages.* FROM messages
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, phone) USING (org_id, phone)
        WHERE status IN ('queued', 'unrouted')
        ORDER BY org_id, message_id FOR NO KEY UPDATE OF messages
        """,
        *columns(phones, 2),
    )
    return [message_of(row) for row in rows]


async def lock_heads(tx: Transaction, heads: Sequence[Candidate]) -> list[Message]:
    """Lock the messages behind these heads of lanes, those that are queued still."""
    rows = await tx.sql.fetch(
        """
        SELECT messages.* FROM messages
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, message_id)
            USING (org_id, message_id)
        WHERE status = 'queued' ORDER BY org_id, message_id FOR NO KEY UPDATE OF messages
        """,
        [head.org_id for head in heads],
        [head.message_id for head in heads],
    )
    return [message_of(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Ended:
    """What to write about a message that is not under way any more."""

    message: Message
    status: str
    provider_id: str | None = None
    code: str | None = None
    reason: str | None = None


async def write_ends(tx: Transaction, ends: Sequence[Ended]) -> None:
    """Write statuses of locked messages."""
    await tx.sql.execute(
        """
        UPDATE messages SET status = new.status, lease_until = NULL,
            provider_id = coalesce(new.provider_id, messages.provider_id),
            code = new.code, reason = new.reason,
            sent_at = CASE WHEN new.status = 'sent' THEN $7 ELSE sent_at END,
            unclear_at = CASE WHEN new.status = 'unclear' THEN $7 END
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
            AS new (org_id, message_id, status, provider_id, code, reason)
        WHERE messages.org_id = new.org_id AND messages.message_id = new.message_id
        """,
        *columns(
            [(*end.message.key, end.status, end.provider_id, end.code, end.reason) for end in ends],
            6,
        ),
        await tx.now(),
    )


async def put_back(tx: Transaction, messages: Sequence[Message]) -> None:
    """Queue locked messages again, at their old place, and give their segments back to the days
    that they were charged to. Nothing is given back to minute meters: the carrier has no such
    memory, and may have counted them."""
    await lock_buckets(tx, {(message.org_id, message.carrier) for message in messages})
    rows = await tx.sql.fetch(
        """
        WITH back AS (
            UPDATE messages SET status = 'queued', lease_until = NULL, provider_id = NULL
            FROM unnest($1::text[], $2::text[]) AS key (org_id, message_id)
            WHERE messages.org_id = key.org_id AND messages.message_id = key.message_id
            RETURNING messages.*),
        woken AS (
            INSERT INTO wakes (org_id, carrier, lane_id, position)
            SELECT org_id, carrier, lane_id, min(position) FROM back
            GROUP BY org_id, carrier, lane_id),
        over AS (
            INSERT INTO rearms (org_id, campaign_id)
            SELECT DISTINCT org_id, campaign_id
            FROM back JOIN campaigns USING (org_id, campaign_id)
            WHERE window_closes_at <= $3 OR (closed_at <= $3 AND closed_revision >= revision)
               OR archived_at IS NOT NULL OR back.queued_at <= withdrawn_at)
        SELECT org_id, carrier, lanes.use_case_id, quota_day, use_case_quota_day,
               back.segments, campaign_id
        FROM back JOIN lanes USING (lane_id, org_id, carrier, campaign_id)
        """,
        [message.org_id for message in messages],
        [message.message_id for message in messages],
        await tx.now(),
    )
    await _give_back(tx, rows)


async def _give_back(tx: Transaction, rows: Sequence[Record]) -> None:
    back: dict[tuple[Any, ...], int] = {}
    for row in rows:
        for scope, day in (
            ("", row["quota_day"]),
            (row["use_case_id"], row["use_case_quota_day"]),
        ):
            if day is not None:
                key = (row["org_id"], row["carrier"], scope, day)
                back[key] = back.get(key, 0) + row["segments"]
    await tx.sql.execute(
        """
        INSERT INTO day_quotas AS known (org_id, carrier, use_case_id, day, given_back)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::int[])
        ON CONFLICT (org_id, carrier, use_case_id, day) DO UPDATE
        SET given_back = known.given_back + excluded.given_back
        """,
        *columns([(*key, segments) for key, segments in sorted(back.items())], 5),
    )


async def pause_provider(tx: Transaction, provider: str, until: datetime) -> None:
    """The provider's account asked not to be called for a while."""
    await tx.sql.execute(
        """
        INSERT INTO pauses AS known VALUES ($1, $2)
        ON CONFLICT (provider) DO UPDATE
        SET paused_until = greatest(known.paused_until, excluded.paused_until)
        """,
        provider,
        until,
    )


async def pause_buckets(
    tx: Transaction, keys: Collection[tuple[str, str]], until: datetime
) -> None:
    """The carrier said of these buckets (organization, carrier): too fast."""
    await tx.sql.execute(
        """
        UPDATE buckets SET paused_until = greatest(paused_until, $3)
        FROM unnest($1::text[], $2::text[]) AS key (org_id, carrier)
        WHERE buckets.org_id = key.org_id AND buckets.carrier = key.carrier
        """,
        *columns(sorted(keys), 2),
        until,
    )


async def fill_days(tx: Transaction, attempts: Collection[AttemptKey]) -> None:
    """The carrier said that the day in which these attempts were made is used up.

    The day of the attempt, not of the receipt: that may come after midnight.
    """
    await tx.sql.execute(
        """
        INSERT INTO day_quotas AS known (org_id, carrier, use_case_id, day, full_at)
        SELECT DISTINCT messages.org_id, messages.carrier, '', messages.quota_day, $4::timestamptz
        FROM unnest($1::text[], $2::text[], $3::int[]) AS key (org_id, message_id, attempt)
        JOIN messages USING (org_id, message_id, attempt)
        WHERE messages.quota_day IS NOT NULL
        ON CONFLICT (org_id, carrier, use_case_id, day) DO UPDATE
        SET full_at = coalesce(known.full_at, excluded.full_at)
        """,
        *columns(sorted(attempts), 3),
        await tx.now(),
    )


def message_of(row: Record) -> Message:
    """The message in a row of its table."""
    return Message(*(row[name] for name in Message.__slots__))
