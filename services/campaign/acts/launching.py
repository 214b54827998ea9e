"""Campaigns from draft to active, and their edits: each a transaction's work."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.campaign.domain import (
    Caller,
    Campaign,
    Plan,
    Refused,
    check_edit,
    check_launch,
    check_not_archived,
    check_origin,
)
from services.campaign.rules import changes as changed
from services.campaign.rules import scripts
from services.campaign.rules.flag import number_to_share
from services.campaign.rules.warnings import clone_warnings, launch_warnings, window_warnings
from services.campaign.rules.window import checked_hours, checked_window
from services.campaign.store import (
    audiences,
    audit,
    campaigns,
    contacts,
    numbers,
    organizations,
    reports,
    senders,
)
from shared.database import Transaction
from shared.events import CampaignLaunched, Person, WindowChanged
from shared.ids import new_id


async def draft(tx: Transaction, caller: Caller, campaign_id: str, plan: Plan) -> None:
    """Write a draft. Raises Refused with the field that does not fit."""
    await check(tx, caller.org_id, plan)
    await campaigns.add(
        tx, caller.org_id, campaign_id, plan, created_by=caller.person_id, at=await tx.now()
    )


async def edit(
    tx: Transaction, caller: Caller, campaign_id: str, changes: Mapping[str, Any]
) -> None:
    """Change a campaign. `changes` names fields of Plan; window and hours as mappings of parts.

    Once launched, a changed window, hours or hold count the revision up, and are told.
    """
    campaign = await campaigns.hold(tx, caller.org_id, campaign_id)
    check_edit(campaign.state, changes)
    check_origin(campaign, changes)
    plan = edited(campaign.plan, changes)
    await check(tx, caller.org_id, plan)
    revision, close_due_at = campaign.revision, None
    was, is_now = changed.differences(campaign.plan, plan)
    if not is_now:
        return
    if campaign.state != "draft" and is_now.keys() & {"window", "hours", "hold_until_provisioned"}:
        revision += 1
        # Due again whatever was told before: the new end is a new fact.
        close_due_at = plan.window.closes_at
        tx.tell(
            WindowChanged(
                org_id=caller.org_id,
                campaign_id=campaign_id,
                window=plan.window,
                hours=plan.hours,
                revision=revision,
                hold_until_provisioned=is_now.get("hold_until_provisioned"),
            )
        )
    await campaigns.save(tx, campaign, plan, revision=revision, close_due_at=close_due_at)
    if campaign.state != "draft":
        await audit.add(tx, caller, "campaign edited", campaign_id, before=was, after=is_now)


def edited(plan: Plan, changes: Mapping[str, Any]) -> Plan:
    """The plan with these changes. Raises Refused when they do not fit together."""
    whole = dict(changes)
    if "window" in changes:
        parts = {"opens_at": plan.window.opens_at, "closes_at": plan.window.closes_at}
        whole["window"] = checked_window(**{**parts, **changes["window"]})
    if "hours" in changes:
        old = plan.hours
        hours = {"opens": old.opens, "closes": old.closes, "time_zone": old.time_zone}
        whole["hours"] = checked_hours(**{**hours, **changes["hours"]})
    return replace(plan, **whole)


async def check(tx: Transaction, org_id: str, plan: Plan) -> None:
    """Raise Refused with the field of a plan that does not fit what the organization has."""
    await organizations.check_use_case(tx, org_id, plan.use_case_id)
    contact_list = await contacts.list_for_script(tx, org_id, plan.contact_list_id)
    scripts.check(plan.script, contact_list.fields)


async def launch(tx: Transaction, caller: Caller, campaign_id: str) -> tuple[int, list[str]]:
    """Turn a draft active at once; how many initials it has, and what the articles advise.

    Raises Refused when it is active already, or when nothing could ever be sent.
    """
    campaign = await campaigns.hold(tx, caller.org_id, campaign_id)
    check_not_archived(campaign.state)
    if campaign.state != "draft":
        raise Refused("conflict", "The campaign is active already")
    number = await _number_of_follow_up(tx, campaign)
    now = await tx.now(afresh=True)
    check_launch(campaign.plan, now)
    await _check_contacts(tx, campaign)
    sender_ids = await senders.ids(tx, campaign)
    await campaigns.launch(tx, campaign, launched_by=caller.person_id, at=now)
    taken = 0
    if campaign.audience is not None and campaign.audience.untexted:
        taken = await audiences.take_over(tx, campaign, campaign.audience.of, now)
    initials = await audiences.make_initials(
        tx, campaign, launch_id=new_id(), senders=sender_ids, at=now
    )
    if campaign.audience is not None and not initials:
        raise Refused("conflict", "no contact is left that it would text", field="audience")
    tx.tell(_launched(campaign, caller, number))
    await audit.add(
        tx, caller, "campaign launched", campaign_id,
        before={"status": "draft"},
        after={"status": "active", "initials": initials, **changed.whole(campaign.plan)},
    )  # fmt: skip
    return initials, await _warnings(tx, campaign, senders=len(sender_ids), taken=taken)


async def _number_of_follow_up(tx: Transaction, campaign: Campaign) -> str | None:
    """The number that a follow-up is to send from; None for a campaign that gets its own.

    Raises Refused, with the reason, where there is none.
    """
    if not campaign.number_of:
        return None
    return number_to_share(await numbers.of_campaign(tx, campaign))


async def _check_contacts(tx: Transaction, campaign: Campaign) -> None:
    plan = campaign.plan
    contact_list = await contacts.list_for_script(tx, campaign.org_id, plan.contact_list_id)
    if not contact_list.contacts:
        raise Refused("conflict", "the contact list is empty", field="contact_list_id")
    # Blank with the longest value of each field is blank for every contact.
    if plan.channel == "sms" and not scripts.render(plan.script, contact_list.longest):
        raise Refused(
            "conflict", "it is empty for every contact: they leave its fields blank", field="script"
        )


async def _warnings(tx: Transaction, campaign: Campaign, *, senders: int, taken: int) -> list[str]:
    plan, now = campaign.plan, await tx.now()
    found = window_warnings(plan, now)
    has_number = bool(campaign.number_of) or (
        plan.dedicated_number and await numbers.has_dedicated(tx, campaign.org_id, plan.use_case_id)
    )
    if not has_number:
        found += launch_warnings(
            plan,
            now,
            senders=senders,
            provisioning=await numbers.still_provisioning(
                tx, campaign.org_id, besides=campaign.campaign_id
            ),
            numbers=await numbers.on_use_case(tx, campaign.org_id, plan.use_case_id),
        )
    if campaign.cloned_from:
        original = await campaigns.get(tx, campaign.org_id, campaign.cloned_from)
        queued = await reports.queued(tx, campaign.org_id, campaign.cloned_from)
        found += clone_warnings(original, taken=taken, queued=queued)
    return found


def _launched(campaign: Campaign, caller: Caller, number: str | None) -> CampaignLaunched:
    plan = campaign.plan
    return CampaignLaunched(
        org_id=campaign.org_id,
        campaign_id=campaign.campaign_id,
        use_case_id=plan.use_case_id,
        name=plan.name,
        launched_by=Person(name=caller.name, email=caller.email),
        area_codes=plan.area_codes,
        window=plan.window,
        hours=plan.hours,
        revision=1,
        number=number,
        hold_until_provisioned=plan.hold_until_provisioned,
        dedicated_number=plan.dedicated_number,
        nearby_area_codes=plan.nearby_area_codes,
    )
