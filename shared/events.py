"""The facts that services tell each other. Public contract: later versions only add.

Every event carries `org_id`; those about a campaign carry `campaign_id` too. Times are aware UTC.
Unknown fields are ignored when an event is read, so that an older reader survives a newer writer.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    EmailStr,
    Field,
    NonNegativeInt,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from shared.rules.hours import Hours, Window, civil_day, clock_text, parse_clock


def _without_nul(text: str) -> str:
    # PostgreSQL cannot store U+0000; refused here, where the sender can be told which field it was.
    if "\x00" in text:
        raise ValueError("must not hold a NUL character")
    return text


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie in the years 1 to 9999 in UTC") from None


Id = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,64}$")]
Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_without_nul)]
# The longest text that the providers take: ten segments and a little.
TEXT_MOST = 1600
Body = Annotated[str, StringConstraints(max_length=TEXT_MOST), AfterValidator(_without_nul)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[\x21-\x7e]{1,2000}$")]
Instant = Annotated[AwareDatetime, AfterValidator(_utc)]
AreaCode = Annotated[str, StringConstraints(pattern=r"^[2-9][0-9]{2}$")]


def _read_clocks(hours: Any) -> Any:
    if not isinstance(hours, dict):
        return hours
    clocks = {
        name: parse_clock(hours[name])
        for name in ("opens", "closes")
        if isinstance(hours.get(name), str)
    }
    return {**hours, **clocks}


def _write_clocks(hours: Hours) -> dict[str, str]:
    return {
        "opens": clock_text(hours.opens),
        "closes": clock_text(hours.closes),
        "time_zone": hours.time_zone,
    }


_CLOCK_SCHEMA = {"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}$"}
OpenHours = Annotated[
    Hours,
    BeforeValidator(_read_clocks),
    PlainSerializer(_write_clocks),
    WithJsonSchema(
        {
            "title": "Hours",
            "description": "Times of day in the campaign's own zone; closes is exclusive, 24:00 "
            "is the end of the day.",
            "type": "object",
            "properties": {
                "opens": _CLOCK_SCHEMA,
                "closes": _CLOCK_SCHEMA,
                "time_zone": {"type": "string"},
            },
            "required": ["opens", "closes", "time_zone"],
        }
    ),
]


def _zone(name: str) -> str:
    # Raises for a zone that nobody could compute a day in.
    civil_day(name, datetime(2000, 1, 1, tzinfo=UTC))
    return name


Zone = Annotated[str, AfterValidator(_zone)]
# What fits the columns that it will stand in.
Cap = Annotated[int, Field(ge=0, le=2**31 - 1)]
Revision = Annotated[int, Field(ge=1, le=2**31 - 1)]
Carrier = Literal["att", "tmobile", "verizon", "other"]
Kind = Literal["initial", "reply"]
Channel = Literal["sms", "mms"]


class Event(BaseModel):
    """One fact. `lane` says which of a service's queues it waits in."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    # A million texts must never hold up the one event that closes a window.
    lane: ClassVar[Literal["facts", "messages"]] = "facts"

    org_id: Id


class CampaignEvent(Event):
    """A fact about one campaign."""

    campaign_id: Id


class MessageEvent(CampaignEvent):
    """A fact about one text of a campaign."""

    lane: ClassVar[Literal["facts", "messages"]] = "messages"

    message_id: Id


class Person(BaseModel):
    """Who did it, and where they read their mail."""

    model_config = ConfigDict(frozen=True)

    name: Name
    email: EmailStr


# --- what admins and operators decide -------------------------------------------------------


class UseCaseRegistered(Event):
    """A use case (10DLC campaign) that the provider knows."""

    use_case_id: Id
    provider_campaign_id: Name
    messaging_profile_id: Name | None = None


class LimitsChanged(Event):
    """The whole state of the limits with one carrier; null means no cap.

    Without `use_case_id` the limits are the organization's; with it, they hold for that use case
    besides. The higher `version` wins, whenever it comes.
    """

    carrier: Carrier
    use_case_id: Id | None = None
    version: Revision
    sms_per_minute: Cap | None
    sms_unit: Literal["segment", "message"]
    mms_per_minute: Cap | None
    segments_per_day: Cap | None
    day_zone: Zone = "America/Los_Angeles"


class CampaignLaunched(CampaignEvent):
    """A campaign is active from now on. `number`: it already has one, nothing is to be bought."""

    use_case_id: Id
    name: Name
    launched_by: Person
    area_codes: tuple[AreaCode, ...] = ()
    window: Window
    hours: OpenHours
    revision: Revision
    number: Phone | None = None


class WindowChanged(CampaignEvent):
    """The window or the open hours were edited; an older revision changes nothing."""

    window: Window
    hours: OpenHours
    revision: Revision


class WindowClosed(CampaignEvent):
    """The initial sending window has ended."""

    closed_at: Instant
    revision: Revision


# --- numbers --------------------------------------------------------------------------------


class NumberPurchased(CampaignEvent):
    """The campaign has its number; the carriers have not confirmed it yet."""

    use_case_id: Id
    number: Phone
    purchased_at: Instant


class CarrierAnswered(CampaignEvent):
    """One carrier has confirmed or refused the campaign's number."""

    number: Phone
    carrier: Literal["att", "tmobile", "verizon"]
    answer: Literal["confirmed", "refused"]
    reason: Name | None = None
    answered_at: Instant


class CarrierState(BaseModel):
    """Where one carrier stands with a number, since when."""

    model_config = ConfigDict(frozen=True)

    state: Literal["confirmed", "refused", "pending"]
    at: Instant
    reason: Name | None = None


class Carriers(BaseModel):
    """The three carriers that confirm a number, one by one."""

    model_config = ConfigDict(frozen=True)

    att: CarrierState
    tmobile: CarrierState
    verizon: CarrierState


class NumberProvisioned(CampaignEvent):
    """Provisioning has come to an end: complete when all carriers confirmed, else failed."""

    name: Name
    number: Phone | None
    outcome: Literal["complete", "failed"]
    carriers: Carriers
    reason: Name | None = None
    launched_by: Person
    window: Window
    took_s: Annotated[float, Field(ge=0)]


# --- texts ----------------------------------------------------------------------------------


class MessageQueued(MessageEvent):
    """A text that is to go out. `carrier` is the recipient's, where it is known."""

    kind: Kind
    channel: Channel
    to: Phone
    text: Body
    media_urls: tuple[Url, ...] = ()
    carrier: Carrier | None = None
    queued_at: Instant


class MessageOutcome(MessageEvent):
    """What came of a text, as the collider alone decides it."""

    carrier: Carrier
    segments: NonNegativeInt
    provider_id: str | None = None
    code: str | None = None
    reason: str | None = None
    at: Instant


class MessageSent(MessageOutcome):
    """The provider has taken it."""


class MessageDelivered(MessageOutcome):
    """The recipient's carrier says that it arrived."""


class MessageFailed(MessageOutcome):
    """It will not go (again); `reason` in words, `code` the provider's where there is one."""


class MessageUnclear(MessageOutcome):
    """The provider's answer was lost; it is never sent again by itself."""


class MessageReceived(CampaignEvent):
    """A contact has texted a campaign's number."""

    lane: ClassVar[Literal["facts", "messages"]] = "messages"

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    sender: Phone = Field(alias="from")
    to: Phone
    text: Body
    received_at: Instant


class ContactOptedOut(Event):
    """A contact wants no more texts from this organization."""

    phone: Phone
    opted_out_at: Instant


EVENTS: dict[str, type[Event]] = {
    event.__name__: event
    for event in (
        UseCaseRegistered,
        LimitsChanged,
        CampaignLaunched,
        WindowChanged,
        WindowClosed,
        NumberPurchased,
        CarrierAnswered,
        NumberProvisioned,
        MessageQueued,
        MessageSent,
        MessageDelivered,
        MessageFailed,
        MessageUnclear,
        MessageReceived,
        ContactOptedOut,
    )
}


def event_data(event: Event) -> str:
    """The event's data as JSON text, by its public names."""
    return event.model_dump_json(by_alias=True)


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, as CloudEvents wants its `time`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
