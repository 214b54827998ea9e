"""What differs between the provider's lists and our rows, and what of it is safe to mend."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.provisioner.domain import CARRIERS, Carrier, CarrierFact, CarriersSaid
from services.provisioner.rules.listed import ListedAttachment, ListedNumber
from services.provisioner.rules.reconcile import (
    Difference,
    Gone,
    Kind,
    Ours,
    Purchase,
    Unheld,
    of_ours,
    of_unheld,
    order_of,
)
from services.provisioner.rules.release import Step
from shared.events import CarrierState

SETTLED_AT = datetime(2030, 1, 1, 12, tzinfo=UTC)
OLD, YOUNG = SETTLED_AT - timedelta(hours=1), SETTLED_AT + timedelta(seconds=1)
NUMBER = "+12125550101"
ORDER_ID = "01939c4e-7d3a-7000-8000-000000000001"
CONFIRMED = CarriersSaid(dict.fromkeys(CARRIERS, "confirmed"))
KNOWN = [(carrier, CarrierState(state="confirmed", at=OLD)) for carrier in CARRIERS]


def ours(**changes: Any) -> Ours:
    held = Ours(
        org_id="org",
        number=NUMBER,
        step="held",
        step_since=OLD,
        changed_at=OLD,
        is_busy=False,
        was_confirmed=True,
        on_since=OLD,
        words=KNOWN,
        provider_campaign_id="C1",
        messaging_profile_id="P1",
    )
    return replace(held, **changes)


def listed(**changes: Any) -> ListedNumber:
    return replace(ListedNumber(NUMBER, f"{ORDER_ID}-1", "P1", OLD, is_active=True), **changes)


def attached(**changes: Any) -> ListedAttachment:
    on = ListedAttachment(
        NUMBER, frozenset({"C1", "TCR1"}), leaving=False, said=CONFIRMED, changed_at=OLD
    )
    return replace(on, **changes)


def unheld(**changes: Any) -> Unheld:
    return replace(Unheld(is_used=False, gone=(), bought_for=None, counted_on={}), **changes)


def bought(**changes: Any) -> Purchase:
    return replace(Purchase("org", ORDER_ID, purchase=2, changed_at=OLD), **changes)


def kinds(found: list[Difference]) -> list[tuple[Kind, object]]:
    return [(one.kind, one.mend) for one in found]


def differences(
    row: Ours, there: ListedNumber | None, on: ListedAttachment | None
) -> list[tuple[Kind, object]]:
    return kinds(of_ours(row, there, on, settled_at=SETTLED_AT))


def difference(
    there: ListedNumber, on: ListedAttachment | None, known: Unheld
) -> tuple[Kind, object] | None:
    found = of_unheld(there, on, known, settled_at=SETTLED_AT)
    return None if found is None else (found.kind, found.mend)


# --- numbers that we hold ------------------------------------------------------------------------


def test_what_stands_at_the_provider_as_in_our_rows_is_no_difference() -> None:
    assert differences(ours(), listed(), attached()) == []
    assert differences(ours(), listed(), attached(campaigns=frozenset({"C1"}))) == []


@pytest.mark.parametrize(
    ("there", "on", "expected"),
    [
        (None, None, [("missing", None)]),
        (None, attached(), [("missing", None)]),
        (listed(), None, [("unattached", "attach")]),
        (listed(), attached(campaigns=frozenset({"C2"})), [("misattached", None)]),
        (listed(messaging_profile_id=None), attached(), [("wrong profile", None)]),
        (listed(messaging_profile_id="P2"), attached(), [("wrong profile", None)]),
        # It could not be put on a use case from another profile.
        (
            listed(messaging_profile_id=None),
            None,
            [("wrong profile", None), ("unattached", None)],
        ),
        # On its way out, or in: what comes of it shows in the next run.
        (listed(is_active=False), None, []),
        (listed(), attached(leaving=True), []),
        (listed(), attached(campaigns=frozenset({"C2"}), changed_at=YOUNG), []),
    ],
)
def test_a_number_that_we_hold(
    there: ListedNumber | None, on: ListedAttachment | None, expected: Any
) -> None:
    assert differences(ours(), there, on) == expected


def test_only_a_number_that_all_carriers_had_confirmed_is_put_back() -> None:
    assert differences(ours(was_confirmed=False), listed(), None) == [("unattached", None)]


def test_a_use_case_without_a_profile_wants_none() -> None:
    row = ours(messaging_profile_id=None)
    assert differences(row, listed(messaging_profile_id="P7"), attached()) == []
    assert differences(row, listed(messaging_profile_id=None), None) == [("unattached", "attach")]


def test_of_a_use_case_that_we_do_not_know_nothing_is_said() -> None:
    row = ours(provider_campaign_id=None, messaging_profile_id=None)
    assert differences(row, listed(), None) == []


@pytest.mark.parametrize("changes", [{"is_busy": True}, {"changed_at": YOUNG}])
def test_what_is_under_way_or_young_is_left_alone(changes: Any) -> None:
    for there, on in ((None, None), (listed(), None), (listed(messaging_profile_id=None), None)):
        assert differences(ours(**changes), there, on) == []
    assert differences(ours(**changes, step="rest"), listed(), attached()) == []


@pytest.mark.parametrize("step", ["seek", "detach", "leaving", "return"])
def test_a_number_on_its_way_back_is_the_releasers(step: Step) -> None:
    assert differences(ours(step=step), None, None) == []
    assert differences(ours(step=step), listed(), attached()) == []


def test_a_number_that_rests_may_be_on_no_use_case() -> None:
    assert differences(ours(step="rest"), listed(), None) == []
    assert differences(ours(step="rest"), None, None) == []
    expected = [("still attached", "detach")]
    assert differences(ours(step="rest"), listed(), attached()) == expected
    assert differences(ours(step="rest"), listed(), attached(leaving=True)) == []
    assert differences(ours(step="rest"), listed(), attached(changed_at=YOUNG)) == []


# --- carriers' words -----------------------------------------------------------------------------


def words(**states: CarrierState) -> list[tuple[str, CarrierState]]:
    return [(carrier, states.get(carrier, state)) for carrier, state in KNOWN]


def said(carrier: Carrier, state: Literal["pending", "refused"]) -> CarriersSaid:
    return CarriersSaid({**CONFIRMED.states, carrier: state}, "Too many numbers.")


LATER = OLD + timedelta(minutes=5)


def test_a_word_that_nobody_told_us_is_recorded_with_the_providers_time() -> None:
    row = ours(words=words(tmobile=CarrierState(state="pending", at=OLD)))
    (one,) = of_ours(row, listed(), attached(changed_at=LATER), settled_at=SETTLED_AT)
    assert (one.kind, one.mend) == ("unheard", "record")
    assert one.facts == (CarrierFact(NUMBER, "tmobile", "confirmed", LATER, None, "C1"),)
    assert one.said.startswith("T-Mobile has confirmed it")


def test_a_later_word_counts_against_an_earlier_one_and_not_the_other_way_round() -> None:
    refused = words(att=CarrierState(state="refused", at=LATER))
    earlier, later = attached(changed_at=OLD), attached(changed_at=LATER + timedelta(seconds=1))
    assert differences(ours(words=refused), listed(), earlier) == []
    assert differences(ours(words=refused), listed(), later) == [("unheard", "record")]
    no = attached(said=said("verizon", "refused"), changed_at=LATER)
    (one,) = of_ours(ours(), listed(), no, settled_at=SETTLED_AT)
    assert one.facts == (
        CarrierFact(NUMBER, "verizon", "refused", LATER, "Too many numbers.", "C1"),
    )


def test_words_of_an_earlier_time_on_the_use_case_are_of_no_account() -> None:
    row = ours(words=words(att=CarrierState(state="pending", at=OLD)), on_since=LATER)
    assert differences(row, listed(), attached(changed_at=OLD)) == []


def test_pending_is_no_word_and_nobody_waits_for_one_without_a_campaign() -> None:
    assert differences(ours(), listed(), attached(said=said("att", "pending"))) == []
    silent = attached(said=said("att", "refused"), changed_at=LATER)
    assert differences(ours(words=()), listed(), silent) == []


def test_of_two_campaigns_on_a_number_one_may_not_have_heard() -> None:
    both = [*KNOWN, *words(att=CarrierState(state="pending", at=OLD))]
    on = attached(changed_at=LATER)
    assert differences(ours(words=both), listed(), on) == [("unheard", "record")]


# --- numbers that we do not hold -----------------------------------------------------------------


def test_a_number_without_a_reference_of_ours_is_a_stranger() -> None:
    assert difference(listed(), attached(campaigns=frozenset({"C9"})), unheld()) == (
        "stranger",
        None,
    )
    on_ours = unheld(counted_on={"C1": "org"})
    assert difference(listed(), attached(), on_ours) == ("stranger on our use case", None)


def test_a_number_that_was_bought_for_an_order_with_another_one_is_sought_and_given_back() -> None:
    known = unheld(bought_for=bought())
    found = of_unheld(listed(), None, known, settled_at=SETTLED_AT)
    assert found is not None
    assert (found.kind, found.mend, found.org_id) == ("spare", "seek", "org")
    assert (found.order_id, found.reference) == (ORDER_ID, f"{ORDER_ID}-1")


def test_a_spare_number_that_somebody_put_on_a_use_case_is_the_operators() -> None:
    assert difference(listed(), attached(), unheld(bought_for=bought())) == ("spare", None)


def test_rows_that_are_older_than_the_purchase_decide_nothing() -> None:
    known = unheld(bought_for=bought(purchase=1))
    assert difference(listed(reference=f"{ORDER_ID}-2"), None, known) == ("spare", None)


def test_a_number_that_was_given_back_and_is_there_is_given_back_again() -> None:
    gone = Gone("org", OLD)
    known = unheld(bought_for=bought(), gone=[gone])
    found = of_unheld(listed(), None, known, settled_at=SETTLED_AT)
    assert found is not None
    assert (found.kind, found.mend, found.since) == ("not given back", "return", OLD)
    assert difference(listed(), None, replace(known, gone=[Gone("org", YOUNG)])) is None
    # Somebody else has bought it since.
    assert difference(listed(), None, replace(known, bought_for=None)) == ("stranger", None)


@pytest.mark.parametrize("changes", [{"is_active": False}, {"bought_at": YOUNG}])
def test_a_purchase_that_is_young_or_under_way_is_left_alone(changes: Any) -> None:
    for known in (unheld(), unheld(bought_for=bought()), unheld(bought_for=bought(), gone=())):
        assert difference(listed(**changes), None, known) is None
    assert difference(listed(), None, unheld(bought_for=bought(changed_at=YOUNG))) is None


def test_a_reference_names_an_order_and_counts_its_purchases() -> None:
    assert order_of(f"{ORDER_ID}-12") == (ORDER_ID, 12)
    for text in (
        None,
        "",
        "12",
        "-12",
        "somebody-elses",
        f"{ORDER_ID}-",
        f"{ORDER_ID}-²",
        "o-" + "9" * 5000,
    ):
        assert order_of(text) is None


# --- whatever there is ---------------------------------------------------------------------------

TIMES = st.sampled_from([OLD, LATER, SETTLED_AT, YOUNG])
STATES = st.sampled_from(["pending", "confirmed", "refused"])
ROWS = st.builds(
    Ours,
    org_id=st.just("org"),
    number=st.just(NUMBER),
    step=st.sampled_from(["held", "seek", "detach", "leaving", "rest", "return"]),
    step_since=TIMES,
    changed_at=TIMES,
    is_busy=st.booleans(),
    was_confirmed=st.booleans(),
    on_since=TIMES,
    words=st.lists(
        st.tuples(st.sampled_from(CARRIERS), st.builds(CarrierState, state=STATES, at=TIMES))
    ),
    provider_campaign_id=st.sampled_from([None, "C1"]),
    messaging_profile_id=st.sampled_from([None, "P1"]),
)
LISTED = st.builds(
    ListedNumber,
    number=st.just(NUMBER),
    reference=st.sampled_from([None, "theirs", f"{ORDER_ID}-1", f"{ORDER_ID}-3"]),
    messaging_profile_id=st.sampled_from([None, "P1", "P2"]),
    bought_at=TIMES,
    is_active=st.booleans(),
)
ATTACHED = st.none() | st.builds(
    ListedAttachment,
    number=st.just(NUMBER),
    campaigns=st.sampled_from([frozenset({"C1"}), frozenset({"C2"})]),
    leaving=st.booleans(),
    said=st.builds(
        CarriersSaid, st.fixed_dictionaries(dict.fromkeys(CARRIERS, STATES)), reason=st.none()
    ),
    changed_at=TIMES,
)


@given(row=ROWS, there=st.none() | LISTED, on=ATTACHED)
def test_no_mend_takes_a_held_number_away(
    row: Ours, there: ListedNumber | None, on: ListedAttachment | None
) -> None:
    for one in of_ours(row, there, on, settled_at=SETTLED_AT):
        if row.step == "held":
            # Its campaigns keep it: it is put where it belongs, or a word is written down.
            assert one.mend in (None, "attach", "record")
        if one.mend == "attach":
            assert row.was_confirmed
            assert there is not None
            assert on is None
        assert not row.is_busy
        assert row.changed_at <= SETTLED_AT
        assert one.since in (None, row.step_since)


@given(there=LISTED, on=ATTACHED, gone=st.booleans(), bought_for=st.none() | st.just(bought()))
def test_nothing_is_given_back_that_a_campaign_is_on_or_that_is_not_surely_ours(
    there: ListedNumber, on: ListedAttachment | None, gone: bool, bought_for: Purchase | None
) -> None:
    rows = [Gone("org", OLD)] if gone else []
    known = unheld(gone=rows, bought_for=bought_for, counted_on={"C1": "org"})
    assert difference(there, on, replace(known, is_used=True)) is None
    found = of_unheld(there, on, known, settled_at=SETTLED_AT)
    if found is not None and found.mend is not None:
        assert bought_for is not None
        assert there.bought_at <= SETTLED_AT
        assert found.mend == ("return" if gone else "seek")
