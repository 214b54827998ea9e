import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox.domain import Carrier, Channel, Limit, Submission
from services.sandbox.judge import Judge

START = datetime(2026, 6, 1, 19, 0, tzinfo=UTC)


def text(
    carrier: Carrier = "att",
    *,
    use_case: str | None = None,
    channel: Channel = "sms",
    segments: int = 1,
) -> Submission:
    return Submission("+12125550100", "+12123340000", carrier, "acme", use_case, channel, segments)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def bucket(judge: Judge, **wanted: object) -> dict[str, Any]:
    lines = judge.verdict()["buckets"]
    assert isinstance(lines, list)
    wanted = {"carrier": "att", "channel": "sms", "use_case": None, **wanted}
    [line] = [line for line in lines if wanted.items() <= line.items()]
    found: dict[str, Any] = line
    return found


def days(judge: Judge) -> list[dict[str, Any]]:
    lines: Any = judge.verdict()["days"]
    return list(lines)


arrivals = st.lists(
    st.tuples(st.integers(0, 30_000_000), st.integers(1, 4)), min_size=1, max_size=120
)


@given(arrivals, st.sampled_from([0, 30_000_000]))
def test_the_peak_is_that_of_the_busiest_half_open_minute(
    gaps: list[tuple[int, int]], pause_us: int
) -> None:
    judge, at_us, all_arrivals = Judge(), 0, []
    for index, (gap_us, segments) in enumerate(gaps):
        at_us += pause_us if index % 3 == 0 else gap_us // 20
        all_arrivals.append((at_us, segments))
        judge.record(START + timedelta(microseconds=at_us), text(segments=segments))
    busiest = max(
        sum(cost for other_us, cost in all_arrivals if from_us <= other_us < from_us + 60_000_000)
        for from_us, _ in all_arrivals
    )
    assert bucket(judge)["peak_60s"] == busiest


def test_exactly_sixty_seconds_apart_is_not_the_same_minute() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "att", Limit(sms_per_minute=1))
    judge.record(after(0.1), text())
    judge.record(after(60.1), text())
    assert judge.verdict()["ok"] is True
    judge.record(after(120.099999), text())
    assert bucket(judge)["over"] is True
    assert judge.verdict()["ok"] is False


def test_one_over_the_limit_is_over_however_the_minute_is_placed() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "att", Limit(sms_per_minute=10))
    for index in range(11):
        judge.record(after(30 + index * 5.9), text())
    line = bucket(judge)
    assert (line["peak_60s"], line["over"]) == (11, True)
    assert line["worst"] == {"count": 11, "limit": 10, "at": "2026-06-01T19:01:29.000000Z"}


def test_what_the_carrier_refused_counts_all_the_same() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "att", Limit(sms_per_minute=1))
    judge.record(after(0), text())
    judge.record(after(1), text(), carrier_code="40018")
    assert bucket(judge)["over"] is True


def test_what_the_provider_itself_refused_does_not_count() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "att", Limit(sms_per_minute=1))
    judge.record(after(0), text())
    judge.record(after(1), text(), answer="refused", taken=False, code="429")
    assert judge.verdict()["ok"] is True


def test_the_first_limit_told_binds_what_was_before_the_telling() -> None:
    judge = Judge()
    for second in range(3):
        judge.record(after(second), text())
    judge.tell_limit(after(3), "acme", "att", Limit(sms_per_minute=3))
    judge.record(after(4), text())
    assert bucket(judge)["over"] is True


def test_a_lowered_limit_binds_one_second_after_the_change() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "att", Limit(sms_per_minute=200))
    for index in range(50):
        judge.record(after(index * 0.1), text())
    judge.tell_limit(after(5), "acme", "att", Limit(sms_per_minute=10))
    for index in range(50):
        judge.record(after(5 + index * 0.019), text())
    assert judge.verdict()["ok"] is True
    for index in range(10):
        judge.record(after(6 + index), text())
    assert judge.verdict()["ok"] is True
    judge.record(after(65.9), text())
    line = bucket(judge)
    assert line["over"] is True
    assert (line["worst"]["count"], line["worst"]["limit"]) == (11, 10)


def test_a_raised_limit_allows_no_more_than_the_new_one() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "att", Limit(sms_per_minute=10))
    for _ in range(10):
        judge.record(after(0), text())
    judge.tell_limit(after(1), "acme", "att", Limit(sms_per_minute=20))
    for _ in range(10):
        judge.record(after(2), text())
    assert judge.verdict()["ok"] is True
    judge.record(after(3), text())
    assert bucket(judge)["over"] is True


def test_a_limit_that_was_lifted_for_a_while_acquits_that_while() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "att", Limit(sms_per_minute=1))
    judge.record(after(0), text())
    judge.tell_limit(after(10), "acme", "att", Limit())
    for _ in range(100):
        judge.record(after(11), text())
    judge.tell_limit(after(20), "acme", "att", Limit(sms_per_minute=1))
    judge.record(after(21), text())
    assert judge.verdict()["ok"] is True
    judge.record(after(22), text())
    assert bucket(judge)["over"] is True


@given(st.integers(0, 2**32), st.integers(1, 3))
def test_a_changing_limit_is_judged_as_brute_force_judges_it(seed: int, changes: int) -> None:
    dice = random.Random(seed)
    told = [(0, dice.randint(1, 12))]
    told += sorted((dice.randint(1, 150), dice.randint(1, 12)) for _ in range(changes))
    told = [one for index, one in enumerate(told) if index == 0 or one[1] != told[index - 1][1]]
    events = sorted(
        [(at, "tell", limit) for at, limit in told]
        + [(dice.randint(0, 150), "text", 0) for _ in range(30)],
        key=lambda event: event[0],
    )
    judge = Judge()
    for at, what, limit in events:
        if what == "tell":
            judge.tell_limit(after(at), "acme", "att", Limit(sms_per_minute=limit))
        else:
            judge.record(after(at), text())
    times = [at for at, what, _ in events if what == "text"]
    assert bucket(judge)["over"] is _over_by_brute_force(times, told)


def _over_by_brute_force(times: list[int], told: list[tuple[int, int]]) -> bool:
    ends = [at for at, _ in told[1:]]
    periods = [
        (since if index else -1000, end, limit)
        for index, ((since, limit), end) in enumerate(zip(told, [*ends, 10_000], strict=True))
    ]
    for from_at in range(-60, 152):
        for to_at in range(from_at, from_at + 60):
            bound = max(
                limit for since, end, limit in periods if since <= to_at and end > from_at - 1
            )
            if sum(from_at <= at <= to_at for at in times) > bound:
                return True
    return False


def test_a_limit_in_messages_is_judged_in_messages() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "verizon", Limit(sms_per_minute=2, sms_unit="message"))
    judge.record(after(0), text("verizon", segments=5))
    judge.record(after(1), text("verizon", segments=5))
    line = bucket(judge, carrier="verizon")
    assert (line["peak_60s"], line["unit"], line["segments"], line["over"]) == (
        2,
        "message",
        10,
        False,
    )


def test_mms_and_sms_are_judged_apart() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "att", Limit(sms_per_minute=1, mms_per_minute=1))
    judge.record(after(0), text())
    judge.record(after(0), text(channel="mms"))
    assert judge.verdict()["ok"] is True
    judge.record(after(1), text(channel="mms"))
    assert bucket(judge, channel="mms")["over"] is True
    assert bucket(judge)["over"] is False


def test_a_use_cases_limit_is_a_bucket_of_its_own() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "att", Limit(sms_per_minute=1), use_case="a")
    judge.record(after(0), text(use_case="a"))
    judge.record(after(0), text(use_case="b"))
    assert judge.verdict()["ok"] is True
    judge.record(after(1), text(use_case="a"))
    assert bucket(judge, use_case="a")["over"] is True
    assert bucket(judge)["seen"] == 3


def test_a_request_that_the_network_held_up_is_an_excursion_and_not_judged() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "att", Limit(sms_per_minute=1))
    judge.record(after(0), text())
    judge.record(after(1), text(), late=True)
    line = bucket(judge)
    assert (line["peak_60s"], line["peak_60s_in_time"], line["excursions"]) == (2, 1, 1)
    assert judge.verdict()["ok"] is True


@pytest.mark.parametrize(
    ("midnight", "hours"),
    [
        (datetime(2026, 3, 8, 8, 0, tzinfo=UTC), 23),
        (datetime(2026, 6, 1, 7, 0, tzinfo=UTC), 24),
        (datetime(2026, 11, 1, 7, 0, tzinfo=UTC), 25),
    ],
)
def test_the_days_quota_is_judged_by_civil_days_of_23_24_and_25_hours(
    midnight: datetime, hours: int
) -> None:
    judge, just = Judge(), timedelta(microseconds=1)
    judge.tell_limit(midnight, "acme", "tmobile", Limit(segments_per_day=2))
    judge.record(midnight, text("tmobile"))
    judge.record(midnight + timedelta(hours=hours) - just, text("tmobile"))
    judge.record(midnight + timedelta(hours=hours), text("tmobile", segments=2))
    assert [line["segments"] for line in days(judge)] == [2, 2]
    assert judge.verdict()["ok"] is True
    judge.record(midnight + timedelta(hours=hours, seconds=1), text("tmobile"))
    assert [line["over"] for line in days(judge)] == [False, True]


def test_a_text_turned_away_before_the_quota_does_not_count_to_the_day() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "tmobile", Limit(segments_per_day=1))
    judge.record(after(0), text("tmobile"), carrier_code="40011")
    judge.record(after(1), text("tmobile"), carrier_code="40010")
    judge.record(after(2), text("tmobile"))
    assert judge.verdict()["ok"] is True
    judge.record(after(3), text("tmobile"), carrier_code="40016")
    assert days(judge)[0]["over"] is True


def test_a_quota_lowered_during_the_day_convicts_only_what_comes_after_it() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "tmobile", Limit(segments_per_day=100))
    judge.record(after(0), text("tmobile", segments=50))
    judge.tell_limit(after(10), "acme", "tmobile", Limit(segments_per_day=10))
    judge.record(after(10.9), text("tmobile"))
    assert judge.verdict()["ok"] is True
    judge.record(after(11), text("tmobile"))
    assert days(judge)[0]["over"] is True
