"""The pace after a carrier's refusals, held against carriers that count every minute."""

from collections import deque
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collider import pace
from services.collider.pace import CUT, PLATEAU, Pace, PaceKey
from shared.rules import meters
from shared.rules.limits import CAUTIOUS, ORGANIZATION, Limits, applying

NOON = datetime(2026, 10, 20, 12, tzinfo=UTC)
KEY: PaceKey = ("use-case", "sms")
DEFAULT = CAUTIOUS["att"]


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def limits(scope: str, sms: int | None = None, mms: int | None = None) -> Limits:
    return Limits(scope, sms, "segment", mms, None, "America/New_York")


class Road:
    """An endless backlog on its way to a carrier that takes `real` a minute."""

    def __init__(self, told: int | None, real: int, receipt_s: float) -> None:
        self.told = told
        self.real = real
        self.receipt_s = receipt_s
        self.taken: list[float] = []
        self.refused: list[float] = []
        self._pace: Pace | None = None
        self._meter = meters.fresh(told, NOON) if told is not None else None
        self._receipts: deque[tuple[float, datetime]] = deque()

    def run(self, seconds: float) -> None:
        begun = max([0.0, *self.taken[-1:], *self.refused[-1:]])
        for tick in range(int(begun * 5) + 1, int((begun + seconds) * 5)):
            now_s = tick / 5
            while self._receipts and self._receipts[0][0] <= now_s:
                _, claimed_at = self._receipts.popleft()
                seen = sum(one > now_s - 60 for one in [*self.taken[-9000:], *self.refused[-9000:]])
                new = pace.cut(self._pace, self.told, seen, claimed_at, at(now_s))
                self._pace = new or self._pace
            for _ in range(self._room(at(now_s))):
                self._arrive(now_s)

    def _room(self, now: datetime) -> int:
        known = {KEY: self._pace} if self._pace else {}
        if pace.resting(known, now):
            return 0
        told = {} if self.told is None else {ORGANIZATION: limits(ORGANIZATION, self.told)}
        slowed = pace.slowed(told, limits(ORGANIZATION), known, now)
        caps = [one.sms_per_minute for one in applying("use-case", slowed, limits(ORGANIZATION))]
        per_minute = min((cap for cap in caps if cap is not None), default=None)
        if per_minute is None:
            return 10
        known_meter = self._meter or meters.full(per_minute, now)
        self._meter = meters.limited(known_meter, per_minute, now)
        count = int(max(0.0, self._meter.room(now)))
        self._meter = meters.poured(self._meter, count, now)
        return count

    def _arrive(self, now_s: float) -> None:
        recent = 0
        for one in reversed(self.taken):
            if one <= now_s - 60:
                break
            recent += 1
        if recent < self.real:
            self.taken.append(now_s)
        else:
            self.refused.append(now_s)
            self._receipts.append((now_s + self.receipt_s, at(now_s)))


@pytest.mark.parametrize(
    ("told", "real", "receipt_s"),
    [
        (400, 300, 0.2),
        (400, 300, 40),
        (320, 300, 5),
        (400, 40, 5),
        (400, 40, 40),
        (4500, 240, 5),
        (None, 300, 0.2),
        (None, 300, 5),
        (40, 15, 5),
    ],
)
def test_a_limit_set_too_high_converges_to_the_carriers_own(
    told: int | None, real: int, receipt_s: float
) -> None:
    road = Road(told, real, receipt_s)
    road.run(2400)
    taken = sum(one >= 600 for one in road.taken)
    refused = sum(one >= 600 for one in road.refused)
    assert taken >= 0.9 * real * 30
    assert refused <= 0.02 * taken


def test_what_was_claimed_before_a_cut_or_in_its_rest_is_not_punished_again() -> None:
    known = pace.cut(None, 400, 0, at(-1), NOON)
    assert known == Pace(400, NOON)
    assert pace.rests_until(known) == at(9)
    assert pace.cut(known, 400, 0, at(-0.5), at(2)) is None
    assert pace.cut(known, 400, 0, at(8.9), at(10)) is None
    again = pace.cut(known, 400, 0, at(9), at(10))
    assert again is not None
    assert again.refused < CUT * 400


def test_a_pace_rises_from_the_cut_over_its_plateau_without_end() -> None:
    one = Pace(300, NOON)
    assert pace.imposed(one, at(0)) == CUT * 300
    assert pace.imposed(one, at(180)) == pytest.approx(PLATEAU * 300)
    assert pace.imposed(one, at(240)) == pytest.approx(0.981 * 300)
    paces = [pace.imposed(one, at(second)) for second in range(0, 7200, 10)]
    assert paces == sorted(paces)
    assert pace.imposed(one, at(-5)) == CUT * 300


def test_no_pace_is_below_one_a_minute() -> None:
    one = pace.cut(Pace(1, NOON), None, 0, at(300), at(301))
    assert one is not None
    assert pace.imposed(one, at(301)) == 1
    assert pace.rests_until(one) == at(301)


def test_without_any_cap_the_last_minute_says_how_fast_it_went_and_all_of_it_drains() -> None:
    one = pace.cut(None, None, 900, at(-1), NOON)
    assert one is not None
    assert one.refused == 900
    assert pace.rests_until(one) == at(60)
    # A single text that was refused says nothing of a pace.
    alone = pace.cut(None, None, 1, at(-1), NOON)
    assert alone is not None
    assert alone.refused == 60


def test_a_pace_lowers_the_use_cases_own_limit_and_nothing_else_of_it() -> None:
    told = {
        ORGANIZATION: limits(ORGANIZATION, 500),
        "use-case": Limits("use-case", 400, "message", 50, 1000, "America/Denver"),
        "other": limits("other", 300),
    }
    slowed = pace.slowed(told, DEFAULT, {KEY: Pace(400, NOON)}, NOON)
    assert slowed["use-case"] == Limits(
        "use-case", 340, "message", 50, 1000, "America/Denver", sms_cost_most=340
    )
    assert {**slowed, "use-case": None} == {**told, "use-case": None}


def test_a_pace_where_the_organization_alone_has_limits_is_the_use_cases() -> None:
    told = {ORGANIZATION: limits(ORGANIZATION, 500, mms=50)}
    slowed = pace.slowed(told, DEFAULT, {("use-case", "mms"): Pace(50, NOON)}, NOON)
    assert slowed == {**told, "use-case": limits("use-case", mms=42)}
    assert applying("other", slowed, DEFAULT) == (told[ORGANIZATION],)


def test_a_pace_beside_the_default_keeps_the_default_for_all() -> None:
    slowed = pace.slowed({}, DEFAULT, {KEY: Pace(75, NOON)}, NOON)
    assert applying("other", slowed, DEFAULT) == (DEFAULT,)
    of_default, own = applying("use-case", slowed, DEFAULT)
    assert (of_default, own.sms_per_minute) == (DEFAULT, 63)
    assert own.day_zone == DEFAULT.day_zone


def test_a_pace_that_has_reached_its_limit_is_imposed_no_longer() -> None:
    told = {"use-case": limits("use-case", 100)}
    paces = {KEY: Pace(100, NOON), ("other", "mms"): Pace(50, NOON)}
    assert pace.over(told, DEFAULT, paces, at(200)) == set()
    assert pace.over(told, DEFAULT, paces, at(400)) == {KEY, ("other", "mms")}
    assert pace.slowed(told, DEFAULT, paces, at(400)) == told
    # Lowered by an admin meanwhile, the limit is the lower one.
    told = {"use-case": limits("use-case", 60)}
    assert pace.over(told, DEFAULT, {KEY: Pace(100, NOON)}, NOON) == {KEY}


def test_a_pace_without_any_limit_ends_when_it_is_ten_times_what_was_refused() -> None:
    told = {ORGANIZATION: limits(ORGANIZATION)}
    assert pace.over(told, DEFAULT, {KEY: Pace(300, NOON)}, at(3600)) == set()
    assert pace.over(told, DEFAULT, {KEY: Pace(300, NOON)}, at(6 * 3600)) == {KEY}


def test_a_use_case_rests_until_the_carriers_minute_has_drained() -> None:
    paces = {KEY: Pace(400, NOON), ("old", "sms"): Pace(400, at(-30))}
    assert pace.resting(paces, at(5)) == {KEY: at(9)}
    assert pace.resting(paces, at(9)) == {}


@given(st.floats(1, 10_000), st.floats(0, 86_400), st.integers(1, 24))
def test_a_text_of_any_size_fits_into_any_imposed_minute(
    refused: float, seconds: float, segments: int
) -> None:
    slowed = pace.slowed({}, limits(ORGANIZATION), {KEY: Pace(refused, NOON)}, at(seconds))
    for one in applying("use-case", slowed, limits(ORGANIZATION)):
        per_minute = one.per_minute("sms")
        assert per_minute is None or 1 <= one.cost("sms", segments) <= per_minute
