"""The hours against a clock on the wall that is read minute by minute."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given
from hypothesis import strategies as st

from shared.rules.hours import (
    END_OF_DAY,
    Hours,
    Interval,
    Window,
    civil_day,
    last_sendable_at,
    next_midnight,
    open_interval,
    sendable_interval,
)

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

UNUSUAL_ZONES = [
    "America/Los_Angeles",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # its clocks change by 30 minutes
    "America/Sao_Paulo",  # until 2018 a day began at 01:00, and midnight came twice
    "America/Havana",
    "America/St_Johns",  # until 2011 the clocks changed at 00:01
    "America/Nuuk",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Antarctica/Troll",  # its clocks change by 2 hours
    "Pacific/Apia",  # has no 2011-12-30
    "Pacific/Kwajalein",  # has no 1993-08-21
    "UTC",
]
ALL_ZONES = sorted(available_timezones() - {"localtime", "Factory"})


# The oracle: nothing but what a wall clock reads, a minute at a time. Since 1975 the full minutes
# of every zone are those of UTC.


def wall_clock(zone: str, at: datetime) -> datetime:
    return at.astimezone(ZoneInfo(zone))


def reads_open(hours: Hours, at: datetime) -> bool:
    reads = wall_clock(hours.time_zone, at).time()
    return hours.opens <= reads and (reads < hours.closes or hours.closes == END_OF_DAY)


def minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def open_by_the_wall_clock(hours: Hours, at: datetime) -> Interval:
    """Step to the first open minute, then to where it stopped or stops, or the date changes."""

    def same_run(one: datetime, other: datetime) -> bool:
        dates = {wall_clock(hours.time_zone, at).date() for at in (one, other)}
        return reads_open(hours, other) and len(dates) == 1

    opens_at = minute_of(at)
    while not reads_open(hours, opens_at):
        opens_at += MINUTE
    closes_at = opens_at + MINUTE
    while same_run(opens_at, closes_at):
        closes_at += MINUTE
    while same_run(opens_at, opens_at - MINUTE):
        opens_at -= MINUTE
    return Interval(opens_at, closes_at)


def sendable_by_the_wall_clock(window: Window, hours: Hours) -> Iterator[datetime]:
    at = window.opens_at
    while at < window.closes_at:
        if reads_open(hours, at):
            yield at
        at += MINUTE


# What is drawn: half of the instants within two days of a change of the clocks.


@lru_cache
def days_of_change(zone: str) -> list[datetime]:
    days = [datetime(1975, 1, 1, tzinfo=UTC) + day * DAY for day in range(65 * 365)]
    offsets = [wall_clock(zone, day).utcoffset() for day in days]
    return [days[at] for at in range(1, len(days)) if offsets[at - 1] != offsets[at]]


@st.composite
def zones_and_instants(draw: st.DrawFn) -> tuple[str, datetime]:
    if draw(st.booleans()):
        zone = draw(st.sampled_from(UNUSUAL_ZONES))
        near = st.sampled_from(days_of_change(zone) or [datetime(2024, 2, 29, tzinfo=UTC)])
        minutes = draw(st.integers(-2 * 1440, 2 * 1440))
        return zone, draw(near) + minutes * MINUTE + draw(st.sampled_from([0, 59])) * MINUTE / 60
    instants = st.datetimes(datetime(1975, 1, 3), datetime(2090, 1, 1), timezones=st.just(UTC))
    return draw(st.sampled_from(ALL_ZONES)), draw(instants)


def at_minute(minute: int) -> time:
    return END_OF_DAY if minute == 1440 else time(minute // 60, minute % 60)


@st.composite
def hours_in(draw: st.DrawFn, zone: str) -> Hours:
    """Short ones at night often: there a change of the clocks cuts them, doubles or skips them."""
    opens = draw(st.sampled_from([0, 1, 59, 60, 90, 120, 150, 1380]) | st.integers(0, 1439))
    lasts = draw(st.sampled_from([1, 30, 60, 90, 180, 1440]) | st.integers(1, 1440))
    return Hours(at_minute(opens), at_minute(min(opens + lasts, 1440)), zone)


@st.composite
def hours_and_instants(draw: st.DrawFn) -> tuple[Hours, datetime]:
    zone, at = draw(zones_and_instants())
    return draw(hours_in(zone)), at


@st.composite
def windows(draw: st.DrawFn, near: datetime) -> Window:
    opens_at = minute_of(near) + draw(st.integers(-3 * 1440, 2 * 1440)) * MINUTE
    return Window(opens_at, opens_at + draw(st.integers(1, 3 * 1440)) * MINUTE)


@given(hours_and_instants())
def test_the_open_interval_is_what_the_wall_clock_says(drawn: tuple[Hours, datetime]) -> None:
    hours, at = drawn
    assert open_interval(hours, at) == open_by_the_wall_clock(hours, at)


@given(hours_and_instants())
def test_an_instant_is_in_its_interval_just_when_the_wall_clock_reads_open(
    drawn: tuple[Hours, datetime],
) -> None:
    hours, at = drawn
    assert (at in open_interval(hours, at)) == reads_open(hours, at)


@given(hours_and_instants(), st.data())
def test_an_initial_goes_when_the_wall_clock_reads_open_within_the_window(
    drawn: tuple[Hours, datetime], data: st.DataObject
) -> None:
    hours, at = drawn
    window = data.draw(windows(at))
    start = max(minute_of(at), window.opens_at)
    expected = next((m for m in sendable_by_the_wall_clock(window, hours) if m >= start), None)
    found = sendable_interval("initial", window, hours, at)
    if expected is None:
        assert found is None
    else:
        run = open_by_the_wall_clock(hours, expected)
        assert found is not None
        assert found.opens_at == max(run.opens_at, window.opens_at)
        assert found.closes_at == min(run.closes_at, window.closes_at)
        assert found.closes_at > at


@given(hours_and_instants(), st.data())
def test_the_last_sendable_instant_is_the_last_that_the_wall_clock_allows(
    drawn: tuple[Hours, datetime], data: st.DataObject
) -> None:
    hours, at = drawn
    window = data.draw(windows(at))
    minutes = list(sendable_by_the_wall_clock(window, hours))
    expected = minutes[-1] + MINUTE if minutes else None
    assert last_sendable_at(window, hours) == expected


@given(hours_and_instants(), st.timedeltas(timedelta(seconds=1), timedelta(days=40)))
def test_going_from_interval_to_interval_ends_at_the_last_sendable_instant(
    drawn: tuple[Hours, datetime], lasts: timedelta
) -> None:
    hours, at = drawn
    window = Window(at, at + lasts)
    intervals: list[Interval] = []
    found = sendable_interval("initial", window, hours, at)
    while found is not None:
        assert not intervals or intervals[-1].closes_at <= found.opens_at
        intervals.append(found)
        found = sendable_interval("initial", window, hours, found.closes_at)
    assert last_sendable_at(window, hours) == (intervals[-1].closes_at if intervals else None)


@given(zones_and_instants())
def test_the_next_midnight_is_where_the_calendar_turns(drawn: tuple[str, datetime]) -> None:
    zone, at = drawn
    turns_at = minute_of(at) + MINUTE
    while wall_clock(zone, turns_at).date() == wall_clock(zone, at).date():
        turns_at += MINUTE
    assert civil_day(zone, at) == wall_clock(zone, at).date()
    assert next_midnight(zone, at) == turns_at
