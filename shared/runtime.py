"""A replica's life: the order in which it starts, what it repeats, the order in which it stops.

Any loop that dies of something it should not outlive takes the process down, and the platform
starts a new one; what was in hand is rows with leases, so another replica takes it up.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
from aiohttp import web

from shared import inbox, logs, statistics
from shared.bus import BrokerAway, Publisher, Queue, queues_for
from shared.consumer import Consumer, Handlers
from shared.database import PASSING, Database
from shared.health import Health, Page
from shared.http import serve
from shared.metrics import STEPS
from shared.migrate import migrate
from shared.relay import Relay
from shared.settings import Settings

Step = Callable[[], Awaitable[bool]]
Resource = TypeVar("Resource")

HEARD_DAYS = 7
BACK_OFF_MOST_S = 5.0
# By which share of the grace a part of the stop is over. Usually each takes far less, and leaves
# the rest to those after it: above all to calls under way, whose answers would be lost.
REQUESTS_BY, WORKERS_BY, RESOURCES_BY, RELAY_BY, BROKER_BY = 0.4, 0.5, 0.8, 0.9, 0.95

log = structlog.get_logger(__name__)


class Runtime:
    """What a service's wiring is given: a database, and ways to say what runs."""

    def __init__(
        self,
        service: str,
        settings: Settings,
        database: Database,
        health: Health,
        stopping: asyncio.Event,
    ) -> None:
        self.service = service
        self.settings = settings
        self.database = database
        self.health = health
        self.publisher = Publisher(str(settings.amqp_url), settings.bus_prefix, service)
        self._stopping = stopping
        self._halting = asyncio.Event()
        """Set when workers shall end: after requests, which may wait for what workers do."""
        self._resources = AsyncExitStack()
        self._handlers: Handlers = {}
        self._workers: list[tuple[str, Step, float, asyncio.Event | None]] = []
        self._apps: list[tuple[web.Application, int]] = []

    async def enter(self, resource: AbstractAsyncContextManager[Resource]) -> Resource:
        """Open something that is closed after the last worker has stopped."""
        return await self._resources.enter_async_context(resource)

    def hear(self, handlers: Handlers) -> None:
        """Consume the types in this table, and with it declare the queues."""
        self._handlers = handlers

    def work(
        self, name: str, step: Step, *, idle_s: float, wake: asyncio.Event | None = None
    ) -> None:
        """Repeat a step: at once while it says that there may be more, else every `idle_s`
        seconds, or as soon as `wake` is set."""
        self._workers.append((name, step, idle_s, wake))

    def serve(self, app: web.Application) -> None:
        """Serve the service's own API on its HTTP port."""
        self._apps.append((app, self.settings.http_port))

    def page(self, path: str, page: Page) -> None:
        """Show a page on the ops port: read only, for those who run the service."""
        self.health.pages[path] = page

    async def run(self) -> None:
        """Run until a loop ends or the process shall stop. Raises what the loop died of."""
        queues = queues_for(self.settings.bus_prefix, self.service, self._handlers)
        await self._open_broker(queues)
        relay = Relay(self.database, self.publisher, queues)
        consumers = [self._consumer(queue) for queue in queues]
        self.work("relay", relay.step, idle_s=0.1, wake=self.database.told)
        self.work("outbox", relay.show, idle_s=15)
        self.work("forget", self._forget, idle_s=60)
        self.work("statistics", partial(statistics.keep_up, self.database), idle_s=2)
        self.health.checks["database"] = self.database.check
        self.health.checks["broker"] = self.publisher.check
        for consumer in consumers:
            self.health.checks[consumer.name] = consumer.check
        workers = [
            asyncio.create_task(self._repeat(name, step, idle_s, wake), name=name)
            for name, step, idle_s, wake in self._workers
        ]
        listening = [asyncio.create_task(one.run(), name=one.name) for one in consumers]
        grace_s = REQUESTS_BY * self.settings.shutdown_grace_s
        servers = [
            await serve(app, self.settings.http_host, port, grace_s=grace_s)
            for app, port in self._apps
        ]
        self.health.started = True
        log.info("started", http=[address for one in servers for address in one.addresses])
        stopped = asyncio.create_task(self._stopping.wait(), name="stopping")
        loops = [*workers, *listening]
        try:
            await asyncio.wait([stopped, *loops], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = [task for task in loops if task.done()]
            await self._stop(consumers, servers, workers, listening, relay)
        stopped.cancel()
        for task in loops:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if ended:
            raise RuntimeError(f"{ended[0].get_name()} ended by itself")

    async def _open_broker(self, queues: list[Queue]) -> None:
        """Wait for the broker: queues must be there before this replica says that it is ready."""
        back_off_s = 0.2
        while not self._stopping.is_set():
            try:
                await self.publisher.open(queues)
            except BrokerAway as error:
                log.warning("broker away", error=repr(error))
                await _wait(self._stopping, back_off_s)
                back_off_s = min(2 * back_off_s, BACK_OFF_MOST_S)
            else:
                return

    def _consumer(self, queue: Queue) -> Consumer:
        return Consumer(
            self.database,
            str(self.settings.amqp_url),
            self.settings.bus_prefix,
            self.service,
            queue,
            self._handlers,
        )

    async def _stop(
        self,
        consumers: list[Consumer],
        servers: list[web.AppRunner],
        workers: list[asyncio.Task[None]],
        listening: list[asyncio.Task[None]],
        relay: Relay,
    ) -> None:
        """Unready, no new work, finish what is in hand, publish what it told, close."""
        log.info("stopping")
        self.health.stopping = True
        begun_s, grace_s = asyncio.get_running_loop().time(), self.settings.shutdown_grace_s
        for consumer in consumers:
            consumer.stop()
        await asyncio.gather(
            *(one.cleanup() for one in servers),
            _finish(listening, begun_s + REQUESTS_BY * grace_s),
            return_exceptions=True,
        )
        self._halting.set()
        await _finish(workers, begun_s + WORKERS_BY * grace_s)
        for what, work, share in (
            ("resources", self._resources.aclose(), RESOURCES_BY),
            ("last relay", _until_idle(relay.step), RELAY_BY),
            ("broker", self.publisher.close(), BROKER_BY),
        ):
            await _by(begun_s + share * grace_s, what, work)
        log.info("stopped")

    async def _repeat(
        self, name: str, step: Step, idle_s: float, wake: asyncio.Event | None
    ) -> None:
        structlog.contextvars.bind_contextvars(worker=name)
        back_off_s = 0.1
        while not self._halting.is_set():
            try:
                more = await step()
            except (*PASSING, BrokerAway) as error:
                STEPS.labels(name, "put off").inc()
                log.warning("put off", error=repr(error), again_s=back_off_s)
                await self._idle(back_off_s, None)
                back_off_s = min(2 * back_off_s, BACK_OFF_MOST_S)
                continue
            back_off_s = 0.1
            STEPS.labels(name, "done").inc()
            if not more:
                await self._idle(idle_s, wake)

    async def _idle(self, seconds: float, wake: asyncio.Event | None) -> None:
        """Wait for the time, the wake-up or the stop, whichever is first."""
        waits = [asyncio.create_task(self._halting.wait())]
        if wake is not None:
            waits.append(asyncio.create_task(wake.wait()))
        _, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        if wake is not None:
            wake.clear()

    async def _forget(self) -> bool:
        async with self.database.connection() as connection:
            return await inbox.forget(connection, days=HEARD_DAYS, most=10_000) == 10_000


async def _finish(loops: Sequence[asyncio.Task[None]], until_s: float) -> None:
    """Wait for loops to end by themselves; cut short those that have not by then."""
    if not loops:
        return
    left_s = max(until_s - asyncio.get_running_loop().time(), 0)
    _, late = await asyncio.wait(loops, timeout=left_s)
    for task in late:
        log.warning("cut short", loop=task.get_name())
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=1)


async def _by(until_s: float, what: str, work: Coroutine[None, None, None]) -> None:
    """Do a part of the stop; whatever becomes of it, the next one follows."""
    task = asyncio.create_task(work, name=what)
    left_s = max(until_s - asyncio.get_running_loop().time(), 0.1)
    # Not wait_for, which waits for the end of what it has cancelled: that may hang as well.
    done, _ = await asyncio.wait([task], timeout=left_s)
    if not done:
        log.warning("cut short", what=what)
        task.cancel()
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.warning("left undone", what=what, error=repr(error), exc_info=_unexpected(error))


def _unexpected(error: BaseException) -> BaseException | None:
    return None if isinstance(error, (*PASSING, BrokerAway)) else error


async def _until_idle(step: Step) -> None:
    while await step():
        pass


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer than this."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


Wire = Callable[[Runtime], Awaitable[None]]


def run(service: str, settings: Settings, wire: Wire, *, migrations: Path | None = None) -> None:
    """Run a service until SIGTERM or SIGINT; exit 1 when a loop has died.

    migrations: the folder of its schema, where that does not stand beside the main module.
    """
    logs.configure(service, settings.log_level)
    if migrations is None:
        migrations = Path(sys.modules["__main__"].__file__ or "").parent / "migrations"
    try:
        asyncio.run(_live(service, settings, wire, migrations))
    except Exception:
        log.exception("died")
        sys.exit(1)


async def _live(service: str, settings: Settings, wire: Wire, migrations: Path) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    health = Health()
    # Before the servers are there: a replica that waits for them is alive, though not ready.
    ops = await serve(health.app(), settings.http_host, settings.ops_port, grace_s=1)
    try:
        database = await _open_database(service, settings, migrations, stopping)
        if database is None:
            return
        try:
            runtime = Runtime(service, settings, database, health, stopping)
            await wire(runtime)
            await runtime.run()
        finally:
            await database.close((1 - BROKER_BY) * settings.shutdown_grace_s)
    finally:
        await ops.cleanup()


async def _open_database(
    service: str, settings: Settings, migrations: Path, stopping: asyncio.Event
) -> Database | None:
    """Wait for the server, bring the schema up to date, open the pool; None when stopped before."""
    back_off_s = 0.2
    while not stopping.is_set():
        try:
            for name in await migrate(str(settings.database_url), service, migrations):
                log.info("migrated", migration=name)
            return await Database.open(str(settings.database_url), service, size=settings.pool_size)
        except PASSING as error:
            log.warning("database away", error=repr(error))
            await _wait(stopping, back_off_s)
            back_off_s = min(2 * back_off_s, BACK_OFF_MOST_S)
    return None
