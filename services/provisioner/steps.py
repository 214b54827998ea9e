"""The story of an order, step by step: what to do next, and what follows from what came of it.

Pure: the time and the luck are arguments. An act is done outside between `intend`, whose result is
committed before the call, and `follow`, whose result is committed after it; whatever is lost in
between, the next replica goes on from the intent. A settled order never changes again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from services.provisioner import reasons, told
from services.provisioner.domain import (
    CARRIERS,
    FAST_FOR_S,
    SETTLED,
    Absent,
    Act,
    Answer,
    AskCarriers,
    Attach,
    Buy,
    Carrier,
    CarriersSaid,
    Done,
    Drop,
    Found,
    GiveUp,
    Launch,
    LookUp,
    Moment,
    NotTaken,
    Order,
    Ordered,
    Patience,
    Refused,
    Room,
    Search,
    SeeOrder,
    SetProfile,
    Standing,
    Step,
    TakePlace,
    Unclear,
    UseCase,
    Wait,
    seconds,
)
from shared.events import CarrierState, Event

ROUNDS = 3
"""All area codes are searched so often before a campaign is told that there is no number."""
REFUSALS_MOST = 5
"""A number that was bought a moment ago is not known to all parts of the provider at once, so
only a refusal that stays is believed."""
CANDIDATES = 3
"""Of what a search found, so many are tried; when these are gone, so are most of the others."""
NUMBERS_AT_ONCE = 20
"""So many numbers may be gone in a row before the next one is asked for at leisure."""


@dataclass(frozen=True, slots=True)
class Followed:
    """An order as it is now, and what is to be told of it."""

    order: Order
    told: tuple[Event, ...] = ()


def open_order(
    order_id: str,
    launch: Launch,
    *,
    use_case: UseCase | None,
    standing: Standing = "ready",
    archived: bool = False,
    now: datetime,
) -> Followed:
    """The order of a campaign that was launched.

    `standing`: how the number stands that it was launched with, if it was. `archived`: that was
    heard before the launch.
    """
    pending = CarrierState(state="pending", at=now)
    order = Order(
        order_id=order_id,
        launch=launch,
        use_case=use_case,
        step="waiting" if use_case is None else "place",
        step_since=now,
        carriers=dict.fromkeys(CARRIERS, pending),
        due_at=now,
        archived=archived,
    )
    if launch.number is None:
        return Followed(order)
    if standing == "given back":
        return _settle(order, "failed", now, reasons.GIVEN_BACK)
    if standing == "on its way back":
        return Followed(order)
    order = replace(order, number=launch.number, purchased_at=now)
    purchased = (told.purchased(order, now),)
    if standing == "unconfirmed":
        return Followed(replace(order, step="confirm"), purchased)
    yes = CarrierState(state="confirmed", at=now)
    order = replace(order, carriers=dict.fromkeys(CARRIERS, yes))
    settled = _settle(order, "complete", now, "It was launched with its number: nothing to buy.")
    return Followed(settled.order, purchased + settled.told)


def with_profile(order: Order, profile_id: str | None) -> Order:
    """The order with this messaging profile, where its use case names none."""
    use_case = order.use_case
    if use_case is None or use_case.messaging_profile_id is not None:
        return order
    return replace(order, use_case=replace(use_case, messaging_profile_id=profile_id))


def next_act(order: Order, now: datetime, patience: Patience) -> Act:
    """What to do for an order that is due."""
    assert order.step not in SETTLED
    if order.archived:
        return Drop()
    if seconds(now, order.launch.launched_at) >= patience.limit_s:
        return GiveUp()
    if order.step == "confirm":
        return AskCarriers(_number(order))
    use_case = order.use_case
    if use_case is None:
        return Wait()
    if order.step in ("waiting", "place"):
        return TakePlace()
    if order.step == "search":
        return order.preferences[order.preference]
    if order.step == "order":
        if order.ask in ("new", "doubted"):
            return Buy(_number(order), order.reference, use_case.messaging_profile_id)
        return LookUp(order.reference)
    if order.step == "ordered":
        return SeeOrder(order.provider_order_id or "")
    if order.step == "profile" and use_case.messaging_profile_id is not None:
        return SetProfile(_number(order), use_case.messaging_profile_id)
    return Attach(_number(order), use_case.provider_campaign_id)


def intend(order: Order, act: Act, now: datetime) -> Order:
    """The order as it is to be committed before the act is done."""
    if isinstance(act, Buy):
        return replace(order, ask="asked" if order.ask == "new" else "asked again", asked_at=now)
    if isinstance(act, TakePlace) and order.step == "waiting":
        return replace(order, step="place", step_since=now)
    if isinstance(act, Attach):
        return replace(order, asked_at=now)
    return order


def follow(order: Order, act: Act, answer: Answer, moment: Moment) -> Followed:
    """What comes of an act's answer; `order` as `intend` left it.

    An answer that makes no sense for the act is tried again, like a fault that passes.
    """
    match act, answer:
        case GiveUp(), _:
            return _settle(order, "failed", moment.now, reasons.late(order, moment.patience))
        case Drop(), _:
            return _settle(order, "failed", moment.now, reasons.archived(order))
        case TakePlace(), Room():
            return _placed(order, answer, moment)
        case Wait(), _:
            return Followed(_poll(order, moment))
        case Buy(), NotTaken(reason, after_s):
            before = replace(order, ask="new" if order.ask == "asked" else "doubted")
            return Followed(_again(before, moment, reason, after_s))
        case Buy() | SeeOrder() | LookUp(), Ordered():
            return _ordered(order, answer, moment)
        case Buy(), Refused(reason):
            return Followed(_gone(order, moment, reason))
        case LookUp(), Absent():
            return Followed(_not_found(order, moment))
        case Search(), Found() | Refused():
            return _found(order, answer.numbers if isinstance(answer, Found) else (), moment)
        case SetProfile(), Done():
            return Followed(_to(order, "attach", moment.now))
        case Attach(), Done():
            attached = replace(order, asked_at=None)
            return Followed(_poll(_to(attached, "confirm", moment.now), moment))
        case SetProfile() | Attach(), Refused(reason) if order.refusals + 1 >= REFUSALS_MOST:
            return _settle(order, "failed", moment.now, f"The provider refused it: {reason}")
        case AskCarriers(), CarriersSaid():
            return _heard(order, answer, moment)
        case AskCarriers(), Absent():
            return Followed(_not_attached(order, moment))
        case _, Refused(reason):
            refused = replace(order, refusals=order.refusals + 1)
            return Followed(_again(refused, moment, reason))
        case _, NotTaken(reason, after_s):
            return Followed(_again(order, moment, reason, after_s))
        case _, Unclear(reason):
            return Followed(_again(order, moment, reason))
        case _:
            return Followed(_again(order, moment, "the provider does not know of it (yet)"))


# --- a place on the use case, and a number for it ------------------------------------------------


def _placed(order: Order, room: Room, moment: Moment) -> Followed:
    if room.number_is_gone:
        return _settle(order, "failed", moment.now, reasons.GIVEN_BACK)
    if room.held < room.most:
        if order.launch.number is None:
            return Followed(_to(order, "search", moment.now))
        return _bought(replace(order, number=order.launch.number), moment)
    if room.leaving:
        waiting = replace(_poll(order, moment), error="waits for a place on its use case")
        return Followed(waiting)
    return _settle(order, "failed", moment.now, reasons.no_place(room.most))


def _found(order: Order, numbers: Sequence[str], moment: Moment) -> Followed:
    if numbers:
        # Other campaigns are offered the same list at the same time: each starts elsewhere in it.
        start = int(moment.luck * len(numbers))
        turned = (*numbers[start:], *numbers[:start])
        return Followed(_try_number(order, turned, moment))
    if order.preference + 1 < len(order.preferences):
        return Followed(replace(order, preference=order.preference + 1, due_at=moment.now))
    if order.refusals + 1 >= ROUNDS:
        return _settle(order, "failed", moment.now, reasons.no_number(order))
    again = replace(order, preference=0, refusals=order.refusals + 1)
    return Followed(_again(again, moment, reasons.no_number(order)))


def _try_number(order: Order, numbers: Sequence[str], moment: Moment) -> Order:
    return replace(
        _to(order, "order", moment.now),
        number=numbers[0],
        candidates=tuple(numbers[1:CANDIDATES]),
        purchase=order.purchase + 1,
        ask="new",
        asked_at=None,
        provider_order_id=None,
    )


def _next_number(order: Order, moment: Moment, why: str) -> Order:
    """Go on to another number; `order.number` is surely not ours."""
    if order.candidates:
        fresh = _try_number(order, order.candidates, moment)
    else:
        fresh = replace(_to(order, "search", moment.now), number=None, provider_order_id=None)
    spent = order.purchase - NUMBERS_AT_ONCE
    if spent > 0:
        return _again(replace(fresh, tries=spent), moment, why)
    return replace(fresh, error=why)


def _gone(order: Order, moment: Moment, why: str) -> Order:
    if order.ask == "asked":
        return _next_number(order, moment, why)
    # An earlier request of ours may have got it after all, and not be listed yet.
    return replace(order, ask="gone", asked_at=moment.now, error=why, due_at=moment.now)


def _not_found(order: Order, moment: Moment) -> Order:
    since = order.asked_at or order.step_since
    if seconds(moment.now, since) < moment.patience.look_up_s:
        return _poll(order, moment)
    if order.ask == "gone":
        return _next_number(order, moment, order.error or "the number was gone")
    return replace(order, ask="doubted", due_at=moment.now)


def _ordered(order: Order, answer: Ordered, moment: Moment) -> Followed:
    if answer.state == "failure":
        return Followed(_next_number(order, moment, "the number was gone before it was ours"))
    order = replace(order, provider_order_id=answer.provider_order_id)
    if answer.state == "pending":
        waiting = order if order.step == "ordered" else _to(order, "ordered", moment.now)
        return Followed(_poll(waiting, moment))
    return _bought(order, moment)


def _bought(order: Order, moment: Moment) -> Followed:
    """Its number is the campaign's from now on."""
    has_profile = order.use_case is not None and order.use_case.messaging_profile_id is not None
    order = _to(order, "profile" if has_profile else "attach", moment.now)
    order = replace(order, purchased_at=moment.now, candidates=(), asked_at=None)
    return Followed(order, (told.purchased(order, moment.now),))


# --- confirming it -------------------------------------------------------------------------------


def _heard(order: Order, said: CarriersSaid, moment: Moment) -> Followed:
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
        settled = _settle(order, "failed", moment.now, reasons.refused(order))
    elif all(state == "confirmed" for state in states):
        settled = _settle(order, "complete", moment.now, reasons.from_nearby(order))
    else:
        settled = Followed(_poll(order, moment))
    return Followed(settled.order, answers + settled.told)


def _not_attached(order: Order, moment: Moment) -> Order:
    # What was attached a moment ago may not be shown yet. The campaign that bought the number may
    # have been archived on the way, so a later one on it puts it on its use case too.
    if seconds(moment.now, order.step_since) >= FAST_FOR_S and order.use_case is not None:
        return _to(order, "attach", moment.now)
    return replace(_poll(order, moment), error="the provider shows the number on no use case")


# --- when, and why -------------------------------------------------------------------------------


def _to(order: Order, step: Step, now: datetime) -> Order:
    return replace(order, step=step, step_since=now, tries=0, refusals=0, error=None, due_at=now)


def _poll(order: Order, moment: Moment) -> Order:
    """Look again: often at first, then ever more rarely."""
    delay_s = moment.patience.poll_after_s(seconds(moment.now, order.step_since))
    return replace(order, tries=0, error=None, due_at=moment.now + timedelta(seconds=delay_s))


def _again(order: Order, moment: Moment, why: str, after_s: float | None = None) -> Order:
    """Try again after a fault."""
    delay_s = moment.patience.again_after_s(order.tries, moment.luck, after_s)
    due_at = moment.now + timedelta(seconds=delay_s)
    return replace(order, tries=order.tries + 1, error=why, due_at=due_at)


def _settle(
    order: Order, outcome: Literal["complete", "failed"], now: datetime, reason: str | None
) -> Followed:
    order = replace(order, step=outcome, step_since=now, error=reason, due_at=None)
    return Followed(order, (told.provisioned(order, outcome, reason, now),))


def _number(order: Order) -> str:
    assert order.number is not None
    return order.number
