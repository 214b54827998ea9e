"""Notices' ways to addresses: claimed, fenced by a lease, recorded."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from services.notifier.domain import Campaign, CampaignKey, Channel, Delivery, Notice
from shared.database import columns
from shared.events import Person
from shared.rules.hours import Hours, Window


async def mail_to_admins(
    sql: PoolConnectionProxy, keys: Iterable[CampaignKey], *, now: datetime
) -> None:
    """An e-mail for each notice of these campaigns that has none, to the admin who launched: the
    event says who, or else the launch does, which may not be known yet."""
    told = sorted(set(keys))
    await sql.execute(
        """
        INSERT INTO deliveries (org_id, notice_id, channel, address, state, state_since, tries,
            due_at)
        SELECT org_id, notice_id, 'email', admin.email, 'due', $3, 0, $3
        FROM unnest($1::text[], $2::text[]) AS told (org_id, campaign_id)
        JOIN notices USING (org_id, campaign_id)
        JOIN campaigns USING (org_id, campaign_id),
        LATERAL (SELECT coalesce(facts #>> '{launched_by,email}', admin_email) AS email) AS admin
        WHERE admin.email IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM deliveries
            WHERE (org_id, notice_id, channel) = (notices.org_id, notices.notice_id, 'email'))
        """,
        [org_id for org_id, _ in told],
        [campaign_id for _, campaign_id in told],
        now,
    )


async def lease_due(
    sql: PoolConnectionProxy,
    *,
    channel: Channel,
    now: datetime,
    lease: str,
    lease_s: float,
    most: int,
) -> list[Delivery]:
    """Take a channel's deliveries that are due, those that have waited longest first."""
    rows = await sql.fetch(
        """
        WITH taken AS (
            UPDATE deliveries SET due_at = $3, lease = $2
            FROM (
                SELECT org_id, notice_id, channel, address FROM deliveries
                WHERE channel = $5 AND due_at <= $1
                ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED) AS due
            WHERE (deliveries.org_id, deliveries.notice_id, deliveries.channel, deliveries.address)
                = (due.org_id, due.notice_id, due.channel, due.address)
            RETURNING deliveries.*)
        SELECT taken.*, campaign_id, kind, facts, created_at, name, admin_name, admin_email,
            coalesce(revision, 0) AS revision, window_opens_at, window_closes_at, opens, closes,
            time_zone, EXISTS (
                SELECT 1 FROM notices AS other
                WHERE (other.org_id, other.campaign_id) = (notices.org_id, notices.campaign_id)
                  AND other.kind = 'provisioning complete') AS is_complete
        FROM taken JOIN notices USING (org_id, notice_id)
        LEFT JOIN campaigns USING (org_id, campaign_id)
        """,
        now,
        lease,
        now + timedelta(seconds=lease_s),
        most,
        channel,
    )
    return [delivery_of(row, _campaign(row)) for row in rows]


async def put_sending(
    sql: PoolConnectionProxy, delivery: Delivery, *, now: datetime, lease: str, lease_s: float
) -> bool:
    """Write down that the address is about to get the content; False if it is not ours to send."""
    status = await sql.execute(
        """
        UPDATE deliveries SET state = 'sending', state_since = $6, due_at = $7
        WHERE org_id = $1 AND notice_id = $2 AND channel = $3 AND address = $4 AND lease = $5
          AND state = 'due'
        """,
        delivery.notice.org_id,
        delivery.notice.notice_id,
        delivery.channel,
        delivery.address,
        lease,
        now,
        now + timedelta(seconds=lease_s),
    )
    return status == "UPDATE 1"


async def put(
    sql: PoolConnectionProxy, deliveries: Sequence[Delivery], lease: str
) -> list[Delivery]:
    """Write deliveries and give their leases back; those that were written: with the others the
    lease has run out."""
    rows = await sql.fetch(
        """
        UPDATE deliveries SET state = after.state, state_since = after.state_since,
            tries = after.tries, error = after.error, due_at = after.due_at, lease = NULL
        FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
            $8::int[], $9::text[], $10::timestamptz[])
          AS after (org_id, notice_id, channel, address, state, state_since, tries, error, due_at)
        WHERE (deliveries.org_id, deliveries.notice_id, deliveries.channel, deliveries.address)
            = (after.org_id, after.notice_id, after.channel, after.address)
          AND deliveries.lease = $1
        RETURNING deliveries.org_id, deliveries.notice_id, deliveries.channel, deliveries.address
        """,
        lease,
        *columns([(*_key(one), *_progress(one)) for one in deliveries], 9),
    )
    written = {tuple(row) for row in rows}
    return [one for one in deliveries if _key(one) in written]


def _key(delivery: Delivery) -> tuple[str, str, str, str]:
    notice = delivery.notice
    return notice.org_id, notice.notice_id, delivery.channel, delivery.address


def _progress(delivery: Delivery) -> tuple[str, datetime, int, str | None, datetime | None]:
    return (
        delivery.state,
        delivery.state_since,
        delivery.tries,
        delivery.error,
        delivery.due_at,
    )


def delivery_of(row: Record, campaign: Campaign) -> Delivery:
    """The delivery, and its notice, that a row holds."""
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
        channel=row["channel"],
        campaign=campaign,
    )


def _campaign(row: Record) -> Campaign:
    launched = row["name"] is not None
    has_window = row["time_zone"] is not None
    return Campaign(
        name=row["name"],
        launched_by=Person(name=row["admin_name"], email=row["admin_email"]) if launched else None,
        window=Window(row["window_opens_at"], row["window_closes_at"]) if has_window else None,
        hours=Hours(row["opens"], row["closes"], row["time_zone"]) if has_window else None,
        revision=row["revision"],
        is_complete=row["is_complete"],
    )
