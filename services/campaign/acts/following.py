"""Campaigns that come out of others, clones and follow-ups: each a transaction's work."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.campaign.acts import launching
from services.campaign.domain import (
    Audience,
    Caller,
    Campaign,
    Channel,
    Plan,
    check_launched,
)
from services.campaign.rules.flag import number_to_share
from services.campaign.rules.window import chosen_window
from services.campaign.store import campaigns, canned, numbers
from shared.database import Transaction


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is new of a campaign that comes out of another. `hours`: the parts that differ."""

    name: str
    opens_at: datetime | None
    closes_at: datetime | None
    hours: Mapping[str, Any]


async def clone(
    tx: Transaction,
    caller: Caller,
    campaign_id: str,
    clone_id: str,
    wanted: Wanted,
    *,
    untexted: bool | None,
) -> None:
    """Write a draft with the plan of another campaign and its canned responses, and a number of
    its own to come.

    `untexted`: only those of its contacts to whom nothing was sent, as of the clone's launch. None:
    that after a failed provisioning, else all.
    """
    original = await campaigns.get(tx, caller.org_id, campaign_id)
    if untexted is None:
        untexted = (await numbers.of_campaign(tx, original)).outcome == "failed"
    now = await tx.now()
    await campaigns.add(
        tx,
        caller.org_id,
        clone_id,
        _plan(original.plan, wanted, now),
        created_by=caller.person_id,
        at=now,
        cloned_from=campaign_id,
        audience=_audience_of_clone(original, untexted=untexted),
    )
    await canned.copy(tx, caller.org_id, of=campaign_id, to=clone_id)


def _audience_of_clone(original: Campaign, *, untexted: bool) -> Audience | None:
    if original.launched_at is None:
        # It has texted nobody yet, and the clone is for whom it is for.
        return original.audience
    if untexted:
        return Audience(of=original.campaign_id, untexted=True)
    # Whom a narrowed campaign was for stands in its own texts, else in its contact list.
    return None if original.audience is None else Audience(of=original.campaign_id)


async def follow_up(
    tx: Transaction,
    caller: Caller,
    campaign_id: str,
    follow_up_id: str,
    wanted: Wanted,
    *,
    script: str,
    channel: Channel,
    media_urls: tuple[str, ...],
    audience: Audience,
) -> None:
    """Write a draft on the number of another campaign, for some of its contacts.

    Raises Refused, with the reason, where that number never came or is gone.
    """
    original = await campaigns.get(tx, caller.org_id, campaign_id)
    check_launched("draft" if original.launched_at is None else original.state)
    number_to_share(await numbers.of_campaign(tx, original))
    now = await tx.now()
    plan = replace(
        _plan(original.plan, wanted, now), script=script, channel=channel, media_urls=media_urls
    )
    await launching.check(tx, caller.org_id, plan)
    await campaigns.add(
        tx,
        caller.org_id,
        follow_up_id,
        plan,
        created_by=caller.person_id,
        at=now,
        number_of=original.buyer,
        audience=audience,
    )
    await canned.copy(tx, caller.org_id, of=campaign_id, to=follow_up_id)


def _plan(plan: Plan, wanted: Wanted, now: datetime) -> Plan:
    plan = launching.edited(plan, {"hours": wanted.hours, "name": wanted.name})
    window = chosen_window(plan.hours, now, wanted.opens_at, wanted.closes_at)
    return replace(plan, window=window)
