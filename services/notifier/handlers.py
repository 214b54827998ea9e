"""Events as they are heard: each is written down, and nothing else happens here."""

from collections.abc import Sequence

from services.notifier.domain import Noticed, digest_of, notice_of
from services.notifier.store import campaigns, deliveries, notices, posts, wishes
from services.notifier.store.wishes import AdminKey
from shared.consumer import Handlers
from shared.database import Transaction
from shared.events import (
    CampaignHeld,
    CampaignLaunched,
    DeliverabilityReported,
    NoticeSettingsChanged,
    NumberProvisioned,
    WindowAtRisk,
    WindowChanged,
)


async def note_launches(tx: Transaction, events: Sequence[CampaignLaunched]) -> None:
    """Who launched these campaigns; what waited to be told to them is due now."""
    await campaigns.put_launchers(tx.sql, events)
    await campaigns.put_windows(tx.sql, events)
    keys = [(event.org_id, event.campaign_id) for event in events]
    await deliveries.mail_to_admins(tx.sql, keys, now=await tx.now())


async def note_windows(tx: Transaction, events: Sequence[WindowChanged]) -> None:
    """When these campaigns are open, unless a later revision is known."""
    await campaigns.put_windows(tx.sql, events)


async def note_outcomes(tx: Transaction, events: Sequence[NumberProvisioned]) -> None:
    """A notice for each campaign and outcome, once; none where an archive was all that failed."""
    await _note(tx, [event for event in events if not event.archived])


async def note_risks(tx: Transaction, events: Sequence[WindowAtRisk]) -> None:
    """A notice for each campaign and revision of its window, once."""
    await _note(tx, events)


async def note_holds(tx: Transaction, events: Sequence[CampaignHeld]) -> None:
    """A notice for each campaign, carrier and what that has said of the number, once."""
    await _note(tx, events)


async def _note(tx: Transaction, events: Sequence[Noticed]) -> None:
    now = await tx.now()
    keys = [(event.org_id, event.campaign_id) for event in events]
    # First: a launch that is being noted at this moment either is seen, or waits and sees us.
    await campaigns.meet(tx.sql, keys)
    told = [event for event in events if not isinstance(event, CampaignHeld)]
    await campaigns.put_launchers(tx.sql, told)
    added = await notices.add(tx.sql, [notice_of(event, now) for event in events])
    await deliveries.mail_to_admins(tx.sql, keys, now=now)
    await posts.add(tx.sql, added, now=now)


async def note_digests(tx: Transaction, events: Sequence[DeliverabilityReported]) -> None:
    """A notice for each report, once: to be posted, nobody gets it as an e-mail."""
    now = await tx.now()
    added = await notices.add(tx.sql, [digest_of(event, now) for event in events])
    await posts.add(tx.sql, added, now=now)


async def note_wishes(tx: Transaction, events: Sequence[NoticeSettingsChanged]) -> None:
    """Which notices are wanted, by admins and by organizations, unless a later version is known."""
    admins: dict[AdminKey, NoticeSettingsChanged] = {}
    organizations: dict[str, NoticeSettingsChanged] = {}
    for event in sorted(events, key=lambda event: event.version):
        if event.email is None:
            organizations[event.org_id] = event
        else:
            admins[wishes.admin_key(event.org_id, event.email)] = event
    now = await tx.now()
    await wishes.put_admins(tx.sql, admins)
    changed = await wishes.put_receivers(tx.sql, organizations, now=now)
    await posts.make_due(tx.sql, changed, now=now)


HANDLERS: Handlers = {
    # First: what a batch holds after them is told as they say.
    NoticeSettingsChanged: note_wishes,
    CampaignLaunched: note_launches,
    WindowChanged: note_windows,
    NumberProvisioned: note_outcomes,
    WindowAtRisk: note_risks,
    CampaignHeld: note_holds,
    DeliverabilityReported: note_digests,
}
