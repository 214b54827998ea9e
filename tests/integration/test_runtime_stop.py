"""How a replica stops: requests get their answers, nothing takes longer than the grace."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web

from deploy.local.children import Child, Run, clean_environment
from deploy.local.ports import free_port
from deploy.local.state import ROOT
from shared.database import Database, Transaction
from shared.gather import Gather
from shared.health import Health
from shared.http import problems
from shared.migrate import migrate
from shared.runtime import Runtime
from shared.settings import Settings
from tests.link import Link

GRACE_S = 4.0


@asynccontextmanager
async def runtime(
    database_url: str, amqp_url: str, prefix: str, stopping: asyncio.Event
) -> AsyncIterator[Runtime]:
    """A replica that does nothing yet; the test runs it."""
    service = prefix.replace("-", "_")
    settings = Settings.model_validate(
        {
            "database_url": database_url, "amqp_url": amqp_url, "bus_prefix": prefix,
            "shutdown_grace_s": GRACE_S, "http_port": free_port(),
        }
    )  # fmt: skip
    await migrate(database_url, service)
    database = await Database.open(database_url, service)
    try:
        yield Runtime(service, settings, database, Health(), stopping)
    finally:
        await database.close()


async def test_requests_under_way_get_their_answers_before_the_workers_stop(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    stopping = asyncio.Event()
    async with runtime(database_url, amqp_url, bus_prefix, stopping) as one:
        one.work(
            "gather", (gather := Gather(one.database, _record)).step, idle_s=5, wake=gather.wake
        )

        async def take(request: web.Request) -> web.Response:
            return web.Response(status=204 if await gather.submit(await request.text()) else 500)

        app = web.Application(middlewares=[problems])
        app.router.add_post("/", take)
        one.serve(app)
        running = asyncio.create_task(one.run())
        await _until(lambda: one.health.started)
        url = f"http://127.0.0.1:{one.settings.http_port}/"
        async with aiohttp.ClientSession() as session:
            # While the first ten are being recorded, the others wait for the worker's next step.
            asked = []
            for _ in range(2):
                asked += [asyncio.create_task(_post(session, url)) for _ in range(10)]
                await asyncio.sleep(0.1)
            begun = time.monotonic()
            stopping.set()
            assert set(await asyncio.gather(*asked)) == {204}
        await running
        assert time.monotonic() - begun < GRACE_S / 2


async def _record(tx: Transaction, items: Sequence[str]) -> list[bool]:
    await tx.sql.execute("SELECT pg_sleep(0.3)")
    return [True] * len(items)


async def _post(session: aiohttp.ClientSession, url: str) -> int:
    async with session.post(url, data="text") as answer:
        return answer.status


async def test_a_loop_that_ends_by_itself_takes_the_replica_down(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async def end() -> bool:
        raise asyncio.CancelledError

    async with runtime(database_url, amqp_url, bus_prefix, asyncio.Event()) as one:
        one.work("tired", end, idle_s=1)
        with pytest.raises(RuntimeError, match="tired ended by itself"):
            await asyncio.wait_for(one.run(), 10)


async def test_a_stop_keeps_to_its_grace_while_neither_server_answers(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with (
        Link(database_url) as to_database,
        Link(amqp_url) as to_broker,
        notifier(to_database.url, to_broker.url, bus_prefix) as (child, session),
    ):
        await _until_status(session, "/readyz", 200)
        to_database.hold()
        to_broker.hold()
        await asyncio.sleep(1)
        assert await _seconds_to_stop(child) < GRACE_S + 1


async def test_a_replica_that_waits_for_its_servers_is_alive_unready_and_stops_at_once() -> None:
    nobody = free_port()
    async with notifier(
        f"postgresql://nobody@127.0.0.1:{nobody}/nothing", f"amqp://127.0.0.1:{nobody}/", "away"
    ) as (child, session):
        await _until_status(session, "/livez", 200)
        await _until_status(session, "/readyz", 503)
        assert await _seconds_to_stop(child) < 2


@asynccontextmanager
async def notifier(
    database_url: str, amqp_url: str, prefix: str
) -> AsyncIterator[tuple[Child, aiohttp.ClientSession]]:
    """A service as a process of its own, and a session with its ops port."""
    ops_port = free_port()
    with Run.begin() as run:
        child = run.spawn(
            "notifier",
            [sys.executable, "-m", "services.notifier"],
            env={
                **clean_environment(),
                "SLUICE_DATABASE_URL": database_url,
                "SLUICE_AMQP_URL": amqp_url,
                "SLUICE_BUS_PREFIX": prefix,
                "SLUICE_OPS_PORT": str(ops_port),
                "SLUICE_SHUTDOWN_GRACE_S": str(GRACE_S),
                "SLUICE_SMTP_HOST": "127.0.0.1",
                "SLUICE_MAIL_FROM": "sluice@example.com",
            },
            cwd=ROOT,
            log=run.folder / "notifier.log",
        )
        async with aiohttp.ClientSession(f"http://127.0.0.1:{ops_port}") as session:
            yield child, session


async def _seconds_to_stop(child: Child) -> float:
    begun = time.monotonic()
    child.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(child.process.wait, 30) == 0
    return time.monotonic() - begun


async def _until_status(session: aiohttp.ClientSession, path: str, status: int) -> None:
    async with asyncio.timeout(20):
        while await _status(session, path) != status:
            await asyncio.sleep(0.05)


async def _status(session: aiohttp.ClientSession, path: str) -> int:
    with suppress(aiohttp.ClientConnectionError):
        async with session.get(path) as answer:
            return answer.status
    return 0


async def _until(condition: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)
