"""Notices and their deliveries: values and rules. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from shared.events import (
    CampaignHeld,
    DeliverabilityReported,
    NumberProvisioned,
    Person,
    WindowAtRisk,
)
from shared.ids import id_from
from shared.rules.hours import Hours, Window

Kind = Literal[
    "provisioning complete",
    "provisioning failed",
    "window at risk",
    "campaign held",
    "daily digest",
]
Channel = Literal["email", "webhook"]
CampaignKey = tuple[str, str]
"""Organization, campaign."""

State = Literal[
    "due",  # to be sent, or sent again
    "sending",  # the server may have it from here on; only its answer can tell
    "sent",
    "refused",  # the server will not take it, now or ever
    "unclear",  # its answer was lost: never sent again by itself
    "expired",  # the server was away, or put us off, until the notice was no news any more
    "unwanted",  # switched off since, by whoever it was for
    "overtaken",  # what has become known since makes it wrong
]

RETRY_S = 2.0
RETRY_MOST_S = 300.0
NEWS_FOR_S = 3 * 86_400.0


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody is to be told."""

    org_id: str
    notice_id: str
    campaign_id: str | None
    """None: it is about the organization."""
    kind: Kind
    facts: dict[str, Any]
    """The event's data, in JSON form."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as far as it was told of: its facts come in any order."""

    name: str | None = None
    launched_by: Person | None = None
    window: Window | None = None
    hours: Hours | None = None
    revision: int = 0
    """Of window and hours."""
    is_complete: bool = False
    """The provisioning of its number is complete, as was noted."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice's way to one address."""

    notice: Notice
    address: str
    state: State
    state_since: datetime
    due_at: datetime | None
    """When something is to be done next; None: never again."""
    tries: int = 0
    error: str | None = None
    channel: Channel = "email"
    campaign: Campaign = Campaign()
    """What the notice is about, as known when this was claimed."""


# --- what came of handing a mail over ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taken:
    """The server has it, and said so."""

    answer: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not take this mail, and said so."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The server surely does not have it, and may take it later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """The whole mail went out, and no answer came back."""

    reason: str


Outcome = Taken | Refused | NotTaken | Unclear


Noticed = NumberProvisioned | WindowAtRisk | CampaignHeld
"""Events of campaigns that somebody is to be told of."""


def notice_of(event: Noticed, now: datetime) -> Notice:
    """The notice that an event asks for; the same one for whatever is to be told but once."""
    match event:
        case NumberProvisioned():
            kind: Kind = (
                "provisioning complete" if event.outcome == "complete" else "provisioning failed"
            )
            once: tuple[str, ...] = ()
        case WindowAtRisk():
            kind, once = "window at risk", (str(event.revision),)
        case CampaignHeld():
            kind, once = "campaign held", (event.carrier, event.state)
    return Notice(
        org_id=event.org_id,
        notice_id=id_from("notice", event.org_id, event.campaign_id, kind, *once),
        campaign_id=event.campaign_id,
        kind=kind,
        facts=event.model_dump(mode="json"),
        created_at=now,
    )


def digest_of(event: DeliverabilityReported, now: datetime) -> Notice:
    """The notice of an organization's day; the same one however often the report comes."""
    return Notice(
        org_id=event.org_id,
        notice_id=id_from("notice", event.org_id, "daily digest", event.report_id),
        campaign_id=None,
        kind="daily digest",
        facts=event.model_dump(mode="json"),
        created_at=now,
    )


def followed(delivery: Delivery, outcome: Outcome, now: datetime, luck: float) -> Delivery:
    """A delivery after a try; `luck` from [0, 1) keeps many from trying again at once."""
    match outcome:
        case Taken(answer):
            return settled(delivery, "sent", answer, now)
        case Refused(reason):
            return settled(delivery, "refused", reason, now)
        case Unclear(reason):
            return settled(delivery, "unclear", reason, now)
        case NotTaken(reason):
            delay_s = min(RETRY_MOST_S, RETRY_S * 2 ** min(delivery.tries, 16)) * (0.5 + luck / 2)
            due_at = now + timedelta(seconds=delay_s)
            if due_at - delivery.notice.created_at > timedelta(seconds=NEWS_FOR_S):
                return settled(delivery, "expired", reason, now)
            return replace(
                delivery,
                state="due",
                state_since=now,
                tries=delivery.tries + 1,
                error=reason,
                due_at=due_at,
            )


def overtaken(delivery: Delivery) -> str | None:
    """What has become known since, where that makes the notice wrong: then it is not sent."""
    notice, campaign = delivery.notice, delivery.campaign
    if notice.kind == "provisioning failed" and campaign.is_complete:
        return "its provisioning is complete by now"
    if notice.kind == "window at risk" and notice.facts["revision"] < campaign.revision:
        return "its window has been edited since"
    pending = notice.kind == "campaign held" and notice.facts["state"] == "pending"
    # The three that confirm numbers have; what holds the texts to others holds them still.
    if pending and notice.facts["carrier"] != "other" and campaign.is_complete:
        return "the carrier has confirmed its number since"
    return None


def abandoned(delivery: Delivery, now: datetime) -> Delivery:
    """A delivery whose worker died after the server may have got the mail."""
    return followed(delivery, Unclear("the notifier stopped before the server's answer"), now, 0)


def settled(delivery: Delivery, state: State, words: str, now: datetime) -> Delivery:
    """A delivery that has come to its end, and why."""
    return replace(delivery, state=state, state_since=now, error=words[:500], due_at=None)
