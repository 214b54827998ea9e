"""Events as they are heard: each is written down, and nothing else happens here."""

from collections.abc import Sequence

from services.provisioner import store
from services.provisioner.domain import Launch
from services.provisioner.steps import open_order
from shared.consumer import Handlers
from shared.database import Transaction
from shared.events import CampaignLaunched, UseCaseRegistered, WindowChanged
from shared.ids import new_id


async def remember_use_cases(tx: Transaction, events: Sequence[UseCaseRegistered]) -> None:
    """Know them, and let the campaigns that were launched before them go on."""
    await store.put_use_cases(tx.sql, events)
    keys = {(event.org_id, event.use_case_id) for event in events}
    await store.wake_waiting(tx.sql, keys, await tx.now())


async def open_orders(tx: Transaction, events: Sequence[CampaignLaunched]) -> None:
    """An order for each campaign, once; what a second launch of it says changes nothing."""
    first = {(event.org_id, event.campaign_id): event for event in reversed(events)}
    launched = [first[key] for key in sorted(first)]
    known = await store.use_cases(tx.sql, {(event.org_id, event.use_case_id) for event in launched})
    unconfirmed = await store.unconfirmed(
        tx.sql, {(event.org_id, event.number) for event in launched if event.number is not None}
    )
    await store.put_windows(tx.sql, launched)
    # An edit may have come before its launch.
    windows = await store.windows(tx.sql, set(first))
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
            ),
            use_case=known.get((event.org_id, event.use_case_id)),
            confirmed=(event.org_id, event.number) not in unconfirmed,
            now=now,
        )
        for event in launched
    ]
    added = await store.add_orders(tx.sql, [one.order for one in opened])
    for one in opened:
        if one.order.order_id in added:
            tx.tell(*one.told)


async def change_windows(tx: Transaction, events: Sequence[WindowChanged]) -> None:
    """What the admin is told at the end names the window as it is by then."""
    await store.put_windows(tx.sql, events)


HANDLERS: Handlers = {
    UseCaseRegistered: remember_use_cases,
    CampaignLaunched: open_orders,
    WindowChanged: change_windows,
}
