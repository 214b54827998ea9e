"""The peers, in the ways in which they were found to be fast; each run's best is taken.

Tried besides, and slower: dramatiq with 4 and 8 threads a process, taskiq with a prefetch of 50
and of 1,000, celery with threads; all of them with fewer producers.
"""

from __future__ import annotations

from tests.bench.peers.running import Peer

PEERS = {
    "dramatiq": (
        Peer(
            "dramatiq",
            (
                "-m", "dramatiq", "tests.bench.peers.with_dramatiq", "--queues", "{queue}",
                "--processes", "{workers}", "--threads", "2",
            ),
            {"dramatiq_queue_prefetch": "200"},
        ),
    ),
    "taskiq": (
        Peer(
            "taskiq",
            (
                "-m", "taskiq", "worker", "tests.bench.peers.with_taskiq:broker",
                "--workers", "{workers}", "--max-async-tasks", "200", "--log-level", "WARNING",
            ),
        ),
    ),
    "celery": (
        Peer(
            "celery",
            (
                "-m", "celery", "-A", "tests.bench.peers.with_celery", "worker",
                "--pool", "solo", "--hostname", "{name}@%h", "--loglevel", "WARNING",
                "--without-gossip", "--without-mingle",
            ),
            alone=True,
            pool="solo",
        ),
        Peer(
            "celery",
            (
                "-m", "celery", "-A", "tests.bench.peers.with_celery", "worker",
                "--pool", "prefork", "--concurrency", "{workers}", "--loglevel", "WARNING",
                "--without-gossip", "--without-mingle",
            ),
            pool="prefork",
        ),
    ),
}  # fmt: skip
"""By name: the ways in which its worker may run."""
