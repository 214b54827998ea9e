"""What all events have in common."""

from datetime import UTC, datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, EmailStr

from shared.fields import Id, Name


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


def event_data(event: Event) -> str:
    """The event's data as JSON text, by its public names."""
    return event.model_dump_json(by_alias=True)


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, as CloudEvents wants its `time`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
