"""Events as they are heard: each is written down, and nothing else happens here."""

from collections.abc import Sequence

from services.provisioner.domain import Launch
from services.provisioner.rules.steps import open_order
from services.provisioner.store import campaigns, numbers, orders
from shared.consumer import Handlers
from shared.database import Transaction
from shared.events import CampaignArchived, CampaignLaunched, UseCaseRegistered, WindowChanged
from shared.ids import new_id


async def remember_use_cases(tx: Transaction, events: Sequence[UseCaseRegistered]) -> None:
    """Know them, and let the campaigns that were launched before them go on."""
    await campaigns.put_use_cases(tx.sql, events)
    keys = {(event.org_id, event.use_case_id) for event in events}
    await orders.wake_waiting(tx.sql, keys, await tx.now())


async def archive_campaigns(tx: Transaction, events: Sequence[CampaignArchived]) -> None:
    """Their orders end, and what they leave behind is looked at; a launch may still come."""
    archived_at = {
        (event.org_id, event.campaign_id): event.archived_at for event in reversed(events)
    }
    await campaigns.archive(tx.sql, archived_at)
    now = await tx.now()
    left = await orders.archive(tx.sql, archived_at, now)
    await numbers.consider(tx.sql, left, now)


async def open_orders(tx: Transaction, events: Sequence[CampaignLaunched]) -> None:
    """An order for each campaign, once; what a second launch of it says changes nothing."""
    first = {(event.org_id, event.campaign_id): event for event in reversed(events)}
    launched = [first[key] for key in sorted(first)]
    archived = await campaigns.meet(tx.sql, set(first))
    known = await campaigns.use_cases(
        tx.sql, {(event.org_id, event.use_case_id) for event in launched}
    )
    standings = await numbers.standings(
        tx.sql, {(event.org_id, event.number) for event in launched if event.number is not None}
    )
    await campaigns.put_windows(tx.sql, launched)
    # An edit may have come before its launch.
    windows = await campaigns.windows(tx.sql, set(first))
    now = await tx.now()
    opened = [
        open_order(
            new_id(),
            Launch(
                org_id=event.org_id,
                campaign_id=event.campaign_id,
                use_case_id=event.use_case_id,
                name=event.name,
                launched_by=event.launched_by,
                area_codes=event.area_codes,
                window=windows[event.org_id, event.campaign_id],
                number=event.number,
                launched_at=now,
                nearby=event.nearby_area_codes,
                dedicated=event.dedicated_number and event.number is None,
            ),
            use_case=known.get((event.org_id, event.use_case_id)),
            standing=standings.get((event.org_id, event.number or ""), "ready"),
            archived=(event.org_id, event.campaign_id) in archived,
            now=now,
        )
        for event in launched
    ]
    added = await orders.add(tx.sql, [one.order for one in opened])
    for one in opened:
        if one.order.order_id in added:
            tx.tell(*one.told)


async def change_windows(tx: Transaction, events: Sequence[WindowChanged]) -> None:
    """What the admin is told at the end names the window as it is by then."""
    await campaigns.put_windows(tx.sql, events)


HANDLERS: Handlers = {
    # In a batch archives come first: the place that they give back may be wanted by a launch. Use
    # cases come last, as whoever holds an order or a number takes its use case after it.
    CampaignArchived: archive_campaigns,
    CampaignLaunched: open_orders,
    WindowChanged: change_windows,
    UseCaseRegistered: remember_use_cases,
}
