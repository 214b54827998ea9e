"""When a campaign's texts may go, and what to say of it."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.campaign.domain import Kind, Refused, State
from shared.rules.hours import (
    Hours,
    Window,
    civil_day,
    last_sendable_at,
    next_midnight,
    open_interval,
    sendable_interval,
)

_DAY = timedelta(days=1)


def chosen_window(
    hours: Hours, now: datetime, opens_at: datetime | None, closes_at: datetime | None
) -> Window:
    """The window with the defaults for what was not chosen.

    A start that was not chosen is today's in UTC (the next day's where that day is over in the
    campaign's own zone); an end that was not chosen is the close of the day of the start.
    """
    if opens_at is None:
        day = civil_day("UTC", now)
        if _close_of(hours, day) <= now:
            day += _DAY
        opens_at = open_interval(hours, _midnight(hours, day)).opens_at
    if closes_at is None:
        day = civil_day(hours.time_zone, opens_at)
        closes_at = _close_of(hours, day)
        if closes_at <= opens_at:
            closes_at = _close_of(hours, day + _DAY)
    return checked_window(opens_at, closes_at)


def checked_window(opens_at: datetime, closes_at: datetime) -> Window:
    """A window. Raises Refused, with the field."""
    try:
        return Window(opens_at, closes_at)
    except ValueError as error:
        field = "opens_at" if str(error).startswith("opens_at") else "closes_at"
        raise Refused("invalid", str(error), field=f"window.{field}") from None


def checked_hours(opens: time, closes: time, time_zone: str) -> Hours:
    """Open hours. Raises Refused, with the field."""
    try:
        return Hours(opens, closes, time_zone)
    except ValueError as error:
        field = "time_zone" if "time zone" in str(error) else "closes"
        raise Refused("invalid", str(error), field=f"hours.{field}") from None


def _midnight(hours: Hours, day: date) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(hours.time_zone))


def _close_of(hours: Hours, day: date) -> datetime:
    """When the hours close on this day; on a day without any open hour, when the day ends."""
    begins_at = _midnight(hours, day)
    ends_at = next_midnight(hours.time_zone, begins_at)
    return last_sendable_at(Window(begins_at, ends_at), hours) or ends_at


def why_no_initials(state: State, window: Window, now: datetime) -> str | None:
    """Why a sender has no initials to send now; None when they have."""
    if state == "draft":
        return "The campaign is not launched yet."
    if state == "archived":
        return "Inbox Zero: the campaign is archived, nothing of it can be sent any more."
    if now < window.opens_at:
        return "Inbox Zero: the campaign has not started yet."
    if now >= window.closes_at:
        return "Inbox Zero: the campaign's end has passed. An admin can extend it."
    return None


def when_it_goes(
    kind: Kind,
    window: Window,
    hours: Hours,
    now: datetime,
    *,
    paused: bool = False,
    held: bool = False,
) -> tuple[datetime, str]:
    """From when on a text that is queued now may go by its hours, and that in words.

    `held`: all sending waits until the number's provisioning is complete.
    """
    run = sendable_interval(kind, window, hours, now)
    if run is None:
        return window.closes_at, "Queued, but the open hours end before it can go."
    if paused:
        return max(now, run.opens_at), "Queued: the campaign is paused, it goes once it is resumed."
    if held:
        return (
            max(now, run.opens_at),
            "Queued: it goes once the number's provisioning is complete.",
        )
    if run.opens_at <= now:
        return now, "Queued: it goes as soon as the limits allow."
    opening = f"{run.opens_at.astimezone(ZoneInfo(hours.time_zone)):%H:%M on %Y-%m-%d}"
    return (
        run.opens_at,
        f"Queued: the campaign is closed now, it goes at the next opening, {opening}.",
    )
