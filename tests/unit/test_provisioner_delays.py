"""What the admin is told of a delay, and that it does not outlast its cause."""

from collections.abc import Sequence

from services.provisioner.domain import (
    Answer,
    AskCarriers,
    Attach,
    CarriersSaid,
    Done,
    Order,
    Unclear,
)
from shared.events import CarrierAnswered, Event, ProvisioningDelayed
from tests.unit.test_provisioner_steps import NUMBER, after, order
from tests.unit.test_provisioner_words import at, confirming

PENDING = CarriersSaid(dict.fromkeys(("att", "tmobile", "verizon"), "pending"))
CARRIERS = "the carriers: they have not all confirmed the number yet"


def ask(before: Order, *answers: Answer) -> tuple[Order, list[Event]]:
    told: list[Event] = []
    for s, answer in enumerate(answers, start=10):
        followed = after(before, AskCarriers(NUMBER), answer, s)
        before, told = followed.order, [*told, *followed.told]
    return before, told


def causes(told: Sequence[Event]) -> list[str]:
    return [event.waits_for for event in told if isinstance(event, ProvisioningDelayed)]


def silent() -> tuple[Order, list[Event]]:
    """The provider has not said for a while what the carriers answered."""
    return ask(confirming(), *[Unclear("502")] * 4)


def test_a_provider_that_answers_again_is_not_what_is_waited_for_any_more() -> None:
    before, told = silent()
    assert causes(told) == ["the number provider: it does not say what the carriers answered"]
    waiting, told = ask(before, PENDING, PENDING)
    assert causes(told) == [CARRIERS]
    again, told = ask(waiting, *[Unclear("502")] * 3)
    assert causes(told) == ["the number provider: it does not say what the carriers answered"]
    assert causes(ask(again, PENDING)[1]) == [CARRIERS]


def test_a_carriers_word_of_before_the_delay_does_not_leave_it_standing() -> None:
    before, _ = silent()
    early = CarriersSaid({**PENDING.states, "att": "confirmed"}, at=at(1))
    answered, told = ask(before, early)
    assert [type(event) for event in told] == [CarrierAnswered, ProvisioningDelayed]
    assert causes(told) == [CARRIERS]
    # That the others are missing has been said.
    more = CarriersSaid({**early.states, "tmobile": "confirmed"}, at=at(2))
    assert [type(event) for event in ask(answered, more, more)[1]] == [CarrierAnswered]


def test_on_its_use_case_at_last_a_number_waits_for_its_carriers() -> None:
    late = order(step="attach", number=NUMBER, waits_for="the number provider: it has not put ...")
    assert causes(after(late, Attach(NUMBER, "C123"), Done()).told) == [CARRIERS]


def test_carriers_that_take_their_time_are_no_delay() -> None:
    assert causes(ask(confirming(), *[PENDING] * 9)[1]) == []
