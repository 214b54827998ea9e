"""Another system that outlives its broker: it publishes until that confirms, hears by a durable
queue of its own, and knows events again by their ids. No code of ours."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from tests.other_system import HEARD, Json

# Longer than any freeze in these tests: what hangs is given up by our own time-outs.
HEARTBEAT_S = 60
CONFIRM_S = 5.0
AGAIN_S = 0.3


class PatientSystem:
    """Counts what it heard by event id, so that nothing is lost and nothing counts twice."""

    def __init__(self, amqp_url: str, prefix: str) -> None:
        self._url = amqp_url
        self._prefix = prefix
        self._queue = f"{prefix}.other-system"
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self.heard: dict[str, list[Json]] = {name: [] for name in HEARD}
        self.ids: Counter[str] = Counter()
        self.hears = asyncio.Event()

    async def publish(self, kind: str, *data: Json) -> None:
        """Return once the broker has these, in as few messages as can be."""
        events = [
            {
                "specversion": "1.0", "id": str(uuid4()), "source": "other-system", "type": kind,
                "data": one,
            }
            for one in data
        ]  # fmt: skip
        for start in range(0, len(events), 500):
            message = aio_pika.Message(
                json.dumps(events[start : start + 500]).encode(),
                content_type="application/cloudevents-batch+json",
                delivery_mode=2,
                message_id=str(uuid4()),
            )
            while not await self._is_published(message, kind):
                await asyncio.sleep(AGAIN_S)

    async def _is_published(self, message: aio_pika.Message, kind: str) -> bool:
        try:
            async with asyncio.timeout(CONFIRM_S):
                if self._channel is None or self._channel.is_closed:
                    self._connection = await aio_pika.connect(self._url, heartbeat=HEARTBEAT_S)
                    self._channel = await self._connection.channel(on_return_raises=True)
                exchange = await self._channel.get_exchange(self._prefix, ensure=False)
                await exchange.publish(message, routing_key=kind)
        except Exception:
            # Whatever it was: with the same ids once more, on another connection.
            await self._leave()
            return False
        return True

    async def _leave(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(Exception):
                await asyncio.wait_for(connection.close(), 1)

    async def listen(self) -> None:
        """Hear for ever, however often the broker goes away."""
        while True:
            with suppress(Exception):
                async with await aio_pika.connect(self._url, heartbeat=HEARTBEAT_S) as connection:
                    channel = await connection.channel()
                    await channel.set_qos(prefetch_count=100)
                    queue = await channel.declare_queue(
                        self._queue, durable=True, arguments={"x-queue-type": "quorum"}
                    )
                    for name in HEARD:
                        await queue.bind(self._prefix, name)
                    await queue.consume(self._hear)
                    self.hears.set()
                    while not channel.is_closed:
                        await asyncio.sleep(0.1)
            await asyncio.sleep(AGAIN_S)

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        for event in json.loads(message.body):
            self.ids[event["id"]] += 1
            if self.ids[event["id"]] == 1:
                self.heard[event["type"]].append(event["data"])
        with suppress(Exception):
            await message.ack()

    def message_ids(self, kind: str) -> list[str]:
        """The message ids that events of this type were about."""
        return [event["message_id"] for event in self.heard[kind]]

    def repeated(self) -> int:
        """How many events came more than once."""
        return sum(times > 1 for times in self.ids.values())

    async def until(self, count: int, kind: str, *, within_s: float) -> None:
        """Wait until so many events of this type were heard."""
        async with asyncio.timeout(within_s):
            while len(self.heard[kind]) < count:
                await asyncio.sleep(0.05)


async def depths(amqp_url: str, queues: Iterable[str]) -> dict[str, int]:
    """How many messages wait in these queues, delivered ones aside."""
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        found = {}
        for name in queues:
            queue = await channel.declare_queue(name, passive=True)
            found[name] = queue.declaration_result.message_count or 0
        return found


@asynccontextmanager
async def patient_system(amqp_url: str, prefix: str) -> AsyncIterator[PatientSystem]:
    """Listening from the start; the exchange must be there already."""
    system = PatientSystem(amqp_url, prefix)
    listening = asyncio.create_task(system.listen())
    try:
        await asyncio.wait_for(system.hears.wait(), 10)
        yield system
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await system._leave()
