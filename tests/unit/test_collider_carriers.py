"""Whose word counts for a recipient's carrier, and how long a look-up is tried."""

from datetime import timedelta

import pytest

from services.collider.carriers import TRIES_MOST, Known, again_after, carrier_of
from shared.fields import Carrier

RECEIPT, LOOK_UP = Known("verizon", corrected=True), Known("att", corrected=False)


@pytest.mark.parametrize(
    ("told", "known", "carrier"),
    [
        ("tmobile", None, "tmobile"),
        ("tmobile", LOOK_UP, "tmobile"),
        ("tmobile", RECEIPT, "verizon"),
        ("other", LOOK_UP, "other"),
        (None, LOOK_UP, "att"),
        (None, RECEIPT, "verizon"),
        (None, None, None),
    ],
)
def test_a_receipt_counts_more_than_the_event_and_the_event_more_than_a_look_up(
    told: Carrier | None, known: Known | None, carrier: Carrier | None
) -> None:
    assert carrier_of(told, known) == carrier


def test_the_tries_for_a_phone_end_within_two_minutes_with_every_time_out_used_up() -> None:
    waits = [again_after(tries) for tries in range(1, TRIES_MOST + 1)]
    assert waits[-1] is None
    between = [wait for wait in waits if wait is not None]
    assert between == sorted(between)
    assert sum(between, timedelta()) + TRIES_MOST * timedelta(seconds=5) <= timedelta(minutes=2)
