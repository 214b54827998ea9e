"""How fast senders can click: 200 of them, each as fast as their answers come, through the API.

One campaign service, one collider (with a provider within it that takes everything), PostgreSQL and
RabbitMQ, and this client, which is 200 connections in one process: all on this machine. Each sender
lists what is assigned to them, a page at a time, and clicks one text after the other, as fast as
the answers come, with an Idempotency-Key on every click as a careful client sends it. `p99_ms` is
from just before a click's request until its whole answer is here. `lost` is how many texts of which
the API said 202 are no row of the collider a while after the last click.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from deploy.local.children import ChildDied, clean_environment
from deploy.local.ports import free_port
from deploy.local.state import ROOT, local_folder
from services.campaign import operator_token
from shared.database import Database
from shared.events import NumberPurchased
from tests.bench.colliders import Colliders, colliders
from tests.bench.cpu import Watch
from tests.bench.goals import Figures
from tests.bench.handoff import quantile
from tests.bench.stand import Place, Stand, servers_of
from tests.bench.stock import CARRIERS, collider_database, hear
from tests.engine import phone

NAME = "api"
BOUND_S = 300.0
QUICK_BOUND_S = 90.0

SENDERS = 200
EACH, EACH_QUICK = 150, 30
PAGE = 50
NUMBER = "+12125550100"
READY_WITHIN_S = 60.0
SETTLE_S = 30.0


@dataclass
class Clicks:
    """What the senders' clicks have come to."""

    took_ms: list[float] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    """The messages of which the API said 202."""
    refused: int = 0


async def run(stand: Stand) -> Figures:
    """Set up an organization, then let everybody click."""
    each = EACH_QUICK if stand.quick else EACH
    async with (
        stand.place() as place,
        collider_database(place.database_url) as database,
        colliders(stand, place, 1) as mine,
        _campaign_service(stand, place) as (url, pid),
        aiohttp.ClientSession(
            base_url=url,
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=60),
        ) as session,
    ):
        office = await _furnished(session, place, each)
        stand.say(f"{SENDERS} senders have {each} texts each")
        await _numbered(database, office)
        clicks = Clicks()
        pids = {"campaign": pid, "collider": mine.replicas[0].pid, **servers_of(stand.servers)}
        begun = time.monotonic()
        with Watch(pids) as watch:
            await mine.beside(_everybody(session, office, clicks))
        took_s = time.monotonic() - begun
        lost = await _lost(database, mine, clicks)
    ordered = sorted(clicks.took_ms)
    return {
        "sends_per_s": round(len(clicks.taken) / took_s),
        "p50_ms": round(quantile(ordered, 0.5), 1),
        "p99_ms": round(quantile(ordered, 0.99), 1),
        "lost": lost,
        "refused": clicks.refused,
        "sends": len(clicks.taken),
        "senders": SENDERS,
        "cores_used": watch.shares,
    }


@asynccontextmanager
async def _campaign_service(stand: Stand, place: Place) -> AsyncIterator[tuple[str, int]]:
    """One campaign service, ready: the base of its API, and its process id."""
    http_port, ops_port = free_port(), free_port()
    logs = local_folder() / "logs"
    logs.mkdir(exist_ok=True)
    log = logs / "bench-campaign.log"
    log.unlink(missing_ok=True)
    # Its queues end with the bench, as the collider's do.
    lanes = [f"{place.bus_prefix}.campaign.{lane}" for lane in ("facts", "messages")]
    place.queues += [*lanes, *(f"{lane}.dead" for lane in lanes)]
    child = stand.run.spawn(
        "campaign",
        [sys.executable, "-m", "services.campaign"],
        env={
            **clean_environment(),
            "SLUICE_DATABASE_URL": place.database_url,
            "SLUICE_AMQP_URL": place.amqp_url,
            "SLUICE_BUS_PREFIX": place.bus_prefix,
            "SLUICE_HTTP_PORT": str(http_port),
            "SLUICE_OPS_PORT": str(ops_port),
            "SLUICE_LOG_LEVEL": "warning",
        },
        cwd=ROOT,
        log=log,
    )
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while not await _is_ready(session, f"http://127.0.0.1:{ops_port}/readyz"):
                if not child.is_alive() or time.monotonic() > deadline:
                    raise ChildDied(child)
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{http_port}/api/v1/", child.process.pid
    finally:
        await asyncio.to_thread(stand.run.stop, [child], 25)


async def _is_ready(session: aiohttp.ClientSession, address: str) -> bool:
    with suppress(aiohttp.ClientError, TimeoutError):
        async with session.get(address) as response:
            return response.status == 200
    return False


@dataclass
class Office:
    """An organization with one campaign under way."""

    org_id: str
    use_case_id: str
    campaign_id: str
    tokens: list[str]


async def _furnished(session: aiohttp.ClientSession, place: Place, each: int) -> Office:
    """An organization without caps, its senders, and a campaign whose texts are theirs."""
    operator = await operator_token.make(place.database_url)

    async def ask(token: str, method: str, path: str, body: Any = None) -> Any:
        async with session.request(
            method, path, json=body, headers={"Authorization": f"Bearer {token}"}
        ) as response:
            found = await response.json(content_type=None)
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {found}")
            return found

    org_id = (await ask(operator, "POST", "organizations", {"name": "Bench"}))["organization_id"]
    place_of = f"organizations/{org_id}"
    for carrier in CARRIERS:
        no_cap = {"sms_per_minute": None, "sms_unit": "message", "mms_per_minute": None}
        limits = {**no_cap, "segments_per_day": None}
        await ask(operator, "PUT", f"{place_of}/limits/{carrier}", limits)
    use_case = {"name": "Bench", "provider_campaign_id": "C-BENCH"}
    use_case_id = (await ask(operator, "POST", f"{place_of}/use-cases", use_case))["use_case_id"]
    ada = {"name": "Ada", "email": "ada@example.org", "role": "admin"}
    admin = (await ask(operator, "POST", f"{place_of}/people", ada))["token"]
    people = [
        await ask(admin, "POST", "people", {"name": f"S {n}", "email": f"s{n}@example.org"})
        for n in range(SENDERS)
    ]
    async with session.post(
        "contact-lists?name=all",
        data=_contacts(SENDERS * each),
        headers={"Authorization": f"Bearer {admin}", "Content-Type": "text/csv"},
    ) as response:
        contact_list = await response.json()
    now = datetime.now(UTC)
    plan = {
        "name": "Bench",
        "use_case_id": use_case_id,
        "contact_list_id": contact_list["contact_list_id"],
        "script": "Hi {first_name}, this is Ada. Early voting has begun: will you vote this week?",
        "window": {
            "opens_at": now.isoformat(),
            "closes_at": (now + timedelta(hours=6)).isoformat(),
        },
        "hours": {"opens": "0:00", "closes": "24:00", "time_zone": "America/Chicago"},
    }
    campaign_id = (await ask(admin, "POST", "campaigns", plan))["campaign_id"]
    ids = [person["person_id"] for person in people]
    await ask(admin, "POST", f"campaigns/{campaign_id}/senders", {"person_ids": ids})
    launched = await ask(admin, "POST", f"campaigns/{campaign_id}/launch")
    assert launched["initials"] == SENDERS * each
    return Office(org_id, use_case_id, campaign_id, [person["token"] for person in people])


def _contacts(count: int) -> bytes:
    lines = ["phone,first_name,carrier"]
    for index in range(count):
        carrier = CARRIERS[index % len(CARRIERS)]
        lines.append(f"{phone(carrier, index)},Carl {index},{carrier}")
    return "\n".join(lines).encode()


async def _numbered(database: Database, office: Office) -> None:
    """There is no provisioner here: the campaign's number is told to the collider by hand."""
    await hear(
        database,
        [
            NumberPurchased(
                org_id=office.org_id,
                campaign_id=office.campaign_id,
                use_case_id=office.use_case_id,
                number=NUMBER,
                purchased_at=datetime.now(UTC),
            )
        ],
    )


async def _everybody(session: aiohttp.ClientSession, office: Office, clicks: Clicks) -> None:
    async with asyncio.TaskGroup() as senders:
        for token in office.tokens:
            senders.create_task(_sender(session, office.campaign_id, token, clicks))


async def _sender(
    session: aiohttp.ClientSession, campaign_id: str, token: str, clicks: Clicks
) -> None:
    """One sender, until their inbox is empty."""
    mine = {"Authorization": f"Bearer {token}"}
    while True:
        path = f"campaigns/{campaign_id}/assignment?limit={PAGE}"
        async with session.get(path, headers=mine) as response:
            waiting = (await response.json())["messages"]
        if not waiting:
            return
        for text in waiting:
            message_id = text["message_id"]
            begun = time.monotonic()
            async with session.post(
                f"messages/{message_id}/send",
                headers={**mine, "Idempotency-Key": f"click-{message_id}"},
            ) as response:
                await response.read()
            clicks.took_ms.append((time.monotonic() - begun) * 1000)
            if response.status == 202:
                clicks.taken.append(message_id)
            else:
                clicks.refused += 1


async def _lost(database: Database, mine: Colliders, clicks: Clicks) -> int:
    """How many texts that were taken are no row of the collider, once those under way are there."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        async with database.connection() as connection:
            there: int = await connection.fetchval(
                "SELECT count(*) FROM messages WHERE message_id = ANY($1::text[])",
                clicks.taken,
                timeout=60,
            )
        mine.check()
        if there == len(clicks.taken) or time.monotonic() > deadline:
            return len(clicks.taken) - there
        await asyncio.sleep(0.5)
