"""A campaign's rules: what it is, when its texts may go, what its flag says, what a status is."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from shared.events import MessageDelivered, MessageFailed, MessageOutcome, MessageSent
from shared.rules.hours import (
    Hours,
    Window,
    civil_day,
    last_sendable_at,
    next_midnight,
    open_interval,
    sendable_interval,
)

Role = Literal["operator", "admin", "sender"]
State = Literal["draft", "active"]
Carrier = Literal["att", "tmobile", "verizon", "other"]
Channel = Literal["sms", "mms"]
Kind = Literal["initial", "reply"]
Outcome = Literal["sent", "failed"]
Status = Literal[
    "unassigned",
    "assigned",
    "queued",
    "sent",
    "unclear",
    "delivered",
    "failed",
    "sending failed",
    "campaign closed",
    "opted out",
]

CONFIRMING: tuple[Carrier, ...] = ("att", "tmobile", "verizon")
"""The carriers that confirm a number, one by one."""

RANKS: Mapping[Status, int] = {
    "unassigned": 0,
    "assigned": 0,
    "queued": 1,
    "sent": 2,
    "unclear": 2,
    "delivered": 3,
    "failed": 3,
    "sending failed": 3,
    "campaign closed": 3,
    "opted out": 3,
}
"""A status gives way to one of higher rank, or of its own rank and later."""

SENDING_FAILED: Status = "sending failed"
BATCH_SIZE = 100
_MANY_AT_ONCE = 2
_DAY = timedelta(days=1)
_SOON = timedelta(hours=1)


class Refused(Exception):
    """What was asked for cannot be done, and why, in words for the person who asked.

    missing: it is not there, for this organization; invalid: a field is at fault; conflict: not
    as things stand now; forbidden: not for this person.
    """

    def __init__(
        self,
        kind: Literal["missing", "invalid", "conflict", "forbidden"],
        reason: str,
        *,
        field: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.field = field


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. An operator's `org_id` is empty: they belong to no organization."""

    org_id: str
    person_id: str
    role: Role
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What an admin sets of a campaign."""

    name: str
    use_case_id: str
    contact_list_id: str
    script: str
    channel: Channel
    media_urls: tuple[str, ...]
    area_codes: tuple[str, ...]
    window: Window
    hours: Hours
    self_assign: bool
    batch_size: int

    def __post_init__(self) -> None:
        if self.channel == "mms" and not self.media_urls:
            raise Refused("invalid", "an MMS needs at least one file", field="media_urls")
        if self.channel == "sms" and self.media_urls:
            raise Refused("invalid", "files go with channel mms only", field="media_urls")
        check_words(self.channel, self.script, field="script")


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as it stands. `revision` counts the edits of window and hours, from 1 on.

    `pause_revision` counts its pauses and resumptions together.
    """

    org_id: str
    campaign_id: str
    state: State
    plan: Plan
    revision: int
    created_at: datetime
    launched_at: datetime | None
    paused_at: datetime | None
    pause_revision: int


def check_words(channel: Channel, text: str, *, field: str) -> None:
    """Raise Refused for a text without a word in it. An MMS may be its files alone."""
    if channel == "sms" and not text.strip():
        raise Refused("invalid", "the text is empty", field=field)


# What may still be edited once a campaign is active. The rest was told to the carriers or stands
# in texts that are out already.
EDITABLE_AFTER_LAUNCH = {"name", "window", "hours", "self_assign", "batch_size"}


def check_edit(state: State, edited: Collection[str]) -> None:
    """Raise Refused for the first field that can no longer be edited."""
    if state == "draft":
        return
    for field in sorted(edited):
        if field not in EDITABLE_AFTER_LAUNCH:
            raise Refused("conflict", "it cannot be changed after the launch", field=field)


def check_active(campaign: Campaign) -> None:
    """Raise Refused for a draft: nothing of it goes out yet."""
    if campaign.state == "draft":
        raise Refused("conflict", "The campaign is not launched yet")


def check_launch(plan: Plan, now: datetime) -> None:
    """Raise Refused when nothing could ever be sent."""
    if plan.window.closes_at <= now:
        raise Refused("conflict", "the window has ended already", field="window.closes_at")


# --- window and hours -----------------------------------------------------------------------


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
    if now < window.opens_at:
        return "Inbox Zero: the campaign has not started yet."
    if now >= window.closes_at:
        return "Inbox Zero: the campaign's end has passed. An admin can extend it."
    return None


def when_it_goes(
    kind: Kind, window: Window, hours: Hours, now: datetime, *, paused: bool = False
) -> tuple[datetime, str]:
    """From when on a text that is queued now may go by its hours, and that in words."""
    run = sendable_interval(kind, window, hours, now)
    if run is None:
        return window.closes_at, "Queued, but the open hours end before it can go."
    if paused:
        return max(now, run.opens_at), "Queued: the campaign is paused, it goes once it is resumed."
    if run.opens_at <= now:
        return now, "Queued: it goes as soon as the limits allow."
    return run.opens_at, "Queued: the campaign is closed now, it goes at the next opening."


def launch_warnings(plan: Plan, now: datetime, *, senders: int, provisioning: int) -> list[str]:
    """What the articles advise against, in words; `provisioning`: other campaigns that are so."""
    found = []
    if senders and plan.window.opens_at < now + _SOON:
        found.append(
            "It starts within the hour, and its senders can text before the number is provisioned: "
            "create a campaign the day before you plan to text."
        )
    if provisioning >= _MANY_AT_ONCE:
        found.append(
            f"{provisioning} other campaigns are still provisioning: do not launch more than "
            "two campaigns at once."
        )
    return found + window_warnings(plan, now)


def window_warnings(plan: Plan, now: datetime) -> list[str]:
    """What looks like a slip in the window, in words."""
    zone = plan.hours.time_zone
    found = []
    if last_sendable_at(plan.window, plan.hours) is None:
        found.append("No open hour lies in the window: nothing can be sent.")
    start, today = civil_day(zone, plan.window.opens_at), civil_day(zone, now)
    if plan.window.closes_at <= now:
        found.append(f"It ended on {civil_day(zone, plan.window.closes_at)}.")
    elif start > today:
        found.append(f"It starts on {start}, and today is {today} in {zone}.")
    return found


# --- the provisioning flag ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CarrierAnswer:
    """What one carrier said of the number, and when."""

    state: Literal["confirmed", "refused", "pending"]
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """What was heard of a campaign's number so far."""

    number: str | None = None
    purchased_at: datetime | None = None
    outcome: Literal["complete", "failed"] | None = None
    reason: str | None = None
    took_s: float | None = None


@dataclass(frozen=True, slots=True)
class Provisioning:
    """The flag on a campaign's details, and what is behind it."""

    status: Literal["provisioning", "complete", "failed"]
    flag: str
    colour: Literal["yellow", "green", "red"]
    advice: str
    since: datetime
    number: str | None
    reason: str | None
    carriers: dict[Carrier, CarrierAnswer]


_WAIT = (
    "The phone number has not finished provisioning. There is some risk that messages will be "
    "delivered at lower-than-normal rates."
)
_READY = "The phone number is ready to go!"
_CLONE = (
    "The campaign could not be provisioned with all of the carriers. There is an increased risk "
    "that messages will be delivered at lower-than-normal rates. To try again before they are "
    "sent, clone the campaign and archive this one once the new one is ready. If its use case has "
    "close to 49 numbers, archive a few old campaigns first."
)


def provisioning(
    launched_at: datetime, number: Number, answers: Mapping[Carrier, CarrierAnswer]
) -> Provisioning:
    """Sort what was heard into the flag that the admin sees."""
    begun_at = number.purchased_at or launched_at
    carriers = {name: answers.get(name, CarrierAnswer("pending", begun_at)) for name in CONFIRMING}
    since = launched_at + timedelta(seconds=number.took_s or 0)
    if number.outcome == "complete":
        return Provisioning(
            "complete", "Provisioning Complete", "green", _READY, since, number.number,
            None, carriers,
        )  # fmt: skip
    if number.outcome == "failed":
        return Provisioning(
            "failed", "Provisioning Failed", "red", _CLONE, since, number.number,
            number.reason, carriers,
        )  # fmt: skip
    return Provisioning(
        "provisioning", "Provisioning", "yellow", _WAIT, launched_at, number.number,
        None, carriers,
    )  # fmt: skip


# --- statuses -------------------------------------------------------------------------------


def status_told_by(event: MessageOutcome) -> Status:
    """The status that an outcome means; some failures' reasons are statuses of their own."""
    if isinstance(event, MessageSent):
        return "sent"
    if isinstance(event, MessageDelivered):
        return "delivered"
    if isinstance(event, MessageFailed):
        if event.reason == "sending failed":
            return "sending failed"
        return "campaign closed" if event.reason == "campaign closed" else "failed"
    return "unclear"


def latest_of_each(events: Sequence[MessageOutcome]) -> list[MessageOutcome]:
    """Of each message the outcome that stands: an UPDATE would take any one of several."""
    latest: dict[tuple[str, str, str], MessageOutcome] = {}
    for event in events:
        key = (event.org_id, event.campaign_id, event.message_id)
        known = latest.get(key)
        if known is None or known.at < event.at:
            latest[key] = event
    return list(latest.values())
