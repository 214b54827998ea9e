"""Real servers for the tests that ask for them; those in unit/ never do."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from deploy.local.servers import PrivateServers
from shared.bus import queues_for
from shared.events import Event

SERVICES = Path(__file__).parents[1] / "services"

Result = TypeVar("Result")

# A busy machine may halt any example for as long as it likes: a test of speed measures it itself.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run on a loop of its own and leave the tests' loops alone."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


@pytest.fixture(scope="session")
def servers() -> Iterator[PrivateServers]:
    """The servers of the environment, as `make test` sets it, else a private pair."""
    with PrivateServers(durable=False) as pair:
        yield pair


@pytest.fixture(scope="session")
def amqp_url(servers: PrivateServers) -> str:
    """The broker, shared by all tests: take a `bus_prefix` for names of your own."""
    return servers.amqp_url


@pytest.fixture(scope="module")
def database_url(servers: PrivateServers, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database for each test module, dropped after it."""
    words = re.sub(r"\W+", "_", request.module.__name__.rpartition(".")[2]).lower()
    name = f"{words[:40]}_{secrets.token_hex(4)}"
    _run(_execute(servers.database_url, f'CREATE DATABASE "{name}"'))
    yield urlunsplit(urlsplit(servers.database_url)._replace(path=f"/{name}"))
    _run(_execute(servers.database_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def bus_prefix(amqp_url: str) -> Iterator[str]:
    """A name for SLUICE_BUS_PREFIX; the services' exchanges and queues of it go after the test.

    Queues that a test names otherwise are the test's to delete: AMQP cannot list them.
    """
    prefix = f"test-{secrets.token_hex(4)}"
    yield prefix
    _run(_delete_topology(amqp_url, prefix))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(statement, timeout=30)
    finally:
        await connection.close(timeout=10)


async def _delete_topology(url: str, prefix: str) -> None:
    async with await aio_pika.connect(url, timeout=10) as connection:
        channel = await connection.channel()
        for name in _queue_names(prefix):
            await channel.queue_delete(name)
        for name in (prefix, f"{prefix}.dead"):
            await channel.exchange_delete(name)


def _queue_names(prefix: str) -> list[str]:
    """Every queue that any service could have declared: deleting one that is not there is fine."""
    services = [folder.name for folder in SERVICES.iterdir() if folder.is_dir()]
    queues = [
        queue.name for service in services for queue in queues_for(prefix, service, _kinds(Event))
    ]
    return [*queues, *(f"{queue}.dead" for queue in queues)]


def _kinds(event: type[Event]) -> set[type[Event]]:
    below = event.__subclasses__()
    return {*below, *(kind for one in below for kind in _kinds(one))}
