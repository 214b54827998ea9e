"""RabbitMQ: the exchange, a service's queues, publishing with confirms, consuming in batches.

The only module that imports aio_pika. Connections are plain, not "robust": those keep a dead
consumer alive in name (measured: a 28 s freeze went unnoticed), so each loop here connects,
works until something breaks, and connects again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractExchange,
    AbstractIncomingMessage,
    AbstractQueue,
)
from aio_pika.exceptions import AMQPError, DeliveryError

from shared import envelope
from shared.events import Event

CONNECT_S = 10.0
CONFIRM_S = 8.0
CHECK_S = 3.0
# Failures are dead-lettered by the consumer itself, with a reason; the broker's own limit is only
# for a batch that kills its consumer again and again. It counts rolling restarts too.
DELIVERIES_MOST = 20
DEAD = "dead"

# What the loops outlive. RuntimeError is what aio_pika raises on a channel that is closing.
BROKEN = (AMQPError, OSError, TimeoutError, asyncio.InvalidStateError, RuntimeError)


class Unroutable(Exception):
    """No queue is bound for what was published: the broker gave it back."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One AMQP message. `dead`: it joins the dead letters of the queue that `topic` names."""

    topic: str
    body: bytes
    content_type: str
    message_id: str
    headers: dict[str, str]
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Queue:
    """A service's queue and the types that are bound to it."""

    name: str
    topics: tuple[str, ...]


def queues_for(prefix: str, service: str, heard: Iterable[type[Event]]) -> list[Queue]:
    """A service's queues, derived from what it handles: one for each lane."""
    lanes: dict[str, list[str]] = {}
    for event in heard:
        lanes.setdefault(event.lane, []).append(event.__name__)
    return [
        Queue(f"{prefix}.{service}.{lane}", tuple(sorted(topics)))
        for lane, topics in sorted(lanes.items())
    ]


async def connect(url: str, name: str) -> AbstractConnection:
    """A connection of its own: a memory alarm blocks whole connections, so publishing and
    consuming never share one."""
    return await asyncio.wait_for(
        aio_pika.connect(url, client_properties={"connection_name": name}, heartbeat=20),
        CONNECT_S,
    )


async def declare(channel: AbstractChannel, prefix: str, queues: Iterable[Queue]) -> None:
    """The exchange, the dead-letter exchange, and these queues with their dead letters.

    Declared alike on RabbitMQ 3.10 and 4.x: 4 drops at 20 deliveries where there is no
    dead-letter exchange, 3.10 never does, so both are always said.
    """
    exchange = await channel.declare_exchange(prefix, aio_pika.ExchangeType.TOPIC, durable=True)
    dead = await channel.declare_exchange(
        f"{prefix}.{DEAD}", aio_pika.ExchangeType.DIRECT, durable=True
    )
    for queue in queues:
        letters = await channel.declare_queue(
            f"{queue.name}.{DEAD}", durable=True, arguments={"x-queue-type": "quorum"}
        )
        await letters.bind(dead, queue.name)
        declared = await channel.declare_queue(
            queue.name,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-delivery-limit": DELIVERIES_MOST,
                "x-dead-letter-exchange": f"{prefix}.{DEAD}",
                "x-dead-letter-routing-key": queue.name,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        for topic in queue.topics:
            await declared.bind(exchange, topic)


class Publisher:
    """Publishes persistently and waits for the broker's confirm."""

    def __init__(self, url: str, prefix: str, name: str) -> None:
        self._url = url
        self._prefix = prefix
        self._name = f"{name} publish"
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._exchanges: dict[bool, AbstractExchange] = {}

    async def open(self, queues: Iterable[Queue] = ()) -> None:
        """Connect, and declare what must be there to publish to."""
        await self.close()
        self._connection = await connect(self._url, self._name)
        # Without on_return_raises an unroutable message would vanish in silence.
        self._channel = await self._connection.channel(on_return_raises=True)
        await declare(self._channel, self._prefix, queues)
        self._exchanges = {
            False: await self._channel.get_exchange(self._prefix, ensure=False),
            True: await self._channel.get_exchange(f"{self._prefix}.{DEAD}", ensure=False),
        }

    @property
    def is_open(self) -> bool:
        """Whether there is a channel that nobody has closed, as far as this side knows."""
        return self._channel is not None and not self._channel.is_closed

    async def publish(self, message: Outgoing) -> None:
        """Return once the broker has it for good.

        Raises Unroutable, or one of BROKEN. After those the broker may well have it (measured:
        2,097 of 2,097 timed-out publishes were delivered): publish the same ids again.
        """
        if not self.is_open:
            raise ConnectionError("not connected to the broker")
        try:
            await self._exchanges[message.dead].publish(
                aio_pika.Message(
                    message.body,
                    content_type=message.content_type,
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    message_id=message.message_id,
                    headers={**message.headers},
                ),
                routing_key=message.topic,
                mandatory=True,
                timeout=CONFIRM_S,
            )
        except DeliveryError as error:
            raise Unroutable(f"no queue takes {message.topic}") from error

    async def check(self) -> None:
        """Ask the broker something small. Raises when it does not answer in time."""
        if self._connection is None or self._connection.is_closed:
            raise ConnectionError("not connected to the broker")
        async with asyncio.timeout(CHECK_S):
            channel = await self._connection.channel()
            await channel.close()

    async def close(self) -> None:
        """Close, whatever state the connection is in."""
        if self._connection is not None:
            with suppress(*BROKEN):
                await asyncio.wait_for(self._connection.close(), 5)
        self._connection = self._channel = None


class Subscription:
    """Deliveries of one queue on one channel, until the channel dies or `stop` is called."""

    def __init__(self, channel: AbstractChannel, queue: AbstractQueue) -> None:
        self._channel = channel
        self._queue = queue
        self._arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        self._tag = ""
        self._cancelled = False

    async def start(self) -> None:
        """Begin to consume."""
        underlay = await self._channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._broker_cancels)
        self._tag = await self._queue.consume(self._arrived.put)

    async def collect(
        self, *, most: int, most_bytes: int, within_s: float
    ) -> list[AbstractIncomingMessage]:
        """The next deliveries: all that come within `within_s` of the first, up to the bounds.

        An empty list after a second without any, so that the caller may look around.
        """
        try:
            first = await asyncio.wait_for(self._arrived.get(), 1.0)
        except TimeoutError:
            return []
        batch, size = [first], len(first.body)
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while len(batch) < most and size < most_bytes:
            try:
                wait_s = max(until - loop.time(), 0)
                message = await asyncio.wait_for(self._arrived.get(), wait_s)
            except TimeoutError:
                break
            batch.append(message)
            size += len(message.body)
        return batch

    async def ack(self, batch: list[AbstractIncomingMessage]) -> None:
        """Ack a batch at once: deliveries are collected in order, so the last stands for all."""
        await batch[-1].ack(multiple=True)

    async def alive(self) -> bool:
        """Whether the broker still answers us; a frozen or half-open one does not, and it can
        drop a consumer (its queue deleted, say) without closing the channel."""
        if self._channel.is_closed or self._cancelled:
            return False
        async with asyncio.timeout(CHECK_S):
            await self._channel.declare_queue(self._queue.name, passive=True)
        return True

    def _broker_cancels(self, *_: object) -> None:
        self._cancelled = True

    async def stop(self) -> None:
        """Take no more; what was delivered and not acked goes back when the channel closes."""
        with suppress(*BROKEN):
            await asyncio.wait_for(self._queue.cancel(self._tag), 3)


@asynccontextmanager
async def subscribe(
    url: str, prefix: str, queue: Queue, *, name: str, prefetch: int
) -> AsyncIterator[Subscription]:
    """A subscription on a connection of its own, with the queue declared anew."""
    connection = await connect(url, f"{name} consume {queue.name}")
    try:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=prefetch)
        await declare(channel, prefix, [queue])
        declared = await channel.get_queue(queue.name, ensure=False)
        subscription = Subscription(channel, declared)
        await subscription.start()
        yield subscription
    finally:
        with suppress(*BROKEN):
            await asyncio.wait_for(connection.close(), 5)


def readings(message: AbstractIncomingMessage) -> list[envelope.Reading]:
    """The events in one delivery."""
    return envelope.read(message.body, message.content_type, message.headers)
