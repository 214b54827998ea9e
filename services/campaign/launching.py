"""Campaigns from draft to active, and their edits: each a transaction's work."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.campaign import changes as changed
from services.campaign import scripts
from services.campaign.domain import (
    Caller,
    Campaign,
    Plan,
    Refused,
    check_edit,
    check_launch,
    check_not_archived,
)
from services.campaign.store import audit, campaigns, contacts, numbers, organizations, senders
from services.campaign.window import checked_hours, checked_window, launch_warnings
from shared.database import Transaction
from shared.events import CampaignLaunched, Person, WindowChanged
from shared.ids import new_id


async def draft(tx: Transaction, caller: Caller, campaign_id: str, plan: Plan) -> None:
    """Write a draft. Raises Refused with the field that does not fit."""
    await _check(tx, caller.org_id, plan)
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
    plan = edited(campaign.plan, changes)
    await _check(tx, caller.org_id, plan)
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


async def _check(tx: Transaction, org_id: str, plan: Plan) -> None:
    await organizations.check_use_case(tx, org_id, plan.use_case_id)
    contact_list = await contacts.list_for_script(tx, org_id, plan.contact_list_id)
    scripts.check(plan.script, contact_list.fields)


async def launch(tx: Transaction, caller: Caller, campaign_id: str) -> tuple[int, list[str]]:
    """Turn a draft active at once; how many initials it has, and what the articles advise.

    Raises Refused when it is active already, or when nothing could ever be sent.
    """
    campaign = await campaigns.hold(tx, caller.org_id, campaign_id)
    now = await tx.now()
    check_not_archived(campaign.state)
    if campaign.state != "draft":
        raise Refused("conflict", "The campaign is active already")
    check_launch(campaign.plan, now)
    contact_list = await contacts.list_for_script(tx, caller.org_id, campaign.plan.contact_list_id)
    if not contact_list.contacts:
        raise Refused("conflict", "the contact list is empty", field="contact_list_id")
    # Blank with the longest value of each field is blank for every contact.
    if campaign.plan.channel == "sms" and not scripts.render(
        campaign.plan.script, contact_list.longest
    ):
        raise Refused(
            "conflict", "it is empty for every contact: they leave its fields blank", field="script"
        )
    sender_ids = await senders.ids(tx, campaign)
    await campaigns.launch(tx, campaign, launched_by=caller.person_id, at=now)
    initials = await campaigns.make_initials(
        tx, campaign, launch_id=new_id(), senders=sender_ids, at=now
    )
    tx.tell(_launched(campaign, caller))
    await audit.add(
        tx, caller, "campaign launched", campaign_id,
        before={"status": "draft"},
        after={"status": "active", "initials": initials, **changed.whole(campaign.plan)},
    )  # fmt: skip
    others = await numbers.still_provisioning(tx, caller.org_id, besides=campaign_id)
    return initials, launch_warnings(
        campaign.plan, now, senders=len(sender_ids), provisioning=others
    )


def _launched(campaign: Campaign, caller: Caller) -> CampaignLaunched:
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
        hold_until_provisioned=plan.hold_until_provisioned,
    )
