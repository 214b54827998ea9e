"""Celery's own rate limits: a task type and a queue for each bucket, `rate_limit` on each of them.

Its limits are kept by each worker for itself and by task type, so there is one worker, and as many
task types as buckets. Each has a queue of its own, or those at the head of a common one would hold
up all others: a limited task stays in the worker's prefetch. A worker sets a timer for each task
that it has to hold back, so the prefetch is a few tasks of each queue. The queues are durable
classic ones. It is one honest way of using it, not the best that anybody could.

    BENCH_AMQP_URL  the broker
    BENCH_QUEUE     the first part of the queues' names
    BENCH_BUCKETS   how many buckets
    BENCH_RATE      each one's limit (`400/m`)
    BENCH_PREFETCH  tasks that the worker may hold, all queues together, by process of its pool
    BENCH_RECORD    a folder; each process writes down there what it did and when
"""

import os
import struct
import sys
import time
from functools import cache
from io import FileIO
from itertools import cycle
from pathlib import Path

from celery import Celery

from tests.bench.peers.producing import publish_by_threads

PRODUCERS = 8
RECORD = struct.Struct("<Hd")
"""A bucket's number, and the wall clock's time in seconds."""

_names = [
    f"{os.environ['BENCH_QUEUE']}.{number}" for number in range(int(os.environ["BENCH_BUCKETS"]))
]
app = Celery("bench", broker=os.environ["BENCH_AMQP_URL"])
app.conf.update(
    task_routes={name: {"queue": name} for name in _names},
    task_acks_late=True,
    task_ignore_result=True,
    task_serializer="json",
    broker_transport_options={"confirm_publish": True},
    broker_pool_limit=PRODUCERS,
    broker_connection_retry_on_startup=True,
    # The finest that its documentation speaks of is 0.1; by default it looks once a second.
    worker_timer_precision=0.01,
    worker_prefetch_multiplier=int(os.environ["BENCH_PREFETCH"]),
)


@cache
def _record(pid: int) -> FileIO:
    return FileIO(Path(os.environ["BENCH_RECORD"]) / str(pid), "a")


def hand_over(number: int) -> None:
    """Take no more time than it takes to write down when it was done."""
    _record(os.getpid()).write(RECORD.pack(number, time.time()))


tasks = [app.task(name=name, rate_limit=os.environ["BENCH_RATE"])(hand_over) for name in _names]


if __name__ == "__main__":
    turns = cycle(list(enumerate(tasks)))

    def publish() -> None:
        """Queue one for the bucket whose turn it is."""
        number, task = next(turns)
        task.delay(number)

    # One by one: threads that declare the same new queue at once get in each other's way.
    for _ in tasks:
        publish()
    publish_by_threads(publish, int(sys.argv[1]), threads=PRODUCERS)
