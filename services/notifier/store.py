"""All SQL of the notifier, each statement beside the function that runs it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from services.notifier.domain import Delivery, Notice


async def add_notices(sql: PoolConnectionProxy, notices: Sequence[tuple[Notice, Delivery]]) -> None:
    """Write notices that are not there yet, each with its delivery."""
    await sql.execute(
        """
        WITH wanted AS (
            SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[],
                $6::timestamptz[], $7::text[])
              AS wanted (org_id, notice_id, campaign_id, kind, facts, created_at, address)),
        added AS (
            INSERT INTO notices (org_id, notice_id, campaign_id, kind, facts, created_at)
            SELECT org_id, notice_id, campaign_id, kind, facts, created_at FROM wanted
            ORDER BY org_id, notice_id
            ON CONFLICT (org_id, notice_id) DO NOTHING
            RETURNING org_id, notice_id)
        INSERT INTO deliveries (org_id, notice_id, channel, address, state, state_since, tries,
            due_at)
        SELECT org_id, notice_id, 'email', address, 'due', created_at, 0, created_at
        FROM added JOIN wanted USING (org_id, notice_id)
        """,
        [notice.org_id for notice, _ in notices],
        [notice.notice_id for notice, _ in notices],
        [notice.campaign_id for notice, _ in notices],
        [notice.kind for notice, _ in notices],
        [notice.facts for notice, _ in notices],
        [notice.created_at for notice, _ in notices],
        [delivery.address for _, delivery in notices],
    )


async def lease_due(
    sql: PoolConnectionProxy, *, now: datetime, lease: str, lease_s: float, most: int
) -> list[Delivery]:
    """Take deliveries that are due, those that have waited longest first."""
    rows = await sql.fetch(
        """
        WITH taken AS (
            UPDATE deliveries SET due_at = $3, lease = $2
            FROM (
                SELECT org_id, notice_id, channel, address FROM deliveries WHERE due_at <= $1
                ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED) AS due
            WHERE (deliveries.org_id, deliveries.notice_id, deliveries.channel, deliveries.address)
                = (due.org_id, due.notice_id, due.channel, due.address)
            RETURNING deliveries.*)
        SELECT * FROM taken JOIN notices USING (org_id, notice_id)
        """,
        now,
        lease,
        now + timedelta(seconds=lease_s),
        most,
    )
    return [_delivery(row) for row in rows]


async def put_sending(
    sql: PoolConnectionProxy, delivery: Delivery, *, now: datetime, lease: str, lease_s: float
) -> bool:
    """Write down that the server is about to get the content; False if it is not ours to send."""
    status = await sql.execute(
        """
        UPDATE deliveries SET state = 'sending', state_since = $5, due_at = $6
        WHERE org_id = $1 AND notice_id = $2 AND channel = 'email' AND address = $3 AND lease = $4
          AND state = 'due'
        """,
        delivery.notice.org_id,
        delivery.notice.notice_id,
        delivery.address,
        lease,
        now,
        now + timedelta(seconds=lease_s),
    )
    return status == "UPDATE 1"


async def put_delivery(sql: PoolConnectionProxy, delivery: Delivery, lease: str) -> bool:
    """Write a delivery and give its lease back; False, and nothing written, if that has run out."""
    status = await sql.execute(
        """
        UPDATE deliveries SET state = $5, state_since = $6, tries = $7, error = $8, due_at = $9,
            lease = NULL
        WHERE org_id = $1 AND notice_id = $2 AND channel = 'email' AND address = $3 AND lease = $4
        """,
        delivery.notice.org_id,
        delivery.notice.notice_id,
        delivery.address,
        lease,
        delivery.state,
        delivery.state_since,
        delivery.tries,
        delivery.error,
        delivery.due_at,
    )
    return status == "UPDATE 1"


def _delivery(row: Record) -> Delivery:
    notice = Notice(
        org_id=row["org_id"],
        notice_id=row["notice_id"],
        campaign_id=row["campaign_id"],
        kind=row["kind"],
        facts=row["facts"],
        created_at=row["created_at"],
    )
    return Delivery(
        notice=notice,
        address=row["address"],
        state=row["state"],
        state_since=row["state_since"],
        due_at=row["due_at"],
        tries=row["tries"],
        error=row["error"],
    )
