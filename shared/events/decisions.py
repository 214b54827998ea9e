"""What admins and operators decide."""

from typing import Annotated, Literal

from pydantic import Field

from shared.events.base import CampaignEvent, Event, Person
from shared.fields import (
    AreaCode,
    Cap,
    Carrier,
    Id,
    Instant,
    Name,
    OpenHours,
    Phone,
    Revision,
    Zone,
)
from shared.rules.hours import Window


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
    """A campaign is active from now on. `number`: it already has one, nothing is to be bought.

    With `hold_until_provisioned` none of its texts goes before all carriers confirmed its number.
    With `dedicated_number` it sends from the use case's dedicated number: bought for the first such
    campaign, shared by all later ones, never given back by an archive. Where its area codes are
    sold out, others of the same state do if `nearby_area_codes` says so.
    """

    use_case_id: Id
    name: Name
    launched_by: Person
    area_codes: tuple[AreaCode, ...] = ()
    window: Window
    hours: OpenHours
    revision: Revision
    number: Phone | None = None
    hold_until_provisioned: bool = False
    dedicated_number: bool = False
    nearby_area_codes: bool = True


class WindowChanged(CampaignEvent):
    """The window or the open hours were edited; an older revision changes nothing.

    `hold_until_provisioned` is as from now on; null leaves it as it was.
    """

    window: Window
    hours: OpenHours
    revision: Revision
    hold_until_provisioned: bool | None = None


class WindowClosed(CampaignEvent):
    """The initial sending window has ended."""

    closed_at: Instant
    revision: Revision


class WindowAtRisk(CampaignEvent):
    """As things stand, so many initials will be left when the campaign's window ends.

    Told once for each revision of the window. `safe_end_at` is the earliest end that saves them
    all; null: none within the forecast's reach does.
    """

    name: Name
    launched_by: Person
    window: Window
    revision: Revision
    failing: Annotated[int, Field(ge=1)]
    safe_end_at: Instant | None
    forecast_at: Instant


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
