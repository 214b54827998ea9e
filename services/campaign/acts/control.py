"""What an admin may do to a campaign that is under way: each a transaction's work.

Said here, done by the collider: it alone lets texts go, and alone says what became of them.
"""

from datetime import datetime

from services.campaign.domain import (
    Caller,
    Campaign,
    Outcome,
    Refused,
    Stage,
    check_active,
    check_launched,
)
from services.campaign.store import audit, campaigns, endings, reports, settlements
from shared.database import Transaction
from shared.events import (
    CampaignArchived,
    CampaignPaused,
    CampaignResumed,
    QueueWithdrawn,
    UnclearSettled,
)
from shared.ids import id_from, new_id


async def _hold_active(tx: Transaction, caller: Caller, campaign_id: str) -> Campaign:
    campaign = await campaigns.hold(tx, caller.org_id, campaign_id)
    check_active(campaign.state)
    return campaign


async def pause(tx: Transaction, caller: Caller, campaign_id: str) -> None:
    """Let nothing go until it is resumed; what is queued waits. Paused already: no news."""
    campaign = await _hold_active(tx, caller, campaign_id)
    if campaign.paused_at is not None:
        return
    now, revision = await tx.now(), campaign.pause_revision + 1
    await campaigns.set_pause(tx, campaign, paused_at=now, revision=revision)
    await _note_stage(tx, caller, "campaign paused", campaign, "paused")
    tx.tell(
        CampaignPaused(
            org_id=caller.org_id, campaign_id=campaign_id, paused_at=now, revision=revision
        )
    )


async def resume(tx: Transaction, caller: Caller, campaign_id: str) -> None:
    """Let it go on. Not paused: no news."""
    campaign = await _hold_active(tx, caller, campaign_id)
    if campaign.paused_at is None:
        return
    now, revision = await tx.now(), campaign.pause_revision + 1
    await campaigns.set_pause(tx, campaign, paused_at=None, revision=revision)
    await _note_stage(tx, caller, "campaign resumed", campaign, "active")
    tx.tell(
        CampaignResumed(
            org_id=caller.org_id, campaign_id=campaign_id, resumed_at=now, revision=revision
        )
    )


async def withdraw(tx: Transaction, caller: Caller, campaign_id: str) -> tuple[datetime, int]:
    """Take back what is queued by now; when that is, and how many these are as far as known.

    Told even where none is known to be queued: a text that was sent may be back in the collider's
    queue, for a carrier's limit. Each ends as `failed` when the collider says so.
    """
    await _hold_active(tx, caller, campaign_id)
    now = await tx.now()
    queued = await reports.queued(tx, caller.org_id, campaign_id)
    tx.tell(QueueWithdrawn(org_id=caller.org_id, campaign_id=campaign_id, withdrawn_at=now))
    await audit.add(tx, caller, "queue withdrawn", campaign_id, before={"queued": queued})
    return now, queued


async def archive(tx: Transaction, caller: Caller, campaign_id: str) -> None:
    """End a campaign for good: from now on nobody sends or answers. Archived already: no news.

    Once all campaigns on its number are archived, the provisioner gives that back.
    """
    campaign = await campaigns.hold(tx, caller.org_id, campaign_id)
    if campaign.state == "archived":
        return
    now = await tx.now(afresh=True)
    await endings.archive(tx, campaign, now)
    await _note_stage(tx, caller, "campaign archived", campaign, "archived")
    if campaign.state == "active":
        tx.tell(
            CampaignArchived(org_id=caller.org_id, campaign_id=campaign_id, archived_at=now),
            event_id=id_from("CampaignArchived", caller.org_id, campaign_id),
        )


async def _note_stage(
    tx: Transaction, caller: Caller, act: str, campaign: Campaign, stage: Stage
) -> None:
    await audit.add(
        tx, caller, act, campaign.campaign_id,
        before={"status": campaign.stage}, after={"status": stage},
    )  # fmt: skip


async def settle(
    tx: Transaction, caller: Caller, message_id: str, outcome: Outcome
) -> tuple[str, datetime]:
    """Settle one text whose answer was lost; its campaign, and when it was settled.

    Raises Refused where the answer is known. Its status changes when the collider says so.
    """
    found = await settlements.campaign_and_status(tx, caller.org_id, message_id)
    if found is None:
        raise Refused("missing", "There is no such message")
    campaign_id, status = found
    if status != "unclear":
        raise Refused("conflict", f"The message is not unclear: it is {status}")
    now = await tx.now()
    await settlements.add(
        tx, caller, new_id(), campaign_id, message_id=message_id, outcome=outcome, at=now
    )
    await audit.add(
        tx, caller, "text settled", message_id,
        before={"status": status}, after={"outcome": outcome},
    )  # fmt: skip
    tx.tell(
        UnclearSettled(
            org_id=caller.org_id,
            campaign_id=campaign_id,
            message_ids=(message_id,),
            outcome=outcome,
            settled_at=now,
        )
    )
    return campaign_id, now


async def settle_all(
    tx: Transaction, caller: Caller, campaign_id: str, outcome: Outcome
) -> tuple[datetime, int]:
    """Settle all that are unclear by now; when that is, and how many these are as far as known."""
    check_launched((await campaigns.hold(tx, caller.org_id, campaign_id)).state)
    now = await tx.now()
    unclear = await settlements.unclear(tx, caller.org_id, campaign_id)
    if unclear:
        await settlements.add(tx, caller, new_id(), campaign_id, outcome=outcome, at=now)
        await audit.add(
            tx, caller, "unclear texts settled", campaign_id,
            before={"unclear": unclear}, after={"outcome": outcome},
        )  # fmt: skip
        tx.tell(
            UnclearSettled(
                org_id=caller.org_id, campaign_id=campaign_id, outcome=outcome, settled_at=now
            )
        )
    return now, unclear
