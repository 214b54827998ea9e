"""What the carriers say of an order's number, and what follows from it. Pure."""

from dataclasses import replace

from services.provisioner import moves, reasons, told
from services.provisioner.domain import (
    CARRIERS,
    FAST_FOR_S,
    Carrier,
    CarriersSaid,
    Moment,
    Order,
    seconds,
)
from services.provisioner.moves import Followed
from shared.events import CarrierState


def heard(order: Order, said: CarriersSaid, moment: Moment) -> Followed:
    """A carrier's word stands once it was given; what it says later changes nothing."""
    fresh: dict[Carrier, CarrierState] = {}
    for carrier in CARRIERS:
        state = said.states.get(carrier, "pending")
        if order.carriers[carrier].state == "pending" and state != "pending":
            reason = reasons.short(said.reason) if state == "refused" and said.reason else None
            fresh[carrier] = CarrierState(state=state, at=moment.now, reason=reason)
    order = replace(order, carriers={**order.carriers, **fresh})
    answers = tuple(told.answered(order, carrier) for carrier in fresh)
    states = [order.carriers[carrier].state for carrier in CARRIERS]
    if "refused" in states:
        settled = moves.settle(order, "failed", moment.now, reasons.refused(order))
    elif all(state == "confirmed" for state in states):
        settled = moves.settle(order, "complete", moment.now, reasons.from_nearby(order))
    else:
        settled = Followed(moves.poll(order, moment))
    return Followed(settled.order, answers + settled.told)


def not_attached(order: Order, moment: Moment) -> Order:
    # What was attached a moment ago may not be shown yet. The campaign that bought the number may
    # have been archived on the way, so a later one on it puts it on its use case too.
    if seconds(moment.now, order.step_since) >= FAST_FOR_S and order.use_case is not None:
        return moves.to_step(order, "attach", moment.now)
    return replace(moves.poll(order, moment), error="the provider shows the number on no use case")
