"""Signing and posting webhooks, as Telnyx does.

A webhook is signed with Ed25519 over `{timestamp}|{raw body}`; the headers are
`telnyx-signature-ed25519` (base64) and `telnyx-timestamp` (Unix seconds). Any 2xx within 2 s
takes it; anything else is tried again with back-off until `retry_s` after its first try, signed
anew each time. Deliveries never hold up a send: at most `LANES` run at once, the rest wait.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable

import aiohttp
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.sandbox.domain import Webhook

SIGNATURE_HEADER = "telnyx-signature-ed25519"
TIMESTAMP_HEADER = "telnyx-timestamp"
ANSWER_WITHIN_S = 2.0
LANES = 64
FIRST_RETRY_S, LONGEST_RETRY_S = 0.2, 5.0

log = structlog.get_logger("sandbox")


class Signer:
    """An Ed25519 key that the seed alone decides: tests know it before the sandbox runs."""

    def __init__(self, seed: str) -> None:
        secret = hashlib.sha256(f"webhooks|{seed}".encode()).digest()
        self._key = Ed25519PrivateKey.from_private_bytes(secret)

    @property
    def public_key(self) -> str:
        """The public key, base64, as Telnyx's portal shows its own."""
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def headers(self, body: bytes, timestamp: int) -> dict[str, str]:
        """The two headers for a raw body at a Unix time in seconds."""
        signature = self._key.sign(f"{timestamp}|".encode() + body)
        return {
            SIGNATURE_HEADER: base64.b64encode(signature).decode(),
            TIMESTAMP_HEADER: str(timestamp),
        }


class _Delivery:
    __slots__ = ("attempt", "give_up_at", "webhook")

    def __init__(self, webhook: Webhook, give_up_at: float) -> None:
        self.webhook = webhook
        self.attempt = 1
        self.give_up_at = give_up_at


class Courier:
    """Posts webhooks in the background. `retry_s` may change at any time."""

    def __init__(self, signer: Signer, retry_s: float) -> None:
        self._signer = signer
        self.retry_s = retry_s
        self._queue: asyncio.Queue[_Delivery] = asyncio.Queue()
        self._waiting: set[asyncio.TimerHandle] = set()
        self._lanes: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self.counts: Counter[str] = Counter()
        """posted, taken, retried, given_up since the start."""

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=LANES, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S),
            headers={"Content-Type": "application/json", "User-Agent": "telnyx-webhooks"},
            skip_auto_headers=("Accept", "Accept-Encoding"),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._lanes = [asyncio.create_task(self._lane(self._session)) for _ in range(LANES)]

    async def stop(self) -> None:
        """Give up what has not been taken yet."""
        for handle in self._waiting:
            handle.cancel()
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def post(self, webhooks: Iterable[Webhook]) -> None:
        """Hand webhooks over; they leave in this order as far as the lanes allow."""
        give_up_at = time.monotonic() + self.retry_s
        for webhook in webhooks:
            self.counts["posted"] += 1
            self._queue.put_nowait(_Delivery(webhook, give_up_at))

    @property
    def pending(self) -> int:
        """Webhooks that wait for a lane or for their next try."""
        return self._queue.qsize() + len(self._waiting)

    async def _lane(self, session: aiohttp.ClientSession) -> None:
        while True:
            delivery = await self._queue.get()
            if await self._try(session, delivery):
                self.counts["taken"] += 1
            else:
                self._again(delivery)

    async def _try(self, session: aiohttp.ClientSession, delivery: _Delivery) -> bool:
        webhook = delivery.webhook
        meta = {"attempt": delivery.attempt, "delivered_to": webhook.url}
        body = json.dumps({"data": webhook.data, "meta": meta}, separators=(",", ":")).encode()
        headers = self._signer.headers(body, int(time.time()))
        try:
            async with session.post(webhook.url, data=body, headers=headers) as answer:
                return answer.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return False

    def _again(self, delivery: _Delivery) -> None:
        wait_s = min(FIRST_RETRY_S * 2 ** (delivery.attempt - 1), LONGEST_RETRY_S)
        if time.monotonic() + wait_s > delivery.give_up_at:
            self.counts["given_up"] += 1
            log.warning("webhook given up", event_type=delivery.webhook.data["event_type"])
            return
        self.counts["retried"] += 1
        delivery.attempt += 1

        def requeue() -> None:
            self._waiting.discard(handle)
            self._queue.put_nowait(delivery)

        handle = asyncio.get_running_loop().call_later(wait_s, requeue)
        self._waiting.add(handle)
