"""What the adapters' producers have in common: when they begin, and threads that publish."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

WARM_UP = 64
"""Published beforehand, so that all connections are open and the workers have begun."""


def wait_for_the_start() -> None:
    """Say that everything is ready, and wait until somebody says go."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


def publish_by_threads(publish: Callable[[], object], messages: int, *, threads: int) -> None:
    """Publish the warm-up and, when told to, so many messages; each thread its part, one by one."""

    def some(how_many: int) -> None:
        for _ in range(how_many):
            publish()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(some, [WARM_UP // threads] * threads))
        wait_for_the_start()
        list(pool.map(some, [messages // threads] * threads))
