"""Why an order ended as it did, in the words that the admin will read. Pure."""

from collections.abc import Sequence

from services.provisioner.domain import CARRIER_NAMES, CARRIERS, Order, Patience

NAMED_MOST = 10
"""Area codes by name: with more, an event would carry no advice behind them."""


def no_number(order: Order) -> str:
    if not order.launch.area_codes:
        return "The provider has no numbers for sale."
    sold_out = f"No number is for sale in {_area_codes(order)}"
    if order.launch.nearby:
        return f"{sold_out} or nearby in the same state. Clone the campaign with other area codes."
    return f"{sold_out}. Clone the campaign with other area codes, or allow nearby ones."


def no_place(most: int) -> str:
    return (
        f"The use case has {most} numbers already, as many as the carriers allow. "
        "Archive a few old campaigns, then clone this one."
    )


def archived(order: Order) -> str:
    if order.purchased_at is None:
        return "The campaign was archived before it had a number."
    return "The campaign was archived before all carriers had confirmed its number."


LAUNCHED_WITH = "The campaign was launched on a number that was there: no number was bought for it."
DEDICATED = "The campaign sends from its use case's dedicated number: no number was bought for it."
GIVEN_BACK = (
    "The number was given back when the last campaign on it was archived. "
    "Clone the campaign instead: its clone gets a number of its own."
)


def from_nearby(order: Order) -> str | None:
    if not order.found_nearby:
        return None
    code = (order.number or "")[2:5]
    return f"Sold out in {_area_codes(order)}: the number is from {code}."


def _area_codes(order: Order) -> str:
    codes = tuple(dict.fromkeys(order.launch.area_codes))
    if len(codes) > NAMED_MOST:
        return f"all {len(codes)} area codes"
    return f"area code{'s' if len(codes) > 1 else ''} {_listed(codes)}"


def refused(order: Order) -> str:
    refusing = [carrier for carrier in CARRIERS if order.carriers[carrier].state == "refused"]
    names = _listed([CARRIER_NAMES[carrier] for carrier in refusing])
    # Some reasons begin with the carrier's name, and so do we.
    said = (order.carriers[refusing[0]].reason or "").removeprefix(
        f"{CARRIER_NAMES[refusing[0]]}: "
    )
    return f"Refused by {names}: {said}" if said else f"Refused by {names}."


def late(order: Order, patience: Patience) -> str:
    hours = f"{patience.limit_s / 3600:.4g} hours"
    if order.use_case is None and order.launch.number is None:
        return f"The use case was not registered within {hours}."
    if order.purchased_at is None:
        return f"No number could be bought within {hours}."
    silent = [carrier for carrier in CARRIERS if order.carriers[carrier].state == "pending"]
    names = _listed([CARRIER_NAMES[carrier] for carrier in silent])
    return f"Not confirmed by {names} within {hours}."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def short(text: str) -> str:
    """As an event can carry it."""
    return text.replace("\x00", "")[:200] or "no reason given"
