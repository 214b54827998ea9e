"""When what waits will have gone: the articles' examples, and what holds for every forecast.

`tests/integration/test_collider_forecast.py` holds the same rule against the engine.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.rules.forecast import (
    REACH,
    Bucket,
    BucketSeen,
    Load,
    Outlook,
    expected_at,
    forecast,
    safe_end,
)
from shared.rules.hours import Hours, Kind, Window
from shared.rules.limits import ORGANIZATION, Limits
from shared.rules.segments import Channel
from tests.forecast_cases import Case, draw

LOS_ANGELES = "America/Los_Angeles"
MORNING = datetime(2026, 10, 20, 9, tzinfo=ZoneInfo(LOS_ANGELES)).astimezone(UTC)
HOURS = Hours.parse("9:00", "21:00", LOS_ANGELES)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def limits(
    scope: str = ORGANIZATION,
    sms: int | None = None,
    *,
    mms: int | None = None,
    day: int | None = None,
) -> Limits:
    return Limits(scope, sms, "segment", mms, day)


def bucket(carrier: str, *told: Limits, seen: BucketSeen | None = None) -> Bucket:
    return Bucket(carrier, {one.use_case_id: one for one in told}, seen)


def load(
    carrier: str = "att",
    texts: int = 100,
    *,
    segments: int = 1,
    campaign: str = "campaign",
    use_case: str = "use-case",
    kind: Kind = "initial",
    channel: Channel = "sms",
    days: float = 1,
) -> Load:
    """Texts of a campaign that is open from this morning to the close of its last day."""
    window = Window(MORNING, MORNING + timedelta(days=days - 1, hours=12))
    return Load(
        campaign, use_case, carrier, kind, channel, {segments: texts}, window, HOURS, MORNING
    )


def played(where: Bucket, *loads: Load) -> list[Outlook]:
    return list(forecast(MORNING, [where], loads).outlooks)


def took_s(outlook: Outlook) -> float:
    assert outlook.finishes_at is not None
    return (outlook.finishes_at - MORNING).total_seconds()


# --- the articles' examples ------------------------------------------------------------------


def test_ten_thousand_mms_at_a_thousand_a_minute_take_approximately_ten_minutes() -> None:
    [outlook] = played(bucket("att", limits(mms=1000)), load(texts=10_000, channel="mms"))
    assert outlook.sent == 10_000
    assert took_s(outlook) == pytest.approx(600, rel=0.02)


@pytest.mark.parametrize(("days", "failing"), [(1, 5_000), (2, 0)])
def test_of_15000_under_ten_thousand_a_day_5000_fail_if_the_window_is_one_day_long(
    days: int, failing: int
) -> None:
    where = bucket("tmobile", limits(day=10_000))
    [outlook] = played(where, load("tmobile", 15_000, days=days))
    assert (outlook.sent, outlook.failing) == (15_000 - failing, failing)
    if not failing:
        # "The 5,000 will deliver on the following day when the campaign reaches its open hours."
        assert outlook.finishes_at is not None
        assert MORNING + DAY <= outlook.finishes_at < MORNING + DAY + MINUTE


def test_the_earliest_end_that_saves_the_5000_is_on_the_next_morning() -> None:
    where = bucket("tmobile", limits(day=10_000))
    end = safe_end(MORNING, [where], [load("tmobile", 15_000)], "campaign")
    assert end == MORNING + DAY + MINUTE


# --- limits ----------------------------------------------------------------------------------


def test_a_text_of_ten_segments_takes_ten_of_the_minutes_and_of_the_days_limit() -> None:
    where = bucket("att", limits(sms=600, day=1_000))
    [outlook] = played(where, load(texts=150, segments=10, days=2))
    assert (outlook.sent, outlook.failing) == (150, 0)
    assert outlook.finishes_at is not None
    assert outlook.finishes_at > MORNING + DAY


def test_use_cases_have_minutes_of_their_own_below_their_organizations() -> None:
    where = bucket("att", limits(sms=600), limits("a", 240), limits("b", 120), limits("c", 9_000))
    a, b, c = played(
        where,
        *(load(texts=1_200, use_case=name, campaign=name, days=day) for day, name in
          enumerate("abc", start=1)),
    )  # fmt: skip
    assert took_s(a) == pytest.approx(300, rel=0.02)
    assert took_s(b) == pytest.approx(600, rel=0.02)
    # The third has what the first two leave of 600: 240 a minute.
    assert took_s(c) == pytest.approx(300, rel=0.02)


def test_sms_and_mms_have_separate_minutes_and_one_day() -> None:
    where = bucket("att", limits(sms=600, mms=60, day=300))
    sms, mms = played(where, load(texts=250), load(texts=100, channel="mms"))
    # In the 27 s in which the SMS go, 27 MMS go too; the day has 23 more for them.
    assert sms.sent == 250
    assert mms.sent == pytest.approx(50, abs=1)
    assert took_s(sms) == pytest.approx(25, abs=1)


def test_a_closed_limit_lets_nothing_out_and_all_fails_with_the_window() -> None:
    [outlook] = played(bucket("att", limits(sms=0)), load(texts=10))
    assert (outlook.sent, outlook.failing, outlook.finishes_at) == (0, 10, None)


def test_a_text_larger_than_a_limit_is_refused_at_once_and_does_not_count_as_failing() -> None:
    [outlook] = played(bucket("att", limits(sms=5)), load(texts=10, segments=6))
    assert (outlook.refused, outlook.failing, outlook.sent) == (10, 0, 0)


def test_without_a_told_limit_the_cautious_one_of_its_carrier_holds() -> None:
    [outlook] = played(Bucket("verizon"), load("verizon", 600))
    assert took_s(outlook) == pytest.approx(600, rel=0.02)


# --- order -----------------------------------------------------------------------------------


def test_replies_go_first_then_the_nearest_last_sendable_instant_then_the_oldest() -> None:
    where = bucket("att", limits(sms=60))
    older = replace(load(campaign="older", days=2), queued_at=MORNING - MINUTE)
    loads = [
        load(campaign="late", days=3), load(campaign="younger", days=2), older,
        load(campaign="soon"), load(campaign="late", kind="reply", days=3),
    ]  # fmt: skip
    outlooks = played(where, *loads)
    order = sorted(outlooks, key=took_s)
    assert [loads.index(one.load) for one in order] == [4, 3, 2, 1, 0]


def test_a_paused_load_waits_and_its_initials_fail_with_the_window() -> None:
    where = bucket("att", limits(sms=60))
    initials, replies = played(
        where,
        replace(load(texts=10), paused=True),
        replace(load(texts=10, kind="reply"), paused=True),
    )
    assert (initials.failing, initials.waiting) == (10, 0)
    assert (replies.failing, replies.waiting) == (0, 10)


def test_what_comes_later_goes_later() -> None:
    later = replace(load(texts=10), not_before=MORNING + 30 * MINUTE)
    [outlook] = played(bucket("att", limits(sms=600)), later)
    assert took_s(outlook) == pytest.approx(1_801, abs=1)


# --- what was last told of the bucket ---------------------------------------------------------


def test_what_went_today_is_taken_from_the_day() -> None:
    seen = BucketSeen(MORNING - MINUTE, day_quota_left=40)
    [outlook] = played(bucket("tmobile", limits(day=100), seen=seen), load("tmobile", 120))
    assert (outlook.sent, outlook.failing) == (40, 80)
    yesterday = replace(seen, at=MORNING - DAY)
    [outlook] = played(bucket("tmobile", limits(day=100), seen=yesterday), load("tmobile", 120))
    assert outlook.sent == 100


def test_a_use_cases_own_day_is_what_its_organization_says_it_is() -> None:
    where = bucket("tmobile", limits(day=100), limits("use-case", day=50))
    where = replace(where, left_today={"use-case": 20})
    [outlook] = played(where, load("tmobile", 120))
    assert outlook.sent == 20


def test_a_bucket_that_its_carrier_slows_down_goes_as_fast_as_it_went_lately() -> None:
    seen = BucketSeen(MORNING, sent_per_minute=280, slowed=True)
    [outlook] = played(bucket("att", limits(sms=4_500), seen=seen), load(texts=2_800))
    assert took_s(outlook) == pytest.approx(600, rel=0.02)


# --- a single text ----------------------------------------------------------------------------


def test_a_text_that_is_queued_now_goes_behind_the_backlog() -> None:
    seen = BucketSeen(MORNING, backlog=600, replies=60, room=0)
    where = bucket("att", limits(sms=60), seen=seen)
    at = expected_at(MORNING, where, load(texts=1))
    assert at is not None
    assert (at - MORNING).total_seconds() == pytest.approx(606, rel=0.02)
    at = expected_at(MORNING, where, load(texts=1, kind="reply"))
    assert at is not None
    assert (at - MORNING).total_seconds() == pytest.approx(61, rel=0.03)


def test_a_text_that_is_queued_at_night_goes_at_the_opening_and_over_the_quota_the_next_day() -> (
    None
):
    night = MORNING - timedelta(hours=3)
    assert expected_at(night, bucket("att", limits(sms=60)), load(texts=1)) == MORNING
    seen = BucketSeen(MORNING, day_quota_left=0)
    where = bucket("tmobile", limits(sms=60, day=100), seen=seen)
    assert expected_at(MORNING, where, load("tmobile", 1, days=3)) == MORNING + DAY
    # The window ends before that.
    assert expected_at(MORNING, where, load("tmobile", 1)) is None


# --- what holds for every forecast ------------------------------------------------------------


def cases() -> st.SearchStrategy[Case]:
    return st.integers(1_000, 1_000_000).map(lambda seed: draw(seed, MORNING))


def loads_of(case: Case) -> list[Load]:
    return [
        Load(
            batch.campaign.campaign_id, batch.campaign.use_case_id, batch.carrier, batch.kind,
            batch.channel, {size: batch.segments.count(size) for size in set(batch.segments)},
            batch.campaign.window, batch.campaign.hours, MORNING + timedelta(microseconds=index),
        )
        for index, batch in enumerate(case.batches)
    ]  # fmt: skip


def buckets_of(case: Case) -> list[Bucket]:
    return [Bucket(carrier, case.limits.get(carrier, {})) for carrier in case.carriers]


@settings(max_examples=150, derandomize=True)
@given(case=cases())
def test_sent_failing_refused_and_waiting_are_all_there_are(case: Case) -> None:
    loads = loads_of(case)
    for one, outlook in zip(
        loads, forecast(MORNING, buckets_of(case), loads).outlooks, strict=True
    ):
        parts = (outlook.sent, outlook.failing, outlook.refused, outlook.waiting)
        assert min(parts) >= 0
        assert sum(parts) == one.count
        assert (outlook.sent > 0) == (outlook.finishes_at is not None)
        if outlook.finishes_at is not None:
            assert MORNING <= outlook.finishes_at < MORNING + REACH
            assert one.kind == "reply" or outlook.finishes_at < one.window.closes_at


@settings(max_examples=150, derandomize=True)
@given(case=cases(), days=st.integers(0, 4), hours=st.integers(0, 30))
def test_a_later_end_never_fails_more_where_a_campaign_has_the_place_to_itself(
    case: Case, days: int, hours: int
) -> None:
    # Next to others it may: a campaign that ends later lets those go first that end before it.
    only = case.batches[0].campaign.campaign_id
    loads = [one for one in loads_of(case) if one.kind == "reply" or one.campaign_id == only]
    moved = [
        replace(one, window=Window(
            one.window.opens_at, one.window.closes_at + timedelta(days=days, hours=hours)
        ))
        for one in loads
    ]  # fmt: skip
    before, after = (
        forecast(MORNING, buckets_of(case), these).failing(only) for these in (loads, moved)
    )
    assert after <= before


@settings(max_examples=150, derandomize=True)
@given(case=cases(), times=st.sampled_from((2, 3, 10)))
def test_higher_limits_never_fail_more(case: Case, times: int) -> None:
    # All of them: of one alone, what goes first may take from what goes last.
    higher = [
        replace(where, told={scope: _times(one, times) for scope, one in where.told.items()})
        for where in buckets_of(case)
        if where.told
    ]
    loads = [one for one in loads_of(case) if one.carrier in {where.carrier for where in higher}]
    assert _failing(higher, loads) <= _failing(buckets_of(case), loads)


def _times(one: Limits, times: int) -> Limits:
    def more(cap: int | None) -> int | None:
        return None if cap is None else cap * times

    return replace(
        one,
        sms_per_minute=more(one.sms_per_minute),
        mms_per_minute=more(one.mms_per_minute),
        segments_per_day=more(one.segments_per_day),
    )


def _failing(buckets: Sequence[Bucket], loads: Sequence[Load]) -> int:
    outlooks = forecast(MORNING, buckets, loads).outlooks
    return sum(one.failing + one.refused for one in outlooks)


@settings(max_examples=100, derandomize=True)
@given(case=cases())
def test_with_the_safe_end_none_fails_and_it_is_the_present_one_if_none_fails_with_that(
    case: Case,
) -> None:
    loads, buckets = loads_of(case), buckets_of(case)
    campaign = case.batches[0].campaign
    end = safe_end(MORNING, buckets, loads, campaign.campaign_id)
    if end is None:
        return

    def failing(closes_at: datetime) -> int:
        moved = [
            replace(one, window=Window(one.window.opens_at, closes_at))
            if one.campaign_id == campaign.campaign_id
            else one
            for one in loads
        ]
        return forecast(MORNING, buckets, moved).failing(campaign.campaign_id)

    assert end >= campaign.window.closes_at
    assert failing(end) == 0
    if end > campaign.window.closes_at:
        assert failing(campaign.window.closes_at) > 0


def test_a_million_texts_of_fifty_campaigns_are_forecast_while_a_request_waits() -> None:
    carriers = ("att", "tmobile", "verizon", "other")
    loads = [
        replace(
            load(carrier, campaign=f"campaign {index}", use_case=f"use-case {index % 3}"),
            texts={1: 3_600, 2: 1_300, 3: 100},
            window=Window(MORNING, MORNING + timedelta(days=1 + index % 7, hours=12)),
        )
        for index in range(50)
        for carrier in carriers
    ]
    assert sum(one.count for one in loads) == 1_000_000
    buckets = [
        bucket("att", *(limits(f"use-case {index}", 240, mms=150) for index in range(3))),
        bucket("tmobile", limits(day=40_000)),
        bucket("verizon", limits(sms=6_000, mms=60)),
    ]
    # Of the processor's time, since the machine may be busy.
    begun_s = time.process_time()
    forecast(MORNING, buckets, loads)
    assert time.process_time() - begun_s < 0.25
