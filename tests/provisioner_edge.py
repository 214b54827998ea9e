"""The provisioner's HTTP edge over real HTTP, and webhooks to post at it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from services.provisioner.api import Webhooks
from services.provisioner.providers.telnyx_webhooks import PATH
from services.sandbox.webhooks import Signer
from shared.database import Database
from shared.ids import new_id
from shared.signatures import TelnyxSignatures

SEED = "seed"


@dataclass(frozen=True)
class Webhook:
    """Bytes with the two headers that sign them."""

    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def signed(cls, body: bytes, *, at_s: float | None = None, seed: str = SEED) -> "Webhook":
        """`at_s`: Unix time of the signature, now where none is given."""
        timestamp = int(time.time() if at_s is None else at_s)
        return cls(Signer(seed).headers(body, timestamp), body)


def update(number: str, *, attempt: int = 1, **payload: Any) -> bytes:
    """A `10dlc.phone_number.update`, as it is posted; `payload`: besides the number and its ids."""
    event = {
        "event_type": payload.pop("event_type", "10dlc.phone_number.update"),
        "id": payload.pop("id", new_id()),
        "occurred_at": payload.pop("occurred_at", datetime.now(UTC).isoformat()),
        "payload": {"phoneNumber": number, "type": "STATUS_UPDATE", "status": "ADDED", **payload},
        "record_type": "event",
    }
    return json.dumps({"data": event, "meta": {"attempt": attempt, "delivered_to": PATH}}).encode()


class Edge:
    """One replica's edge."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def post(self, webhook: Webhook) -> int:
        """The status that it is answered with."""
        async with self._session.post(
            self.url, data=webhook.body, headers=webhook.headers
        ) as answer:
            return answer.status


@asynccontextmanager
async def open_edge(
    database: Database, *, seed: str = SEED, at_work: bool = True
) -> AsyncIterator[Edge]:
    """An edge that knows the key of the sandbox with this seed.

    Not `at_work`: nothing that it takes is ever recorded, as while the database hangs.
    """
    webhooks = Webhooks(database, TelnyxSignatures(Signer(seed).public_key))

    async def record() -> None:
        while True:
            await webhooks.gather.step()
            webhooks.gather.wake.clear()
            await webhooks.gather.wake.wait()

    server = TestServer(webhooks.app())
    await server.start_server()
    work = asyncio.create_task(record()) if at_work else None
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            yield Edge(session, str(server.make_url(PATH)))
    finally:
        if work is not None:
            work.cancel()
        await server.close()
