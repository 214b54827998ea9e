"""Telnyx's v2 API: handing texts over, looking carriers up, and reading its signed webhooks.

Its send request takes a receipt address of its own, so a receipt finds its attempt even when the
answer to the request was lost: `{webhook_url}/webhooks/telnyx/{org_id}/{message_id}/{attempt}`.
It takes no expiry (its queue keeps a text for four hours at most): that a text goes only while it
may is up to the claim, and to the last look before the call.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Self
from urllib.parse import quote

import aiohttp
import structlog
from pydantic_core import from_json

from services.collider.carriers import LookedUp, LookUp, NotLookedUp
from services.collider.domain import (
    ANSWER_LOST,
    MEANINGS,
    REFUSED_TO_US,
    Inbound,
    Outbound,
    Outcome,
    Receipt,
    ReceiptState,
)
from shared.fields import TEXT_MOST, Carrier
from shared.ids import id_from
from shared.rules.carriers import carrier_named

NAME = "telnyx"
RECEIPTS_PATH = "/webhooks/telnyx/{org_id}/{message_id}/{attempt}"
# An id may hold braces, which a plain {name} of a route does not match.
RECEIPTS_ROUTE = "/webhooks/telnyx/{org_id:[^/]+}/{message_id:[^/]+}/{attempt:[0-9]{1,9}}"
INBOUND_PATH = "/webhooks/telnyx"

# What surely came before the request began to leave: refused, no such host, no TLS, no free socket.
_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_ASKED_PAUSE_S = 1.0
_ACCOUNT_PAUSE_S = 30.0
_PAUSE_MOST_S = 60.0
# Nobody waits long for a look-up: it is asked again.
_LOOK_UP_S = 5.0
# Lines on no carrier's mobile network, whoever's name they bear: look-ups' and receipts' words.
_NOT_MOBILE = frozenset(
    ("fixed line", "wireline", "voip", "toll free", "premium rate", "shared cost", "uan", "pager")
)

log = structlog.get_logger(__name__)


class TelnyxMessages:
    """Hands texts to Telnyx, one call each."""

    name = NAME

    def __init__(
        self, url: str, api_key: str, webhook_url: str, *, timeout_s: float, calls_most: int
    ) -> None:
        self._url = f"{url.rstrip('/')}/messages"
        self._webhook_url = webhook_url.rstrip("/")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=calls_most, keepalive_timeout=15),
            timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=3),
            headers={"Authorization": f"Bearer {api_key}"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, text: Outbound) -> Outcome:
        """Call once, and sort what came of it."""
        try:
            async with self._session.post(
                self._url, json=request(text, self._webhook_url), allow_redirects=False
            ) as answer:
                return outcome(answer.status, answer.headers, await answer.read())
        except _NOT_CONNECTED as error:
            return Outcome("not taken", reason=repr(error), pause_s=_ASKED_PAUSE_S)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # The request had begun: it may have arrived.
            why = "none came in time" if isinstance(error, TimeoutError) else "the line broke"
            return Outcome("unclear", reason=f"{ANSWER_LOST} ({why})")


def request(text: Outbound, webhook_url: str) -> dict[str, Any]:
    """The body of a send request, with the receipt address of this attempt in it."""
    address = RECEIPTS_PATH.format(
        org_id=quote(text.org_id, safe=""),
        message_id=quote(text.message_id, safe=""),
        attempt=text.attempt,
    )
    body: dict[str, Any] = {
        "from": text.sender,
        "to": text.to,
        "text": text.text,
        "type": text.channel.upper(),
        "webhook_url": f"{webhook_url}{address}?kind={text.kind}",
    }
    if text.media_urls:
        body["media_urls"] = list(text.media_urls)
    if text.messaging_profile_id:
        body["messaging_profile_id"] = text.messaging_profile_id
    return body


def outcome(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """What an answer says of the message."""
    document = _document(body)
    if 200 <= status < 300:
        provider_id = _words(_dig(document, "data", "id"))
        if provider_id is not None:
            return Outcome("accepted", provider_id)
        return Outcome("unclear", reason=f"{ANSWER_LOST} (no id in it)")
    code, title = _error(document)
    # A full queue is a carrier's, or a number's; the account as such has not been too fast.
    if (status == 429 and code not in MEANINGS) or (
        status == 503 and (code or "Retry-After" in headers)
    ):
        pause_s = _retry_after_s(headers)
        return Outcome("not taken", code=code or str(status), reason=title, pause_s=pause_s)
    if status >= 500 or status == 408:
        return Outcome("unclear", code=code, reason=f"{ANSWER_LOST} (HTTP {status})")
    if code is None or status in (401, 402):
        # Not the API we know, or it does not know us: no text is at fault, and none must fail.
        log.error("the provider refuses our account", status=status, code=code)
        return Outcome("not taken", code=code, reason=title, pause_s=_ACCOUNT_PAUSE_S)
    means = MEANINGS.get(code) or (REFUSED_TO_US if status == 403 else None)
    if means is None:
        reason = title or f"the provider refused it (HTTP {status})"
        return Outcome("rejected", code=code, reason=reason)
    back = means.verdict == "put back"
    verdict: Literal["not taken", "rejected"] = "not taken" if back else "rejected"
    return Outcome(verdict, code=code, reason=means.reason or title, means=means)


# --- look-ups --------------------------------------------------------------------------------


class TelnyxLookUps:
    """Asks Telnyx whose subscriber a phone is. It bills each answer."""

    name = NAME

    def __init__(self, url: str, api_key: str, *, timeout_s: float = _LOOK_UP_S) -> None:
        self._url = f"{url.rstrip('/')}/number_lookup"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15),
            timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(3, timeout_s)),
            headers={"Authorization": f"Bearer {api_key}"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def look_up(self, phone: str) -> LookUp:
        """Ask once, and sort what came of it."""
        try:
            async with self._session.get(
                f"{self._url}/{quote(phone, safe='+')}",
                params={"type": "carrier"},
                allow_redirects=False,
            ) as answer:
                return looked_up(answer.status, answer.headers, await answer.read())
        except _NOT_CONNECTED as error:
            return NotLookedUp(type(error).__name__, pause_s=_ASKED_PAUSE_S)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return NotLookedUp(type(error).__name__)


def looked_up(status: int, headers: Mapping[str, str], body: bytes) -> LookUp:
    """What an answer says of the phone's carrier."""
    document = _document(body)
    if 200 <= status < 300:
        carrier = _dig(document, "data", "carrier")
        if not isinstance(_dig(document, "data"), dict):
            return NotLookedUp("no look-up in the answer")
        # The network first: `name` may be that of a company which only resells it.
        names = (_words(_dig(carrier, one)) for one in ("normalized_carrier", "name"))
        line = _words(_dig(carrier, "type"))
        return LookedUp(next((one for name in names if (one := _carrier(name, line))), None))
    code, title = _error(document)
    reason = f"HTTP {status} {code or ''} {title or ''}".strip()
    if status == 429 or (status == 503 and (code or "Retry-After" in headers)):
        return NotLookedUp(reason, pause_s=_retry_after_s(headers))
    if status in (401, 402, 403):
        log.error("the provider refuses us look-ups", status=status, code=code)
        return NotLookedUp(reason, pause_s=_ACCOUNT_PAUSE_S)
    if status >= 500 or status == 408 or code is None:
        return NotLookedUp(reason)
    # Not a number, or of a country that the account is not opened for: so it will be tomorrow.
    return LookedUp(None)


def _carrier(name: str | None, line: str | None) -> Carrier | None:
    """The carrier of this name, on whose mobile network this kind of line is."""
    if name is None or (line or "").casefold() in _NOT_MOBILE:
        return None
    return carrier_named(name)


# --- answers ---------------------------------------------------------------------------------


def _retry_after_s(headers: Mapping[str, str]) -> float:
    try:
        asked_s = float(headers.get("Retry-After", _ASKED_PAUSE_S))
    except ValueError:
        # A date would need a clock of ours.
        return _ASKED_PAUSE_S
    return min(max(asked_s, 0.1), _PAUSE_MOST_S) if math.isfinite(asked_s) else _ASKED_PAUSE_S


def _document(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:
        pass
    try:
        # A lone surrogate in a text is no reason to lose the text.
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _dig(document: Any, *path: str | int) -> Any:
    """What stands at this path of a document that may have any shape."""
    for step in path:
        if isinstance(step, int):
            inside = isinstance(document, list) and step < len(document)
        else:
            inside = isinstance(document, dict) and step in document
        if not inside:
            return None
        document = document[step]
    return document


def _words(found: Any, most: int = 200) -> str | None:
    """A text or number from a document, as it can be stored."""
    if not isinstance(found, str | int) or found == "":
        return None
    return str(found).replace("\x00", "").encode(errors="replace").decode()[:most]


def _error(document: Any) -> tuple[str | None, str | None]:
    """The first error's code and title."""
    first = _dig(document, "errors", 0)
    return _words(_dig(first, "code")), _words(_dig(first, "title"))


# --- webhooks --------------------------------------------------------------------------------


_STATES: dict[str, ReceiptState] = {
    "sent": "sent",
    "delivered": "delivered",
    "sending_failed": "failed",
    "delivery_failed": "failed",
    "delivery_unconfirmed": "unconfirmed",
}


def read_receipt(body: bytes, org_id: str, message_id: str, attempt: int) -> Receipt | None:
    """A receipt for the attempt that its address named; None when it says nothing of use."""
    document = _document(body)
    payload = _dig(document, "data", "payload")
    state = _STATES.get(str(_dig(payload, "to", 0, "status")))
    if state is None:
        return None
    code, title = _error(payload)
    to = _dig(payload, "to", 0)
    return Receipt(
        org_id=org_id,
        message_id=message_id,
        attempt=attempt,
        state=state,
        code=code,
        reason=title,
        provider_id=_words(_dig(payload, "id")),
        carrier=_carrier(_words(_dig(to, "carrier")), _words(_dig(to, "line_type"))),
    )


def read_inbound(body: bytes) -> Inbound | None:
    """A contact's text; None when the webhook is about something else."""
    document = _document(body)
    if _dig(document, "data", "event_type") != "message.received":
        return None
    payload = _dig(document, "data", "payload")
    sender, to = _dig(payload, "from", "phone_number"), _dig(payload, "to", 0, "phone_number")
    if not (isinstance(sender, str) and isinstance(to, str)):
        return None
    if not (_PHONE.fullmatch(sender) and _PHONE.fullmatch(to)):
        # Short codes and names text too; nobody converses with them.
        return None
    text = _words(_dig(payload, "text"), TEXT_MOST) or ""
    # The message's id, not the webhook's: the same text may be told of by several webhooks.
    found = _words(_dig(payload, "id")) or _words(_dig(document, "data", "id"))
    said_at = _instant(_dig(payload, "received_at"))
    return Inbound(found or id_from(sender, to, text), sender, to, text, said_at)


def _instant(found: Any) -> datetime | None:
    """A time from a document; None when it is none, or says no zone."""
    try:
        at = datetime.fromisoformat(found)
        return at.astimezone(UTC) if at.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None
