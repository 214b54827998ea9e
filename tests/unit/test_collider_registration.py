"""What holds a campaign's texts to a carrier, and for how long."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from services.collider import registration
from services.collider.domain import NEVER
from services.collider.registration import Registration

NOON = datetime(2026, 10, 20, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_refused_text_holds_those_that_follow_until_the_carrier_confirms() -> None:
    held = registration.held(Registration(), "att", NOON)
    assert held.is_held(at(86_400))
    assert (held.state, held.told_at) == ("pending", NOON)
    assert registration.held(held, "att", at(5)) == held
    assert not registration.confirmed(held, at(10)).is_held(at(10))


def test_after_a_refusal_the_hold_is_told_anew_and_lasts_until_a_late_confirmation() -> None:
    held = registration.held(Registration(), "att", NOON)
    refused = registration.refused(held, at(60), at(61))
    assert (refused.state, refused.held_until, refused.told_at) == ("refused", NEVER, at(61))
    # Told by another event, a little later: nothing new.
    assert registration.refused(refused, at(62), at(63)).told_at == at(61)
    late = registration.confirmed(refused, at(3600))
    assert (late.state, late.is_held(at(3600))) == ("confirmed", False)


def test_a_refusal_of_the_number_alone_holds_nothing() -> None:
    refused = registration.refused(Registration(), NOON, at(1))
    assert not refused.is_held(at(1))
    assert refused.told_at is None
    held = registration.held(refused, "att", at(2))
    assert (held.state, held.held_until, held.told_at) == ("refused", NEVER, at(2))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_words_in_any_order_come_out_as_the_last_one_says(order: Sequence[int]) -> None:
    known = Registration()
    for index in order:
        if index == 1:
            known = registration.confirmed(known, at(1))
        else:
            known = registration.refused(known, at(index), at(10))
    assert known.state == "refused"
    assert registration.confirmed(known, at(1)) == known


def test_a_carrier_that_has_confirmed_is_tried_every_minute_and_told_of_once() -> None:
    known = registration.confirmed(Registration(), NOON)
    held = registration.held(known, "att", at(10))
    assert held.held_until == at(70)
    for minute in range(1, 60):
        held = registration.held(held, "att", at(10 + 61 * minute))
        assert held.told_at == at(10)
    later = registration.held(held, "att", at(10 + 61 * 59 + 60 + 601))
    assert later.told_at != at(10)


def test_a_carrier_that_never_speaks_of_numbers_is_tried_every_minute() -> None:
    held = registration.held(Registration(), "other", NOON)
    assert held.held_until == at(60)
    assert registration.reason(held, "other") == registration.SILENT_REASON


def test_a_rest_does_not_shorten_a_hold_and_is_not_told() -> None:
    rested = registration.rested(Registration(), NOON)
    assert (rested.held_until, rested.told_at) == (at(60), None)
    held = registration.held(rested, "att", at(30))
    assert held.told_at == at(30)
    assert registration.rested(held, at(31)) == held
