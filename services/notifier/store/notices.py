"""What people are to be told, once each."""

from collections.abc import Sequence

from asyncpg.pool import PoolConnectionProxy

from services.notifier.domain import Notice


async def add(sql: PoolConnectionProxy, notices: Sequence[Notice]) -> list[Notice]:
    """Write notices that are not there yet; those."""
    rows = await sql.fetch(
        """
        INSERT INTO notices (org_id, notice_id, campaign_id, kind, facts, created_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[],
            $6::timestamptz[])
          AS noted (org_id, notice_id, campaign_id, kind, facts, created_at)
        ORDER BY org_id, notice_id
        ON CONFLICT (org_id, notice_id) DO NOTHING
        RETURNING org_id, notice_id
        """,
        [notice.org_id for notice in notices],
        [notice.notice_id for notice in notices],
        [notice.campaign_id for notice in notices],
        [notice.kind for notice in notices],
        [notice.facts for notice in notices],
        [notice.created_at for notice in notices],
    )
    added = {(row["org_id"], row["notice_id"]) for row in rows}
    # One id may stand twice in a batch: the first one was written.
    first = {(one.org_id, one.notice_id): one for one in reversed(notices)}
    return [notice for key, notice in first.items() if key in added]
