"""What the carriers say of an order's number, and what follows from it. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from services.provisioner.domain import (
    CARRIERS,
    FAST_FOR_S,
    SETTLED,
    Answer,
    CarrierFact,
    CarriersSaid,
    Moment,
    NotTaken,
    Order,
    seconds,
)
from services.provisioner.rules import moves, reasons, told, words
from services.provisioner.rules.moves import Followed


def weighed(order: Order, facts: Iterable[CarrierFact], moment: Moment) -> Followed:
    """What the carriers' words come to with these facts: what has failed may complete late, what is
    complete stays so."""
    before = order.carriers
    after = words.merged(before, words.counting(order, facts))
    changed = [carrier for carrier in CARRIERS if after[carrier].state != before[carrier].state]
    # Each later fact of the number repeats what all carriers say: that is nobody's new word.
    since = {
        carrier: after[carrier].at if carrier in changed else order.told_word(carrier).at
        for carrier in CARRIERS
    }
    order = replace(order, carriers=after, since=since)
    answers = tuple(told.answered(order, carrier) for carrier in changed)
    ended = _outcome(order, moment)
    return Followed(ended.order, answers + ended.told)


def _outcome(order: Order, moment: Moment) -> Followed:
    states = {word.state for word in order.carriers.values()}
    if order.step == "complete" or order.archived:
        # What is archived and under way is dropped next.
        return Followed(replace(order, due_at=None if order.step in SETTLED else moment.now))
    if states == {"confirmed"}:
        return moves.settle(order, "complete", moment.now, reasons.from_nearby(order))
    if order.step == "failed":
        return Followed(moves.watched(order, moment))
    if "refused" in states:
        return moves.failed(order, moment, reasons.refused(order))
    return Followed(moves.poll(order, moment))


def watched(order: Order, answer: Answer, moment: Moment) -> Followed:
    """What comes of a look at the number of an order that has failed: a fault changes nothing."""
    if isinstance(answer, CarriersSaid):
        return weighed(order, words.polled(order, answer, moment.now), moment)
    after_s = answer.after_s if isinstance(answer, NotTaken) else None
    return Followed(moves.watched(order, moment, after_s))


def not_attached(order: Order, moment: Moment) -> Order:
    # What was attached a moment ago may not be shown yet. The campaign that bought the number may
    # have been archived on the way, so a later one on it puts it on its use case too.
    if seconds(moment.now, order.step_since) >= FAST_FOR_S and order.use_case is not None:
        return moves.put_on_use_case(order, moment.now)
    return replace(moves.poll(order, moment), error="the provider shows the number on no use case")
