"""Carriers' words by webhook and by poll, and what an order's story makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.provisioner.domain import (
    CARRIERS,
    Absent,
    Act,
    Answer,
    AskCarriers,
    Attach,
    Carrier,
    CarrierFact,
    CarriersSaid,
    Done,
    Drop,
    GiveUp,
    NotTaken,
    Order,
    Refused,
    Unclear,
    Weigh,
)
from services.provisioner.rules import reasons
from services.provisioner.rules.moves import Followed
from services.provisioner.rules.steps import REFUSALS_MOST, next_act
from shared.events import CarrierAnswered, CarrierState, Event, NumberProvisioned
from tests.unit.test_provisioner_steps import (
    ALL_CONFIRMED,
    NOW,
    NUMBER,
    PATIENCE,
    after,
    order,
    wait_s,
)


def confirming(**changes: Any) -> Order:
    told: dict[str, Any] = {
        "step": "confirm",
        "number": NUMBER,
        "purchased_at": NOW,
        "on_since": NOW,
    }
    return order(**{**told, **changes})


def at(s: float) -> datetime:
    return NOW + timedelta(seconds=s)


def fact(carrier: Carrier, state: Any = "confirmed", s: float = 1, **changes: Any) -> CarrierFact:
    return CarrierFact(NUMBER, carrier, state, at(s), **changes)


def hear(before: Order, *facts: CarrierFact, s: float = 1000) -> Followed:
    """What comes of facts that were recorded, as the worker finds them."""
    heard = replace(before, facts=facts)
    act = next_act(heard, at(s), PATIENCE)
    assert not isinstance(act, Drop | GiveUp)
    return after(heard, act, Done(), s) if isinstance(act, Weigh) else Followed(before)


def said(followed: Followed) -> list[tuple[str, str]]:
    return [
        (event.carrier, event.answer)
        for event in followed.told
        if isinstance(event, CarrierAnswered)
    ]


def end(followed: Followed) -> NumberProvisioned | None:
    ends = [event for event in followed.told if isinstance(event, NumberProvisioned)]
    return ends[0] if ends else None


def failed() -> Order:
    """Refused by T-Mobile, and confirmed by nobody yet."""
    return hear(confirming(), fact("tmobile", "refused", 5, reason="no pool"), s=6).order


# --- whose word stands ---------------------------------------------------------------------------

FACTS = st.builds(
    fact,
    st.sampled_from(CARRIERS),
    st.sampled_from(["confirmed", "refused"]),
    st.integers(0, 4),
    reason=st.sampled_from([None, "no pool", "not yet"]),
    provider_campaign_id=st.sampled_from([None, "C123"]),
)


@dataclass
class Heard:
    """Where an order stands after facts that came in some order, each in some way."""

    order: Order
    told: list[Event]

    def take(self, followed: Followed) -> None:
        self.order = replace(followed.order, facts=self.order.facts)
        self.told += followed.told

    @property
    def was_complete(self) -> bool:
        ends = [event for event in self.told if isinstance(event, NumberProvisioned)]
        return any(event.outcome == "complete" for event in ends)


def heard(arrivals: Sequence[tuple[CarrierFact, bool]]) -> Heard:
    """Facts as they come, by poll (true) or by webhook."""
    now = Heard(confirming(), [])
    for s, (one, is_polled) in enumerate(arrivals, start=100):
        if is_polled and now.order.step != "complete":
            answer = CarriersSaid({one.carrier: one.state}, one.reason, one.at)
            now.take(after(now.order, AskCarriers(NUMBER), answer, s))
        else:
            facts = (*now.order.facts, one)
            now.take(hear(now.order, *facts, s=s))
            now.order = replace(now.order, facts=facts)
    return now


@given(data=st.data())
def test_webhooks_and_polls_in_any_order_late_and_doubled_come_to_the_same(data: Any) -> None:
    each = [replace(data.draw(FACTS), carrier=carrier) for carrier in CARRIERS]
    facts = [*each, *data.draw(st.lists(FACTS, max_size=4))]
    ways = []
    for _ in range(2):
        arrivals = data.draw(st.permutations([*facts, *facts[::2]]))
        by_poll = data.draw(st.lists(st.booleans(), min_size=len(arrivals)))
        ways.append(heard(list(zip(arrivals, by_poll, strict=False))))
    first, second = ways
    assert first.order.carriers == second.order.carriers
    states = {word.state for word in first.order.carriers.values()}
    for way in ways:
        is_complete = way.was_complete or states == {"confirmed"}
        assert way.order.step == ("complete" if is_complete else "failed")
        ends = [event for event in way.told if isinstance(event, NumberProvisioned)]
        assert [event.outcome for event in ends] in (
            ["complete"], ["failed"], ["failed", "complete"])  # fmt: skip
        assert ends[-1].after_failure == (len(ends) == 2)
        # Hearers who keep the last word of each carrier know what we know.
        last = {event.carrier: event.answer for event in way.told
                if isinstance(event, CarrierAnswered)}  # fmt: skip
        assert last == {carrier: word.state for carrier, word in way.order.carriers.items()}


def test_a_word_is_as_old_as_the_provider_says_whoever_brings_it() -> None:
    by_webhook = hear(confirming(), fact("att", s=3), s=90).order
    by_poll = after(confirming(), AskCarriers(NUMBER), CarriersSaid({"att": "confirmed"}, at=at(3)),
                    s=90).order  # fmt: skip
    assert by_webhook.carriers == by_poll.carriers
    assert by_poll.carriers["att"] == CarrierState(state="confirmed", at=at(3))
    no_time = after(confirming(), AskCarriers(NUMBER), CarriersSaid({"att": "confirmed"}), s=90)
    assert no_time.order.carriers["att"].at == at(90)
    again = after(no_time.order, AskCarriers(NUMBER), CarriersSaid({"att": "confirmed"}), s=95)
    assert again.order.carriers["att"].at == at(90)
    assert again.told == ()


def test_people_are_shown_since_when_a_carrier_says_it_however_often_it_is_repeated() -> None:
    one = hear(confirming(), fact("att", s=1), s=2)
    two = hear(one.order, fact("att", s=3), fact("verizon", s=3), s=4)
    all_of_them = hear(two.order, *(fact(carrier, s=5) for carrier in CARRIERS), s=6)
    complete = end(all_of_them)
    assert complete is not None
    assert complete.carriers.att.at == at(1)
    assert complete.carriers.verizon.at == at(3)
    assert complete.carriers.tmobile.at == at(5)
    # What came late is still older than what was heard last.
    assert hear(all_of_them.order, fact("att", "refused", 4)).told == ()
    assert all_of_them.order.carriers["att"].at == at(5)


def test_a_refusal_that_a_later_word_takes_back_stands_no_more() -> None:
    refused = fact("att", "refused", 2, reason="not yet")
    both = hear(confirming(), refused, fact("att", "confirmed", 3))
    assert (both.order.step, said(both)) == ("confirm", [("att", "confirmed")])
    late = hear(hear(confirming(), fact("att", "confirmed", 3)).order, refused)
    assert late.told == ()
    assert late.order.carriers == both.order.carriers


def test_of_two_words_of_one_time_the_confirmation_stands() -> None:
    for facts in ([fact("att"), fact("att", "refused")], [fact("att", "refused"), fact("att")]):
        assert hear(confirming(), *facts).order.carriers["att"].state == "confirmed"


@pytest.mark.parametrize(
    "foreign",
    [
        fact("att", s=-1),  # of an earlier time on the use case
        fact("att", provider_campaign_id="C999"),
        replace(fact("att"), number="+12125550999"),
    ],
)
def test_what_is_not_about_the_number_on_its_use_case_does_not_count(foreign: CarrierFact) -> None:
    assert hear(confirming(), foreign).order == confirming()
    assert isinstance(next_act(replace(confirming(), facts=(foreign,)), NOW, PATIENCE), AskCarriers)


def test_a_poll_that_shows_an_earlier_time_on_the_use_case_does_not_count() -> None:
    stale = replace(ALL_CONFIRMED, at=at(-60))
    followed = after(confirming(), AskCarriers(NUMBER), stale, s=59)
    assert (followed.order.step, followed.told) == ("confirm", ())
    # Shown for longer than that, it is how the number stands, by a clock that is behind ours.
    followed = after(confirming(), AskCarriers(NUMBER), stale, s=61)
    assert followed.order.step == "complete"
    assert followed.order.carriers["att"] == CarrierState(state="confirmed", at=NOW)


def test_a_word_that_comes_before_the_answer_to_the_attachment_is_weighed_after_it() -> None:
    early = confirming(step="attach", facts=(fact("att", s=1),))
    assert not isinstance(next_act(early, at(2), PATIENCE), Weigh)
    assert isinstance(next_act(replace(early, step="confirm"), at(3), PATIENCE), Weigh)


# --- after a failure -----------------------------------------------------------------------------


def test_a_late_confirmation_after_a_failure_completes_it_and_says_so() -> None:
    first = failed()
    assert (first.step, first.error) == ("failed", "Refused by T-Mobile: no pool")
    some = hear(first, fact("tmobile", "confirmed", 7), fact("att", s=8))
    assert (some.order.step, said(some)) == ("failed", [("att", "confirmed"),
                                                         ("tmobile", "confirmed")])  # fmt: skip
    assert end(some) is None
    assert some.order.due_at is not None
    late = hear(some.order, fact("verizon", s=9), s=1200)
    event = end(late)
    assert event is not None
    assert (event.outcome, event.after_failure, event.took_s) == ("complete", True, 1200)
    assert event.carriers.tmobile == CarrierState(state="confirmed", at=at(7))
    assert (late.order.step, late.order.due_at) == ("complete", None)


def test_a_failure_is_looked_at_ever_more_rarely_until_the_time_is_up() -> None:
    current, waits, s = failed(), [], 6.0
    while current.due_at is not None:
        waits.append(wait_s(Followed(current), s))
        s += waits[-1]
        act = next_act(current, at(s), PATIENCE)
        assert act == AskCarriers(NUMBER)
        current = after(current, act, CarriersSaid({}), s).order
    assert waits[0] == PATIENCE.poll_most_s
    assert waits == sorted(waits)
    assert waits[-1] > 3600
    assert 60 * 3600 < s < 72 * 3600
    assert len(waits) < 60
    assert current.error == "Refused by T-Mobile: no pool"
    # After that, what carriers say themselves is still heard.
    late = hear(current, *(fact(carrier, s=9) for carrier in CARRIERS), s=80 * 3600)
    assert late.order.step == "complete"


def test_what_was_not_confirmed_in_time_may_be_confirmed_later() -> None:
    end_s = PATIENCE.limit_s
    late = after(confirming(), GiveUp(), Done(), end_s).order
    assert (late.step, late.due_at) == ("failed", None)
    confirmed = hear(late, *(fact(carrier, s=end_s) for carrier in CARRIERS), s=end_s + 60)
    event = end(confirmed)
    assert event is not None
    assert event.after_failure


@pytest.mark.parametrize("answer", [Unclear("502"), NotTaken("429"), Refused("400"), Absent()])
def test_a_fault_while_a_failure_is_looked_at_changes_nothing(answer: Answer) -> None:
    looked = after(failed(), AskCarriers(NUMBER), answer, 400)
    assert (looked.order.step, looked.order.error, looked.told) == (
        "failed", "Refused by T-Mobile: no pool", ())  # fmt: skip
    assert wait_s(looked, 400) == PATIENCE.poll_most_s
    patient = after(failed(), AskCarriers(NUMBER), NotTaken("429", 500), 400)
    assert wait_s(patient, 400) == 500


def test_a_failure_without_a_number_is_final() -> None:
    no_number = after(order(), GiveUp(), Done(), PATIENCE.limit_s).order
    assert (no_number.step, no_number.due_at) == ("failed", None)


def test_an_archived_failure_is_not_looked_at_any_more() -> None:
    over = replace(failed(), archived=True)
    act = next_act(over, at(400), PATIENCE)
    assert act == Weigh()
    followed = after(over, act, Done(), 400)
    assert (followed.order.due_at, followed.told) == (None, ())


def test_an_archived_failure_that_was_taken_up_completes_no_more_whatever_carriers_say() -> None:
    over = replace(failed(), archived=True)
    by_webhook = hear(over, *(fact(carrier, s=7) for carrier in CARRIERS))
    by_poll = after(over, AskCarriers(NUMBER), replace(ALL_CONFIRMED, at=at(7)), 400)
    for followed in (by_webhook, by_poll):
        assert (followed.order.step, followed.order.due_at) == ("failed", None)
        assert end(followed) is None


def test_what_is_archived_while_its_carriers_are_asked_is_dropped_at_once() -> None:
    over = confirming(archived=True)
    followed = after(over, AskCarriers(NUMBER), replace(ALL_CONFIRMED, at=at(3)), 3)
    assert (end(followed), wait_s(followed, 3)) == (None, 0)
    assert next_act(followed.order, at(3), PATIENCE) == Drop()


def test_what_fails_after_its_archive_is_told_as_archived_for_whatever_reason() -> None:
    over = confirming(step="attach", archived=True, refusals=REFUSALS_MOST - 1)
    event = end(after(over, Attach(NUMBER, "C123"), Refused("400")))
    assert event is not None
    assert (event.outcome, event.archived) == ("failed", True)


def test_an_archive_while_it_is_provisioned_is_told_as_such() -> None:
    over = confirming(archived=True)
    act: Act = next_act(over, at(1), PATIENCE)
    event = end(after(over, act, Done()))
    assert event is not None
    assert (event.outcome, event.archived, event.after_failure) == ("failed", True, False)
    assert event.reason == reasons.archived(over)
    refused = end(hear(confirming(), fact("att", "refused")))
    assert refused is not None
    assert not refused.archived


# --- after it was complete -----------------------------------------------------------------------


def test_a_refusal_after_all_had_confirmed_is_told_and_changes_no_outcome() -> None:
    complete = after(confirming(), AskCarriers(NUMBER), replace(ALL_CONFIRMED, at=at(3))).order
    assert complete.step == "complete"
    late = hear(complete, fact("att", "refused", 4, reason="audit"))
    assert said(late) == [("att", "refused")]
    assert end(late) is None
    assert (late.order.step, late.order.due_at) == ("complete", None)
    assert late.order.carriers["att"] == CarrierState(state="refused", at=at(4), reason="audit")
    again = hear(late.order, fact("att", "refused", 4, reason="audit"))
    assert again.told == ()
