"""Taskiq with taskiq-aio-pika on RabbitMQ."""

import asyncio
import os
import sys

from taskiq_aio_pika import AioPikaBroker, Queue, QueueType

from tests.bench.peers.counting import count
from tests.bench.peers.producing import WARM_UP, wait_for_the_start

# Publishes that wait for their confirms at once.
UNCONFIRMED_MOST = 200

broker = AioPikaBroker(
    os.environ["BENCH_AMQP_URL"],
    qos=int(os.environ.get("BENCH_PREFETCH", "200")),
    task_queues=[Queue(name=os.environ["BENCH_QUEUE"], type=QueueType.QUORUM)],
)


async def _nothing() -> None:
    count()


nothing = broker.task(task_name="nothing")(_nothing)


async def publish(messages: int) -> None:
    """Publish, with many confirms awaited at once."""
    waiting = iter(range(messages))

    async def one_after_the_other() -> None:
        for _ in waiting:
            await nothing.kiq()

    await asyncio.gather(*(one_after_the_other() for _ in range(UNCONFIRMED_MOST)))


async def produce(messages: int) -> None:
    """The warm-up, and when told to, so many messages."""
    await broker.startup()
    await publish(WARM_UP)
    wait_for_the_start()
    await publish(messages)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(produce(int(sys.argv[1])))
