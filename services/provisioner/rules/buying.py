"""A place on the use case, and a number for it: what follows from each answer on the way. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.provisioner.domain import (
    CARRIERS,
    Dedicated,
    Moment,
    Order,
    Ordered,
    Room,
    Search,
    seconds,
)
from services.provisioner.rules import moves, reasons, told
from services.provisioner.rules.area_codes import fits, searches
from services.provisioner.rules.moves import Followed
from shared.events import CarrierState

ROUNDS = 3
"""All area codes are searched so often before a campaign is told that there is no number."""
CANDIDATES = 3
"""Of what a search found, so many are tried; when these are gone, so are most of the others."""
NUMBERS_AT_ONCE = 20
"""So many numbers may be gone in a row before the next one is asked for at leisure."""


def placed(order: Order, room: Room, moment: Moment) -> Followed:
    if room.number_is_gone:
        return moves.settle(order, "failed", moment.now, reasons.GIVEN_BACK)
    if room.held < room.most:
        if order.launch.number is None:
            return Followed(moves.to_step(order, "search", moment.now))
        return bought(replace(order, number=order.launch.number), moment)
    if room.leaving:
        waiting = replace(moves.poll(order, moment), error="waits for a place on its use case")
        return Followed(waiting)
    return moves.settle(order, "failed", moment.now, reasons.no_place(room.most))


def dedicated(order: Order, kept: Dedicated, moment: Moment) -> Followed:
    """The use case has, or will have, a number for many campaigns, and so for this one."""
    if kept.number is None:
        waits_for = "waits for the use case's dedicated number"
        return Followed(replace(moves.poll(order, moment), error=waits_for))
    return shared(order, kept.number, reasons.DEDICATED, moment.now, is_confirmed=kept.is_confirmed)


def shared(order: Order, number: str, why: str, now: datetime, *, is_confirmed: bool) -> Followed:
    """It sends from a number that is there already. `why`: nothing is bought."""
    order = replace(order, number=number, purchased_at=now)
    purchased = (told.purchased(order, now),)
    if not is_confirmed:
        return Followed(moves.to_step(order, "confirm", now), purchased)
    yes = CarrierState(state="confirmed", at=now)
    order = replace(order, carriers=dict.fromkeys(CARRIERS, yes))
    settled = moves.settle(order, "complete", now, why)
    return Followed(settled.order, purchased + settled.told)


def next_search(order: Order) -> Search:
    """The search that is its turn: the first, where another version's table had more of them."""
    wanted = searches(order.launch)
    return wanted[order.preference if order.preference < len(wanted) else 0]


def found(order: Order, search: Search, numbers: Sequence[str], moment: Moment) -> Followed:
    right = [number for number in numbers if fits(search, number)]
    if right:
        # Other campaigns are offered the same list at the same time: each starts elsewhere in it.
        start = int(moment.luck * len(right))
        return Followed(_try_number(order, right[start:] + right[:start], moment))
    if order.preference + 1 < len(searches(order.launch)):
        return Followed(replace(order, preference=order.preference + 1, due_at=moment.now))
    if order.refusals + 1 >= ROUNDS:
        return moves.settle(order, "failed", moment.now, reasons.no_number(order))
    again = replace(order, preference=0, refusals=order.refusals + 1)
    return Followed(moves.again(again, moment, reasons.no_number(order)))


def _try_number(order: Order, numbers: Sequence[str], moment: Moment) -> Order:
    return replace(
        moves.to_step(order, "order", moment.now),
        number=numbers[0],
        candidates=tuple(numbers[1:CANDIDATES]),
        purchase=order.purchase + 1,
        ask="new",
        asked_at=None,
        provider_order_id=None,
    )


def _next_number(order: Order, moment: Moment, why: str) -> Order:
    """Go on to another number; `order.number` is surely not ours."""
    spent = order.purchase - NUMBERS_AT_ONCE
    if order.candidates:
        fresh = _try_number(order, order.candidates, moment)
    else:
        fresh = moves.to_step(order, "search", moment.now)
        fresh = replace(fresh, number=None, provider_order_id=None)
        if spent > 0:
            # What is listed there and always gone is as good as sold out.
            following = (order.preference + 1) % len(searches(order.launch))
            fresh = replace(fresh, preference=following)
    if spent > 0:
        return moves.again(replace(fresh, tries=spent), moment, why)
    return replace(fresh, error=why)


def gone(order: Order, moment: Moment, why: str) -> Order:
    if order.ask == "asked":
        return _next_number(order, moment, why)
    # An earlier request of ours may have got it after all, and not be listed yet.
    return replace(order, ask="gone", asked_at=moment.now, error=why, due_at=moment.now)


def not_found(order: Order, moment: Moment) -> Followed:
    since = order.asked_at or order.step_since
    if seconds(moment.now, since) < moment.patience.look_up_s:
        return Followed(moves.poll(order, moment))
    if order.ask == "gone":
        # Should the first request land even now, what it bought is found and given back.
        why = order.error or "the number was gone"
        return Followed(_next_number(order, moment, why), sought=order)
    return Followed(replace(order, ask="doubted", due_at=moment.now))


def ordered(order: Order, answer: Ordered, moment: Moment) -> Followed:
    if answer.state == "failure":
        return _not_sold(order, moment)
    order = replace(order, provider_order_id=answer.provider_order_id)
    if answer.state == "pending":
        waiting = order if order.step == "ordered" else moves.to_step(order, "ordered", moment.now)
        return Followed(moves.poll(waiting, moment))
    return bought(order, moment)


def _not_sold(order: Order, moment: Moment) -> Followed:
    why = "the number was gone before it was ours"
    if order.step == "ordered":
        order = replace(moves.to_step(order, "order", moment.now), provider_order_id=None)
    if order.ask != "gone":
        return Followed(gone(order, moment, why))
    return not_found(order, moment)


def bought(order: Order, moment: Moment) -> Followed:
    """Its number is the campaign's from now on."""
    order = moves.put_on_use_case(order, moment.now)
    order = replace(order, purchased_at=moment.now, candidates=(), ask="new", asked_at=None)
    return Followed(order, (told.purchased(order, moment.now),))
