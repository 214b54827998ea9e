"""Dramatiq on RabbitMQ."""

import os
import sys

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from tests.bench.peers.counting import count
from tests.bench.peers.producing import publish_by_threads

# Each thread has a connection of its own and waits for each confirm.
PRODUCERS = int(os.environ.get("BENCH_PRODUCERS", "8"))

# Classic durable queues: it has no way to declare quorum queues.
broker = RabbitmqBroker(url=os.environ["BENCH_AMQP_URL"], confirm_delivery=True)
dramatiq.set_broker(broker)

nothing = dramatiq.actor(actor_name="nothing", queue_name=os.environ["BENCH_QUEUE"])(count)


if __name__ == "__main__":
    publish_by_threads(nothing.send, int(sys.argv[1]), threads=PRODUCERS)
