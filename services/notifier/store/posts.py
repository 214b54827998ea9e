"""Deliveries by webhook. Their address is the organization's, read when they are due."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from asyncpg.pool import PoolConnectionProxy

from services.notifier.domain import Campaign, Notice
from services.notifier.posts import Post
from services.notifier.store.deliveries import delivery_of
from services.notifier.store.wishes import receiver_of
from shared.database import columns

# How many of those that have waited longest are looked at for whose turn it is.
SEEN_MOST = 500


async def add(sql: PoolConnectionProxy, notices: Sequence[Notice], *, now: datetime) -> None:
    """A post for each of these notices whose organization wants it."""
    await sql.execute(
        """
        INSERT INTO deliveries (org_id, notice_id, channel, address, state, state_since, tries,
            due_at)
        SELECT org_id, notice_id, 'webhook', '', 'due', $4, 0, $4
        FROM unnest($1::text[], $2::text[], $3::text[]) AS told (org_id, notice_id, kind)
        JOIN webhook_settings AS wish USING (org_id)
        WHERE wish.url IS NOT NULL AND wish.notices ? told.kind
        ON CONFLICT DO NOTHING
        """,
        *columns([(one.org_id, one.notice_id, one.kind) for one in notices], 3),
        now,
    )


async def make_due(sql: PoolConnectionProxy, org_ids: Collection[str], *, now: datetime) -> None:
    """Try what these organizations' receivers have not taken yet at once: the settings it failed
    by are others now. What is under way finds that out by itself."""
    await sql.execute(
        """
        UPDATE deliveries SET due_at = $2
        WHERE org_id = ANY($1::text[]) AND channel = 'webhook' AND due_at > $2 AND lease IS NULL
        """,
        org_ids,
        now,
    )


async def lease_due(
    sql: PoolConnectionProxy,
    *,
    now: datetime,
    lease: str,
    lease_s: float,
    most: int,
    most_each: int,
    beside: Collection[str],
) -> list[Post]:
    """Take posts that are due, one of each organization before a second of any, those that have
    waited longest first; no more than `most_each` of one, and none of those `beside`."""
    rows = await sql.fetch(
        """
        WITH seen AS (
            SELECT org_id, notice_id, due_at FROM deliveries
            WHERE channel = 'webhook' AND due_at <= $1 AND org_id <> ALL($6::text[])
            ORDER BY due_at LIMIT $7),
        in_turn AS (
            SELECT *, row_number() OVER (PARTITION BY org_id ORDER BY due_at) AS nth FROM seen),
        due AS (
            SELECT org_id, notice_id FROM deliveries JOIN in_turn USING (org_id, notice_id)
            WHERE nth <= $5 AND channel = 'webhook' AND deliveries.due_at <= $1
            ORDER BY nth, in_turn.due_at LIMIT $4
            FOR UPDATE OF deliveries SKIP LOCKED),
        taken AS (
            UPDATE deliveries AS mine SET due_at = $3, lease = $2 FROM due
            WHERE (mine.org_id, mine.notice_id, mine.channel)
                = (due.org_id, due.notice_id, 'webhook')
            RETURNING mine.*)
        SELECT notice.*, taken.channel, taken.address, taken.state, taken.state_since,
            taken.due_at, taken.tries, taken.error,
            wish.version, wish.notices, wish.url, wish.secret_version, wish.rotated_at,
            wish.reception, wish.reception_reason, wish.reception_since,
            wish.reception_revision, EXISTS (
                -- By then: what was noted before it was true, and receivers see the order.
                SELECT 1 FROM notices AS other
                WHERE (other.org_id, other.campaign_id) = (notice.org_id, notice.campaign_id)
                  AND other.kind = 'provisioning complete'
                  AND other.created_at <= notice.created_at) AS is_complete
        FROM taken
        JOIN notices AS notice USING (org_id, notice_id)
        JOIN webhook_settings AS wish USING (org_id)
        """,
        now,
        lease,
        now + timedelta(seconds=lease_s),
        most,
        most_each,
        beside,
        SEEN_MOST,
    )
    return [
        Post(delivery_of(row, Campaign(is_complete=row["is_complete"])), receiver_of(row))
        for row in rows
    ]
