"""Campaigns, and the initials that a launch makes."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from asyncpg import Record

from services.campaign.domain import Audience, Campaign, Plan, Refused, Stage
from shared.database import Transaction
from shared.rules.hours import Hours, Window


def of_row(row: Record) -> Campaign:
    plan = Plan(
        name=row["name"],
        use_case_id=row["use_case_id"],
        contact_list_id=row["contact_list_id"],
        script=row["script"],
        channel=row["channel"],
        media_urls=tuple(row["media_urls"]),
        area_codes=tuple(row["area_codes"]),
        window=Window(row["opens_at"], row["closes_at"]),
        hours=Hours(row["hours_open"], row["hours_close"], row["time_zone"]),
        self_assign=row["self_assign"],
        batch_size=row["batch_size"],
        senders_may_edit=row["senders_may_edit"],
        hold_until_provisioned=row["hold_until_provisioned"],
        replies_first_over=row["replies_first_over"],
        take_back_after_min=row["take_back_after_min"],
        dedicated_number=row["dedicated_number"],
        nearby_area_codes=row["nearby_area_codes"],
    )
    return Campaign(
        org_id=row["org_id"],
        campaign_id=row["campaign_id"],
        state=row["state"],
        plan=plan,
        revision=row["revision"],
        created_at=row["created_at"],
        launched_at=row["launched_at"],
        paused_at=row["paused_at"],
        pause_revision=row["pause_revision"],
        archived_at=row["archived_at"],
        number_of=row["number_of"],
        cloned_from=row["cloned_from"],
        audience=_audience(row["audience"]),
    )


def _audience(kept: dict[str, Any] | None) -> Audience | None:
    if kept is None:
        return None
    return Audience(**{name: _frozen(value) for name, value in kept.items()})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


async def add(
    tx: Transaction,
    org_id: str,
    campaign_id: str,
    plan: Plan,
    *,
    created_by: str,
    at: datetime,
    cloned_from: str = "",
    number_of: str = "",
    audience: Audience | None = None,
) -> None:
    """Write a draft: a new one, a clone of another campaign or a follow-up on one's number."""
    await tx.sql.execute(
        """
        INSERT INTO campaigns (
            org_id, campaign_id, state, created_by, created_at, cloned_from, number_of, audience,
            name, use_case_id, contact_list_id, script, channel, media_urls, area_codes, opens_at,
            closes_at, hours_open, hours_close, time_zone, self_assign, batch_size,
            senders_may_edit, hold_until_provisioned, replies_first_over, take_back_after_min,
            dedicated_number, nearby_area_codes)
        VALUES ($1, $2, 'draft', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)
        """,
        org_id,
        campaign_id,
        created_by,
        at,
        cloned_from,
        number_of,
        None if audience is None else asdict(audience),
        *_columns(plan),
    )


async def save(
    tx: Transaction, campaign: Campaign, plan: Plan, *, revision: int, close_due_at: datetime | None
) -> None:
    """Write an edited plan; `close_due_at`: when WindowClosed is to be told, None to leave it."""
    await tx.sql.execute(
        """
        UPDATE campaigns SET
            revision = $3, close_due_at = coalesce($4, close_due_at), name = $5, use_case_id = $6,
            contact_list_id = $7, script = $8, channel = $9, media_urls = $10, area_codes = $11,
            opens_at = $12, closes_at = $13, hours_open = $14, hours_close = $15, time_zone = $16,
            self_assign = $17, batch_size = $18, senders_may_edit = $19,
            hold_until_provisioned = $20, replies_first_over = $21, take_back_after_min = $22,
            dedicated_number = $23, nearby_area_codes = $24
        WHERE org_id = $1 AND campaign_id = $2
        """,
        campaign.org_id,
        campaign.campaign_id,
        revision,
        close_due_at,
        *_columns(plan),
    )


def _columns(plan: Plan) -> tuple[object, ...]:
    return (
        plan.name,
        plan.use_case_id,
        plan.contact_list_id,
        plan.script,
        plan.channel,
        plan.media_urls,
        plan.area_codes,
        plan.window.opens_at,
        plan.window.closes_at,
        plan.hours.opens,
        plan.hours.closes,
        plan.hours.time_zone,
        plan.self_assign,
        plan.batch_size,
        plan.senders_may_edit,
        plan.hold_until_provisioned,
        plan.replies_first_over,
        plan.take_back_after_min,
        plan.dedicated_number,
        plan.nearby_area_codes,
    )


async def get(tx: Transaction, org_id: str, campaign_id: str) -> Campaign:
    """A campaign. Raises Refused when the organization has no such one."""
    row = await tx.sql.fetchrow(
        "SELECT * FROM campaigns WHERE org_id = $1 AND campaign_id = $2", org_id, campaign_id
    )
    if row is None:
        raise Refused("missing", "There is no such campaign")
    return of_row(row)


async def hold(tx: Transaction, org_id: str, campaign_id: str) -> Campaign:
    """A campaign, held against other edits until the end. Raises Refused when there is none."""
    row = await tx.sql.fetchrow(
        "SELECT * FROM campaigns WHERE org_id = $1 AND campaign_id = $2 FOR NO KEY UPDATE",
        org_id,
        campaign_id,
    )
    if row is None:
        raise Refused("missing", "There is no such campaign")
    return of_row(row)


async def listed(
    tx: Transaction, org_id: str, *, stage: Stage | None, after: str, most: int
) -> list[Campaign]:
    """An organization's campaigns at a stage (None: all), newest first.

    `after` is the last id of the page before, '' for the first page.
    """
    rows = await tx.sql.fetch(
        """
        SELECT * FROM campaigns
        WHERE org_id = $1 AND ($2 = '' OR campaign_id < $2)
          AND ($3::text IS NULL OR $3 = CASE
                WHEN state = 'active' AND paused_at IS NOT NULL THEN 'paused' ELSE state END)
        ORDER BY campaign_id DESC LIMIT $4
        """,
        org_id,
        after,
        stage,
        most,
    )
    return [of_row(row) for row in rows]


async def launch(tx: Transaction, campaign: Campaign, *, launched_by: str, at: datetime) -> None:
    """Turn a draft active, at revision 1."""
    await tx.sql.execute(
        """
        UPDATE campaigns SET state = 'active', revision = 1, launched_by = $3, launched_at = $4,
                             close_due_at = closes_at
        WHERE org_id = $1 AND campaign_id = $2
        """,
        campaign.org_id,
        campaign.campaign_id,
        launched_by,
        at,
    )


async def set_pause(
    tx: Transaction, campaign: Campaign, *, paused_at: datetime | None, revision: int
) -> None:
    """Write that a campaign is paused since then, or, with None, that it goes on."""
    await tx.sql.execute(
        """
        UPDATE campaigns SET paused_at = $3, pause_revision = $4
        WHERE org_id = $1 AND campaign_id = $2
        """,
        campaign.org_id,
        campaign.campaign_id,
        paused_at,
        revision,
    )


async def sent_for_by(tx: Transaction, org_id: str, person_id: str) -> list[Campaign]:
    """The active campaigns that a person sends for, newest first."""
    rows = await tx.sql.fetch(
        """
        SELECT campaigns.* FROM campaigns JOIN campaign_senders USING (org_id, campaign_id)
        WHERE org_id = $1 AND person_id = $2 AND state = 'active' ORDER BY campaign_id DESC
        """,
        org_id,
        person_id,
    )
    return [of_row(row) for row in rows]
