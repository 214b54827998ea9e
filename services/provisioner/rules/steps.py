"""The story of an order, step by step: what to do next, and what follows from what came of it.

Pure: the time and the luck are arguments. An act is done outside between `intend`, whose result is
committed before the call, and `follow`, whose result is committed after it; whatever is lost in
between, the next replica goes on from the intent. An order that is complete stays so; one that has
failed with a number of its own may complete late.
"""

from dataclasses import replace
from datetime import datetime

from services.provisioner.domain import (
    CARRIERS,
    SETTLED,
    Absent,
    Act,
    Answer,
    Ask,
    AskCarriers,
    Attach,
    Buy,
    CarriersSaid,
    Dedicated,
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
    TakePlace,
    Unclear,
    UseCase,
    Wait,
    Weigh,
    seconds,
)
from services.provisioner.rules import buying, confirming, moves, reasons, words
from services.provisioner.rules.delays import with_delay
from services.provisioner.rules.moves import Followed
from shared.events import CarrierState

REFUSALS_MOST = 5
"""A number that was bought a moment ago is not known to all parts of the provider at once, so
only a refusal that stays is believed."""


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
        return moves.settle(order, "failed", now, reasons.GIVEN_BACK)
    if standing == "on its way back":
        return Followed(order)
    return buying.shared(
        order, launch.number, reasons.LAUNCHED_WITH, now, is_confirmed=standing == "ready"
    )


def with_profile(order: Order, profile_id: str | None) -> Order:
    """The order with this messaging profile, where its use case names none."""
    use_case = order.use_case
    if use_case is None or use_case.messaging_profile_id is not None:
        return order
    return replace(order, use_case=replace(use_case, messaging_profile_id=profile_id))


def next_act(order: Order, now: datetime, patience: Patience) -> Act:
    """What to do for an order that is due."""
    if order.step in ("confirm", *SETTLED) and words.has_news(order):
        return Weigh()
    if order.step in SETTLED:
        return AskCarriers(_number(order)) if _is_watched(order) else Weigh()
    is_late = seconds(now, order.launch.launched_at) >= patience.limit_s
    if order.archived and (is_late or not _serves_others(order)):
        return Drop()
    if is_late:
        return GiveUp()
    if order.step == "confirm":
        return AskCarriers(_number(order))
    use_case = order.use_case
    if use_case is None:
        return Wait()
    if order.step in ("waiting", "place"):
        return TakePlace()
    if order.step == "search":
        return buying.next_search(order)
    if order.step == "order":
        if order.ask in ("new", "doubted"):
            return Buy(_number(order), order.reference, use_case.messaging_profile_id)
        return LookUp(order.reference)
    if order.step == "ordered":
        return SeeOrder(order.provider_order_id or "")
    if order.step == "profile" and use_case.messaging_profile_id is not None:
        return SetProfile(_number(order), use_case.messaging_profile_id)
    return Attach(_number(order), use_case.provider_campaign_id)


def _serves_others(order: Order) -> bool:
    """Whether it is on the way to a number that is not its own campaign's alone: those that send
    from it too wait for the carriers, and put it on its use case only after a long while."""
    if order.step in ("profile", "attach"):
        return order.launch.dedicated or order.is_followed
    return order.launch.dedicated and order.may_have_bought and order.ask != "doubted"


def _is_watched(order: Order) -> bool:
    return order.step == "failed" and order.purchased_at is not None and not order.archived


def intend(order: Order, act: Act, now: datetime) -> Order:
    """The order as it is to be committed before the act is done."""
    if isinstance(act, Buy | Attach):
        ask: Ask = "asked" if order.asked_at is None else "asked again"
        return replace(order, ask=ask, asked_at=now)
    if isinstance(act, TakePlace) and order.step == "waiting":
        return replace(order, step="place", step_since=now)
    return order


def follow(order: Order, act: Act, answer: Answer, moment: Moment) -> Followed:
    """What comes of an act's answer; `order` as `intend` left it.

    An answer that makes no sense for the act is tried again, like a fault that passes.
    """
    followed = with_delay(_follow(order, act, answer, moment), moment)
    if isinstance(next_act(followed.order, moment.now, moment.patience), Drop):
        # It was archived while the act was done.
        return replace(followed, order=replace(followed.order, due_at=moment.now))
    return followed


def _follow(order: Order, act: Act, answer: Answer, moment: Moment) -> Followed:
    if isinstance(act, Attach) and not isinstance(answer, Unclear):
        order = _answered(order)
    match act, answer:
        case Weigh(), _:
            return confirming.weighed(order, order.facts, moment)
        case AskCarriers(), _ if order.step == "failed":
            return confirming.watched(order, answer, moment)
        case GiveUp(), _:
            return moves.failed(order, moment, reasons.late(order, moment.patience))
        case Drop(), _:
            return moves.settle(order, "failed", moment.now, reasons.archived(order))
        case TakePlace(), _ if order.archived:
            return Followed(order)  # It takes nothing, and is dropped next.
        case TakePlace(), Room():
            return buying.placed(order, answer, moment)
        case TakePlace(), Dedicated():
            return buying.dedicated(order, answer, moment)
        case Wait(), _:
            return Followed(moves.poll(order, moment))
        case Buy(), NotTaken(reason, after_s):
            return Followed(moves.again(_answered(order), moment, reason, after_s))
        case Buy() | SeeOrder() | LookUp(), Ordered():
            return buying.ordered(order, answer, moment)
        case Buy(), Refused(reason):
            return Followed(buying.gone(order, moment, reason))
        case LookUp(), Absent():
            return buying.not_found(order, moment)
        case Search(), Found() | Refused():
            numbers = answer.numbers if isinstance(answer, Found) else ()
            return buying.found(order, act, numbers, moment)
        case SetProfile(), Done():
            return Followed(moves.to_step(order, "attach", moment.now))
        case Attach(), Done():
            return Followed(moves.poll(moves.to_step(order, "confirm", moment.now), moment))
        case SetProfile() | Attach(), Refused(reason) if order.refusals + 1 >= REFUSALS_MOST:
            return moves.failed(order, moment, f"The provider refused it: {reason}")
        case AskCarriers(), CarriersSaid():
            return confirming.weighed(order, words.polled(order, answer, moment.now), moment)
        case AskCarriers(), Absent():
            return Followed(confirming.not_attached(order, moment))
        case _, Refused(reason):
            refused = replace(order, refusals=order.refusals + 1)
            return Followed(moves.again(refused, moment, reason))
        case _, NotTaken(reason, after_s):
            return Followed(moves.again(order, moment, reason, after_s))
        case _, Unclear(reason):
            return Followed(moves.again(order, moment, reason))
        case _:
            return Followed(moves.again(order, moment, "the provider does not know of it (yet)"))


def _answered(order: Order) -> Order:
    """Nothing is left of a request that was answered. Of one before it, of which nobody has heard,
    there may be: it may land yet, and put a number on its use case that was taken off meanwhile."""
    if order.ask == "asked":
        return replace(order, ask="new", asked_at=None)
    return replace(order, ask="doubted")


def _number(order: Order) -> str:
    assert order.number is not None
    return order.number
