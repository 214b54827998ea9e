"""How long 500 launches at once take until the last of them has its number and all carriers' word.

Another system publishes them in one go, over 12 use cases of three organizations; three use cases
are asked for 68 numbers more than their places. The provisioner runs as one process and as two, in
turn, each time at an empty database and a sandbox of its own that answers as slowly as LATENCIES
says; the settings are the defaults.

- `seconds`: from the first launch's publishing until another system has heard of all 500 how they
  ended. `p50_s` and `p99_s` are of one campaign's time. With two replicas.
- `speedup_2`: `seconds` with one replica by those with two.
- `calls`: acts at the provider (setting a profile makes two requests, others one), for 500 ends.
- `wrong`: 0 when all books agree: each campaign has one end, nothing was bought twice, each use
  case holds as many as it can, by what was told, our rows, the provider's account and the judge;
  else the bench fails and says in what.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from statistics import median

import aiohttp

from deploy.local.platform import Platform
from tests.bench.cpu import Watch
from tests.bench.goals import Figures
from tests.bench.handoff import quantile
from tests.bench.stand import Place, Stand, servers_of
from tests.many_launches import check_the_books, crowd, use_cases

NAME = "provisioning"
BOUND_S = 300.0
QUICK_BOUND_S = 90.0

ROUNDS = 3
WITHIN_S = 60.0
LATENCIES = {
    "call_latency_ms": {"median": 80, "p99": 400},
    "order_delay_s": 0.5,
    "assignment_delay_s": 0.2,
    "confirmation_delay_s": {"att": 1.5, "tmobile": 3, "verizon": 2},
}
_ACT = re.compile(r'^sluice_provider_acts_total\{act="(\w+)",answer="\w+"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Measured:
    """One run of 500 launches."""

    seconds: float
    took_s: list[float]
    """Each campaign's, the shortest first."""
    acts: dict[str, int]
    cores: dict[str, float]


async def run(stand: Stand) -> Figures:
    """One replica and two, in turn."""
    runs: dict[int, list[Measured]] = {1: [], 2: []}
    for _ in range(1 if stand.quick else ROUNDS):
        for replicas, those in runs.items():
            one = await _launches(stand, replicas)
            those.append(one)
            stand.say(f"{replicas} replicas: all have settled after {one.seconds:.1f} s")
    seconds = {count: median(one.seconds for one in those) for count, those in runs.items()}
    last = runs[2][-1]
    return {
        "seconds": round(seconds[2], 2),
        "p50_s": round(median(quantile(one.took_s, 0.5) for one in runs[2]), 2),
        "p99_s": round(median(quantile(one.took_s, 0.99) for one in runs[2]), 2),
        "speedup_2": round(seconds[1] / seconds[2], 2),
        "calls": sum(last.acts.values()),
        "wrong": 0,
        "alone": {
            "seconds": round(seconds[1], 2),
            "p50_s": round(median(quantile(one.took_s, 0.5) for one in runs[1]), 2),
            "p99_s": round(median(quantile(one.took_s, 0.99) for one in runs[1]), 2),
        },
        "acts": last.acts,
        "cores_used": last.cores,
        "latencies": LATENCIES,
    }


async def _launches(stand: Stand, replicas: int) -> Measured:
    async with (
        stand.place() as place,
        Platform(
            database_url=place.database_url,
            amqp_url=place.amqp_url,
            bus_prefix=place.bus_prefix,
            services=("provisioner",),
            replicas={"provisioner": replicas},
            behaviour=LATENCIES,
        ) as platform,
        crowd(place.amqp_url, place.bus_prefix, use_cases()) as one,
    ):
        place.queues += _queues(place)
        with Watch(_pids(stand, platform, replicas)) as watch:
            await one.launch_all()
            await one.until_settled(within_s=WITHIN_S)
        await asyncio.sleep(1)  # for whatever may be told beyond that
        await check_the_books(one, platform, place.database_url)
        acts = await _acts(platform, replicas)
    took_s = sorted(one.took_s.values())
    return Measured(took_s[-1], took_s, dict(acts), watch.shares)


async def _acts(platform: Platform, replicas: int) -> Counter[str]:
    """By their names, over all replicas."""
    acts: Counter[str] = Counter()
    async with aiohttp.ClientSession() as session:
        for index in range(replicas):
            async with session.get(f"{platform.ops_url('provisioner', index)}/metrics") as answer:
                answer.raise_for_status()
                for act, count in _ACT.findall(await answer.text()):
                    acts[act] += int(float(count))
    return acts


def _pids(stand: Stand, platform: Platform, replicas: int) -> dict[str, int]:
    pids = {"sandbox": platform.process("sandbox").process.pid}
    for index in range(replicas):
        pids[f"provisioner-{index}"] = platform.process("provisioner", index).process.pid
    return {**pids, **servers_of(stand.servers)}


def _queues(place: Place) -> list[str]:
    queue = f"{place.bus_prefix}.provisioner.facts"
    return [queue, f"{queue}.dead"]
