"""Digests of deliverability that are due, and what is in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from asyncpg import Record

from services.campaign.rules.digests import Digests
from shared.database import Transaction
from shared.rules.hours import Interval

FAILURES_MOST = 10


async def wanted(tx: Transaction, org_id: str) -> Digests:
    """An organization's digests, as they stand, and stay until the end of the transaction: a day
    that is being told at this moment is seen to be told."""
    row = await tx.sql.fetchrow(
        "SELECT digest_day, digest_due_at FROM webhooks WHERE org_id = $1 FOR NO KEY UPDATE", org_id
    )
    if row is None:
        return Digests(wanted=False, day=None)
    return Digests(wanted=row["digest_due_at"] is not None, day=row["digest_day"])


async def schedule(tx: Transaction, org_id: str, day: date, due_at: datetime) -> None:
    """Have this day reported next, and then each one; hold the organization's row."""
    await tx.sql.execute(
        "UPDATE webhooks SET digest_day = $2, digest_due_at = $3 WHERE org_id = $1",
        org_id,
        day,
        due_at,
    )


async def cancel(tx: Transaction, org_id: str) -> None:
    """Have no day reported. Which were is kept; hold the organization's row."""
    await tx.sql.execute("UPDATE webhooks SET digest_due_at = NULL WHERE org_id = $1", org_id)


@dataclass(frozen=True, slots=True)
class Due:
    """A day to report."""

    org_id: str
    day: date
    time_zone: str


async def take_due(tx: Transaction, now: datetime, lease: timedelta) -> Due | None:
    """The day that is due longest, taken for so long: if its taker dies, it is due again."""
    row = await tx.sql.fetchrow(
        """
        WITH due AS MATERIALIZED (
            SELECT org_id FROM webhooks WHERE digest_due_at <= $1
            ORDER BY digest_due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
        UPDATE webhooks AS w SET digest_due_at = $2 FROM due WHERE w.org_id = due.org_id
        RETURNING w.org_id, digest_day AS day, time_zone
        """,
        now,
        now + lease,
    )
    return None if row is None else Due(**row)


async def done(tx: Transaction, due: Due, *, next_day: date, due_at: datetime) -> bool:
    """Write that a day is reported; False where it is another's, or not wanted so any more."""
    status = await tx.sql.execute(
        """
        UPDATE webhooks SET digest_day = $4, digest_due_at = $5
        WHERE org_id = $1 AND digest_day = $2 AND time_zone = $3 AND digest_due_at IS NOT NULL
        """,
        due.org_id,
        due.day,
        due.time_zone,
        next_day,
        due_at,
    )
    return status == "UPDATE 1"


async def counts(tx: Transaction, org_id: str, day: Interval) -> Sequence[Record]:
    """What became of the texts that were handed to the provider within these times.

    First a row for each carrier; then one for each of the most frequent failures, which alone have
    a `reason`. Texts to oneself do not count. A text whose answer was lost was handed over when
    that was found out; one that the provider refused, when it did.
    """
    return await tx.sql.fetch(
        """
        WITH kinds AS MATERIALIZED (
            SELECT coalesce(carrier, 'other') AS carrier, status, code, left(reason, 200) AS reason,
                   status = 'failed' AND code IS NOT NULL AS undelivered, count(*)::int AS texts
            FROM messages
            WHERE org_id = $1 AND kind <> 'test'
              AND coalesce(sent_at, status_at) >= $2 AND coalesce(sent_at, status_at) < $3
              -- As the index messages_handed_over has it.
              AND (sent_at IS NOT NULL OR status = 'unclear'
                   OR status = 'failed' AND code IS NOT NULL)
            GROUP BY 1, 2, 3, 4)
        SELECT carrier, sum(texts)::int AS texts,
               coalesce(sum(texts) FILTER (WHERE status = 'delivered'), 0)::int AS delivered,
               coalesce(sum(texts) FILTER (WHERE undelivered), 0)::int AS undelivered,
               coalesce(sum(texts) FILTER (WHERE status = 'unclear'), 0)::int AS unclear,
               NULL AS code, NULL AS reason
        FROM kinds GROUP BY carrier
        UNION ALL
        (SELECT carrier, texts, 0, texts, 0, code, coalesce(nullif(reason, ''), 'no reason given')
         FROM kinds WHERE undelivered
         ORDER BY texts DESC, carrier, code, reason LIMIT $4)
        """,
        org_id,
        day.opens_at,
        day.closes_at,
        FAILURES_MOST,
    )
