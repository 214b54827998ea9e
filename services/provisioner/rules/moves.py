"""How an order moves: on to another step, to its next try, to its end. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from services.provisioner.domain import Moment, Order, Step, seconds
from services.provisioner.rules import told
from shared.events import Event


@dataclass(frozen=True, slots=True)
class Followed:
    """An order as it is now, and what is to be told of it.

    `sought`: the order as it was for a number that it leaves behind, and that may turn out to be
    ours: it is looked for, and given back.
    """

    order: Order
    told: tuple[Event, ...] = ()
    sought: Order | None = None


def to_step(order: Order, step: Step, now: datetime) -> Order:
    """Go on at once."""
    return replace(order, step=step, step_since=now, tries=0, refusals=0, error=None, due_at=now)


def put_on_use_case(order: Order, now: datetime) -> Order:
    """Go on with its number, which is to be on the use case's messaging profile first."""
    has_profile = order.use_case is not None and order.use_case.messaging_profile_id is not None
    return to_step(order, "profile" if has_profile else "attach", now)


def poll(order: Order, moment: Moment) -> Order:
    """Look again: often at first, then ever more rarely."""
    delay_s = moment.patience.poll_after_s(seconds(moment.now, order.step_since))
    return replace(order, tries=0, error=None, due_at=moment.now + timedelta(seconds=delay_s))


def again(order: Order, moment: Moment, why: str, after_s: float | None = None) -> Order:
    """Try again after a fault."""
    delay_s = moment.patience.again_after_s(order.tries, moment.luck, after_s)
    due_at = moment.now + timedelta(seconds=delay_s)
    return replace(order, tries=order.tries + 1, error=why, due_at=due_at)


def settle(
    order: Order, outcome: Literal["complete", "failed"], now: datetime, reason: str | None
) -> Followed:
    """End it, and say why."""
    late = order.step == "failed" and outcome == "complete"
    sought = order if order.may_have_bought else None
    order = replace(order, step=outcome, step_since=now, error=reason, due_at=None)
    event = told.provisioned(order, outcome, reason, now, after_failure=late)
    return Followed(order, (event,), sought)


def failed(order: Order, moment: Moment, reason: str) -> Followed:
    """End it as failed; a number that it has is looked at still."""
    ended = settle(order, "failed", moment.now, reason)
    return replace(ended, order=watched(ended.order, moment))


def watched(order: Order, moment: Moment, after_s: float | None = None) -> Order:
    """Look again at the number of an order that has failed, ever more rarely, for as long as its
    carriers had to confirm it. Later only what they say themselves is heard."""
    if order.purchased_at is None or order.archived:
        return replace(order, due_at=None)
    patience = moment.patience
    delay_s = patience.watch_after_s(seconds(moment.now, order.step_since), after_s)
    waited_s = seconds(moment.now, order.launch.launched_at)
    if waited_s + delay_s >= patience.limit_s:
        return replace(order, due_at=None)
    return replace(order, due_at=moment.now + timedelta(seconds=delay_s))
