"""How many texts a second go through, stored, claimed, handed over and told, without any limit.

Ours: from the first publish of MessageQueued, in batches of 100, to the last MessageSent heard.
Peers: from the first publish of a task that does nothing to the last one done. The same for all:
persistent messages in durable queues, every publish confirmed, one and two worker processes tried
and the better taken, then five rounds in turn and the median of each.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median

from shared.ids import new_id
from tests.bench.colliders import colliders
from tests.bench.cpu import Watch
from tests.bench.goals import Figures
from tests.bench.peers.environment import python_of_peers
from tests.bench.peers.lineup import PEERS
from tests.bench.peers.running import Peer, peer_run
from tests.bench.stand import Stand, servers_of
from tests.bench.traffic import bodies, launch, producing

NAME = "unthrottled"
BOUND_S = 780.0
QUICK_BOUND_S = 120.0

ORGS = 50
WARM_UP = 5_000
WITHIN_S = 120.0
CALLS_MOST = 2_000
"""Hands of a replica: more than by default, as one would set for a provider that is this quick."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many of what. The rates do not depend on it; peers get fewer, being slower."""

    rounds: int
    ours: int
    peers: int
    trial: int


FULL, QUICK = Size(5, 100_000, 50_000, 10_000), Size(1, 20_000, 10_000, 0)


@dataclass(frozen=True, slots=True)
class Measured:
    """Messages a second, how many cores each process kept busy, and the machine's load."""

    per_s: float
    cores: dict[str, float]
    load: float

    @property
    def cpu_s_per_1000(self) -> float:
        """Processor seconds that a thousand messages took, all processes together: this hardly
        depends on what else the machine does."""
        return 1000 * sum(self.cores.values()) / self.per_s


Way = Callable[[int], Awaitable[Measured]]
"""One of us or of the peers, with its number of workers: measures so many messages."""


async def ours(stand: Stand, *, replicas: int, messages: int) -> Measured:
    """From the first publish to the last MessageSent that was heard, on a database of its own."""
    settings = {"SLUICE_CALLS_MOST": str(CALLS_MOST)}
    orgs = [f"org-{index}-{new_id()[-8:]}" for index in range(ORGS)]
    warm_up, made = bodies(orgs, WARM_UP), bodies(orgs, messages)
    async with (
        stand.place() as place,
        colliders(stand, place, replicas, settings=settings) as running,
        producing(place) as (producer, counter),
    ):
        await launch(place, orgs)
        await producer.publish(warm_up)
        await running.beside(counter.until(WARM_UP, WITHIN_S))
        watched = {one.child.name: one.pid for one in running.replicas} | servers_of(stand.servers)
        with Watch(watched) as watch:
            await producer.publish(made)
            await running.beside(counter.until(WARM_UP + messages, WITHIN_S))
        assert len(counter.sent) == WARM_UP + messages
    return Measured(messages / watch.took_s, watch.shares, os.getloadavg()[0])


async def theirs(stand: Stand, peer: Peer, *, workers: int, messages: int) -> Measured:
    """From the first publish to the last task done, all acked."""
    python = python_of_peers()
    per_s, cores = await peer_run(stand, python, peer, workers=workers, messages=messages)
    return Measured(per_s, cores, os.getloadavg()[0])


def _ways(stand: Stand) -> dict[str, dict[str, Way]]:
    """By name, what is tried."""

    def our(replicas: int) -> Way:
        return lambda messages: ours(stand, replicas=replicas, messages=messages)

    def their(peer: Peer, workers: int) -> Way:
        return lambda messages: theirs(stand, peer, workers=workers, messages=messages)

    ways = {"ours": {f"{count} replicas": our(count) for count in (2, 1)}}
    for name, peers in PEERS.items():
        ways[name] = {
            f"{workers} {peer.pool} workers".replace("  ", " "): their(peer, workers)
            for peer in peers
            for workers in (2, 1)
        }
    return ways


async def _best(stand: Stand, name: str, ways: dict[str, Way], messages: int) -> str:
    """Which way is the fastest in one short run each; without trials the first of them."""
    if not messages:
        return next(iter(ways))
    found: dict[str, float] = {}
    for label, way in ways.items():
        found[label] = (await way(messages)).per_s
        stand.say(f"{name}, {label}: {found[label]:,.0f} a second in {messages:,}")
    return max(found, key=lambda label: found[label])


async def run(stand: Stand) -> Figures:
    """Find each one's best way, then A B A B, and the medians."""
    size = QUICK if stand.quick else FULL
    ways = _ways(stand)
    best = {name: await _best(stand, name, those, size.trial) for name, those in ways.items()}
    runs: dict[str, list[Measured]] = {name: [] for name in ways}
    for _ in range(size.rounds):
        for name, those in ways.items():
            messages = size.ours if name == "ours" else size.peers
            one = await those[best[name]](messages)
            runs[name].append(one)
            stand.say(f"{name}, {best[name]}: {one.per_s:,.0f} a second, load {one.load:.1f}")
    per_s = {name: median(one.per_s for one in those) for name, those in runs.items()}
    mine = per_s.pop("ours")
    by_round = [
        one.per_s / max(runs[name][index].per_s for name in per_s)
        for index, one in enumerate(runs["ours"])
    ]
    return {
        "msgs_per_s": mine,
        "peers": per_s,
        "ratio_best_peer": mine / max(per_s.values()),
        # Against the best peer of the same round: less at the mercy of what else the machine does.
        "ratio_by_round": round(median(by_round), 2),
        "cpu_s_per_1000": {
            name: round(median(one.cpu_s_per_1000 for one in those), 3)
            for name, those in runs.items()
        },
        "ways": best,
        "runs": {name: [round(one.per_s) for one in those] for name, those in runs.items()},
        "loads": {name: [round(one.load, 1) for one in those] for name, those in runs.items()},
        "cores": {name: those[-1].cores for name, those in runs.items()},
    }
