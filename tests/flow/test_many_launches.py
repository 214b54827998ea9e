"""500 campaigns are launched at once; real processes, and one of them dies of it."""

import asyncio

import asyncpg
import pytest

from deploy.local.platform import Platform
from tests.many_launches import PLACES, Crowd, check_the_books, crowd, use_cases

BEHAVIOUR = {
    "call_latency_ms": {"median": 20, "p99": 100},
    "order_delay_s": 0.2,
    "confirmation_delay_s": {"att": 0.3, "tmobile": 1.0, "verizon": 0.5},
}
# Longer than any act takes here: what was leased so long ago and still is, was in dead hands.
SETTLES_S = 2.0


@pytest.mark.timeout(180)
async def test_500_launches_at_once_lose_nothing_and_buy_nothing_twice_when_a_replica_is_killed(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with (
        Platform(
            database_url=database_url,
            amqp_url=amqp_url,
            bus_prefix=bus_prefix,
            services=("provisioner",),
            replicas={"provisioner": 2},
            behaviour=BEHAVIOUR,
            # A purchase that died before it went out is looked for so long before it is made anew.
            settings={"provisioner": {"SLUICE_POLL_S": "0.5", "SLUICE_LOOK_UP_S": "5"}},
        ) as platform,
        crowd(amqp_url, bus_prefix, use_cases()) as one,
    ):
        await one.launch_all()
        await one.until_told(100, "NumberPurchased", within_s=60)
        in_hand = await _die_and_come_back(platform, database_url)
        assert in_hand, "it was killed at rest"
        await _until_settled(one)
        await check_the_books(one, platform, database_url)


async def _die_and_come_back(platform: Platform, database_url: str) -> int:
    """kill -9, and the same place is taken by another process; how much it had in hand. Its leases
    would run out after a minute; here they have as soon as it is clear which are the dead one's."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        await platform.kill("provisioner", 0)
        leased = "SELECT order_id, lease FROM provisioner.orders WHERE lease IS NOT NULL"
        at_death = await connection.fetch(leased)
        started = asyncio.create_task(platform.start_replica("provisioner"))
        await asyncio.sleep(SETTLES_S)
        ended: str = await connection.execute(
            """
            UPDATE provisioner.orders SET due_at = clock_timestamp()
            FROM unnest($1::text[], $2::text[]) AS dead (order_id, lease)
            WHERE orders.order_id = dead.order_id AND orders.lease = dead.lease
            """,
            [row["order_id"] for row in at_death],
            [row["lease"] for row in at_death],
        )
        assert await started == 0
        return int(ended.rsplit(maxsplit=1)[-1])
    finally:
        await connection.close(timeout=10)


async def _until_settled(one: Crowd) -> None:
    await one.until_settled(within_s=60)
    # What the dead one was about to tell is told when its hold on that has run out.
    bought = sum(min(use.launches, PLACES) for use in one.uses)
    await one.until_told(bought, "NumberPurchased", within_s=30)
    # Whatever else would be told of them is told by now.
    await asyncio.sleep(1)
