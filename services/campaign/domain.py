"""A campaign's rules: what it is, what may be done to it, what a status is."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.events import MessageDelivered, MessageFailed, MessageOutcome, MessageSent
from shared.rules.hours import (
    Hours,
    Window,
)

# A stranger asks without a token; what the service does by itself is by nobody.
Role = Literal["operator", "admin", "sender", "stranger", "service"]
State = Literal["draft", "active", "archived"]
Stage = Literal["draft", "active", "paused", "archived"]
Carrier = Literal["att", "tmobile", "verizon", "other"]
Channel = Literal["sms", "mms"]
Kind = Literal["initial", "reply"]
Outcome = Literal["sent", "failed"]
Status = Literal[
    "unassigned",
    "assigned",
    "skipped",
    "queued",
    "sent",
    "unclear",
    "delivered",
    "failed",
    "sending failed",
    "campaign closed",
    "opted out",
]

RANKS: Mapping[Status, int] = {
    "unassigned": 0,
    "assigned": 0,
    "skipped": 0,
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


class Refused(Exception):
    """What was asked for cannot be done, and why, in words for the person who asked.

    missing: it is not there, for this organization; invalid: a field is at fault; conflict: not
    as things stand now; forbidden: not for this person; gone: it was there, and is shut now.
    """

    def __init__(
        self,
        kind: Literal["missing", "invalid", "conflict", "forbidden", "gone"],
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
    token_id: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an admin sets of a campaign.

    `senders_may_edit` an initial before they send it. With `hold_until_provisioned` nothing goes
    before all carriers have confirmed the number. Initials wait while more than
    `replies_first_over` replies of their sender wait for an answer (None: never). Initials that
    lie untouched for `take_back_after_min` minutes are unassigned again (None: they lie).
    With `dedicated_number` it sends from the number that its use case keeps for many campaigns.
    Where its `area_codes` are sold out, others of the same state do if `nearby_area_codes`.
    """

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
    senders_may_edit: bool = False
    hold_until_provisioned: bool = False
    replies_first_over: int | None = None
    take_back_after_min: int | None = None
    dedicated_number: bool = False
    nearby_area_codes: bool = True

    def __post_init__(self) -> None:
        if self.channel == "mms" and not self.media_urls:
            raise Refused("invalid", "an MMS needs at least one file", field="media_urls")
        if self.channel == "sms" and self.media_urls:
            raise Refused("invalid", "files go with channel mms only", field="media_urls")
        check_words(self.channel, self.script, field="script")


@dataclass(frozen=True, slots=True)
class Audience:
    """Which contacts of a campaign (`of`) a clone or a follow-up is for; all conditions hold.

    `untexted`: those whom nothing was sent to there. `replied`: whether they have answered there,
    None: either. `statuses` and `codes`: what came of their initial there, `tags`: what was said of
    them there; one of those that are named, none named: anything.
    """

    of: str
    untexted: bool = False
    replied: bool | None = None
    statuses: tuple[Status, ...] = ()
    codes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as it stands. `revision` counts the edits of window and hours, from 1 on.

    `pause_revision` counts its pauses and resumptions together. `number_of`: the campaign whose
    number a follow-up sends from, `cloned_from`: whose plan a clone began with, both '' for none.
    `audience`: whom it is for, None: for the whole contact list.
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
    archived_at: datetime | None
    number_of: str
    cloned_from: str
    audience: Audience | None

    @property
    def stage(self) -> Stage:
        """Where it stands, in one word. Paused, it is active all the same."""
        return "paused" if self.state == "active" and self.paused_at is not None else self.state

    @property
    def buyer(self) -> str:
        """The campaign that its number was bought for: itself, but for a follow-up."""
        return self.number_of or self.campaign_id


def check_words(channel: Channel, text: str, *, field: str) -> None:
    """Raise Refused for a text without a word in it. An MMS may be its files alone."""
    if channel == "sms" and not text.strip():
        raise Refused("invalid", "the text is empty", field=field)


# What may still be edited once a campaign is active. The rest was told to the carriers or stands
# in texts that are out already.
EDITABLE_AFTER_LAUNCH = {
    "name",
    "window",
    "hours",
    "self_assign",
    "batch_size",
    "senders_may_edit",
    "hold_until_provisioned",
    "replies_first_over",
    "take_back_after_min",
}


def check_edit(state: State, edited: Collection[str]) -> None:
    """Raise Refused for the first field that can no longer be edited."""
    check_not_archived(state)
    if state == "draft":
        return
    for field in sorted(edited):
        if field not in EDITABLE_AFTER_LAUNCH:
            raise Refused("conflict", "it cannot be changed after the launch", field=field)


def check_origin(campaign: Campaign, edited: Collection[str]) -> None:
    """Raise Refused for the first field that a campaign has from the one that it came out of."""
    given = {"contact_list_id"} if campaign.audience is not None else set()
    if campaign.number_of:
        given |= {"use_case_id", "area_codes", "dedicated_number", "nearby_area_codes"}
    for field in sorted(given.intersection(edited)):
        raise Refused("conflict", "it is that of the campaign it came out of", field=field)


def check_not_archived(state: State) -> None:
    """Raise Refused for a campaign that is over for good: it can be read, and no more."""
    if state == "archived":
        raise Refused("conflict", "The campaign is archived for good")


def check_launched(state: State) -> None:
    """Raise Refused for a draft: nothing of it has gone out yet."""
    if state == "draft":
        raise Refused("conflict", "The campaign is not launched yet")


def check_active(state: State) -> None:
    """Raise Refused for a campaign of which nothing can go, now or later."""
    check_launched(state)
    check_not_archived(state)


def check_launch(plan: Plan, now: datetime) -> None:
    """Raise Refused when nothing could ever be sent."""
    if plan.window.closes_at <= now:
        raise Refused("conflict", "the window has ended already", field="window.closes_at")


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
