"""Another system's texts over RabbitMQ: in batches, each of them confirmed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange

from shared.envelope import BATCH, batch
from shared.events import MessageQueued, event_data
from shared.ids import new_id
from tests.bench.stand import Place
from tests.bench.stock import CARRIERS, Campaign
from tests.engine import phone

_TO, _ID = "+13030000000", "-the-id-of-the-text-"


def body(campaign: Campaign, first: int, count: int) -> bytes:
    """A batch of so many of a campaign's initials, to all carriers in turn, from contact number
    `first` on."""
    # Made by hand from one of each: a million of them are not to cost the machine half a minute.
    models = {}
    for carrier in CARRIERS:
        text = campaign.text(carrier, 0)
        model = event_data(text.model_copy(update={"to": _TO, "message_id": _ID}))
        models[carrier] = f'{_HEAD}"{_ID}","data":{model}}}'
    texts = []
    for index in range(first, first + count):
        carrier = CARRIERS[index % len(CARRIERS)]
        one = models[carrier].replace(_ID, new_id())
        texts.append(one.replace(_TO, phone(carrier, index % 1_000_000)))
    return batch(texts)


def single(text: MessageQueued) -> bytes:
    """A batch of this one text."""
    return batch([f'{_HEAD}"{text.message_id}","data":{event_data(text)}}}'])


_HEAD = '{"specversion":"1.0","source":"bench","type":"MessageQueued","id":'


class Feed:
    """A publisher on a connection of its own."""

    def __init__(self, channel: AbstractChannel, exchange: AbstractExchange, queue: str) -> None:
        self._channel = channel
        self._exchange = exchange
        self._queue = queue

    async def publish(self, made: bytes) -> None:
        """Return when the broker has confirmed this batch."""
        await self._exchange.publish(
            aio_pika.Message(
                made, content_type=BATCH, delivery_mode=aio_pika.DeliveryMode.PERSISTENT
            ),
            routing_key=MessageQueued.__name__,
        )

    async def depth(self) -> int:
        """How many deliveries the collider's queue of messages still holds."""
        queue = await self._channel.declare_queue(self._queue, passive=True)
        return queue.declaration_result.message_count or 0


@asynccontextmanager
async def feed(place: Place) -> AsyncIterator[Feed]:
    """A feed to the collider of this place, which has declared its queues."""
    async with await aio_pika.connect(place.amqp_url, timeout=10) as connection:
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.get_exchange(place.bus_prefix)
        yield Feed(channel, exchange, f"{place.bus_prefix}.collider.messages")
