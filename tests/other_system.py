"""Another system: it knows aio-pika, JSON, and the public events by their documentation. No code of
ours."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage

Json = dict[str, Any]

HEARD = (
    "NumberPurchased", "NumberProvisioned", "MessageSent", "MessageDelivered", "MessageFailed",
    "MessageUnclear", "MessageReceived", "ContactOptedOut",
)  # fmt: skip


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def zone_at_noon(now: datetime) -> str:
    """A time zone in which it is about noon, so that no midnight comes near a test."""
    offset = (12 - now.astimezone(UTC).hour + 11) % 24 - 11
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


class OtherSystem:
    """Publishes events written by hand, and hears what Sluice tells."""

    def __init__(self, channel: AbstractChannel, exchange: AbstractExchange) -> None:
        self._channel = channel
        self._exchange = exchange
        self.heard: dict[str, list[Json]] = {name: [] for name in HEARD}
        self.ids: Counter[str] = Counter()

    async def listen(self) -> None:
        queue = await self._channel.declare_queue(exclusive=True)
        for name in HEARD:
            await queue.bind(self._exchange, name)
        await queue.consume(self._hear, no_ack=True)

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        document = json.loads(message.body)
        for event in document if isinstance(document, list) else [document]:
            self.ids[event["id"]] += 1
            # Published at least once: whoever counts knows events again by their ids.
            if self.ids[event["id"]] == 1:
                self.heard[event["type"]].append(event["data"])

    def event(self, kind: str, data: Json) -> Json:
        return {
            "specversion": "1.0", "id": str(uuid4()), "source": "other-system", "type": kind,
            "data": data,
        }  # fmt: skip

    async def publish(self, kind: str, data: Json) -> None:
        """One event in one message."""
        await self.publish_raw(kind, json.dumps(self.event(kind, data)).encode())

    async def publish_batch(self, kind: str, data: Iterable[Json]) -> None:
        """Many events in few messages: a batch holds up to 500."""
        events = [self.event(kind, one) for one in data]
        for start in range(0, len(events), 500):
            body = json.dumps(events[start : start + 500]).encode()
            await self.publish_raw(kind, body, "application/cloudevents-batch+json")

    async def publish_raw(
        self, kind: str, body: bytes, content_type: str = "application/cloudevents+json"
    ) -> None:
        await self._exchange.publish(
            aio_pika.Message(body, content_type=content_type, delivery_mode=2), routing_key=kind
        )

    async def until(self, count: int, *kinds: str, within_s: float) -> None:
        """Wait until so many events of these types were heard."""
        async with asyncio.timeout(within_s):
            while sum(len(self.heard[kind]) for kind in kinds) < count:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def other_system(amqp_url: str, prefix: str) -> AsyncIterator[OtherSystem]:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel(on_return_raises=True)
        system = OtherSystem(channel, await channel.get_exchange(prefix))
        await system.listen()
        yield system


def campaign_launched(
    *, opens_at: datetime, closes_in_s: float, org_id: str = "acme", campaign_id: str = "spring"
) -> Json:
    return {
        "org_id": org_id, "campaign_id": campaign_id, "use_case_id": "gotv", "name": "Spring",
        "launched_by": {"name": "Grace", "email": "grace@example.org"}, "area_codes": ["303"],
        "window": {
            "opens_at": iso(opens_at), "closes_at": iso(opens_at + timedelta(seconds=closes_in_s)),
        },
        "hours": {"opens": "01:00", "closes": "23:00", "time_zone": zone_at_noon(opens_at)},
        "revision": 1,
    }  # fmt: skip


def limits_changed(carrier: str, now: datetime, *, org_id: str = "acme", **caps: Any) -> Json:
    return {
        "org_id": org_id, "carrier": carrier, "version": 1, "sms_per_minute": None,
        "sms_unit": "segment", "mms_per_minute": None, "segments_per_day": None,
        "day_zone": zone_at_noon(now), **caps,
    }  # fmt: skip


def message_queued(
    phone: str, now: datetime, *, org_id: str = "acme", campaign_id: str = "spring", **fields: Any
) -> Json:
    return {
        "org_id": org_id, "campaign_id": campaign_id, "message_id": str(uuid4()),
        "kind": "initial", "channel": "sms", "to": phone, "text": "Will you vote?",
        "queued_at": iso(now), **fields,
    }  # fmt: skip
