"""What is under way, for those who run the service."""

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy


async def orders(
    sql: PoolConnectionProxy, *, org_id: str | None, campaign_id: str | None, most: int
) -> list[Record]:
    """Orders that something is still to be done for, failed ones too whose number is looked at,
    those that have been in their step longest first; of one campaign its order, whatever became of
    it. With each carrier's word."""
    return await sql.fetch(
        """
        SELECT org_id, campaign_id, use_case_id, step, step_since, number, tries, refusals, error,
            due_at, lease IS NOT NULL AS being_done, archived_at, waits_for,
            (SELECT jsonb_object_agg(carrier, jsonb_strip_nulls(
                    jsonb_build_object('state', state, 'at', coalesce(since, at),
                        'reason', reason)))
             FROM confirmations
             WHERE confirmations.org_id = orders.org_id
               AND confirmations.order_id = orders.order_id) AS carriers
        FROM orders
        WHERE ($1::text IS NULL OR org_id = $1) AND ($2::text IS NULL OR campaign_id = $2)
          AND ($2::text IS NOT NULL OR due_at IS NOT NULL)
        ORDER BY step_since, org_id, campaign_id LIMIT $3
        """,
        org_id,
        campaign_id,
        most,
    )


async def numbers(sql: PoolConnectionProxy, *, org_id: str | None, most: int) -> list[Record]:
    """Numbers on their way back, those that have been in their step longest first."""
    return await sql.fetch(
        """
        SELECT org_id, number, use_case_id, step, step_since, off_at, let_go_at, tries, error,
            due_at, lease IS NOT NULL AS being_done
        FROM numbers
        WHERE ($1::text IS NULL OR org_id = $1) AND due_at IS NOT NULL
        ORDER BY step_since, org_id, number LIMIT $2
        """,
        org_id,
        most,
    )
