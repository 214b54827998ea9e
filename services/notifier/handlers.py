"""Events as they are heard: each is written down, and nothing else happens here."""

from collections.abc import Sequence

from services.notifier.domain import Noticed, notice_of
from services.notifier.store import campaigns, deliveries, notices
from shared.consumer import Handlers
from shared.database import Transaction
from shared.events import (
    CampaignLaunched,
    NumberProvisioned,
    WindowChanged,
)


async def note_launches(tx: Transaction, events: Sequence[CampaignLaunched]) -> None:
    """Who launched these campaigns; what waited to be told to them is due now."""
    await campaigns.put_launches(tx.sql, events)
    await campaigns.put_windows(tx.sql, events)
    keys = [(event.org_id, event.campaign_id) for event in events]
    await deliveries.mail_to_admins(tx.sql, keys, now=await tx.now())


async def note_windows(tx: Transaction, events: Sequence[WindowChanged]) -> None:
    """When these campaigns are open, unless a later revision is known."""
    await campaigns.put_windows(tx.sql, events)


async def note_outcomes(tx: Transaction, events: Sequence[NumberProvisioned]) -> None:
    """A notice for each campaign and outcome, once; none where an archive was all that failed."""
    await _note(tx, [event for event in events if not event.archived])


async def _note(tx: Transaction, events: Sequence[Noticed]) -> None:
    now = await tx.now()
    keys = [(event.org_id, event.campaign_id) for event in events]
    # First: a launch that is being noted at this moment either is seen, or waits and sees us.
    await campaigns.meet(tx.sql, keys)
    await notices.add(tx.sql, [notice_of(event, now) for event in events])
    await deliveries.mail_to_admins(tx.sql, keys, now=now)


HANDLERS: Handlers = {
    CampaignLaunched: note_launches,
    WindowChanged: note_windows,
    NumberProvisioned: note_outcomes,
}
