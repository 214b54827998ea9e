"""What is left in the queue when a campaign's time is over, its texts are withdrawn, or it is
archived: found by the campaign's own due time, so that no word and no replica is needed for it."""

from collections.abc import Sequence
from datetime import datetime

from services.collider.domain import Campaign, Leftover
from services.collider.store.campaigns import campaign_of
from services.collider.store.results import Message, message_of
from shared.database import Transaction, columns


async def due(tx: Transaction, *, most: int) -> list[Campaign]:
    """Campaigns that have to be looked through, locked."""
    await tx.sql.execute(
        """
        WITH rearmed AS (DELETE FROM rearms RETURNING org_id, campaign_id),
        locked AS (
            SELECT org_id, campaign_id FROM campaigns
            WHERE (org_id, campaign_id) IN (SELECT * FROM rearmed)
            ORDER BY org_id, campaign_id FOR NO KEY UPDATE)
        UPDATE campaigns SET close_due_at = least(close_due_at, $1) FROM locked
        WHERE campaigns.org_id = locked.org_id AND campaigns.campaign_id = locked.campaign_id
        """,
        await tx.now(),
    )
    rows = await tx.sql.fetch(
        """
        SELECT * FROM campaigns WHERE close_due_at <= $1
        ORDER BY close_due_at LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        await tx.now(),
        most,
    )
    return [campaign_of(row) for row in rows]


async def lock_left(tx: Transaction, of: Sequence[Leftover], *, most: int) -> list[Message]:
    """Lock up to `most` texts that are left over: in the campaigns' lanes, or without one yet,
    because their carrier is looked up. Of each campaign an equal part: many may end together."""
    rows = await tx.sql.fetch(
        """
        SELECT message.* FROM unnest($1::text[], $2::text[], $3::boolean[], $4::timestamptz[])
            AS of (org_id, campaign_id, initials_only, queued_by)
        JOIN lanes USING (org_id, campaign_id)
        CROSS JOIN LATERAL (
            SELECT * FROM messages
            WHERE messages.lane_id = lanes.lane_id AND status = 'queued'
              AND (of.queued_by IS NULL OR messages.queued_at <= of.queued_by)
            LIMIT $6 FOR NO KEY UPDATE SKIP LOCKED) AS message
        WHERE lanes.kind = 'initial' OR NOT of.initials_only
        UNION ALL
        SELECT message.* FROM unnest($1::text[], $2::text[], $3::boolean[], $4::timestamptz[])
            AS of (org_id, campaign_id, initials_only, queued_by)
        CROSS JOIN LATERAL (
            SELECT * FROM messages
            WHERE messages.org_id = of.org_id AND messages.campaign_id = of.campaign_id
              AND status = 'unrouted' AND (kind = 'initial' OR NOT of.initials_only)
              AND (of.queued_by IS NULL OR messages.queued_at <= of.queued_by)
            LIMIT $6 FOR NO KEY UPDATE SKIP LOCKED) AS message
        LIMIT $5
        """,
        *columns([(*one.campaign, one.initials_only, one.queued_by) for one in of], 4),
        most,
        max(1, most // max(1, len(of))),
    )
    return [message_of(row) for row in rows]


async def look_again(
    tx: Transaction, campaigns: Sequence[tuple[str, str, datetime | None]]
) -> None:
    """When to look for what is left of each campaign again; None: nothing can come any more."""
    await tx.sql.execute(
        """
        UPDATE campaigns SET close_due_at = new.due_at
        FROM unnest($1::text[], $2::text[], $3::timestamptz[])
            AS new (org_id, campaign_id, due_at)
        WHERE campaigns.org_id = new.org_id AND campaigns.campaign_id = new.campaign_id
        """,
        *columns(campaigns, 3),
    )
