"""Transactions that meet halfway: none is lost on another, and none stops another."""

import asyncio

from services.collider import handlers, holds
from services.collider.holds import Word
from services.collider.store import campaigns, results
from tests.engine import EVENING, MORNING, Engine

UNKNOWN_NUMBER = "40010"


async def meet(collider: Engine, task: asyncio.Task[None]) -> None:
    """Let it run until it waits for a lock or has come to its end."""
    async with asyncio.timeout(5):
        while not task.done():
            async with collider.database.connection() as connection:
                waits = await connection.fetchval(
                    """
                    SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'
                    """
                )
            if waits:
                return
            await asyncio.sleep(0.01)


# --- a lane is made while its number is confirmed ----------------------------------------------


async def hold(collider: Engine) -> None:
    """The carrier does not know the number of a campaign that has texted only initials so far."""
    await collider.limit("verizon")
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("verizon", 1))
    async with collider.database.transaction() as tx:
        await holds.hold(tx, {("org", "campaign", "verizon"): UNKNOWN_NUMBER})


async def held(collider: Engine) -> list[str]:
    async with collider.database.connection() as connection:
        rows = await connection.fetch("SELECT kind FROM lanes WHERE held_until IS NOT NULL")
    return [row["kind"] for row in rows]


async def test_a_lane_that_commits_before_the_confirmation_is_not_held(collider: Engine) -> None:
    await hold(collider)

    async def confirm() -> None:
        async with collider.database.transaction() as tx:
            await holds.hear(tx, [Word(("org", "campaign", "verizon"), "confirmed", collider.now)])

    async with collider.database.transaction() as tx:
        await handlers.queue_messages(tx, collider.texts("verizon", 1, kind="reply"))
        confirming = asyncio.create_task(confirm())
        await meet(collider, confirming)
    await asyncio.wait_for(confirming, 5)
    assert await held(collider) == []
    await collider.run(10)
    assert await collider.statuses() == {"delivered": 2}


async def test_a_lane_that_commits_after_the_confirmation_is_not_held(collider: Engine) -> None:
    await hold(collider)

    async def reply() -> None:
        await collider.hear(*collider.texts("verizon", 1, kind="reply"))

    async with collider.database.transaction() as tx:
        await holds.hear(tx, [Word(("org", "campaign", "verizon"), "confirmed", collider.now)])
        replying = asyncio.create_task(reply())
        await meet(collider, replying)
    await asyncio.wait_for(replying, 5)
    assert await held(collider) == []
    await collider.run(10)
    assert await collider.statuses() == {"delivered": 2}


# --- a text is put back while its campaign is edited -------------------------------------------


async def test_a_text_is_put_back_while_its_campaign_is_rescheduled(collider: Engine) -> None:
    # Who reschedules holds the campaign and waits for the bucket; who puts back holds the bucket.
    await collider.limit("verizon")
    soon = MORNING.replace(minute=1)
    await collider.launch(opens_at=MORNING, closes_at=soon)
    await collider.hear(*collider.texts("verizon", 1))
    collider.replicas[0].line.fates.append("unconnected")
    await collider.send()
    collider.clock.advance(120)

    async def reschedule() -> None:
        async with collider.database.transaction() as tx:
            await campaigns.reschedule(tx, {("org", "campaign")})

    async with collider.database.transaction() as tx:
        [row] = await tx.sql.fetch("SELECT * FROM messages WHERE status = 'calling' FOR UPDATE")
        await campaigns.lock_buckets(tx, {("org", "verizon")})
        rescheduling = asyncio.create_task(reschedule())
        await meet(collider, rescheduling)
        assert not rescheduling.done()
        await results.put_back(tx, [results.message_of(row)])
    await asyncio.wait_for(rescheduling, 5)
    await collider.upkeep.close()
    assert await collider.statuses() == {"sending failed": 1}
    collider.replicas[0].die()
