"""What a campaign's details say that its number waits for."""

from datetime import UTC, datetime, timedelta

import pytest

from services.campaign.domain import Carrier
from services.campaign.rules.flag import CarrierAnswer, Number, Provisioning, provisioning

LAUNCHED = datetime(2026, 10, 20, 13, tzinfo=UTC)
NUMBER = "+12125550100"


def at(seconds: float) -> datetime:
    return LAUNCHED + timedelta(seconds=seconds)


def found(number: Number, **said: CarrierAnswer) -> Provisioning:
    names: dict[str, Carrier] = {"att": "att", "tmobile": "tmobile", "verizon": "verizon"}
    return provisioning(LAUNCHED, number, {names[name]: one for name, one in said.items()})


def test_first_a_number_is_being_bought() -> None:
    assert found(Number()).waits_for == "a number, which is being bought"
    assert found(Number()).delayed_at is None


def test_then_the_carriers_have_to_confirm_it_those_that_have_not_yet() -> None:
    bought = Number(NUMBER, at(1))
    yes = CarrierAnswer("confirmed", at(5))
    assert found(bought).waits_for == "AT&T, T-Mobile and Verizon to confirm the number"
    assert found(bought, tmobile=yes).waits_for == "AT&T and Verizon to confirm the number"
    last = found(bought, tmobile=yes, att=yes)
    assert last.waits_for == "Verizon to confirm the number"


@pytest.mark.parametrize("outcome", ["complete", "failed"])
def test_where_an_outcome_is_there_nothing_is_waited_for(outcome: str) -> None:
    number = Number(
        NUMBER,
        at(1),
        "complete" if outcome == "complete" else "failed",
        waits_for="the provider",
        delayed_at=at(9),
    )
    assert (found(number).waits_for, found(number).delayed_at) == (None, None)


def test_a_delay_says_why_it_takes_longer_until_something_newer_comes() -> None:
    late = Number(NUMBER, at(1), waits_for="the number provider", delayed_at=at(60))
    before, after = CarrierAnswer("confirmed", at(30)), CarrierAnswer("confirmed", at(90))
    assert (found(late).waits_for, found(late).delayed_at) == ("the number provider", at(60))
    assert found(late, att=before).waits_for == "the number provider"
    newer = found(late, att=after)
    assert newer.waits_for == "T-Mobile and Verizon to confirm the number"
    assert newer.delayed_at is None


def test_a_purchase_ends_what_held_it_up() -> None:
    waiting = Number(waits_for="the number provider", delayed_at=at(60))
    assert found(waiting).waits_for == "the number provider"
    bought = Number(NUMBER, at(70), waits_for="the number provider", delayed_at=at(60))
    assert found(bought).waits_for == "AT&T, T-Mobile and Verizon to confirm the number"


def test_where_all_have_answered_nothing_is_waited_for() -> None:
    yes = CarrierAnswer("confirmed", at(5))
    assert found(Number(NUMBER, at(1)), att=yes, tmobile=yes, verizon=yes).waits_for is None


def test_advice_for_a_failure_tells_lower_rates_from_no_number_at_all() -> None:
    refused = found(Number(NUMBER, at(1), "failed"))
    assert "delivered at lower-than-normal rates" in refused.advice
    assert "clone the campaign" in refused.advice
    none = found(Number(outcome="failed"))
    assert "no message can be sent" in none.advice
    assert "rates" not in none.advice
    assert "clone the campaign" in none.advice


def test_a_number_that_a_carrier_refuses_after_all_had_confirmed_it_is_not_called_ready() -> None:
    """The flag stays: nothing goes back from Provisioning Complete."""
    complete = Number(NUMBER, at(1), "complete")
    yes, no = CarrierAnswer("confirmed", at(5)), CarrierAnswer("refused", at(90), "changed mind")
    found_now = found(complete, att=yes, verizon=yes, tmobile=no)
    assert (found_now.flag, found_now.colour) == ("Provisioning Complete", "green")
    assert "T-Mobile refused it afterwards" in found_now.advice
    assert "ready to go" not in found_now.advice
    assert "ready to go" in found(complete, att=yes, verizon=yes, tmobile=yes).advice
