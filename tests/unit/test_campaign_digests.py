"""Which civil day a digest is of, wherever clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.campaign.rules.digests import Digests, day_after, day_of, due_at, first_day
from shared.rules.hours import civil_day

ZONES = ["America/New_York", "America/Los_Angeles", "America/Phoenix", "America/Havana",
         "Africa/Cairo", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Auckland",
         "America/Santiago", "UTC"]  # fmt: skip
NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-11-01", 25), ("2027-03-14", 23), ("2026-10-20", 24)]
)
def test_a_day_is_as_long_as_its_clocks_make_it(day: str, hours: int) -> None:
    found = day_of(NEW_YORK, date.fromisoformat(day))
    assert found.closes_at - found.opens_at == timedelta(hours=hours)


def test_a_day_whose_midnight_the_clocks_skip_begins_with_their_jump() -> None:
    # Havana's went from 0:00 to 1:00 on that day.
    found = day_of("America/Havana", date(2026, 3, 8))
    assert found.opens_at == datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert found.closes_at - found.opens_at == timedelta(hours=23)


@given(st.sampled_from(ZONES), st.dates(date(2024, 1, 1), date(2035, 12, 31)))
def test_days_follow_each_other_without_a_gap(zone: str, day: date) -> None:
    found = day_of(zone, day)
    following = day_after(zone, day)
    assert following == day + timedelta(days=1)
    assert day_of(zone, following).opens_at == found.closes_at
    for at in (found.opens_at, found.closes_at - timedelta(microseconds=1)):
        assert at.astimezone(ZoneInfo(zone)).date() == day
    assert found.closes_at.astimezone(ZoneInfo(zone)).date() == following


def test_a_day_is_reported_some_hours_after_its_end_so_that_receipts_are_in() -> None:
    midnight = datetime.combine(date(2026, 10, 21), time(), ZoneInfo(NEW_YORK))
    assert due_at(NEW_YORK, date(2026, 10, 20)) == midnight + timedelta(hours=3)


NOON = datetime(2026, 10, 20, 16, tzinfo=UTC)
TODAY, YESTERDAY, TOMORROW = date(2026, 10, 20), date(2026, 10, 19), date(2026, 10, 21)


@pytest.mark.parametrize(
    ("was", "first"),
    [
        (Digests(wanted=False, day=None), TODAY),
        # Yesterday's has still to come.
        (Digests(wanted=True, day=YESTERDAY), YESTERDAY),
        (Digests(wanted=True, day=TODAY), TODAY),
        # Off for a while: those days stay left out.
        (Digests(wanted=False, day=YESTERDAY), TODAY),
        # In a zone further east it was today already, and that was told.
        (Digests(wanted=True, day=TOMORROW), TOMORROW),
        (Digests(wanted=False, day=TOMORROW), TOMORROW),
    ],
)
def test_no_day_is_told_twice_and_none_that_was_to_come_left_out(was: Digests, first: date) -> None:
    assert civil_day(NEW_YORK, NOON) == TODAY
    assert first_day(was, NEW_YORK, NOON) == first
