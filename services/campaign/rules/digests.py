"""Which civil day a digest is of, and when that day's receipts are in."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.rules.hours import END_OF_DAY, Hours, Interval, civil_day, open_interval

RECEIPTS_WITHIN = timedelta(hours=3)
"""Most come within seconds. Carriers that are busy, or phones that are off, take their time."""


@dataclass(frozen=True, slots=True)
class Digests:
    """An organization's digests: whether they are `wanted`, and the first day that has none yet
    (None: there was never one)."""

    wanted: bool
    day: date | None


def day_of(time_zone: str, day: date) -> Interval:
    """From the first instant of a civil day to the next one's: 23 to 25 hours, as clocks go."""
    noon = datetime.combine(day, time(12), ZoneInfo(time_zone))
    return open_interval(Hours(time.min, END_OF_DAY, time_zone), noon)


def due_at(time_zone: str, day: date) -> datetime:
    """When a day is reported."""
    return day_of(time_zone, day).closes_at + RECEIPTS_WITHIN


def day_after(time_zone: str, day: date) -> date:
    """The next day on this zone's calendar."""
    return civil_day(time_zone, day_of(time_zone, day).closes_at)


def first_day(was: Digests, time_zone: str, now: datetime) -> date:
    """The day to go on with where digests are wanted from now on, in this zone.

    No day is told twice, whatever the zone was before, and none is left out that was to come.
    Else it begins with today.
    """
    today = civil_day(time_zone, now)
    if was.day is None:
        return today
    return was.day if was.wanted else max(was.day, today)
