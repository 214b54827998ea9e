"""Contact lists whose carriers are asked for: what is known is told at once, the other phones stand
in the line for look-ups, behind those that texts wait for."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from services.collider.store import recipients
from services.collider.store.recipients import PhoneKey
from shared.database import Transaction
from shared.events import CarriersAsked, CarriersFound, FoundCarrier
from shared.fields import Carrier

FOUND_MOST = 500


async def ask(tx: Transaction, events: Sequence[CarriersAsked]) -> None:
    """Tell what is known of these phones, and have the others looked up."""
    asked = {(event.org_id, phone) for event in events for phone in event.phones}
    known = await recipients.known_carriers(tx, {phone for _, phone in asked})
    tell(tx, {key: known[key[1]].carrier for key in asked if key[1] in known})
    await recipients.ask_for_lists(tx, {key for key in asked if key[1] not in known})


def tell(tx: Transaction, found: Mapping[PhoneKey, Carrier]) -> None:
    """Tell with which carriers these phones are, for all that is known."""
    by_organization: dict[str, list[FoundCarrier]] = defaultdict(list)
    for (org_id, phone), carrier in sorted(found.items()):
        # `other` is what a text goes by where no look-up helped: nothing to tell of a phone.
        named = None if carrier == "other" else carrier
        by_organization[org_id].append(FoundCarrier(phone=phone, carrier=named))
    for org_id, phones in by_organization.items():
        for start in range(0, len(phones), FOUND_MOST):
            tx.tell(CarriersFound(org_id=org_id, found=tuple(phones[start : start + FOUND_MOST])))
