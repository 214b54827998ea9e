"""Messages as Telnyx writes them: what was asked, what came of it, and the JSON of both."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote

from services.sandbox.domain import (
    BAD_REQUEST,
    BAD_TO,
    MISSING_PARAMETER,
    TITLES,
    Carrier,
    Channel,
    Kind,
    Refused,
    Webhook,
    is_us_phone,
    iso,
)
from services.sandbox.segments import count_segments, encoding_of

CARRIER_NAMES: dict[Carrier, str] = {
    "att": "AT&T",
    "tmobile": "T-MOBILE USA, INC.",
    "verizon": "CELLCO PARTNERSHIP DBA VERIZON",
    "other": "UNITED STATES CELLULAR CORP.",
}
"""Carriers as `to[].carrier` and the number look-up name them."""

ORGANIZATION_ID = "00000000-0000-4000-8000-00000000005b"


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A checked `POST /v2/messages`."""

    number: str
    phone: str
    text: str
    media_urls: tuple[str, ...]
    webhook_url: str | None

    @property
    def channel(self) -> Channel:
        return "mms" if self.media_urls else "sms"

    @property
    def segments(self) -> int:
        return 1 if self.media_urls else count_segments(self.text)


def read_send_request(body: object) -> SendRequest:
    """The request in a parsed JSON body, or `Refused` with Telnyx's code for what is wrong."""
    if not isinstance(body, dict):
        raise Refused(400, BAD_REQUEST, "The request body must be a JSON object.")
    number, phone = body.get("from"), body.get("to")
    if isinstance(phone, list) and len(phone) == 1:
        phone = phone[0]
    if not isinstance(number, str) or not number:
        raise Refused(422, MISSING_PARAMETER, "A required parameter was missing: from.")
    if not isinstance(phone, str) or not is_us_phone(phone):
        raise Refused(400, BAD_TO, "The 'to' address should be a single valid number.")
    text, media = body.get("text") or "", body.get("media_urls") or []
    if not isinstance(text, str) or not isinstance(media, list) or not (text or media):
        raise Refused(422, MISSING_PARAMETER, "A message needs text or media_urls.")
    if not all(isinstance(url, str) for url in media):
        raise Refused(422, BAD_REQUEST, "media_urls must be a list of URLs.")
    webhook_url = body.get("webhook_url")
    if webhook_url is not None and not _is_url(webhook_url):
        raise Refused(422, BAD_REQUEST, "webhook_url must be an http or https URL.")
    return SendRequest(number, phone, text, tuple(media), webhook_url)


def _is_url(url: object) -> bool:
    return isinstance(url, str) and url.startswith(("http://", "https://"))


@dataclass(frozen=True, slots=True)
class ReceiptAddress:
    """What a receipt address says of its message; nothing where it is not of our form."""

    message: tuple[str, str] | None
    attempt: str | None
    kind: Kind


def read_receipt_address(url: str | None) -> ReceiptAddress:
    """`{base}/webhooks/telnyx/{org_id}/{message_id}/{attempt}?kind=initial|reply`.

    The last three parts of the path are what counts. The kind is initial where none is given.
    """
    if url is None:
        return ReceiptAddress(None, None, "initial")
    address, _, query = url.partition("?")
    kind: Kind = "reply" if "kind=reply" in query.split("&") else "initial"
    parts = address.split("://", 1)[-1].rstrip("/").split("/")
    if len(parts) < 4:
        return ReceiptAddress(None, None, kind)
    org_id, message_id, attempt = (unquote(part) for part in parts[-3:])
    return ReceiptAddress((org_id, message_id), attempt, kind)


def new_id() -> str:
    """An id of the provider's."""
    return str(uuid.uuid4())


@dataclass(slots=True)
class Message:
    """A message that the provider took. `status` runs queued → sent → delivered or failed."""

    request: SendRequest
    carrier: Carrier
    segments: int
    received_at: datetime
    messaging_profile_id: str
    webhook_url: str | None
    campaign_id: str | None
    id: str = field(default_factory=new_id)
    status: str = "queued"
    code: str | None = None
    sent_at: datetime | None = None
    completed_at: datetime | None = None

    def payload(self) -> dict[str, object]:
        """The message as Telnyx's `OutboundMessagePayload`."""
        request = self.request
        return {
            "record_type": "message",
            "direction": "outbound",
            "id": self.id,
            "type": request.channel.upper(),
            "organization_id": ORGANIZATION_ID,
            "messaging_profile_id": self.messaging_profile_id,
            "from": {"phone_number": request.number, "carrier": "Telnyx", "line_type": "Wireless"},
            "to": [
                {
                    "phone_number": request.phone,
                    "status": self.status,
                    "carrier": CARRIER_NAMES[self.carrier],
                    "line_type": "Wireless",
                }
            ],
            "cc": [],
            "text": request.text,
            "media": [{"url": url} for url in request.media_urls],
            "encoding": encoding_of(request.text),
            "parts": self.segments,
            "webhook_url": self.webhook_url,
            "webhook_failover_url": None,
            "tcr_campaign_id": self.campaign_id,
            "tags": [],
            "cost": None,
            "received_at": iso(self.received_at),
            "sent_at": iso(self.sent_at),
            "completed_at": iso(self.completed_at),
            "valid_until": None,
            "errors": [] if self.code is None else [error(self.code)],
        }

    def event(self, event_type: str, at: datetime) -> Webhook | None:
        """The message as it stands, as an event for its receipt address; None without one."""
        if self.webhook_url is None:
            return None
        return Webhook(self.webhook_url, event(event_type, at, self.payload()))


def error(code: str) -> dict[str, object]:
    """One element of an `errors` list."""
    title = TITLES.get(code, "Error")
    return {"code": code, "title": title, "detail": f"{title}."}


def event(event_type: str, at: datetime, payload: Mapping[str, object]) -> dict[str, object]:
    """The `data` of a webhook."""
    return {
        "event_type": event_type,
        "id": new_id(),
        "occurred_at": iso(at),
        "payload": payload,
        "record_type": "event",
    }


STOP_WORDS = frozenset({"STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})
START_WORDS = frozenset({"START", "UNSTOP"})


def autoresponse_of(text: str) -> str | None:
    """STOP or START where the text is one of the provider's own keywords."""
    word = text.strip().upper()
    if word in STOP_WORDS:
        return "STOP"
    return "START" if word in START_WORDS else None


def inbound_payload(
    at: datetime,
    phone: str,
    carrier: Carrier,
    number: str,
    text: str,
    media_urls: tuple[str, ...],
    messaging_profile_id: str,
) -> dict[str, object]:
    """A text from a phone, as Telnyx's `MessagingInboundMessagePayload`."""
    return {
        "record_type": "message",
        "direction": "inbound",
        "id": new_id(),
        "type": "MMS" if media_urls else "SMS",
        "organization_id": ORGANIZATION_ID,
        "messaging_profile_id": messaging_profile_id,
        "from": {
            "phone_number": phone,
            "carrier": CARRIER_NAMES[carrier],
            "line_type": "Wireless",
        },
        "to": [
            {
                "phone_number": number,
                "status": "webhook_delivered",
                "carrier": "Telnyx",
                "line_type": "Wireless",
            }
        ],
        "cc": [],
        "text": text,
        "media": [{"url": url} for url in media_urls],
        "encoding": encoding_of(text),
        "parts": 1 if media_urls else count_segments(text),
        "autoresponse_type": autoresponse_of(text),
        "webhook_url": None,
        "tags": [],
        "cost": None,
        "received_at": iso(at),
        "sent_at": None,
        "completed_at": None,
        "errors": [],
    }
