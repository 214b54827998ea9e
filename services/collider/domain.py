"""Values and rules of a message's way: schedules, outcomes, receipts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from shared.fields import Carrier, Channel, Kind
from shared.rules.hours import Hours, Window, last_sendable_at, sendable_interval
from shared.rules.limits import Limits

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Later than anything that is waited for."""

# A carrier that has confirmed a number and yet does not know it is asked again after this.
HELD_AGAIN = timedelta(seconds=60)
# How long after a window's end, a withdrawal or the archive a transaction that began before it may
# still bring a message.
CLOSING_TAIL = timedelta(seconds=60)
CLOSING_AGAIN = timedelta(seconds=2)

# --- reasons, in words, as they stand in events and exports ----------------------------------

SENDING_FAILED = "sending failed"
TOO_LARGE = "it has more segments than its limits let out in a minute"
OPTED_OUT = "the contact has opted out"
UNKNOWN_CAMPAIGN = "its campaign was never launched"
REPLY_TOO_OLD = "the reply waited for too long"
WITHDRAWN = "withdrawn by an admin before it was sent"
CAMPAIGN_CLOSED = "campaign closed"
TOO_LARGE_FOR_A_DAY = "it has more segments than its limits let out in a day"
ANSWER_LOST = "the provider's answer was lost; it may have been sent, or not"
SETTLED_AS_FAILED = "settled by hand as not sent"
SETTLED = "settled"
"""In place of a status: failed by an admin's word, which a carrier's overrules."""


def too_large(limits: Iterable[Limits], channel: Channel, segments: int) -> str | None:
    """Why a text is too large for limits that apply to it; None: it fits, though it may have to
    wait. A closed limit (0) is no measure: it may be opened again."""
    for one in limits:
        per_minute = one.per_minute(channel)
        if per_minute and one.cost(channel, segments) > per_minute:
            return TOO_LARGE
        if one.segments_per_day and segments > one.segments_per_day:
            return TOO_LARGE_FOR_A_DAY
    return None


# --- when a campaign's lanes are open --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is known of a campaign; facts come in any order, so every part may be missing."""

    org_id: str
    campaign_id: str
    use_case_id: str | None
    number: str | None
    window: Window | None
    hours: Hours | None
    revision: int
    closed_at: datetime | None
    closed_revision: int
    ended_at: datetime | None = None
    """The end of its initials, or when that was learnt, if later; None while it is not known."""
    paused: bool = False
    hold_until_provisioned: bool = False
    provisioned_at: datetime | None = None
    """Since when all carriers know its number."""
    withdrawn_at: datetime | None = None
    """What was queued by then is not to go."""
    archived_at: datetime | None = None
    sweep_until: datetime | None = None
    """Until when texts from before a withdrawal or the archive are looked for."""

    @property
    def key(self) -> tuple[str, str]:
        """Organization and campaign."""
        return (self.org_id, self.campaign_id)

    @property
    def closes_at(self) -> datetime:
        """The end of its initials: the window's, or earlier, when a WindowClosed said so."""
        ends_at = self.window.closes_at if self.window else NEVER
        if self.closed_at is not None and self.closed_revision >= self.revision:
            return min(ends_at, self.closed_at)
        return ends_at

    @property
    def awaits_provisioning(self) -> bool:
        """Whether nothing of it may go before all carriers know its number."""
        return self.hold_until_provisioned and self.provisioned_at is None

    def has_withdrawn(self, queued_at: datetime) -> bool:
        """Whether a text that was queued then has been withdrawn since."""
        return self.withdrawn_at is not None and queued_at <= self.withdrawn_at

    def sweep_at(self, now: datetime) -> datetime | None:
        """When to look for what is left in its queue; None: nothing can be left any more."""
        if self.sweep_until is not None and now <= self.sweep_until:
            return now
        return None if self.archived_at is not None else self.closes_at


@dataclass(frozen=True, slots=True)
class Leftover:
    """Queued texts of a campaign (organization, campaign) that will not go, and what becomes of
    them: `initials_only`, or replies too; those queued by an instant, or all."""

    campaign: tuple[str, str]
    status: str
    reason: str
    initials_only: bool = False
    queued_by: datetime | None = None


def leftovers(campaign: Campaign, now: datetime) -> list[Leftover]:
    """Which of a campaign's queued texts will not go any more."""
    if campaign.archived_at is not None:
        return [Leftover(campaign.key, "campaign closed", CAMPAIGN_CLOSED)]
    found = []
    if campaign.withdrawn_at is not None:
        found.append(Leftover(campaign.key, "failed", WITHDRAWN, queued_by=campaign.withdrawn_at))
    if campaign.closes_at <= now:
        found.append(Leftover(campaign.key, "sending failed", SENDING_FAILED, initials_only=True))
    return found


def look_again_at(campaign: Campaign, now: datetime) -> datetime | None:
    """When to look for what is left of a campaign after it was just looked through; None: no
    transaction from before the end, or from before it was learnt, can bring another text."""
    if campaign.sweep_until is not None and now <= campaign.sweep_until:
        return now + CLOSING_AGAIN
    if campaign.archived_at is not None:
        return None
    if campaign.closes_at > now:
        return campaign.closes_at
    learnt_at = campaign.ended_at or campaign.closes_at
    return None if now - learnt_at > CLOSING_TAIL else now + CLOSING_AGAIN


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the lanes of one kind may send next: from `opens_at` on and before `closes_at`."""

    opens_at: datetime
    closes_at: datetime
    last_sendable_at: datetime


CLOSED = Schedule(NEVER, NEVER, NEVER)


def schedule(campaign: Campaign, kind: Kind, now: datetime) -> Schedule:
    """The present or next sendable interval of a campaign's lanes of one kind."""
    if campaign.number is None or campaign.window is None or campaign.hours is None:
        return CLOSED
    if campaign.paused or campaign.awaits_provisioning or campaign.archived_at is not None:
        return CLOSED
    closes_at = campaign.closes_at
    if kind == "reply":
        run = sendable_interval(kind, campaign.window, campaign.hours, now)
        return CLOSED if run is None else Schedule(run.opens_at, run.closes_at, NEVER)
    if closes_at <= campaign.window.opens_at:
        return CLOSED
    window = Window(campaign.window.opens_at, closes_at)
    run = sendable_interval(kind, window, campaign.hours, now)
    if run is None:
        return CLOSED
    return Schedule(run.opens_at, run.closes_at, last_sendable_at(window, campaign.hours) or NEVER)


def turn_at(schedules: list[Schedule]) -> datetime | None:
    """When the first of these intervals is over and the next has to be found."""
    ends = [one.closes_at for one in schedules if one is not CLOSED]
    return min(ends, default=None)


# --- what comes of a call --------------------------------------------------------------------


Verdict = Literal["sent", "delivered", "put back", "failed", "opted out", "nothing"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What follows from a code for the message, its bucket, day, lane and contact."""

    verdict: Verdict
    reason: str | None = None
    slows: bool = False
    """The use case goes slower for a while: its carrier said "too fast"."""
    pauses_bucket: bool = False
    fills_day: bool = False
    holds_lane: bool = False
    """Until the carrier confirms the number."""
    rests_lane: bool = False
    """For a moment."""

    @property
    def touches_bucket(self) -> bool:
        """Whether anything that stands under the bucket changes."""
        put_back = self.verdict == "put back"
        return (
            put_back
            or self.slows
            or self.pauses_bucket
            or self.fills_day
            or self.holds_lane
            or self.rests_lane
        )


@dataclass(frozen=True, slots=True)
class Outbound:
    """One text to hand over: `attempt` numbers its calls, `sender` is the campaign's number."""

    org_id: str
    message_id: str
    attempt: int
    carrier: Carrier
    channel: Channel
    kind: Kind
    sender: str
    to: str
    text: str
    media_urls: tuple[str, ...]
    messaging_profile_id: str | None
    expires_at: datetime
    """Today's close; of an initial its window's end, if that is earlier. A provider that keeps a
    queue of its own is told, where it takes an expiry."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one call.

    accepted: the provider has it. rejected: it never will. not taken: surely not there, may go
    again. unclear: perhaps there, perhaps not; never called again by itself.
    """

    verdict: Literal["accepted", "rejected", "not taken", "unclear"]
    provider_id: str | None = None
    code: str | None = None
    reason: str | None = None
    pause_s: float = 0.0
    """The provider's account asked for a pause of this long."""
    means: Meaning | None = None
    """What its code says of the bucket, the day, the lane and the contact."""


ReceiptState = Literal["sent", "delivered", "failed", "unconfirmed"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the provider says of one attempt later on."""

    org_id: str
    message_id: str
    attempt: int
    state: ReceiptState
    code: str | None
    reason: str | None
    provider_id: str | None
    carrier: Carrier | None = None
    """The recipient's, by the carrier's own word."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """A contact's text to one of our numbers."""

    event_id: str
    sender: str
    to: str
    text: str
    said_at: datetime | None = None
    """When the provider received it: webhooks come late and in any order, and the later of two
    words counts."""


# Telnyx's codes; see carrier-facts for the other providers' words for the same.
_RATE = Meaning("put back", "the carrier said that texts came too fast", slows=True)
_DAY = Meaning("put back", "the carrier said that the limit of the day is reached", fills_day=True)
# Its queue is slower than we are: more of the same would expire as well.
_EXPIRED = Meaning("put back", "it expired in the provider's queue", pauses_bucket=True)
_UNREGISTERED = Meaning("put back", "the carrier does not know the number", holds_lane=True)
# Bought, and not on its messaging profile yet: the number is at fault, not the text.
_NOT_READY = Meaning("put back", "the number is not ready at the provider", rests_lane=True)
_QUEUE_FULL = Meaning("put back", "the provider's queue is full", pauses_bucket=True)
REFUSED_TO_US = Meaning("put back", "the provider refuses our account", pauses_bucket=True)
_SPAM = Meaning("failed", "blocked as spam by the carrier")
_UNREACHABLE = Meaning("failed", "the number takes no texts: a landline, or not in service")
MEANINGS = {
    "40011": _RATE,
    "40018": _RATE,
    "40318": _QUEUE_FULL,
    "40016": _DAY,
    "40014": _EXPIRED,
    "40010": _UNREGISTERED,
    "40305": _NOT_READY,
    "40019": _UNREGISTERED,
    "40002": _SPAM,
    "40003": _SPAM,
    "40015": _SPAM,
    "40017": _SPAM,
    "40001": _UNREACHABLE,
    "40012": _UNREACHABLE,
    "40310": _UNREACHABLE,
    "40300": Meaning("opted out", OPTED_OUT),
}


def meaning(receipt: Receipt) -> Meaning:
    """What a receipt says, whatever the message's state."""
    if receipt.state == "failed":
        known = MEANINGS.get(receipt.code or "")
        return known or Meaning("failed", receipt.reason or "the carrier did not deliver it")
    if receipt.state == "unconfirmed":
        # Nobody knows; it stays as it is and is never sent again by itself.
        return Meaning("sent")
    return Meaning(receipt.state)


def is_settled(status: str, reason: str | None, verdict: str) -> bool:
    """Whether an answer to the call that comes now changes nothing any more."""
    if reason == SETTLED_AS_FAILED:
        return verdict != "accepted"
    return status not in ("claimed", "calling", "unclear")


def follows(status: str, verdict: Verdict) -> Verdict:
    """What a receipt does to a message in this status; receipts come twice and in any order.

    Only the attempt that is under way, or was the last, is asked; an older attempt's receipts are
    fenced off by its number before this.
    """
    if status in ("calling", "unclear"):
        return verdict
    if status == SETTLED and verdict in ("sent", "delivered"):
        return verdict
    if status == "sent" and verdict != "sent":
        return verdict
    return "nothing"


# --- STOP and START --------------------------------------------------------------------------

# The words that carriers and the CTIA's handbook name; only where they are the whole text.
_STOP = frozenset(("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"))
# Not YES: it answers most of what campaigns ask.
_START = frozenset(("start", "unstop"))
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")


def asks_for(text: str) -> Literal["stop", "start"] | None:
    """Whether a contact's text is STOP or START, or one of their kin."""
    word = re.sub(r"[\s_-]", "", _EDGES.sub("", text).casefold())
    if word in _STOP:
        return "stop"
    return "start" if word in _START else None
