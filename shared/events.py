"""The facts that services tell each other. Public contract: later versions only add.

Every event carries `org_id`; those about a campaign carry `campaign_id` too. Times are aware UTC.
Unknown fields are ignored when an event is read, so that an older reader survives a newer writer.
"""

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, EmailStr, Field, NonNegativeInt

from shared.fields import (
    AreaCode,
    Body,
    Cap,
    Carrier,
    Channel,
    Id,
    Instant,
    Kind,
    Name,
    OpenHours,
    Phone,
    Revision,
    Url,
    Zone,
)
from shared.rules.hours import Window


class Event(BaseModel):
    """One fact. `lane` says which of a service's queues it waits in, `kept` whether it waits in the
    outbox while nobody listens, `remembered` whether hearers know a second copy by the event's id:
    else by what it says."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    # A million texts must never hold up the one event that closes a window.
    lane: ClassVar[Literal["facts", "messages"]] = "facts"
    kept: ClassVar[bool] = True
    remembered: ClassVar[bool] = True

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


class CampaignPaused(CampaignEvent):
    """Nothing of the campaign goes out until it is resumed; what is queued waits.

    Pauses and resumptions count their revisions together: the higher one wins, whenever it comes.
    """

    paused_at: Instant
    revision: Revision


class CampaignResumed(CampaignEvent):
    """The campaign goes on, within its hours and its window."""

    resumed_at: Instant
    revision: Revision


class QueueWithdrawn(CampaignEvent):
    """What the campaign had queued by then, initials and replies, is not to go any more."""

    withdrawn_at: Instant


class CampaignArchived(CampaignEvent):
    """The campaign is over for good: what is still queued ends as `campaign closed`."""

    archived_at: Instant


class UnclearSettled(CampaignEvent):
    """An admin has found out, or decided, what became of texts whose answer was lost.

    Without `message_ids` this is said of all of the campaign's texts that are unclear by then.
    """

    message_ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=500)] | None = None
    outcome: Literal["sent", "failed"]
    settled_at: Instant


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


class CampaignHeld(CampaignEvent):
    """A carrier takes no texts from the campaign's number: those to its subscribers wait.

    `state` is what the carrier has said of the number so far: after `refused` only an admin can
    help; while it is `pending`, its confirmation lets the texts go.
    """

    carrier: Carrier
    state: Literal["pending", "refused", "confirmed"]
    code: str | None = None
    reason: Name
    held_at: Instant


# --- texts ----------------------------------------------------------------------------------


class MessageQueued(MessageEvent):
    """A text that is to go out. `carrier` is the recipient's, where it is known."""

    # Its message id guards it for as long as the message is kept, which is longer.
    remembered: ClassVar[bool] = False

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


class ContactOptedIn(Event):
    """A contact who had opted out wants texts again; the later word counts, whenever it comes."""

    phone: Phone
    opted_in_at: Instant


# --- how the collider is doing --------------------------------------------------------------


class BucketState(Event):
    """How much waits for one carrier and how fast it goes; told when it has changed, and of one
    bucket every few seconds at most."""

    lane: ClassVar[Literal["facts", "messages"]] = "messages"
    # The next one says all that this one says. Where no service listens they would pile up.
    kept: ClassVar[bool] = False

    carrier: Carrier
    backlog: NonNegativeInt
    replies: NonNegativeInt
    """How many of the backlog are replies."""
    oldest_queued_at: Instant | None
    """When the text that has waited longest came in."""
    sent_per_minute: NonNegativeInt
    """Texts handed over in the last minute."""
    room: NonNegativeInt | None
    """What the organization's own SMS limit has room for now; null: no cap."""
    day_quota_left: NonNegativeInt | None
    """Segments that may go today still, by the organization's quota; null: no cap."""
    slowed: bool
    """The carrier said "too fast": it goes slower than its limits for a while."""
    at: Instant


EVENTS: dict[str, type[Event]] = {
    event.__name__: event
    for event in (
        UseCaseRegistered,
        LimitsChanged,
        CampaignLaunched,
        WindowChanged,
        WindowClosed,
        CampaignPaused,
        CampaignResumed,
        QueueWithdrawn,
        CampaignArchived,
        UnclearSettled,
        NumberPurchased,
        CarrierAnswered,
        NumberProvisioned,
        CampaignHeld,
        MessageQueued,
        MessageSent,
        MessageDelivered,
        MessageFailed,
        MessageUnclear,
        MessageReceived,
        ContactOptedOut,
        ContactOptedIn,
        BucketState,
    )
}


def event_data(event: Event) -> str:
    """The event's data as JSON text, by its public names."""
    return event.model_dump_json(by_alias=True)


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, as CloudEvents wants its `time`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
