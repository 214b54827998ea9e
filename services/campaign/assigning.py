"""Who sends for a campaign, and whose its initials are: each a transaction's work."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.campaign.domain import Caller, Campaign, Refused
from services.campaign.store import assignments, campaigns, people, senders
from services.campaign.window import why_no_initials
from shared.database import Transaction


@dataclass(frozen=True, slots=True)
class Batch:
    """How many initials a sender took, and how many they may have. `why`: why it is none."""

    assigned: int
    batch_size: int
    why: str | None


async def campaign_of_sender(tx: Transaction, caller: Caller, campaign_id: str) -> Campaign:
    """A campaign that the caller sends for. Raises Refused for everybody else."""
    campaign = await campaigns.get(tx, caller.org_id, campaign_id)
    if not await senders.is_sender(tx, caller.org_id, campaign_id, caller.person_id):
        raise Refused("forbidden", "You are not a sender of this campaign")
    return campaign


async def take_batch(tx: Transaction, caller: Caller, campaign_id: str, count: int | None) -> Batch:
    """Give the caller a batch of unassigned initials, at most the campaign's batch size."""
    campaign = await campaign_of_sender(tx, caller, campaign_id)
    if not campaign.plan.self_assign:
        raise Refused("conflict", "Self-assign is off for this campaign: ask an admin for texts")
    now = await tx.now()
    why = why_no_initials(campaign.state, campaign.plan.window, now)
    if why is not None:
        return Batch(0, campaign.plan.batch_size, why)
    got = await assignments.assign_batch(
        tx,
        caller.org_id,
        campaign_id,
        sender_id=caller.person_id,
        most=min(count or campaign.plan.batch_size, campaign.plan.batch_size),
        at=now,
    )
    return Batch(got, campaign.plan.batch_size, None if got else "None are left to assign.")


async def add_senders(
    tx: Transaction, caller: Caller, campaign_id: str, person_ids: Sequence[str]
) -> None:
    """Let people of the organization send. Raises Refused with the first who is unknown."""
    campaign = await campaigns.hold(tx, caller.org_id, campaign_id)
    known = await people.known(tx, caller.org_id, person_ids)
    for place, person_id in enumerate(person_ids):
        if person_id not in known:
            raise Refused("invalid", "there is no such person", field=f"person_ids.{place}")
    await senders.add(tx, campaign, person_ids, await tx.now())


async def remove_sender(tx: Transaction, caller: Caller, campaign_id: str, person_id: str) -> int:
    """Take a sender off; how many texts they had not sent, which are unassigned again."""
    campaign = await campaigns.hold(tx, caller.org_id, campaign_id)
    return await senders.remove(tx, campaign, person_id)
