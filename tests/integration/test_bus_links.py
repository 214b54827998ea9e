"""A replica's relay and consumer on links that break: nothing lost, nothing twice, nobody dies."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import aio_pika
import pytest

from shared import bus, relay
from shared.bus import BrokerAway, Outgoing, Publisher, Queue, subscribe
from shared.database import Database, Transaction
from shared.events import LimitsChanged, UseCaseRegistered
from shared.health import Health
from shared.migrate import migrate
from shared.runtime import Runtime
from shared.settings import Settings
from tests.link import Link

FRAME_START_BYTES = 7


async def note(tx: Transaction, events: Sequence[LimitsChanged]) -> None:
    """Write down what was heard, once for each time it was."""
    versions = [event.version for event in events]
    await tx.sql.execute("INSERT INTO noted SELECT unnest($1::bigint[])", versions)


class Replica:
    """A service that tells itself limits and hears them, by way of the broker."""

    def __init__(self, database: Database, runtime: Runtime, queue: str) -> None:
        self.database = database
        self.runtime = runtime
        self.queue = queue
        self.told = 0

    async def tell(self, count: int) -> None:
        async with self.database.transaction() as tx:
            tx.tell(*(limits(self.told + index) for index in range(1, count + 1)))
        self.told += count

    async def until_all_are_noted(self, within_s: float) -> None:
        """Wait until all that was told was noted, and see that it was noted once."""
        async with asyncio.timeout(within_s):
            while len(noted := await self.noted()) < self.told:
                await asyncio.sleep(0.05)
        # What comes a second time would come soon.
        await asyncio.sleep(0.3)
        noted = await self.noted()
        assert sorted(noted) == list(range(1, self.told + 1))

    async def noted(self) -> list[int]:
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT version FROM noted")
        return [row["version"] for row in rows]

    async def outbox(self) -> int:
        async with self.database.connection() as connection:
            count: int = await connection.fetchval("SELECT count(*) FROM outbox")
        return count

    async def until_outbox_is_empty(self, within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while await self.outbox():
                await asyncio.sleep(0.05)

    async def until_ready(self, is_ready: bool, within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while bool(await self.runtime.health.faults()) is is_ready:
                await asyncio.sleep(0.02)


def limits(version: int) -> LimitsChanged:
    return LimitsChanged.model_validate(
        {
            "org_id": "acme", "carrier": "att", "version": version, "sms_per_minute": 60,
            "sms_unit": "segment", "mms_per_minute": None, "segments_per_day": None,
        }
    )  # fmt: skip


@asynccontextmanager
async def replica(
    database_url: str, amqp_url: str, prefix: str, *, its_database_url: str | None = None
) -> AsyncIterator[Replica]:
    """A running replica; its death is the test's. `its_database_url`: its way to the database."""
    service = prefix.replace("-", "_")
    await migrate(database_url, service)
    database = await Database.open(database_url, service)
    its_database = await Database.open(its_database_url or database_url, service)
    settings = Settings.model_validate(
        {
            "database_url": database_url, "amqp_url": amqp_url, "bus_prefix": prefix,
            "shutdown_grace_s": 4,
        }
    )  # fmt: skip
    stopping = asyncio.Event()
    runtime = Runtime(service, settings, its_database, Health(), stopping)
    runtime.hear({LimitsChanged: note})
    try:
        async with database.connection() as connection:
            await connection.execute("CREATE TABLE noted (version bigint NOT NULL)")
        async with asyncio.TaskGroup() as group:
            group.create_task(runtime.run())
            one = Replica(database, runtime, f"{prefix}.{service}.facts")
            await one.until_ready(True, within_s=10)
            yield one
            stopping.set()
    finally:
        await database.close()
        await its_database.close()
        await delete(amqp_url, f"{prefix}.{service}.facts", f"{prefix}.{service}.facts.dead")


async def delete(amqp_url: str, *queues: str) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        for name in queues:
            await channel.queue_delete(name)


async def test_links_that_are_cut_at_any_moment_lose_nothing_and_repeat_nothing(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with Link(amqp_url) as link, replica(database_url, link.url, bus_prefix) as one:
        await cut_again_and_again(link, one)
        await one.until_outbox_is_empty(within_s=20)
        await one.until_all_are_noted(within_s=10)


async def test_a_commit_whose_answer_was_lost_is_not_done_twice(
    database_url: str, amqp_url: str, bus_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rows whose lease was committed, but never known to be, are published after it.
    monkeypatch.setattr(relay, "LEASE_S", 1.0)
    async with (
        Link(database_url) as link,
        replica(database_url, amqp_url, bus_prefix, its_database_url=link.url) as one,
    ):
        await cut_again_and_again(link, one)
        await one.until_outbox_is_empty(within_s=20)
        await one.until_all_are_noted(within_s=10)


async def cut_again_and_again(link: Link, one: Replica) -> None:
    dice = random.Random(7)
    for _ in range(40):
        await one.tell(25)
        await asyncio.sleep(dice.uniform(0, 0.1))
        # What is asked is lost, or what is answered, before all is.
        lost = dice.choice((link.up, link.down))
        lost.clear()
        await asyncio.sleep(dice.uniform(0, 0.05))
        link.cut()
        lost.set()


async def test_a_silence_longer_than_the_heartbeats_ends_no_loop(
    database_url: str, amqp_url: str, bus_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # aio_pika gives up after (1 + 1) * 3 s: before the confirm's own time-out, so that publishes
    # are waiting then.
    monkeypatch.setattr(bus, "HEARTBEAT_S", 1)
    async with Link(amqp_url) as link, replica(database_url, link.url, bus_prefix) as one:
        link.hold()
        await one.tell(10)
        await one.until_ready(False, within_s=8)
        await asyncio.sleep(7.5)
        link.heal()
        await one.tell(10)
        await one.until_all_are_noted(within_s=15)
        await one.until_ready(True, within_s=10)


async def test_a_connection_that_leads_nowhere_is_left_for_a_new_one(
    database_url: str, amqp_url: str, bus_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CONFIRM_S", "ANSWER_S", "CLOSE_S"):
        monkeypatch.setattr(bus, name, 1.0)
    monkeypatch.setattr(bus, "HEARTBEAT_S", 2)
    async with Link(amqp_url) as link, replica(database_url, link.url, bus_prefix) as one:
        await one.tell(10)
        await one.until_all_are_noted(within_s=5)
        link.strand()
        await one.tell(10)
        # The broker gives the old ones up after 6 s, aio_pika only after (2 + 1) * 3.
        await one.until_all_are_noted(within_s=8)


async def test_a_queue_that_was_deleted_by_hand_is_there_again_within_seconds(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with replica(database_url, amqp_url, bus_prefix) as one:
        await one.tell(10)
        await one.until_all_are_noted(within_s=5)
        await delete(amqp_url, one.queue)
        # To nobody at first: it waits in the outbox.
        await one.tell(10)
        await one.until_all_are_noted(within_s=5)
        assert await one.outbox() == 0


async def test_what_no_queue_takes_waits_in_the_outbox_and_holds_up_nothing_else(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    unheard = UseCaseRegistered.model_validate(
        {"org_id": "acme", "use_case_id": "gotv", "provider_campaign_id": "C1"}
    )
    async with replica(database_url, amqp_url, bus_prefix) as one:
        async with one.database.transaction() as tx:
            tx.tell(unheard, event_id="the-event")
        await one.tell(100)
        await one.until_all_are_noted(within_s=5)
        assert await one.outbox() == 1
        async with await aio_pika.connect(amqp_url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(exclusive=True)
            await queue.bind(bus_prefix, "UseCaseRegistered")
            message = await _first(queue, within_s=5)
        assert b'"the-event"' in message.body
        await asyncio.sleep(0.2)
        assert await one.outbox() == 0


async def _first(
    queue: aio_pika.abc.AbstractQueue, within_s: float
) -> aio_pika.abc.AbstractIncomingMessage:
    async with asyncio.timeout(within_s):
        while (message := await queue.get(fail=False)) is None:
            await asyncio.sleep(0.1)
    return message


async def test_after_whatever_frame_a_connection_breaks_the_broker_counts_as_away(
    amqp_url: str, bus_prefix: str
) -> None:
    queue = Queue(f"{bus_prefix}.sweep", ("LimitsChanged",))

    async def publish(url: str) -> None:
        publisher = Publisher(url, bus_prefix, "sweep")
        try:
            await publisher.open([queue])
            for number in range(3):
                await publisher.publish(
                    Outgoing("LimitsChanged", b"{}", "application/json", str(number), {})
                )
            await publisher.check()
        finally:
            await publisher.close()

    async def consume(url: str) -> None:
        async with subscribe(url, bus_prefix, queue, name="sweep", prefetch=10) as subscription:
            await subscription.collect(most=10, most_bytes=10_000, within_s=0.05)
            await subscription.check()
            await subscription.stop()

    try:
        async with Link(amqp_url) as link:
            for work in (publish, consume):
                link.down_bytes.clear()
                await work(link.url)
                for end in _frame_ends(bytes(link.down_bytes)):
                    link.down_most_bytes = end
                    # The last frames of a connection are not missed.
                    with suppress(BrokerAway):
                        await asyncio.wait_for(work(link.url), 15)
                link.down_most_bytes = None
    finally:
        await delete(amqp_url, queue.name, f"{queue.name}.dead")


def _frame_ends(data: bytes) -> list[int]:
    """Where each AMQP frame of one connection ends: type, channel, size, payload, end mark."""
    ends, at = [], 0
    while at + FRAME_START_BYTES <= len(data):
        at += FRAME_START_BYTES + int.from_bytes(data[at + 3 : at + 7], "big") + 1
        ends.append(at)
    return ends
