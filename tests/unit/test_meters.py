"""The minute meter, held against a carrier that counts every 60 seconds."""

import random
from bisect import bisect_right
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.rules import meters
from shared.rules.meters import SPREAD_S, Meter

NOON = datetime(2026, 10, 20, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def peak(arrivals: list[tuple[float, int]]) -> int:
    """The most units in any half-open 60 s, counted as a carrier would."""
    arrivals = sorted(arrivals)
    times = [when for when, _ in arrivals]
    sums = [0]
    for _, cost in arrivals:
        sums.append(sums[-1] + cost)
    return max(
        (
            sums[index + 1] - sums[bisect_right(times, times[index] - 60)]
            for index in range(len(times))
        ),
        default=0,
    )


class Flow:
    """A bucket with endless backlog, claimed as the collider claims it."""

    def __init__(self, per_minute: int, seed: int) -> None:
        self.meter = meters.fresh(per_minute, NOON)
        self.dice = random.Random(seed)
        self.now_s = 0.0
        self.arrivals: list[tuple[float, int]] = []

    def run(self, seconds: float, costs: list[int], *, every_s: float = 0.1) -> None:
        waiting: list[int] = []
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s += every_s * self.dice.uniform(0.5, 1.5)
            now = at(self.now_s)
            while len(waiting) < 50:
                waiting.append(self.dice.choice(costs))
            self.meter = meters.fitted(self.meter, max(waiting), now)
            while waiting and self.meter.room(now) >= waiting[0]:
                cost = waiting.pop(0)
                self.meter = meters.poured(self.meter, cost, now)
                # It arrives at any time within the spread; at its ends is the worst.
                late_s = self.dice.choice((0, SPREAD_S, self.dice.uniform(0, SPREAD_S)))
                self.arrivals.append((self.now_s + late_s, cost))


@settings(max_examples=60)
@given(
    per_minute=st.integers(1, 9000),
    largest=st.integers(1, 10),
    every_s=st.floats(0.05, 3.0),
    seed=st.integers(0, 2**32),
)
def test_no_sixty_seconds_at_the_carrier_see_more_than_the_limit(
    per_minute: int, largest: int, every_s: float, seed: int
) -> None:
    flow = Flow(per_minute, seed)
    flow.run(180, list(range(1, min(largest, per_minute) + 1)), every_s=every_s)
    assert peak(flow.arrivals) <= per_minute


@settings(max_examples=60)
@given(
    limits=st.lists(st.integers(1, 600), min_size=2, max_size=6),
    costs=st.lists(st.integers(1, 10), min_size=2, max_size=6),
    seed=st.integers(0, 2**32),
)
def test_a_change_of_limit_or_of_texts_makes_no_burst(
    limits: list[int], costs: list[int], seed: int
) -> None:
    flow = Flow(limits[0], seed)
    for per_minute in limits:
        flow.meter = meters.limited(flow.meter, per_minute, at(flow.now_s))
        for cost in costs:
            flow.run(flow.dice.uniform(1, 40), [min(cost, per_minute)])
    assert peak(flow.arrivals) <= max(limits)


def test_a_lowered_limit_holds_from_the_change_on() -> None:
    flow = Flow(600, 1)
    flow.run(120, [1])
    flow.meter = meters.limited(flow.meter, 60, at(flow.now_s))
    changed_s = flow.now_s + SPREAD_S
    flow.run(180, [1])
    assert peak([one for one in flow.arrivals if one[0] >= changed_s]) <= 60


@pytest.mark.parametrize("per_minute", [15, 75, 240, 1000, 4500, 9000])
def test_ninety_nine_hundredths_of_the_limit_are_used(per_minute: int) -> None:
    flow = Flow(per_minute, 7)
    flow.run(600, [1])
    in_steady_minutes = sum(cost for when, cost in flow.arrivals if 60 <= when < 600)
    assert in_steady_minutes >= 0.985 * per_minute * 9


def test_a_closed_limit_lets_nothing_out_and_never_says_when() -> None:
    meter = meters.limited(meters.fresh(60, NOON), 0, NOON)
    assert meter.room(at(3600)) == 0
    assert meter.room_at(1, NOON) is None


@pytest.mark.parametrize("per_minute", [1, 15, 75, 1000])
def test_a_limit_that_was_closed_for_a_moment_is_not_used_twice(per_minute: int) -> None:
    flow = Flow(per_minute, 3)
    flow.run(120, [1])
    for _ in range(3):
        flow.meter = meters.limited(flow.meter, 0, at(flow.now_s))
        flow.meter = meters.limited(flow.meter, per_minute, at(flow.now_s + 0.2))
        flow.now_s += 0.2
        flow.run(20, [1])
    assert peak(flow.arrivals) <= per_minute


def test_there_is_room_for_a_text_when_the_meter_said_there_would_be() -> None:
    meter = meters.fitted(meters.fresh(75, NOON), 3, NOON)
    for _ in range(2):
        meter = meters.poured(meter, 3, NOON)
    promised_at = meter.room_at(3, NOON)
    assert promised_at is not None
    assert promised_at > NOON
    assert meter.room(promised_at + timedelta(microseconds=1)) >= 3


def test_what_was_poured_in_is_never_given_back_but_by_leaking() -> None:
    meter = meters.poured(meters.fresh(60, NOON), 1, NOON)
    assert meter.level(NOON) == pytest.approx(1)
    assert 0 < meter.level(at(0.5)) < 1
    assert meter.level(at(3600)) == 0


def test_room_for_large_texts_is_kept_a_minute_after_the_last_one() -> None:
    meter = meters.fitted(meters.fresh(100, NOON), 10, NOON)
    assert meters.fitted(meter, 1, at(59)).largest == 10
    assert meters.fitted(meter, 1, at(61)).largest == 1
    assert isinstance(meter, Meter)
