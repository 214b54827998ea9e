"""A text as a row of an export: its columns, and what its status means in words."""

from collections.abc import Mapping
from typing import Any

from services.campaign.domain import Status

COLUMNS = (
    "message_id",
    "campaign_id",
    "campaign",
    "direction",
    "kind",
    "channel",
    "phone",
    "first_name",
    "last_name",
    "sender",
    "sender_email",
    "carrier",
    "segments",
    "status",
    "reason",
    "code",
    "queued_at",
    "sent_at",
    "delivered_at",
    "failed_at",
    "received_at",
    "provider_id",
    "text",
)

WORDS: Mapping[Status, str] = {
    "unassigned": "no sender has it yet",
    "assigned": "its sender has not sent it yet",
    "skipped": "its sender passed it over",
    "queued": "it waits for its hours and for room under the carriers' limits",
    "sent": "the provider has taken it, and the carrier has not said yet what became of it",
    "unclear": "the provider's answer was lost: it may have gone or not, and is never sent again",
    "delivered": "it has arrived",
    "failed": "it was not sent, or did not arrive",
    "sending failed": "the window for initial messages ended before it could be sent",
    "campaign closed": "the campaign was closed before it could be sent",
    "opted out": "the contact wanted no texts, before it was sent",
}
"""Of each status, why a text stands there."""


def reason_of(status: str, reason: str | None) -> str:
    """Why a text is where it is: what was said of it itself, else what its status means.

    A reason that only says the status again says nothing.
    """
    if reason and reason != status:
        return reason
    return next((words for known, words in WORDS.items() if known == status), "")


def exported(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the store, with its reason in words."""
    return {**row, "reason": reason_of(row["status"], row["reason"])}
