"""Whoever holds several rows takes them in one order: nobody waits in a ring, and no order or
number for its lease, whose worker was the one that had to give way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from services.provisioner.domain import CarrierFact, Done, TakePlace
from services.provisioner.facts import record_facts
from services.provisioner.handlers import archive_campaigns
from tests.provisioner_bench import Bench, open_bench


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        await one.hear(one.use_case())
        yield one


async def test_an_archive_of_campaigns_on_one_number_waits_in_no_ring_with_a_carriers_word_on_it(
    bench: Bench,
) -> None:
    number = await bench.complete("0")
    names = [str(index) for index in range(1, 8)]
    for name in reversed(names):
        await bench.hear(bench.launch(name, number=number))
    said = [CarrierFact(number, "att", "refused", datetime.now(UTC) + timedelta(minutes=1))]

    async def speak() -> None:
        async with bench.database.transaction() as tx:
            await record_facts(tx, said)

    async def archive() -> None:
        async with bench.database.transaction() as tx:
            # As in a table of many orders, which are found by their campaigns.
            await tx.sql.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off")
            await archive_campaigns(tx, [bench.archive(name) for name in names])

    async with bench.database.transaction() as tx:
        await tx.sql.execute(
            """
            SELECT FROM orders WHERE org_id = $1 AND number = $2
            ORDER BY order_id OFFSET 1 LIMIT 1 FOR UPDATE
            """,
            bench.org_id,
            number,
        )
        speaking = asyncio.create_task(speak())
        await asyncio.sleep(0.3)
        archiving = asyncio.create_task(archive())
        await asyncio.sleep(0.3)
    await asyncio.gather(speaking, archiving)


async def test_a_campaign_that_takes_its_place_waits_in_no_ring_with_its_archive(
    bench: Bench,
) -> None:
    number = await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_off(number)
    await bench.hear(bench.launch("followup", number=number))
    worker = bench.worker()
    order, act = await bench.taken_up(worker, "slow")
    assert act == TakePlace()
    async with bench.database.transaction() as tx:
        await tx.sql.execute("SELECT FROM numbers WHERE number = $1 FOR UPDATE", number)
        # It holds its order, waits for its number, and goes on to its use case.
        taking = asyncio.create_task(worker._record(order, act, Done(), "slow"))
        await asyncio.sleep(0.3)
        hearing = asyncio.create_task(bench.hear(bench.use_case(), bench.archive("followup")))
        await asyncio.sleep(0.3)
    await asyncio.gather(taking, hearing)


async def test_a_number_that_is_looked_at_waits_in_no_ring_with_those_that_a_batch_is_about(
    bench: Bench,
) -> None:
    campaign = {await bench.complete(name): name for name in ("one", "two")}
    first, second = sorted(campaign)
    await bench.hear(bench.launch("over", number=first))
    await bench.pass_time(0.2)
    await bench.hear(bench.archive("over"))
    async with bench.database.transaction() as tx:
        await tx.sql.execute(
            "INSERT INTO campaigns (org_id, campaign_id) VALUES ($1, 'late')", bench.org_id
        )
        # It has looked at the second number, and goes on to the first.
        batch = (bench.archive(campaign[second]), bench.launch("late", number=first))
        hearing = asyncio.create_task(bench.hear(*batch))
        await asyncio.sleep(0.3)
        looking = asyncio.create_task(bench.releaser().step())
        await asyncio.sleep(0.3)
    await asyncio.gather(hearing, looking)
