"""Which carrier a recipient is with, and how the collider's buckets are doing."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from shared.events.base import Event
from shared.fields import Carrier, Instant, Phone


class CarriersAsked(Event):
    """Of these phones it is to be found out, in the background, which carrier they are with."""

    lane: ClassVar[Literal["facts", "messages"]] = "messages"
    # Asked twice, it is looked up once: what was found is kept by its phone.
    remembered: ClassVar[bool] = False

    phones: Annotated[tuple[Phone, ...], Field(min_length=1, max_length=500)]


class FoundCarrier(BaseModel):
    """Which carrier a phone is with; null: its look-up says none that we could tell."""

    model_config = ConfigDict(frozen=True)

    phone: Phone
    carrier: Carrier | None


class CarriersFound(Event):
    """Which carriers these phones are with, of those that were asked for."""

    lane: ClassVar[Literal["facts", "messages"]] = "messages"
    # The later look-up overwrites; a second copy of one changes nothing.
    remembered: ClassVar[bool] = False

    found: Annotated[tuple[FoundCarrier, ...], Field(min_length=1, max_length=500)]


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
