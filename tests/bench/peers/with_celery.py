"""Celery on RabbitMQ."""

import os
import sys

from celery import Celery

from tests.bench.peers.counting import count
from tests.bench.peers.producing import publish_by_threads

# Each thread takes a connection of the pool and waits for each confirm.
PRODUCERS = int(os.environ.get("BENCH_PRODUCERS", "8"))

app = Celery("bench", broker=os.environ["BENCH_AMQP_URL"])
app.conf.update(
    task_default_queue=os.environ["BENCH_QUEUE"],
    task_default_queue_type="quorum",
    task_acks_late=True,
    task_ignore_result=True,
    task_serializer="json",
    broker_transport_options={"confirm_publish": True},
    broker_pool_limit=PRODUCERS,
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "100")),
)
nothing = app.task(name="nothing")(count)


if __name__ == "__main__":
    publish_by_threads(nothing.delay, int(sys.argv[1]), threads=PRODUCERS)
