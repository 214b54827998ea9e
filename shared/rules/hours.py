"""When a campaign may send: its open hours, its window, and the civil days of a carrier.

One definition carries all of it: an instant is open when the wall clock of the campaign's zone
reads a time in [opens, closes) at that instant. On a day on which the clocks change this may leave
more than one interval, or none; nothing is ever sent while that clock reads a closed hour.

Instants in and out are aware; those that come out are in UTC.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

Kind = Literal["initial", "reply"]

DEFAULT_OPENS = time(9)
DEFAULT_CLOSES = time(21)
END_OF_DAY = time.max
"""As a closing time: 24:00. A clock time cannot say that; nothing else may have seconds here."""

_CLOCK_TEXT = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::00)?")
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
# Some systems write 9999-12-31 for "no end". Next to it a civil day cannot be computed.
_FAR_OFF = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """The initial sending window, half-open: it binds initials, never replies."""

    opens_at: datetime
    closes_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "opens_at", _utc("opens_at", self.opens_at))
        object.__setattr__(self, "closes_at", _utc("closes_at", self.closes_at))
        if self.closes_at <= self.opens_at:
            raise ValueError("closes_at must be after opens_at")
        if not 1970 <= self.opens_at.year < _FAR_OFF.year:
            raise ValueError(f"opens_at must lie in the years 1970 to {_FAR_OFF.year - 1}")


@dataclass(frozen=True, slots=True)
class Hours:
    """A campaign's open hours: times of day in its own zone; the closing time is exclusive.

    Both are whole minutes; a campaign that closes at midnight closes at END_OF_DAY ("24:00").
    """

    opens: time
    closes: time
    time_zone: str

    def __post_init__(self) -> None:
        for name, at in (("opens", self.opens), ("closes", self.closes)):
            if at.tzinfo is not None:
                raise ValueError(f"{name} must be a time of day without a zone of its own")
            if (at.second or at.microsecond) and (name, at) != ("closes", END_OF_DAY):
                raise ValueError(f"{name} must be a whole minute, not {at}")
        if self.closes <= self.opens:
            raise ValueError(
                f"closes ({clock_text(self.closes)}) must be later in the day"
                f" than opens ({clock_text(self.opens)})"
            )
        _zone(self.time_zone)

    @classmethod
    def parse(cls, opens: str, closes: str, time_zone: str) -> "Hours":
        """Hours from text: "9:00" or "09:00" (24 h), and "24:00" for the end of the day."""
        return cls(parse_clock(opens), parse_clock(closes), time_zone)


@dataclass(frozen=True, slots=True)
class Interval:
    """From `opens_at` on and before `closes_at`, both in UTC."""

    opens_at: datetime
    closes_at: datetime

    def __post_init__(self) -> None:
        if self.closes_at <= self.opens_at:
            raise ValueError("an interval must close after it opens")

    def __contains__(self, at: datetime) -> bool:
        return self.opens_at <= at < self.closes_at


def parse_clock(text: str) -> time:
    """A time of day from "H:MM" or "HH:MM" (seconds only as ":00"); "24:00" is END_OF_DAY.

    Raises ValueError for anything else.
    """
    match = _CLOCK_TEXT.fullmatch(text)
    if match is not None:
        hour, minute = int(match[1]), int(match[2])
        if (hour, minute) == (24, 0):
            return END_OF_DAY
        if hour < 24 and minute < 60:
            return time(hour, minute)
    raise ValueError(f"not a time of day (HH:MM, 00:00 to 24:00): {text[:20]!r}")


def clock_text(at: time) -> str:
    """The time of day as "HH:MM"; END_OF_DAY as "24:00"."""
    return "24:00" if at == END_OF_DAY else at.isoformat("minutes")


def open_interval(hours: Hours, at: datetime) -> Interval:
    """The open interval that contains `at`, or else the next one after it.

    It is as long as the hours are open without a break, and ends with the civil day at the latest:
    hours from 00:00 to 24:00 are an interval a day, each of which opens where the last one closes.
    """
    at = _utc("at", at)
    today = at.astimezone(_zone(hours.time_zone)).date()
    # From yesterday on: clocks that go back over midnight bring a part of it again. Further than
    # tomorrow only where the clocks skip tomorrow, or its hours.
    last = 1
    while not (
        runs := [
            run
            for day in range(-1, last + 1)
            for run in _open_on(hours, today + day * _DAY)
            if run.closes_at > at
        ]
    ):
        last += 1
    return min(runs, key=lambda run: run.opens_at)


def sendable_interval(kind: Kind, window: Window, hours: Hours, at: datetime) -> Interval | None:
    """The interval that contains `at`, or the next one, in which a message of this kind may go.

    Replies are bound by open hours alone; initials by the window too: None when it has no open
    instant left.
    """
    if kind == "reply":
        return open_interval(hours, at)
    at = max(_utc("at", at), window.opens_at)
    if at >= window.closes_at:
        return None
    run = open_interval(hours, at)
    if run.opens_at >= window.closes_at:
        return None
    return Interval(max(run.opens_at, window.opens_at), min(run.closes_at, window.closes_at))


def last_sendable_at(window: Window, hours: Hours) -> datetime | None:
    """The end (exclusive) of the window's last open interval; None when it has no open instant.

    The campaign whose last sendable instant is nearest goes first.
    """
    window = Window(window.opens_at, min(window.closes_at, _FAR_OFF))
    last: datetime | None = None
    # Even hours that the clocks skip once come round again in less than two days.
    following = sendable_interval("initial", window, hours, window.closes_at - 2 * _DAY)
    while following is not None:
        last = following.closes_at
        following = sendable_interval("initial", window, hours, last)
    return last


def civil_day(zone: str, at: datetime) -> date:
    """The date that a calendar in this zone shows: the day that a carrier's day quota counts in."""
    return _utc("at", at).astimezone(_zone(zone)).date()


def next_midnight(zone: str, at: datetime) -> datetime:
    """The first instant after `at` on another civil day of this zone.

    That is midnight, or where the clocks jump over midnight the instant of the jump.
    """
    return open_interval(Hours(time.min, END_OF_DAY, zone), at).closes_at


@lru_cache(maxsize=4096)
def _open_on(hours: Hours, day: date) -> tuple[Interval, ...]:
    """The open intervals of one civil day, in order: one, or on a day of change up to two, or none.

    Where the clocks change while open, the two pieces that touch are one interval.
    """
    opens, closes = _as_if_utc(day, hours.opens), _as_if_utc(day, hours.closes)
    runs: list[Interval] = []
    for begins_at, ends_at, offset in _steady_spans(hours.time_zone, day):
        opens_at, closes_at = max(opens - offset, begins_at), min(closes - offset, ends_at)
        if opens_at >= closes_at:
            continue
        if runs and runs[-1].closes_at == opens_at:
            opens_at = runs.pop().opens_at
        runs.append(Interval(opens_at, closes_at))
    return tuple(runs)


@lru_cache(maxsize=1024)
def _steady_spans(time_zone: str, day: date) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """Spans of constant UTC offset that cover every instant at which the zone's date may be `day`.

    An offset is less than a day either way, so that three days cover it. In all of the time zone
    database the clocks of a zone never change twice in less than 95 hours, so that there are one or
    two spans, and the change can be bisected for.
    """
    zone = _zone(time_zone)
    starts_at = _as_if_utc(day, time.min) - _DAY
    ends_at = starts_at + 3 * _DAY

    def offset(at: datetime) -> timedelta:
        found = at.astimezone(zone).utcoffset()
        assert found is not None
        return found

    before, after = offset(starts_at), offset(ends_at)
    if before == after:
        return ((starts_at, ends_at, before),)
    seconds = range(int((ends_at - starts_at).total_seconds()) + 1)
    changes_s = bisect_left(
        seconds, True, key=lambda second: offset(starts_at + second * _SECOND) != before
    )
    changes_at = starts_at + changes_s * _SECOND
    return ((starts_at, changes_at, before), (changes_at, ends_at, after))


def _as_if_utc(day: date, at: time) -> datetime:
    """What a wall clock in UTC would call this time of this day."""
    if at == END_OF_DAY:
        return datetime.combine(day, time.min, UTC) + _DAY
    return datetime.combine(day, at, UTC)


def _utc(name: str, at: datetime) -> datetime:
    """The instant in UTC. One without a zone is refused: it would be read in the machine's own."""
    if at.tzinfo is None:
        raise ValueError(f"{name} must carry a UTC offset")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{name} lies outside of the years 1 to 9999 in UTC") from None


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    if name not in _zone_names():
        raise ValueError(f"not a time zone (such as America/New_York): {name[:40]!r}")
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    """The names that mean the same on every machine: not "localtime", nor a placeholder."""
    return frozenset(available_timezones() - {"localtime", "Factory"})
