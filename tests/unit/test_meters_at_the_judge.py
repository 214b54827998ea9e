"""The minute meter in front of the sandbox's own counting, with the worst that hand-over can do.

A text that is claimed reaches the carrier at any moment within SPREAD_S. The worst that can be made
of it for a minute that begins at a border: all that was claimed in the spread before the border
waits for it, and nothing that is claimed near the minute's end is late. With a border every
60 s + spread that befalls every minute.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sandbox.minutes import BoundPeak
from shared.rules import meters
from shared.rules.meters import BETWEEN_CLAIMS_S, SPREAD_S, Meter

NOON = datetime(2026, 10, 20, 12, tzinfo=UTC)
WORST_BORDER_S = 60 + SPREAD_S
AT_ONCE_MOST = 500

Spread = Callable[[float], float]
"""How late what is claimed at a second of the story arrives."""


def until_a_border(every_s: float, phase_s: float) -> Spread:
    """All that can wait for the next border does; the rest is there at once."""

    def late_s(claimed_s: float) -> float:
        left_s = -(claimed_s - phase_s) % every_s
        return left_s if left_s <= SPREAD_S else 0.0

    return late_s


def at_random(dice: random.Random) -> Spread:
    """At the ends of the spread, or anywhere in it."""
    return lambda _: dice.choice((0.0, SPREAD_S, dice.uniform(0, SPREAD_S)))


@dataclass
class Flow:
    """A bucket whose backlog is never dry, claimed as the collider claims it."""

    per_minute: int | None
    costs: Iterator[int]
    late_s: Spread
    now_s: float = 0.0
    meter: Meter | None = None
    waiting: list[int] = field(default_factory=list)
    judged: list[tuple[int, int, int | None]] = field(default_factory=list)
    """(microsecond, cost, 0) for arrivals, (microsecond, -1, limit) for what the judge is told."""

    def __post_init__(self) -> None:
        self.judged.append((0, -1, self.per_minute))

    @property
    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.now_s)

    def limit(self, per_minute: int | None) -> None:
        self.per_minute = per_minute
        self.judged.append((_micros(self.now_s), -1, per_minute))

    def claim(self) -> None:
        """Look at as many heads as small texts would fit, and one more; take what has room."""
        if self.per_minute is None:
            # Unlimited, there is always a little to send, and nothing of it is remembered.
            self._read(40)
            for _ in range(40):
                self.arrives(self.waiting.pop(0))
            return
        self.meter = (
            meters.fresh(self.per_minute, self.now)
            if self.meter is None
            else meters.limited(self.meter, self.per_minute, self.now)
        )
        appetite = min(AT_ONCE_MOST, int(self.meter.room(self.now)))
        if appetite < 1:
            return
        self._read(appetite + 1)
        heads = [cost for cost in self.waiting[: appetite + 1] if cost <= self.per_minute]
        if heads:
            self.meter = meters.fitted(self.meter, max(heads), self.now)
        while self.waiting:
            cost = self.waiting[0]
            if cost <= self.per_minute:
                if self.meter.room(self.now) < cost:
                    break
                self.meter = meters.poured(self.meter, cost, self.now)
                self.arrives(cost)
            self.waiting.pop(0)

    def _read(self, most: int) -> None:
        while len(self.waiting) < most:
            self.waiting.append(next(self.costs))

    def arrives(self, cost: int) -> None:
        self.judged.append((_micros(self.now_s + self.late_s(self.now_s)), cost, 0))

    def run(self, seconds: float, gaps_s: Callable[[], float]) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s += gaps_s()
            self.claim()

    def verdict(self) -> BoundPeak:
        """The sandbox's count of it all."""
        peak = BoundPeak()
        for at_us, cost, limit in sorted(self.judged, key=lambda one: one[0]):
            if cost < 0:
                peak.tell(at_us, limit)
            else:
                peak.add(at_us, cost)
        return peak

    def units(self, since_s: float) -> int:
        return sum(cost for at_us, cost, _ in self.judged if cost > 0 and at_us >= since_s * 1e6)


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def mixed(dice: random.Random, costs: list[int]) -> Iterator[int]:
    """Costs in stretches: now all alike, now any of them."""
    while True:
        stretch = dice.choice((costs, [dice.choice(costs)]))
        for _ in range(dice.choice((1, 3, 40, 300))):
            yield dice.choice(stretch)


# --- never above the limit -------------------------------------------------------------------


@settings(max_examples=80)
@given(
    per_minute=st.integers(1, 9000) | st.integers(1, 80),
    costs=st.lists(st.integers(1, 10), min_size=1, max_size=4),
    border_s=st.sampled_from((WORST_BORDER_S, 60.0, SPREAD_S, 7.3, 0.0)),
    phase_s=st.floats(0, 60),
    pause_s=st.floats(0.05, 90),
    seed=st.integers(0, 2**32),
)
def test_no_minute_at_the_judge_sees_more_than_the_limit(
    per_minute: int, costs: list[int], border_s: float, phase_s: float, pause_s: float, seed: int
) -> None:
    dice = random.Random(seed)
    late_s = until_a_border(border_s, phase_s) if border_s else at_random(dice)
    flow = Flow(per_minute, mixed(dice, costs), late_s)
    for _ in range(3):
        flow.run(dice.uniform(20, 80), lambda: dice.uniform(0.05, 0.25))
        flow.now_s += pause_s
    assert not flow.verdict().over


@settings(max_examples=80)
@given(
    changes=st.lists(
        st.tuples(
            st.none() | st.sampled_from((0, 1, 2, 7, 60, 600)) | st.integers(1, 2000),
            st.floats(0, 5) | st.floats(0, 70),
        ),
        min_size=2,
        max_size=8,
    ),
    costs=st.lists(st.integers(1, 10), min_size=1, max_size=4),
    border_s=st.sampled_from((WORST_BORDER_S, SPREAD_S, 0.0)),
    phase_s=st.floats(0, 60),
    seed=st.integers(0, 2**32),
)
def test_limits_lowered_and_raised_bind_within_a_second_and_make_no_burst(
    changes: list[tuple[int | None, float]],
    costs: list[int],
    border_s: float,
    phase_s: float,
    seed: int,
) -> None:
    dice = random.Random(seed)
    late_s = until_a_border(border_s, phase_s) if border_s else at_random(dice)
    flow = Flow(changes[0][0], mixed(dice, costs), late_s)
    for per_minute, seconds in changes:
        flow.limit(per_minute)
        flow.run(seconds, lambda: dice.uniform(0.05, 0.25))
    verdict = flow.verdict()
    assert not verdict.over, verdict.worst


@pytest.mark.parametrize("other", [0, 1])
@pytest.mark.parametrize("per_minute", [1, 2, 15, 75, 600])
def test_a_limit_that_is_edited_all_the_time_lets_out_no_more(per_minute: int, other: int) -> None:
    """By one up and down, or closed and opened: each edit would be a burst, were it forgotten what
    the minute before holds."""
    flow = Flow(per_minute, (1 for _ in count()), until_a_border(WORST_BORDER_S, 0))
    for _ in range(80):
        flow.limit(per_minute)
        flow.run(1.1, lambda: 0.1)
        flow.limit(other and per_minute + 1)
        flow.run(0.4, lambda: 0.1)
    verdict = flow.verdict()
    assert not verdict.over, verdict.worst


LIMITS = (1, 2, 3, 15, 50, 75, 240, 400, 1000, 2400, 4500, 9000)


@pytest.mark.parametrize("every_s", [0.05, 0.25, 3.0])
@pytest.mark.parametrize("cost", [1, 3, 10])
@pytest.mark.parametrize("per_minute", LIMITS)
def test_the_worst_spread_of_hand_over_stays_within_the_limit(
    per_minute: int, cost: int, every_s: float
) -> None:
    if cost > per_minute:
        return
    # From full to full, and after a rest in which the bucket has run dry.
    for phase_s in (0.0, 20.0):
        flow = Flow(per_minute, (cost for _ in count()), until_a_border(WORST_BORDER_S, phase_s))
        flow.run(130, lambda: every_s)
        flow.now_s += 75
        flow.run(65, lambda: every_s)
        verdict = flow.verdict()
        assert not verdict.over, verdict.worst


# --- and little of it is left ----------------------------------------------------------------


@pytest.mark.parametrize("per_minute", LIMITS)
def test_ninety_nine_hundredths_are_used_by_texts_of_one_segment(per_minute: int) -> None:
    dice = random.Random(per_minute)
    minutes = max(10, ceil(300 / per_minute))
    flow = Flow(per_minute, (1 for _ in count()), until_a_border(WORST_BORDER_S, 0))
    flow.run(60 * (minutes + 1), lambda: dice.uniform(0.05, 0.25))
    assert flow.units(60) >= 0.99 * per_minute * minutes - 1
    assert not flow.verdict().over


@pytest.mark.parametrize(
    "costs", [(2,), (3,), (10,), (1, 2), (1, 2, 3), (1, 10), tuple(range(1, 11))]
)
@pytest.mark.parametrize("per_minute", [15, 75, 240, 1000, 4500])
def test_of_larger_texts_as_much_is_used_as_was_derived(
    per_minute: int, costs: tuple[int, ...]
) -> None:
    dice = random.Random(per_minute)
    flow = Flow(
        per_minute, (dice.choice(costs) for _ in count()), until_a_border(WORST_BORDER_S, 0)
    )
    flow.run(60 * 11, lambda: dice.uniform(0.05, 0.25))
    leak = (per_minute + 1 - max(costs)) / (60 + SPREAD_S + BETWEEN_CLAIMS_S)
    # What waits at either end of the count is less than one text.
    assert flow.units(60) >= 0.998 * leak * 600 - max(costs)


# --- the proof can fail ----------------------------------------------------------------------


def test_a_meter_that_knew_of_no_spread_would_be_caught() -> None:
    flow = Flow(400, (1 for _ in count()), until_a_border(WORST_BORDER_S, 0))
    blind = 400 / 60
    level, last_s = 0.0, 0.0
    while flow.now_s < 180:
        flow.now_s += 0.1
        level = max(0.0, level - blind * (flow.now_s - last_s))
        last_s = flow.now_s
        while level + 1 <= 1 + blind * BETWEEN_CLAIMS_S:
            level += 1
            flow.arrives(1)
    assert flow.verdict().over
