"""How an order moves: on to another step, to its next try, to its end. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from services.provisioner import told
from services.provisioner.domain import Moment, Order, Step, seconds
from shared.events import Event


@dataclass(frozen=True, slots=True)
class Followed:
    """An order as it is now, and what is to be told of it."""

    order: Order
    told: tuple[Event, ...] = ()


def to_step(order: Order, step: Step, now: datetime) -> Order:
    """Go on at once."""
    return replace(order, step=step, step_since=now, tries=0, refusals=0, error=None, due_at=now)


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
    order = replace(order, step=outcome, step_since=now, error=reason, due_at=None)
    return Followed(order, (told.provisioned(order, outcome, reason, now),))
