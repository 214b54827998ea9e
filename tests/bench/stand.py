"""What a bench stands on: servers, a place of its own on them, and children that end with it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import asyncpg

from deploy.local.children import Run
from deploy.local.postgres import POSTGRES
from deploy.local.progress import say
from deploy.local.rabbitmq import RABBITMQ
from deploy.local.servers import PrivateServers


@dataclass
class Place:
    """An empty database, and names on the broker that nobody else uses."""

    database_url: str
    amqp_url: str
    bus_prefix: str
    queues: list[str] = field(default_factory=list)
    """Queues to delete afterwards, besides the collider's own."""


@dataclass(frozen=True)
class Stand:
    """Given to each bench.

    quick: `QUICK=1` was asked for: all of the benches together in five minutes.
    run: its `spawn` starts processes that end with the bench, whatever happens.
    """

    servers: PrivateServers
    run: Run
    quick: bool

    def say(self, text: str) -> None:
        """A line of progress."""
        say(f"  {text}")

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """An empty database and bus prefix; both are gone after the block."""
        name = f"bench_{secrets.token_hex(4)}"
        url = self.servers.database_url
        await _execute(url, f'CREATE DATABASE "{name}"')
        mine = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        place = Place(mine, self.servers.amqp_url, name)
        try:
            yield place
        finally:
            await _execute(url, f'DROP DATABASE "{name}" WITH (FORCE)')
            await _forget(place)


def servers_of(servers: PrivateServers) -> dict[str, int]:
    """The process ids of the servers by their names, as far as they are private."""
    children = servers.run.children if servers.run else []
    return {one.name: one.process.pid for one in children if one.name in (POSTGRES, RABBITMQ)}


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(statement, timeout=120)
    finally:
        await connection.close(timeout=10)


async def _forget(place: Place) -> None:
    """Delete queues and exchanges; deleting what is not there is fine."""
    lanes = [f"{place.bus_prefix}.collider.{lane}" for lane in ("facts", "messages")]
    with suppress(aio_pika.exceptions.AMQPError):
        async with await aio_pika.connect(place.amqp_url, timeout=10) as connection:
            channel = await connection.channel()
            for queue in [*lanes, *(f"{lane}.dead" for lane in lanes), *place.queues]:
                await channel.queue_delete(queue)
            for exchange in (place.bus_prefix, f"{place.bus_prefix}.dead"):
                await channel.exchange_delete(exchange)
