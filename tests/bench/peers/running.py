"""One run of a peer: its workers, its producer, and the time between."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aio_pika

from deploy.local.children import ChildDied, clean_environment
from deploy.local.state import ROOT, local_folder
from shared.ids import new_id
from tests.bench.cpu import Watch
from tests.bench.peers.counting import counted
from tests.bench.peers.producing import WARM_UP
from tests.bench.stand import Stand, servers_of

READY_WITHIN_S = 30.0
DONE_WITHIN_S = 240.0
POLL_S = 0.02
GRACE_S = 4.0
SETTLE_S = 2.0
"""For those workers that were not the first to be ready."""


@dataclass(frozen=True)
class Peer:
    """How one of them is started.

    command: one worker's, without the Python; `{workers}`, `{queue}` and the process's `{name}` are
    filled in.
    alone: the command makes one process, so that more workers are more commands.
    pool: how it calls this way of running, where it has several.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False
    pool: str = ""

    @property
    def adapter(self) -> str:
        """Its module."""
        return f"tests.bench.peers.with_{self.name}"


async def peer_run(
    stand: Stand, python: Path, peer: Peer, *, workers: int, messages: int
) -> tuple[float, dict[str, float]]:
    """Messages a second, from the first publish to the last task done, and the cores it took.

    Raises ChildDied, TimeoutError, and AssertionError when anything was left unacked.
    """
    queue = f"bench-{peer.name}-{new_id()[-8:]}"
    folder = Path(tempfile.mkdtemp(prefix="counts-", dir=stand.run.folder))
    environment = {
        **clean_environment(),
        **peer.environment,
        "PYTHONUNBUFFERED": "1",
        "BENCH_AMQP_URL": stand.servers.amqp_url,
        "BENCH_QUEUE": queue,
        "BENCH_COUNTS": str(folder),
    }
    logs = local_folder() / "logs"
    logs.mkdir(exist_ok=True)
    log, said = logs / f"bench-{peer.name}.log", folder.with_suffix(".said")
    log.unlink(missing_ok=True)
    names = {"workers": str(workers), "queue": queue}
    said.touch()
    children = [
        stand.run.spawn(
            f"{peer.name}-{index}",
            [python, *(part.format(**names, name=f"{queue}-{index}") for part in peer.command)],
            env=environment,
            cwd=ROOT,
            log=log,
        )
        for index in range(workers if peer.alone else 1)
    ]
    hears, tells = os.pipe()
    producer = stand.run.spawn(
        f"{peer.name} producer",
        [python, "-m", peer.adapter, str(messages)],
        env=environment,
        cwd=ROOT,
        log=said,
        stdin=hears,
    )
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            while "ready" not in producer.log_tail() or counted(folder) < WARM_UP:
                for child in (*children, producer):
                    if not child.is_alive():
                        raise ChildDied(child)
                await asyncio.sleep(POLL_S)
        await asyncio.sleep(SETTLE_S)
        watched = {child.name: child.process.pid for child in (*children, producer)}
        with Watch(watched | servers_of(stand.servers)) as watch:
            os.write(tells, b"go\n")
            async with asyncio.timeout(DONE_WITHIN_S):
                while counted(folder) < WARM_UP + messages:
                    await asyncio.sleep(POLL_S)
    finally:
        os.close(hears)
        os.close(tells)
        # Some of them take more than ten seconds to stop; by then everything is done, and what is
        # not acked comes back to the queue.
        await asyncio.to_thread(stand.run.stop, [producer, *children], grace_s=GRACE_S)
        await asyncio.sleep(0.5)
        left = await _left(stand.servers.amqp_url, queue)
    assert left == 0, f"{peer.name} left {left} messages unacked"
    return messages / watch.took_s, watch.shares


async def _left(amqp_url: str, queue: str) -> int:
    """How many messages have come back to the queue, now that its workers are gone."""
    async with await aio_pika.connect(amqp_url, timeout=10) as connection:
        channel = await connection.channel()
        found = await channel.declare_queue(queue, passive=True)
        left = found.declaration_result.message_count or 0
        for name in (queue, f"{queue}.DQ", f"{queue}.XQ"):
            with suppress(aio_pika.exceptions.AMQPError):
                await channel.queue_delete(name)
    return left
