"""What can be done with a text or a conversation now, and in words why not."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.campaign.domain import State, Status
from shared.rules.hours import Window

Tab = Literal["initials", "replied", "waiting", "failed", "unclear"]

UNSENT: tuple[Status, ...] = ("unassigned", "assigned", "skipped")
"""Initials that no click has queued yet."""
FAILED: tuple[Status, ...] = ("failed", "sending failed", "campaign closed")


@dataclass(frozen=True, slots=True)
class Sendable:
    """Whether an initial can be sent; `warning`: why it can no longer, or not now."""

    sendable: bool
    warning: str | None = None


_FOR_GOOD: dict[Status, str] = {
    "sending failed": (
        "The initial message sending window ended before this message could go. "
        "It can no longer be sent from this campaign."
    ),
    "campaign closed": (
        "The campaign was archived, or a clone of it has taken over the contact, before this "
        "message could go. It can no longer be sent from this campaign."
    ),
    "opted out": "The contact has opted out.",
}


def sendable(
    status: Status, state: State, window: Window, now: datetime, *, opted_out: bool
) -> Sendable:
    """Whether an initial can be sent by an admin now. Of one that was sent there is no warning."""
    if status in _FOR_GOOD:
        return Sendable(False, _FOR_GOOD[status])
    if status not in UNSENT:
        return Sendable(False)
    warning = _why_not(status, state, window, now, opted_out)
    return Sendable(warning is None, warning)


def _why_not(
    status: Status, state: State, window: Window, now: datetime, opted_out: bool
) -> str | None:
    if opted_out:
        return _FOR_GOOD["opted out"]
    if state == "archived":
        return "The campaign is archived. This message can no longer be sent."
    if now < window.opens_at:
        return (
            "The initial message sending window has not opened yet. "
            "To send this message now, move the start date."
        )
    if now >= window.closes_at:
        return (
            "The initial message sending window has closed. "
            "To send this message, extend the end date."
        )
    if status == "skipped":
        return "This message was skipped. Bring it back to send it."
    return None


def why_no_answer(state: State, *, opted_out: bool) -> str | None:
    """Why a contact cannot be answered; None where they can."""
    if opted_out:
        return "The contact has opted out."
    if state == "archived":
        return "The campaign is archived: what contacts write is read, and cannot be answered."
    return None


def why_replies_first(waiting: int, over: int | None) -> str | None:
    """Why a sender answers before they send initials; None where they need not.

    `waiting`: how many of their contacts wait for an answer; `over`: the campaign's
    `replies_first_over`.
    """
    if over is None or waiting <= over:
        return None
    who = "1 contact waits" if waiting == 1 else f"{waiting} contacts wait"
    until = "nobody does" if over == 0 else f"no more than {over} do"
    return f"Replies first: {who} for your answer. There are initials again when {until}."
