"""The hours in sentences; their properties are in test_hours_by_the_wall_clock.py."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rules.hours import (
    DEFAULT_CLOSES,
    DEFAULT_OPENS,
    END_OF_DAY,
    Hours,
    Interval,
    Window,
    civil_day,
    clock_text,
    last_sendable_at,
    next_midnight,
    open_interval,
    parse_clock,
    sendable_interval,
)

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def intervals(hours: Hours, since: str, how_many: int) -> list[tuple[str, str]]:
    at, found = utc(since), []
    for _ in range(how_many):
        interval = open_interval(hours, at)
        found.append((f"{interval.opens_at:%d %H:%M}", f"{interval.closes_at:%d %H:%M}"))
        at = interval.closes_at
    return found


NEW_YORK = Hours.parse("9:00", "21:00", "America/New_York")


def test_a_message_of_the_night_waits_for_the_opening() -> None:
    assert intervals(NEW_YORK, "2024-05-01 03:00", 2) == [
        ("01 13:00", "02 01:00"),
        ("02 13:00", "03 01:00"),
    ]


def test_the_opening_minute_is_open_and_the_closing_minute_is_not() -> None:
    today = open_interval(NEW_YORK, utc("2024-05-01 13:00"))
    assert today.opens_at in today
    assert today.closes_at not in today
    assert open_interval(NEW_YORK, today.closes_at - timedelta(microseconds=1)) == today
    assert open_interval(NEW_YORK, today.closes_at).opens_at == today.opens_at + DAY


def test_hours_have_minutes_and_zones_have_quarters() -> None:
    hours = Hours.parse("9:15", "20:45", "Asia/Kathmandu")
    assert intervals(hours, "2024-05-01 00:00", 1) == [("01 03:30", "01 15:00")]


def test_nine_oclock_stays_nine_oclock_when_the_clocks_change() -> None:
    assert intervals(NEW_YORK, "2024-03-09 12:00", 2) == [
        ("09 14:00", "10 02:00"),
        ("10 13:00", "11 01:00"),
    ]
    assert intervals(NEW_YORK, "2024-11-02 12:00", 2) == [
        ("02 13:00", "03 01:00"),
        ("03 14:00", "04 02:00"),
    ]


def test_an_opening_that_the_clocks_skip_is_the_instant_after_the_gap() -> None:
    hours = Hours.parse("2:30", "5:00", "America/New_York")
    assert intervals(hours, "2024-03-10 00:00", 1) == [("10 07:00", "10 09:00")]


def test_a_closing_that_the_clocks_skip_is_the_instant_of_the_gap() -> None:
    hours = Hours.parse("1:00", "2:30", "America/New_York")
    assert intervals(hours, "2024-03-10 00:00", 1) == [("10 06:00", "10 07:00")]


def test_hours_that_the_clocks_skip_are_closed_that_day() -> None:
    hours = Hours.parse("2:00", "3:00", "America/New_York")
    assert intervals(hours, "2024-03-10 00:00", 1) == [("11 06:00", "11 07:00")]


def test_a_closing_that_comes_twice_closes_twice() -> None:
    hours = Hours.parse("0:30", "1:30", "America/New_York")
    assert intervals(hours, "2024-11-03 00:00", 2) == [
        ("03 04:30", "03 05:30"),
        ("03 06:00", "03 06:30"),
    ]


def test_an_opening_that_comes_twice_opens_twice() -> None:
    hours = Hours.parse("1:30", "3:00", "America/New_York")
    assert intervals(hours, "2024-11-03 00:00", 2) == [
        ("03 05:30", "03 06:00"),
        ("03 06:30", "03 08:00"),
    ]


def test_hours_over_a_change_of_the_clocks_are_one_interval() -> None:
    hours = Hours.parse("0:00", "4:00", "America/New_York")
    assert intervals(hours, "2024-11-03 00:00", 1) == [("03 04:00", "03 09:00")]
    assert intervals(hours, "2024-03-10 00:00", 1) == [("10 05:00", "10 08:00")]


def test_lord_howe_changes_by_half_an_hour() -> None:
    hours = Hours.parse("1:45", "2:15", "Australia/Lord_Howe")
    assert intervals(hours, "2024-04-06 13:00", 2) == [
        ("06 14:45", "06 15:00"),
        ("06 15:15", "06 15:45"),
    ]


def test_a_quarter_of_an_hour_before_midnight_may_come_again_after_midnight() -> None:
    # St. John's went back from 00:01 to 23:01 of the day before, at 02:31 UTC.
    late = Hours.parse("23:45", "24:00", "America/St_Johns")
    assert intervals(late, "2010-11-06 12:00", 2) == [
        ("07 02:15", "07 02:30"),
        ("07 03:15", "07 03:30"),
    ]
    always = Hours.parse("0:00", "24:00", "America/St_Johns")
    assert intervals(always, "2010-11-07 02:00", 4) == [
        ("06 02:30", "07 02:30"),
        ("07 02:30", "07 02:31"),
        ("07 02:31", "07 03:30"),
        ("07 03:30", "08 03:30"),
    ]


def test_the_first_minute_of_tomorrow_may_come_before_the_last_hour_of_today() -> None:
    almost_always = Hours.parse("0:00", "23:30", "America/St_Johns")
    assert intervals(almost_always, "2010-11-07 02:10", 3) == [
        ("07 02:30", "07 02:31"),
        ("07 02:31", "07 03:00"),
        ("07 03:30", "08 03:00"),
    ]


def test_a_day_that_never_was_is_never_open() -> None:
    hours = Hours.parse("9:00", "21:00", "Pacific/Apia")
    assert intervals(hours, "2011-12-29 12:00", 2) == [
        ("29 19:00", "30 07:00"),
        ("30 19:00", "31 07:00"),
    ]
    assert civil_day("Pacific/Apia", utc("2011-12-30 09:59")) == date(2011, 12, 29)
    assert civil_day("Pacific/Apia", utc("2011-12-30 10:00")) == date(2011, 12, 31)


def test_hours_to_the_end_of_the_day_close_at_midnight() -> None:
    hours = Hours.parse("9:00", "24:00", "America/New_York")
    assert intervals(hours, "2024-05-01 05:00", 1) == [("01 13:00", "02 04:00")]


def test_the_last_instant_of_a_day_is_still_open_when_it_closes_at_24() -> None:
    hours = Hours.parse("9:00", "24:00", "UTC")
    last = datetime(2024, 5, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    assert last in open_interval(hours, last)


def test_hours_around_the_clock_are_an_interval_a_day_without_a_gap() -> None:
    hours = Hours.parse("0:00", "24:00", "America/New_York")
    assert intervals(hours, "2024-05-01 05:00", 2) == [
        ("01 04:00", "02 04:00"),
        ("02 04:00", "03 04:00"),
    ]


def test_a_midnight_that_the_clocks_skip_is_the_instant_of_the_gap() -> None:
    assert next_midnight("America/Sao_Paulo", utc("2018-11-03 12:00")) == utc("2018-11-04 03:00")
    sao_paulo = ZoneInfo("America/Sao_Paulo")
    assert utc("2018-11-04 03:00").astimezone(sao_paulo).time() == time(1)


def test_the_carriers_day_has_23_or_25_hours_when_the_clocks_change() -> None:
    zone = "America/Los_Angeles"

    def length(noon: str) -> timedelta:
        midnight = next_midnight(zone, utc(noon))
        return next_midnight(zone, midnight) - midnight

    assert length("2024-03-09 20:00") == timedelta(hours=23)
    assert length("2024-11-02 20:00") == timedelta(hours=25)
    assert length("2024-05-01 20:00") == timedelta(hours=24)


def test_the_carriers_day_begins_at_its_own_midnight() -> None:
    midnight = utc("2024-05-01 07:00")
    assert civil_day("America/Los_Angeles", midnight - MINUTE) == date(2024, 4, 30)
    assert civil_day("America/Los_Angeles", midnight) == date(2024, 5, 1)
    assert next_midnight("America/Los_Angeles", midnight - MINUTE) == midnight
    assert next_midnight("America/Los_Angeles", midnight) == midnight + DAY


WINDOW = Window(utc("2024-05-01 15:00"), utc("2024-05-03 18:00"))


def test_an_initial_waits_for_the_window_and_ends_with_it() -> None:
    def sendable(at: str) -> Interval | None:
        return sendable_interval("initial", WINDOW, NEW_YORK, utc(at))

    first = Interval(utc("2024-05-01 15:00"), utc("2024-05-02 01:00"))
    last = Interval(utc("2024-05-03 13:00"), utc("2024-05-03 18:00"))
    assert sendable("2024-04-01 00:00") == first
    assert sendable("2024-05-01 20:00") == first
    assert sendable("2024-05-03 01:00") == last
    assert sendable("2024-05-03 17:59") == last
    assert sendable("2024-05-03 18:00") is None


def test_an_initial_fails_when_the_window_ends_before_the_next_opening() -> None:
    window = Window(utc("2024-05-01 15:00"), utc("2024-05-02 08:00"))
    assert sendable_interval("initial", window, NEW_YORK, utc("2024-05-02 01:00")) is None


def test_a_reply_is_bound_by_open_hours_alone() -> None:
    for at in (utc("2024-04-01 00:00"), utc("2024-05-03 18:00"), utc("2025-01-01 00:00")):
        assert sendable_interval("reply", WINDOW, NEW_YORK, at) == open_interval(NEW_YORK, at)


def test_a_window_that_ends_at_night_is_last_sendable_at_the_close_before() -> None:
    window = Window(utc("2024-05-01 15:00"), utc("2024-05-03 08:00"))
    assert last_sendable_at(window, NEW_YORK) == utc("2024-05-03 01:00")
    assert last_sendable_at(WINDOW, NEW_YORK) == WINDOW.closes_at


def test_a_window_is_last_sendable_two_days_ago_when_the_clocks_skip_the_hours_between() -> None:
    hours = Hours.parse("2:00", "2:30", "America/New_York")
    window = Window(utc("2024-03-01 00:00"), utc("2024-03-11 06:00"))
    assert last_sendable_at(window, hours) == utc("2024-03-09 07:30")


def test_a_window_of_one_night_is_never_sendable() -> None:
    window = Window(utc("2024-05-02 01:00"), utc("2024-05-02 13:00"))
    assert last_sendable_at(window, NEW_YORK) is None
    assert sendable_interval("initial", window, NEW_YORK, window.opens_at) is None


def test_a_window_without_an_end_may_be_written_as_the_last_day_there_is() -> None:
    window = Window(utc("2024-05-01 15:00"), datetime.max.replace(tzinfo=UTC))
    last = last_sendable_at(window, NEW_YORK)
    assert last is not None
    assert last > utc("9998-12-30 00:00")
    assert sendable_interval("initial", window, NEW_YORK, window.opens_at) is not None


def test_a_window_is_kept_in_utc_whatever_offset_it_came_with() -> None:
    five_hours_west = timezone(timedelta(hours=-5))
    window = Window(
        datetime(2024, 5, 1, 10, tzinfo=five_hours_west),
        datetime(2024, 5, 3, 13, tzinfo=five_hours_west),
    )
    assert window == WINDOW
    assert window.opens_at.tzinfo is UTC


def test_the_usual_hours_are_nine_to_nine() -> None:
    assert Hours(DEFAULT_OPENS, DEFAULT_CLOSES, "America/New_York") == NEW_YORK


@pytest.mark.parametrize(
    ("opens", "closes"),
    [("21:00", "9:00"), ("9:00", "9:00"), ("9:00", "0:00"), ("24:00", "24:00")],
)
def test_hours_that_close_before_they_open_are_refused(opens: str, closes: str) -> None:
    with pytest.raises(ValueError, match=r"closes .* must be later|opens must be a whole minute"):
        Hours.parse(opens, closes, "America/New_York")


@pytest.mark.parametrize(
    "time_zone",
    [
        *["", "EST2", "America", "america/new_york", "localtime", "Factory", "right/UTC"],
        *["../etc/passwd", "/etc/localtime", "a\0b", "\ud800", "x" * 5000, "zone.tab"],
    ],
)
def test_an_unknown_time_zone_is_refused(time_zone: str) -> None:
    with pytest.raises(ValueError, match="not a time zone"):
        Hours(time(9), time(21), time_zone)
    with pytest.raises(ValueError, match="not a time zone"):
        civil_day(time_zone, utc("2024-05-01 00:00"))


def test_hours_are_whole_minutes_without_a_zone_of_their_own() -> None:
    with pytest.raises(ValueError, match="opens must be a whole minute"):
        Hours(time(9, 0, 1), time(21), "UTC")
    with pytest.raises(ValueError, match="closes must be a whole minute"):
        Hours(time(9), time(21, 0, 0, 1), "UTC")
    with pytest.raises(ValueError, match="without a zone"):
        Hours(time(9), time(21, tzinfo=UTC), "UTC")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("9:00", time(9)),
        ("09:00", time(9)),
        ("09:30:00", time(9, 30)),
        ("0:00", time(0)),
        ("23:59", time(23, 59)),
        ("24:00", END_OF_DAY),
    ],
)
def test_a_time_of_day_is_read_from_text(text: str, at: time) -> None:
    assert parse_clock(text) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9",
        "9am",
        "9:0",
        "09:60",
        "24:01",
        "25:00",
        "-1:00",
        "9:00 ",
        "9:00\n",
        "\u0669:\u0660\u0660",
        "9:00:01",
    ],
)
def test_what_is_not_a_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a time of day"):
        parse_clock(text)


@given(st.integers(0, 1439).map(lambda minute: time(*divmod(minute, 60))) | st.just(END_OF_DAY))
def test_a_time_of_day_reads_back_from_its_own_text(at: time) -> None:
    assert parse_clock(clock_text(at)) == at


def test_a_window_must_end_after_it_starts() -> None:
    with pytest.raises(ValueError, match="closes_at must be after opens_at"):
        Window(WINDOW.closes_at, WINDOW.opens_at)
    with pytest.raises(ValueError, match="closes_at must be after opens_at"):
        Window(WINDOW.opens_at, WINDOW.opens_at)
    with pytest.raises(ValueError, match="close after it opens"):
        Interval(WINDOW.opens_at, WINDOW.opens_at)


def test_a_window_out_of_all_time_is_refused() -> None:
    west = timezone(timedelta(hours=-5))
    with pytest.raises(ValueError, match="years 1970 to 9998"):
        Window(utc("1969-12-31 23:59"), utc("2024-05-01 00:00"))
    with pytest.raises(ValueError, match="years 1970 to 9998"):
        Window(utc("9999-01-01 00:00"), utc("9999-12-31 00:00"))
    with pytest.raises(ValueError, match="closes_at lies outside"):
        Window(utc("2024-05-01 00:00"), datetime.max.replace(tzinfo=west))


def test_an_instant_without_an_offset_is_refused() -> None:
    naive = datetime(2024, 5, 1)
    calls: list[Any] = [
        lambda: Window(naive, WINDOW.closes_at),
        lambda: Window(WINDOW.opens_at, naive),
        lambda: open_interval(NEW_YORK, naive),
        lambda: sendable_interval("initial", WINDOW, NEW_YORK, naive),
        lambda: sendable_interval("reply", WINDOW, NEW_YORK, naive),
        lambda: civil_day("UTC", naive),
        lambda: next_midnight("UTC", naive),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="UTC offset"):
            call()
