"""What keeps an order longer than it should, and when the admin is told of it. Pure."""

from dataclasses import replace

from services.provisioner.domain import Moment, Order, Step, seconds
from services.provisioner.rules import told
from services.provisioner.rules.moves import Followed
from shared.events import NumberPurchased

FAULTS_MANY = 3
"""Faults in a row in one step; fewer are made good before anybody would have noticed."""

_PROVIDER: dict[Step, str] = {
    "search": "the number provider: it does not say which numbers are for sale",
    "order": "the number provider: it has not sold a number yet",
    "ordered": "the number provider: it has not sold a number yet",
    "profile": "the number provider: it has not put the number on its messaging profile yet",
    "attach": "the number provider: it has not put the number on the use case yet",
    "confirm": "the number provider: it does not say what the carriers answered",
}
_USE_CASE: dict[Step, str] = {
    "waiting": "its use case: it is not registered yet",
    "place": "a place on its use case: a number is still on its way off it",
}

_CARRIERS = "the carriers: they have not all confirmed the number yet"
_DEDICATED = "the dedicated number of its use case: it is not bought yet"


def waits_for(order: Order, moment: Moment) -> str | None:
    """What an order waits for, in words for the admin; None: for nothing unusual."""
    if order.tries >= FAULTS_MANY:
        return _PROVIDER.get(order.step)
    if order.step == "confirm":
        # Carriers that take their time are no delay; but one that was told is not the cause still.
        return None if order.waits_for is None else _CARRIERS
    if order.step == "place" and order.launch.dedicated:
        is_late = seconds(moment.now, order.step_since) >= moment.patience.fast_s
        return _DEDICATED if is_late else None
    # A registration that comes right behind its launch, or a place at once, is no delay.
    if seconds(moment.now, order.step_since) >= moment.patience.poll_s:
        return _USE_CASE.get(order.step)
    return None


def with_delay(followed: Followed, moment: Moment) -> Followed:
    """Tell of a delay, once for each cause in a row; whatever is told of the order ends it."""
    order = followed.order
    if any(isinstance(event, NumberPurchased) for event in followed.told):
        order = replace(order, waits_for=None)
    words = waits_for(order, moment)
    if words is None or words == order.waits_for:
        known = None if followed.told else order.waits_for
        return replace(followed, order=replace(order, waits_for=known))
    delayed = told.delayed(order, words, moment.now)
    return replace(followed, order=replace(order, waits_for=words), told=(*followed.told, delayed))
