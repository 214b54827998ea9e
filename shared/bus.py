"""RabbitMQ: the exchange, a service's queues, publishing with confirms, consuming in batches.

The only module that imports aio_pika. Connections are plain, not "robust": those keep a dead
consumer alive in name (measured: a 28 s freeze went unnoticed), so each loop here connects,
works until something breaks, and connects again.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import aio_pika
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractExchange,
    AbstractIncomingMessage,
    AbstractQueue,
)
from aio_pika.exceptions import DeliveryError

from shared import envelope
from shared.events import Event

CONNECT_S = 10.0
CONFIRM_S = 8.0
ANSWER_S = 3.0
CLOSE_S = 3.0
# The broker gives a silent connection up after three times as long (measured), and only then does
# another consumer get what that one holds. aio_pika waits even longer: nobody waits for it here.
HEARTBEAT_S = 8
# Failures are dead-lettered by the consumer itself, with a reason; the broker's own limit is only
# for a batch that kills its consumer again and again. It counts rolling restarts too.
DELIVERIES_MOST = 20
DEAD = "dead"

Answer = TypeVar("Answer")


class BrokerAway(ConnectionError):
    """The broker is away, or does not answer in time. What it was asked may have been done."""


class Unroutable(Exception):
    """No queue takes what was published: the broker gave it back."""


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


async def asked(work: Coroutine[Any, Any, Answer], within_s: float) -> Answer:
    """What the broker answers. Raises BrokerAway, or what of the broker's refusals is no fault.

    In a task of its own, for two reasons. When a connection breaks, those who wait on it get
    anything at all: CancelledError, an Exception without a name, StopAsyncIteration were seen; a
    CancelledError would end the loop that waits as if somebody had stopped it. And aio_pika, when
    cancelled, may wait on for a frozen broker: a minute, until its heartbeats give up.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait([task], timeout=within_s)
    finally:
        if not task.done():
            _LEFT.add(task)
            task.add_done_callback(_forget)
            task.cancel()
    if not done:
        raise BrokerAway(f"no answer within {within_s} s")
    if task.cancelled():
        raise BrokerAway("the connection was closed")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, BrokerAway | DeliveryError):
        raise error
    raise BrokerAway(repr(error)) from error


# The event loop itself keeps no task alive.
_LEFT: set[asyncio.Future[Any]] = set()


def _forget(task: asyncio.Future[Any]) -> None:
    _LEFT.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that nobody complains that it was not


async def connect(url: str, name: str) -> AbstractConnection:
    """A connection of its own: a memory alarm blocks whole connections, so publishing and
    consuming never share one."""
    return await asked(
        aio_pika.connect(url, client_properties={"connection_name": name}, heartbeat=HEARTBEAT_S),
        CONNECT_S,
    )


async def _close(connection: AbstractConnection) -> None:
    """Close, whatever state the connection is in."""
    with suppress(BrokerAway):
        await asked(connection.close(), CLOSE_S)


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
        self._in_doubt = False
        self._exchanges: dict[bool, AbstractExchange] = {}

    async def open(self, queues: Iterable[Queue] = ()) -> None:
        """Connect, and declare what must be there to publish to."""
        await self.close()
        self._connection = await connect(self._url, self._name)
        self._channel = await asked(self._open_channel(self._connection, queues), CONNECT_S)
        self._in_doubt = False

    async def _open_channel(
        self, connection: AbstractConnection, queues: Iterable[Queue]
    ) -> AbstractChannel:
        # Without on_return_raises an unroutable message would vanish in silence.
        channel = await connection.channel(on_return_raises=True)
        await declare(channel, self._prefix, queues)
        self._exchanges = {
            False: await channel.get_exchange(self._prefix, ensure=False),
            True: await channel.get_exchange(f"{self._prefix}.{DEAD}", ensure=False),
        }
        return channel

    @property
    def is_open(self) -> bool:
        """Whether there is a channel to publish on, as far as this side knows. One that did not
        confirm in time may lead nowhere: it counts as closed, so that a new one is tried."""
        return self._channel is not None and not self._channel.is_closed and not self._in_doubt

    async def publish(self, message: Outgoing) -> None:
        """Return once the broker has it for good.

        Raises Unroutable, or BrokerAway. After the latter the broker may well have it (measured:
        2,097 of 2,097 timed-out publishes were delivered): publish the same ids again.
        """
        if not self.is_open:
            raise BrokerAway("not connected")
        publishing = self._exchanges[message.dead].publish(
            aio_pika.Message(
                message.body,
                content_type=message.content_type,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                message_id=message.message_id,
                headers={**message.headers},
            ),
            routing_key=message.topic,
            mandatory=True,
        )
        try:
            await asked(publishing, CONFIRM_S)
        except DeliveryError as error:
            raise Unroutable(f"no queue takes {message.topic}") from error
        except BrokerAway:
            self._in_doubt = True
            raise

    async def check(self) -> None:
        """Ask the broker something small. Raises BrokerAway when it does not answer in time."""
        if self._connection is None or not self.is_open:
            raise BrokerAway("not connected")
        await asked(_open_and_close_channel(self._connection), ANSWER_S)

    async def close(self) -> None:
        """Close, whatever state the connection is in."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await _close(connection)


async def _open_and_close_channel(connection: AbstractConnection) -> None:
    channel = await connection.channel()
    await channel.close()


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
        await asked(batch[-1].ack(multiple=True), ANSWER_S)

    async def check(self) -> None:
        """Raise BrokerAway unless the broker still answers us: a frozen or half-open one does
        not, and it can drop a consumer (its queue deleted, say) without closing the channel."""
        if self._channel.is_closed or self._cancelled:
            raise BrokerAway("the broker has dropped this consumer")
        await asked(self._channel.declare_queue(self._queue.name, passive=True), ANSWER_S)

    def _broker_cancels(self, *_: object) -> None:
        self._cancelled = True

    async def stop(self) -> None:
        """Take no more; what was delivered and not acked goes back when the channel closes."""
        with suppress(BrokerAway):
            await asked(self._queue.cancel(self._tag), ANSWER_S)


@asynccontextmanager
async def subscribe(
    url: str, prefix: str, queue: Queue, *, name: str, prefetch: int
) -> AsyncIterator[Subscription]:
    """A subscription on a connection of its own, with the queue declared anew."""
    connection = await connect(url, f"{name} consume {queue.name}")
    try:
        yield await asked(_consume(connection, prefix, queue, prefetch), CONNECT_S)
    finally:
        await _close(connection)


async def _consume(
    connection: AbstractConnection, prefix: str, queue: Queue, prefetch: int
) -> Subscription:
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=prefetch)
    await declare(channel, prefix, [queue])
    subscription = Subscription(channel, await channel.get_queue(queue.name, ensure=False))
    await subscription.start()
    return subscription


def readings(message: AbstractIncomingMessage) -> list[envelope.Reading]:
    """The events in one delivery."""
    return envelope.read(message.body, message.content_type, message.headers)
