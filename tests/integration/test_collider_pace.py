"""Limits that an admin set too high, in virtual time, held against the carriers' own.

Higher limits, and receipts that come later, stand in the pure `test_collider_pace.py`.
"""

from datetime import timedelta

import pytest

from services.collider.domain import Receipt
from services.collider.outcomes import record_receipts
from services.sandbox.domain import Limit
from shared.events import MessageFailed, MessageQueued
from tests.engine import EVENING, MORNING, Engine


def take(collider: Engine, per_minute: int | None) -> None:
    """What the carrier really takes, whatever the admin has told us."""
    collider.world.carriers.tell("org", "att", Limit(sms_per_minute=per_minute))


async def go(collider: Engine, minutes: float) -> None:
    """Turn the clock on to whatever is next: a receipt, or a bucket that is due."""
    until = collider.now + timedelta(minutes=minutes)
    while collider.now < until:
        async with collider.database.connection() as connection:
            due_at = await connection.fetchval(
                "SELECT CASE WHEN EXISTS (SELECT FROM wakes) THEN $1 ELSE min(due_at) END "
                "FROM standings",
                collider.now,
            )
        next_at = min(at for at in (until, due_at, collider.world.next_due_at) if at is not None)
        collider.clock.advance(max(0.05, (next_at - collider.now).total_seconds()))
        collider.world.advance(collider.now)
        webhooks = collider.world.take_webhooks()
        if webhooks:
            await collider.receive(webhooks)
        await collider.send()


async def refuse(collider: Engine, text: MessageQueued) -> None:
    """The carrier says "too fast" of the text's first attempt."""
    async with collider.database.transaction() as tx:
        await record_receipts(
            tx, [Receipt("org", text.message_id, 1, "failed", "40018", None, None)]
        )


async def paces(collider: Engine) -> int:
    async with collider.database.connection() as connection:
        count = await connection.fetchval("SELECT count(*) FROM paces")
    assert isinstance(count, int)
    return count


def by_code(collider: Engine, *, after_minute: float) -> tuple[int, int]:
    """How many texts the carrier took and refused, of those handed over after this minute."""
    begun = MORNING.timestamp() + 60 * after_minute
    entries = [
        entry
        for entry in collider.world.judge.page(0, 1_000_000)
        if entry.arrived_at.timestamp() >= begun and entry.receipt_status is not None
    ]
    refused = sum(entry.receipt_code == "40018" for entry in entries)
    return len(entries) - refused, refused


@pytest.mark.parametrize(("told", "real", "minutes"), [(400, 30, 20), (None, 30, 20)])
async def test_a_limit_set_too_high_converges_to_the_carriers_own(
    collider: Engine, told: int | None, real: int, minutes: int
) -> None:
    await collider.limit("att", version=2, sms_per_minute=told)
    take(collider, real)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    backlog = real * minutes
    await collider.hear(*collider.texts("att", backlog))
    await go(collider, minutes)
    taken, refused = by_code(collider, after_minute=10)
    assert refused <= 0.02 * taken
    assert 0.85 * real * (minutes - 10) <= taken <= real * (minutes - 10)
    # None is lost or goes twice, and what was put back goes again.
    await collider.collect()
    assert collider.world.judge.verdict()["doubles"] == {"count": 0, "shown": []}
    statuses = await collider.statuses()
    assert statuses.keys() <= {"queued", "sent", "delivered"}
    assert sum(statuses.values()) == backlog
    assert not collider.told(MessageFailed)


async def test_what_is_put_back_counts_its_attempts_and_is_bound_by_its_window(
    collider: Engine,
) -> None:
    take(collider, 0)
    await collider.launch(opens_at=MORNING, closes_at=MORNING + timedelta(seconds=150))
    [text] = collider.texts("att", 1)
    await collider.hear(text)
    await collider.run(140, every_s=1)
    assert await collider.statuses() == {"queued": 1}
    attempts = [entry.attempt for entry in collider.world.judge.page(0, 100)]
    assert attempts == [str(number) for number in range(1, len(attempts) + 1)]
    # Each comes later than the last, as the pace comes down.
    assert 5 <= len(attempts) <= 15
    await collider.run(15)
    assert await collider.statuses() == {"sending failed": 1}
    assert len(collider.told(MessageFailed)) == 1


async def test_only_the_use_case_and_channel_that_were_refused_are_slowed(
    collider: Engine,
) -> None:
    await collider.limit("att", version=2, sms_per_minute=600, mms_per_minute=600)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [first, second] = collider.texts("att", 2)
    await collider.hear(first)
    await collider.send()
    await refuse(collider, first)
    await collider.hear(second, *collider.texts("att", 1, channel="mms"))
    await collider.run(3)
    assert await collider.statuses() == {"queued": 2, "delivered": 1}
    await collider.run(10)
    assert await collider.statuses() == {"delivered": 3}


async def test_refusals_of_what_went_before_the_cut_cut_no_deeper(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=600)
    take(collider, None)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    texts = collider.texts("att", 50)
    await collider.hear(*texts)
    for _ in range(10):
        collider.clock.advance(0.25)
        await collider.send()
    for text in texts[:20:5]:
        await refuse(collider, text)
        collider.clock.advance(1)
    async with collider.database.connection() as connection:
        rows = await connection.fetch("SELECT refused FROM paces")
    assert [row["refused"] for row in rows] == [600]


async def test_a_text_that_costs_more_than_the_pace_goes_and_does_not_fail(
    collider: Engine,
) -> None:
    await collider.limit("att", version=2, sms_per_minute=4)
    take(collider, None)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1, text="x" * 600)
    await collider.hear(text)
    await collider.send()
    await refuse(collider, text)
    await collider.run(600, every_s=5)
    assert await collider.statuses() == {"delivered": 1}


async def test_a_pace_that_has_come_back_to_its_limit_is_forgotten(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=60)
    take(collider, None)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    texts = collider.texts("att", 600)
    await collider.hear(*texts)
    await collider.send()
    await refuse(collider, texts[0])
    await go(collider, 4)
    assert await paces(collider) == 1
    await go(collider, 2)
    assert await paces(collider) == 0
    # It goes at the limit again.
    before = len(collider.world.judge.page(0, 1000))
    await go(collider, 1)
    assert len(collider.world.judge.page(0, 1000)) - before >= 58
