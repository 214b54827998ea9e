"""Which notices people want, and what the daily digest says."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, EmailStr, Field, NonNegativeInt

from shared.events.base import Event
from shared.fields import Carrier, Id, Instant, Name, Revision, Url, Zone

NoticeKind = Literal[
    "provisioning complete",
    "provisioning failed",
    "window at risk",
    "campaign held",
    "daily digest",
]


class NoticeSettingsChanged(Event):
    """Which notices are wanted: the whole state, and the higher `version` wins, whenever it comes.

    With `email` it is what the admin of that address wants as e-mail; before any such event that is
    everything. Without, it is the organization's: what is posted to `webhook_url`, signed; null:
    nothing is. The key that signs is never told: whoever knows the platform's own key derives it
    from the organization and `secret_version`.
    """

    version: Revision
    notices: tuple[NoticeKind, ...]
    email: EmailStr | None = None
    webhook_url: Url | None = None
    secret_version: Revision = 1


WebhookState = Literal["working", "failing", "stopped"]


class WebhookStateChanged(Event):
    """How posts to an organization's webhook fare, by the last try; told when that changes.

    It is about the settings of this `version` (NoticeSettingsChanged), and `revision` counts what
    is told of these, from 1 on: the higher wins, whenever it comes. stopped: the receiver wants no
    more, until the settings change.
    """

    version: Revision
    revision: Revision
    state: WebhookState
    reason: Name | None = None
    """Why it does not work. Never the address or what its receiver wrote: both may hold secrets."""
    state_since: Instant


class CarrierDeliverability(BaseModel):
    """What became of a day's texts to one carrier."""

    model_config = ConfigDict(frozen=True)

    carrier: Carrier
    sent: NonNegativeInt
    """All that were handed to the provider that day; the others are of these."""
    delivered: NonNegativeInt
    undelivered: NonNegativeInt
    """The carrier, or the provider, said no."""
    unclear: NonNegativeInt
    """Their answer was lost."""


class FailureCount(BaseModel):
    """How many of a day's texts failed for one reason."""

    model_config = ConfigDict(frozen=True)

    carrier: Carrier
    code: str | None
    reason: Name
    texts: Annotated[int, Field(ge=1)]


class DeliverabilityReported(Event):
    """How an organization's texts of one civil day arrived, as known when it was told."""

    report_id: Id
    day: date
    time_zone: Zone
    carriers: tuple[CarrierDeliverability, ...]
    failures: tuple[FailureCount, ...]
    """The most frequent, most first; at most ten."""
    reported_at: Instant
