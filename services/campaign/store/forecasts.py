"""What a forecast is made of, and which campaigns are due for one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncpg import Record

from services.campaign.domain import Campaign
from services.campaign.store import campaigns
from shared.database import Transaction

DUE_MOST = 100


async def limits(tx: Transaction, org_id: str) -> Sequence[Record]:
    """All limits of an organization, by carrier and use case."""
    return await tx.sql.fetch(
        """
        SELECT carrier, use_case_id, sms_per_minute, sms_unit, mms_per_minute, segments_per_day,
               day_zone
        FROM limits WHERE org_id = $1
        """,
        org_id,
    )


async def queued(tx: Transaction, org_id: str) -> Sequence[Record]:
    """What an organization has queued, by campaign, kind, channel, carrier and segments."""
    return await tx.sql.fetch(
        """
        SELECT campaign_id, kind, channel, carrier, segments, count(*) AS texts,
               min(queued_at) AS queued_at
        FROM messages WHERE org_id = $1 AND status = 'queued'
        GROUP BY campaign_id, kind, channel, carrier, segments
        """,
        org_id,
    )


async def unsent(
    tx: Transaction, org_id: str, campaign_ids: Sequence[str]
) -> dict[str, dict[str | None, int]]:
    """How many initials of these campaigns no sender has sent yet, by campaign and carrier."""
    rows = await tx.sql.fetch(
        """
        SELECT campaign_id, carrier, count(*) AS texts FROM messages
        WHERE org_id = $1 AND campaign_id = ANY($2::text[])
          AND status IN ('unassigned', 'assigned')
        GROUP BY campaign_id, carrier
        """,
        org_id,
        campaign_ids,
    )
    found: dict[str, dict[str | None, int]] = {}
    for row in rows:
        found.setdefault(row["campaign_id"], {})[row["carrier"]] = row["texts"]
    return found


async def running(tx: Transaction, org_id: str) -> list[Campaign]:
    """An organization's campaigns that texts of may wait."""
    rows = await tx.sql.fetch(
        "SELECT * FROM campaigns WHERE org_id = $1 AND state = 'active'", org_id
    )
    return [campaigns.of_row(row) for row in rows]


async def take_due(tx: Transaction, now: datetime, before: datetime) -> list[Campaign]:
    """Running campaigns of one organization that were last looked at before then, or whose window
    was edited since; they are not due any more. None: none is due.

    Of one organization at a time: they share its limits, and are forecast together.
    """
    rows = await tx.sql.fetch(
        """
        WITH due AS MATERIALIZED (
            SELECT org_id, campaign_id, forecast_at FROM campaigns
            WHERE state = 'active' AND closes_at > $1
              AND (forecast_at IS NULL OR forecast_at < $2 OR forecast_revision < revision)
            ORDER BY forecast_at NULLS FIRST, org_id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
        ), first AS (SELECT org_id FROM due ORDER BY forecast_at NULLS FIRST, org_id LIMIT 1)
        UPDATE campaigns AS c SET forecast_at = $1, forecast_revision = c.revision
        FROM due JOIN first USING (org_id)
        WHERE c.org_id = due.org_id AND c.campaign_id = due.campaign_id
        RETURNING c.*
        """,
        now,
        before,
        DUE_MOST,
    )
    return [campaigns.of_row(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was forecast of a campaign's window, as it was looked at."""

    campaign: Campaign
    failing: int
    safe_end_at: datetime | None
    at_risk: bool


async def keep(tx: Transaction, org_id: str, seen: Sequence[Seen]) -> Sequence[Record]:
    """Write forecasts down; of those whose being at risk is news: campaign, and who launched it.

    Each revision's is news once. One that was edited meanwhile is left to the next look, and one
    that was archived is at no risk any more.
    """
    return await tx.sql.fetch(
        """
        WITH held AS MATERIALIZED (
            SELECT c.campaign_id, launched_by, risk_told_revision, e.* FROM campaigns AS c
            JOIN unnest($2::text[], $3::int[], $4::int[], $5::timestamptz[], $6::boolean[])
                 AS e (looked_at, looked_at_revision, left_over, saves_all_at, at_risk)
              ON c.campaign_id = e.looked_at AND c.revision = e.looked_at_revision
            WHERE c.org_id = $1 AND state = 'active'
            -- In one order, so that two replicas cannot stand in each other's way.
            ORDER BY c.campaign_id FOR NO KEY UPDATE OF c
        ), kept AS (
            UPDATE campaigns AS c SET
                failing = left_over, safe_end_at = saves_all_at,
                risk_told_revision = CASE WHEN at_risk THEN looked_at_revision
                                          ELSE c.risk_told_revision END
            FROM held WHERE c.org_id = $1 AND c.campaign_id = held.campaign_id)
        SELECT campaign_id, name, email FROM held
        JOIN people ON org_id = $1 AND person_id = launched_by
        WHERE at_risk AND risk_told_revision < looked_at_revision
        ORDER BY campaign_id
        """,
        org_id,
        [one.campaign.campaign_id for one in seen],
        [one.campaign.revision for one in seen],
        [one.failing for one in seen],
        [one.safe_end_at for one in seen],
        [one.at_risk for one in seen],
    )


async def contacts_by_carrier(tx: Transaction, campaign: Campaign) -> dict[str | None, int]:
    """Whom a draft would text, by carrier."""
    rows = await tx.sql.fetch(
        """
        SELECT carrier, count(*) AS texts FROM contacts AS c
        WHERE org_id = $1 AND contact_list_id = $2 AND NOT EXISTS (
            SELECT FROM opt_outs AS o WHERE o.org_id = $1 AND o.phone = c.phone AND o.stands)
        GROUP BY carrier
        """,
        campaign.org_id,
        campaign.plan.contact_list_id,
    )
    return {row["carrier"]: row["texts"] for row in rows}


async def risk(tx: Transaction, campaign: Campaign) -> Record | None:
    """What was last forecast of a running campaign's window as it stands; None: nothing yet."""
    return await tx.sql.fetchrow(
        """
        SELECT failing, safe_end_at, forecast_at FROM campaigns
        WHERE org_id = $1 AND campaign_id = $2 AND state = 'active'
          AND forecast_at IS NOT NULL AND forecast_revision = revision
        """,
        campaign.org_id,
        campaign.campaign_id,
    )
