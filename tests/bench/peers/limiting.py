"""Celery at the same limits: how much of them one worker uses, and whether it keeps them.

The easiest case there is: the task does nothing but write down when it was run, so that neither
HTTP nor a provider's answer is in it; everything is queued beforehand. Its minutes are counted by
the sandbox's own arithmetic.
"""

from __future__ import annotations

import asyncio
import os
import struct
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from deploy.local.children import Child, ChildDied, clean_environment
from deploy.local.state import ROOT, local_folder
from services.sandbox.minutes import BoundPeak
from shared.ids import new_id
from tests.bench.peers.environment import python_of_peers
from tests.bench.stand import Place, Stand

MODULE = "tests.bench.peers.with_celery_limits"
RECORD = struct.Struct("<Hd")
HELD = 4
"""Tasks of each bucket that the worker holds."""
PROCESSES = 2
POOL = ("--pool", "prefork", "--concurrency", str(PROCESSES))
"""Kept of what was tried, for seconds each: threads, gevent and solo too."""
READY_WITHIN_S = 90.0
QUEUED_WITHIN_S = 150.0
WARM_UP_S = 10.0


async def limited(
    stand: Stand, place: Place, *, buckets: int, per_minute: int, lasts_s: float
) -> dict[str, object]:
    """Utilisation of the limits in the span after the warm-up, as for us, and the worst minute."""
    queue = f"bench-limits-{new_id()[-8:]}"
    names = [f"{queue}.{number}" for number in range(buckets)]
    place.queues += names
    folder = Path(tempfile.mkdtemp(prefix="record-", dir=stand.run.folder))
    environment = {
        **clean_environment(),
        "BENCH_AMQP_URL": place.amqp_url,
        "BENCH_QUEUE": queue,
        "BENCH_BUCKETS": str(buckets),
        "BENCH_RATE": f"{per_minute}/m",
        "BENCH_PREFETCH": str(HELD * buckets // PROCESSES),
        "BENCH_RECORD": str(folder),
    }
    python = await asyncio.to_thread(python_of_peers)
    await _queue(stand, python, environment, int(buckets * per_minute / 60 * (lasts_s + 5)))
    worker = _spawn(
        stand,
        "celery",
        [python, "-m", "celery", "-A", MODULE, "worker", *POOL, "--loglevel", "ERROR",
         "--queues", ",".join(names), "--without-gossip", "--without-mingle"],
        environment,
    )  # fmt: skip
    try:
        await _until_it_works(worker, folder)
        await asyncio.sleep(lasts_s)
    finally:
        await asyncio.to_thread(stand.run.stop, [worker], 1)
    return _figures(_read(folder), buckets, per_minute, lasts_s)


def _spawn(stand: Stand, name: str, args: Sequence[str | Path], env: dict[str, str]) -> Child:
    logs = local_folder() / "logs"
    logs.mkdir(exist_ok=True)
    return stand.run.spawn(name, args, env=env, cwd=ROOT, log=logs / "bench-celery-limits.log")


async def _queue(stand: Stand, python: Path, env: dict[str, str], count: int) -> None:
    """Queue them all, in turn for each bucket. Raises ChildDied, TimeoutError."""
    hears, tells = os.pipe()
    try:
        os.write(tells, b"go\n")
        producer = stand.run.spawn(
            "celery producer",
            [python, "-m", MODULE, str(count)],
            env=env,
            cwd=ROOT,
            log=local_folder() / "logs" / "bench-celery-limits.log",
            stdin=hears,
        )
        async with asyncio.timeout(QUEUED_WITHIN_S):
            while producer.is_alive():
                await asyncio.sleep(0.1)
        if producer.process.returncode:
            raise ChildDied(producer)
    finally:
        os.close(hears)
        os.close(tells)


async def _until_it_works(worker: Child, folder: Path) -> None:
    async with asyncio.timeout(READY_WITHIN_S):
        while not _read(folder):
            if not worker.is_alive():
                raise ChildDied(worker)
            await asyncio.sleep(0.05)


def _read(folder: Path) -> list[tuple[float, int]]:
    """When a task of which bucket was run, in order."""
    found: list[tuple[float, int]] = []
    for path in folder.iterdir():
        whole = path.read_bytes()
        records = RECORD.iter_unpack(whole[: len(whole) // RECORD.size * RECORD.size])
        found += [(at, number) for number, at in records]
    return sorted(found)


def _figures(
    ran: Sequence[tuple[float, int]], buckets: int, per_minute: int, lasts_s: float
) -> dict[str, object]:
    since, until = ran[0][0] + WARM_UP_S, ran[0][0] + lasts_s
    allowed = per_minute / 60 * (until - since)
    seen = Counter(number for at, number in ran if since <= at < until)
    used = sorted(seen[number] / allowed for number in range(buckets))
    peaks = [BoundPeak() for _ in range(buckets)]
    for at, number in ran:
        peaks[number].add(int(at * 1_000_000), 1)
    return {
        "celery_utilisation": round(used[len(used) // 2], 4),
        "celery_utilisation_min": round(used[0], 4),
        "celery_over_limit": max(0, *(peak.peak - per_minute for peak in peaks)),
    }
