"""Notices and their deliveries: values and rules. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from shared.events import NumberProvisioned
from shared.ids import id_from

Kind = Literal["provisioning complete", "provisioning failed"]

State = Literal[
    "due",  # to be sent, or sent again
    "sending",  # the server may have it from here on; only its answer can tell
    "sent",
    "refused",  # the server will not take it, now or ever
    "unclear",  # its answer was lost: never sent again by itself
    "expired",  # the server was away, or put us off, until the notice was no news any more
]

RETRY_S = 2.0
RETRY_MOST_S = 300.0
NEWS_FOR_S = 3 * 86_400.0


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody is to be told."""

    org_id: str
    notice_id: str
    campaign_id: str
    kind: Kind
    facts: dict[str, Any]
    """The event's data, in JSON form."""
    created_at: datetime


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


def notice_of(event: NumberProvisioned, now: datetime) -> tuple[Notice, Delivery]:
    """The notice that an event asks for, and its delivery to the admin who launched."""
    kind: Kind = "provisioning complete" if event.outcome == "complete" else "provisioning failed"
    notice = Notice(
        org_id=event.org_id,
        # The same event, or another one of the same outcome, makes the same notice.
        notice_id=id_from("notice", event.org_id, event.campaign_id, kind),
        campaign_id=event.campaign_id,
        kind=kind,
        facts=event.model_dump(mode="json"),
        created_at=now,
    )
    return notice, Delivery(notice, event.launched_by.email, "due", now, now)


def followed(delivery: Delivery, outcome: Outcome, now: datetime, luck: float) -> Delivery:
    """A delivery after a try; `luck` from [0, 1) keeps many from trying again at once."""
    match outcome:
        case Taken(answer):
            return _settled(delivery, "sent", answer, now)
        case Refused(reason):
            return _settled(delivery, "refused", reason, now)
        case Unclear(reason):
            return _settled(delivery, "unclear", reason, now)
        case NotTaken(reason):
            delay_s = min(RETRY_MOST_S, RETRY_S * 2 ** min(delivery.tries, 16)) * (0.5 + luck / 2)
            due_at = now + timedelta(seconds=delay_s)
            if due_at - delivery.notice.created_at > timedelta(seconds=NEWS_FOR_S):
                return _settled(delivery, "expired", reason, now)
            return replace(
                delivery,
                state="due",
                state_since=now,
                tries=delivery.tries + 1,
                error=reason,
                due_at=due_at,
            )


def abandoned(delivery: Delivery, now: datetime) -> Delivery:
    """A delivery whose worker died after the server may have got the mail."""
    return followed(delivery, Unclear("the notifier stopped before the server's answer"), now, 0)


def _settled(delivery: Delivery, state: State, words: str, now: datetime) -> Delivery:
    return replace(delivery, state=state, state_since=now, error=words[:500], due_at=None)
