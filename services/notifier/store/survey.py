"""What is under way and what came to no good, for those who run the service."""

from collections.abc import Mapping
from datetime import datetime

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from services.notifier.domain import State


async def deliveries(
    sql: PoolConnectionProxy,
    *,
    since: Mapping[State, datetime],
    org_id: str | None,
    campaign_id: str | None,
    most: int,
) -> list[Record]:
    """Deliveries that are in these states since then or later, those that changed last first."""
    return await sql.fetch(
        """
        SELECT shown.org_id, campaign_id, kind, created_at, channel,
            -- A post has no address of its own: it goes where the organization has it by then.
            CASE channel WHEN 'webhook' THEN coalesce(wish.url, '') ELSE address END AS address,
            shown.state, state_since, tries, error, due_at, lease IS NOT NULL AS being_done
        FROM unnest($1::text[], $2::timestamptz[]) AS wanted (state, since)
        CROSS JOIN LATERAL (
            -- Along the index, state by state: what has ended well is most by far.
            SELECT deliveries.*, campaign_id, kind, created_at
            FROM deliveries JOIN notices USING (org_id, notice_id)
            WHERE deliveries.state = wanted.state AND state_since >= wanted.since
              AND ($3::text IS NULL OR org_id = $3)
              AND ($4::text IS NULL OR campaign_id = $4)
            ORDER BY state_since DESC LIMIT $5) AS shown
        LEFT JOIN webhook_settings AS wish USING (org_id)
        ORDER BY state_since DESC, shown.org_id, notice_id, channel, address LIMIT $5
        """,
        list(since),
        list(since.values()),
        org_id,
        campaign_id,
        most,
    )
