"""What becomes of numbers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.events.base import CampaignEvent, Event, Person
from shared.fields import Carrier, Id, Instant, Name, Phone
from shared.rules.hours import Window


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
    """Provisioning has come to an end: complete when all carriers confirmed, else failed.

    What has failed may complete later; nothing ever goes back from complete. `after_failure`: that
    is what has happened here. `archived`: it failed only because the campaign was archived.
    """

    name: Name
    number: Phone | None
    outcome: Literal["complete", "failed"]
    carriers: Carriers
    reason: Name | None = None
    launched_by: Person
    window: Window
    took_s: Annotated[float, Field(ge=0)]
    after_failure: bool = False
    archived: bool = False


class ProvisioningDelayed(CampaignEvent):
    """Provisioning takes longer than it should, and what it waits for, in words for the admin.

    Told at most once for each cause in a row; whatever is told of the number later ends it.
    """

    waits_for: Name
    delayed_at: Instant


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


class NumberReleased(Event):
    """No campaign is on this number any more, and it is not the organization's any longer."""

    use_case_id: Id
    number: Phone
    released_at: Instant
