"""Hears the public events as another system would: a queue of its own, JSON read by hand.

Nothing of Sluice's code is needed for it: the name of the exchange and of the event types are
all that another system has to know.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aio_pika

from deploy.demo.book import HEARD, Book


@asynccontextmanager
async def listening(amqp_url: str, exchange: str, book: Book) -> AsyncIterator[Callable[[], None]]:
    """Write every event that comes during the block into the book; the queue goes with it.

    Gives a function that raises when the broker has gone away, and the book is not whole.
    """
    connection = await aio_pika.connect(amqp_url, timeout=10)
    try:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=200)
        facts = await channel.get_exchange(exchange)
        queue = await channel.declare_queue("", exclusive=True)
        for topic in HEARD:
            await queue.bind(facts, topic)

        async def write(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            for event in events_in(message.body):
                book.write(event, time.monotonic())
            await message.ack()

        await queue.consume(write)

        def check() -> None:
            if channel.is_closed:
                raise ConnectionError("the listener has lost the broker")

        yield check
    finally:
        await asyncio.wait_for(connection.close(), 5)


def events_in(body: bytes) -> list[dict[str, Any]]:
    """The CloudEvents of a delivery: one, or a batch of them."""
    found = json.loads(body)
    return found if isinstance(found, list) else [found]
