"""What becomes of texts, and what contacts answer."""

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field, NonNegativeInt

from shared.events.base import CampaignEvent, Event, MessageEvent
from shared.fields import Body, Carrier, Channel, Instant, Kind, Phone, Url


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
