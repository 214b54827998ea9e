"""Which of a carrier's words stands. Pure.

Words come by webhook, by poll and by reconciliation: late, twice, in any order, and against each
other. The last by the provider's own time stands, whoever brought it and whenever; of two of one
time, the confirmation. So it is the same in the end in whichever order they come.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from services.provisioner.domain import (
    CARRIERS,
    FAST_FOR_S,
    Carrier,
    CarrierFact,
    CarriersSaid,
    Order,
    seconds,
)
from services.provisioner.rules import reasons
from shared.events import CarrierState

Words = Mapping[Carrier, CarrierState]


def rank(word: CarrierState) -> tuple[bool, datetime, bool, str]:
    """The highest stands; pending is no word, whenever it was said."""
    return (word.state != "pending", word.at, word.state == "confirmed", word.reason or "")


def merged(words: Words, facts: Iterable[CarrierFact]) -> Words:
    """The words that stand after these facts."""
    standing = dict(words)
    for fact in facts:
        word = CarrierState(state=fact.state, at=fact.at, reason=why(fact))
        standing[fact.carrier] = max(standing[fact.carrier], word, key=rank)
    return standing


def why(fact: CarrierFact) -> str | None:
    """Why a carrier refuses, as an event can carry it; a confirmation needs no reason."""
    if fact.state == "confirmed" or not fact.reason:
        return None
    return reasons.short(fact.reason)


def counting(order: Order, facts: Iterable[CarrierFact]) -> list[CarrierFact]:
    """Those of the facts that are about the order's number on its use case, as it is on it now: not
    about an earlier time there, nor about another use case."""
    use_case = order.use_case
    return [
        fact
        for fact in facts
        if fact.number == order.number
        and (order.on_since is None or fact.at >= order.on_since)
        and (
            fact.provider_campaign_id is None
            or use_case is None
            or fact.provider_campaign_id == use_case.provider_campaign_id
        )
    ]


def has_news(order: Order) -> bool:
    """Whether what was heard of its number changes a word that the order knows."""
    return merged(order.carriers, counting(order, order.facts)) != order.carriers


def polled(order: Order, said: CarriersSaid, now: datetime) -> Sequence[CarrierFact]:
    """What an answer to our own question says. Without the provider's time, a word counts from when
    it was first heard, not from each time that it is heard again."""
    assert order.number is not None
    at = said.at or now
    if order.on_since is not None and seconds(now, order.step_since) >= FAST_FOR_S:
        # By now it shows no earlier time on the use case any more: only its clock is behind ours.
        at = max(at, order.on_since)
    facts = []
    for carrier in CARRIERS:
        state = said.states.get(carrier, "pending")
        if state == "pending" or (said.at is None and state == order.carriers[carrier].state):
            continue
        facts.append(CarrierFact(order.number, carrier, state, at, said.reason))
    return facts
