"""Organizations without caps whose texts are queued by another system, and what is told of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage

from tests.bench.stand import Place
from tests.other_system import (
    Json,
    OtherSystem,
    campaign_launched,
    limits_changed,
    message_queued,
    other_system,
)

CARRIERS = ("att", "tmobile", "verizon", "other")
BATCH = 100
UNCONFIRMED_MOST = 50
"""Batches that the producer has on their way to the broker at once."""

Body = bytes


def bodies(orgs: Sequence[str], count: int) -> list[Body]:
    """So many texts in batches of BATCH, each of one organization and for all carriers, as other
    systems send them. Made beforehand, so that the producer's JSON is not what is measured."""
    now = datetime.now(UTC)
    made = []
    for start in range(0, count, BATCH):
        org_id = orgs[start // BATCH % len(orgs)]
        texts = [
            message_queued(
                f"+1303{index % 10_000_000:07d}",
                now,
                org_id=org_id,
                carrier=CARRIERS[index % len(CARRIERS)],
            )
            for index in range(start, min(start + BATCH, count))
        ]
        made.append(json.dumps([_event(text) for text in texts]).encode())
    return made


def _event(text: Json) -> Json:
    return {
        "specversion": "1.0", "id": text["message_id"], "source": "bench",
        "type": "MessageQueued", "data": text,
    }  # fmt: skip


async def launch(place: Place, orgs: Sequence[str], **caps: int | None) -> None:
    """A campaign with its number for each organization, and limits with each carrier: none, but
    for the `caps` that are given."""
    now = datetime.now(UTC)
    async with other_system(place.amqp_url, place.bus_prefix) as other:
        for index, org_id in enumerate(orgs):
            launched = campaign_launched(opens_at=now, closes_in_s=7200, org_id=org_id)
            events = [limits_changed(one, now, org_id=org_id, **caps) for one in CARRIERS]
            await other.publish_batch("LimitsChanged", events)
            await other.publish("CampaignLaunched", {**launched, "number": f"+1212555{index:04d}"})
            await _number(other, org_id, f"+1212555{index:04d}", now)


async def _number(other: OtherSystem, org_id: str, number: str, now: datetime) -> None:
    purchased = {
        "org_id": org_id, "campaign_id": "spring", "use_case_id": "gotv", "number": number,
        "purchased_at": now.isoformat(),
    }  # fmt: skip
    await other.publish("NumberPurchased", purchased)


class Producer:
    """Another system with a channel of its own, which waits for the confirm of each batch."""

    def __init__(self, exchange: AbstractExchange) -> None:
        self._exchange = exchange

    async def publish(self, made: Sequence[Body]) -> None:
        """Return when the broker has confirmed them all."""
        waiting = iter(made)

        async def one_after_the_other() -> None:
            for body in waiting:
                await self._exchange.publish(
                    aio_pika.Message(
                        body,
                        content_type="application/cloudevents-batch+json",
                        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    ),
                    routing_key="MessageQueued",
                )

        async with asyncio.TaskGroup() as group:
            for _ in range(UNCONFIRMED_MOST):
                group.create_task(one_after_the_other())


class Counter:
    """Which messages were told to have been sent, by a durable queue of its own."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.copies = 0
        self._wanted = 0
        self._reached = asyncio.Event()

    async def listen(self, channel: AbstractChannel, place: Place) -> None:
        """Begin to count."""
        await channel.set_qos(prefetch_count=100)
        name = f"{place.bus_prefix}.counter"
        place.queues.append(name)
        queue = await channel.declare_queue(
            name, durable=True, arguments={"x-queue-type": "quorum"}
        )
        await queue.bind(place.bus_prefix, "MessageSent")
        await queue.consume(self._hear)

    async def until(self, count: int, within_s: float) -> None:
        """Return when so many distinct messages were sent. Raises TimeoutError."""
        self._wanted = count
        self._reached.clear()
        if len(self.sent) < count:
            await asyncio.wait_for(self._reached.wait(), within_s)

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        events = json.loads(message.body)
        ids = {event["data"]["message_id"] for event in events}
        self.copies += len(ids & self.sent)
        self.sent |= ids
        await message.ack()
        if len(self.sent) >= self._wanted:
            self._reached.set()


@asynccontextmanager
async def producing(place: Place) -> AsyncIterator[tuple[Producer, Counter]]:
    """A producer and a counter, each on a connection of its own."""
    async with (
        await aio_pika.connect(place.amqp_url) as outward,
        await aio_pika.connect(place.amqp_url) as inward,
    ):
        channel = await outward.channel(on_return_raises=True)
        counter = Counter()
        await counter.listen(await inward.channel(), place)
        yield Producer(await channel.get_exchange(place.bus_prefix)), counter
