"""Texts whose answer was lost, settled by hand; and those that only seem lost."""

from datetime import datetime, timedelta

from services.collider.domain import Outbound, Outcome, Receipt, ReceiptState
from services.collider.outcomes import record_outcomes, record_receipts
from shared.events import (
    MessageDelivered,
    MessageFailed,
    MessageQueued,
    MessageSent,
    MessageUnclear,
    UnclearSettled,
)
from tests.engine import EVENING, MORNING, NUMBER, Engine


async def lost(collider: Engine, count: int) -> list[MessageQueued]:
    """Texts whose calls were never answered."""
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    texts = collider.texts("att", count)
    await collider.hear(*texts)
    async with collider.database.connection() as connection:
        await connection.execute(
            "UPDATE messages SET status = 'calling', attempt = 1, claimed_at = $1::timestamptz, "
            "lease_until = $1::timestamptz + interval '15 seconds'",
            collider.now,
        )
    await collider.run(20, every_s=5)
    assert await collider.statuses() == {"unclear": count}
    return texts


def settled(
    outcome: str, at: datetime, *texts: MessageQueued, campaign_id: str = "campaign"
) -> UnclearSettled:
    ids = [one.message_id for one in texts] or None
    return UnclearSettled.model_validate(
        {
            "org_id": "org", "campaign_id": campaign_id, "message_ids": ids,
            "outcome": outcome, "settled_at": at,
        }
    )  # fmt: skip


async def settle(collider: Engine, *events: UnclearSettled) -> int:
    """In how many batches it was done."""
    await collider.hear(*events)
    steps = 0
    while await collider.upkeep.settle():
        steps += 1
    await collider.collect()
    return steps


async def receive(collider: Engine, text: MessageQueued, state: ReceiptState) -> None:
    async with collider.database.transaction() as tx:
        await record_receipts(tx, [Receipt("org", text.message_id, 1, state, None, None, None)])
    await collider.collect()


async def test_unclear_texts_are_settled_one_by_one(collider: Engine) -> None:
    texts = await lost(collider, 4)
    await settle(
        collider,
        settled("sent", collider.now, texts[0]),
        settled("failed", collider.now, *texts[1:3]),
        settled("failed", collider.now, texts[3], campaign_id="another"),
    )
    assert await collider.statuses() == {"sent": 1, "failed": 2, "unclear": 1}
    assert [event.message_id for event in collider.told(MessageSent)] == [texts[0].message_id]
    reasons = {event.message_id: event.reason for event in collider.told(MessageFailed)}
    assert reasons == {one.message_id: "settled by hand as not sent" for one in texts[1:3]}


async def test_all_unclear_texts_of_a_campaign_are_settled_in_bounded_batches(
    collider: Engine,
) -> None:
    await lost(collider, 2500)
    assert await settle(collider, settled("failed", collider.now)) == 4
    assert await collider.statuses() == {"failed": 2500}
    assert len(collider.told(MessageFailed)) == 2500
    assert await settle(collider) == 0


async def test_what_becomes_unclear_after_the_admins_word_is_not_meant_by_it(
    collider: Engine,
) -> None:
    await lost(collider, 2)
    before = collider.now - timedelta(seconds=30)
    await settle(collider, settled("sent", before))
    assert await collider.statuses() == {"unclear": 2}
    await settle(collider, settled("sent", collider.now))
    assert await collider.statuses() == {"sent": 2}


async def test_only_what_is_unclear_is_settled(collider: Engine) -> None:
    texts = await lost(collider, 2)
    await receive(collider, texts[0], "delivered")
    for _ in range(2):
        await settle(collider, settled("failed", collider.now, *texts))
    assert await collider.statuses() == {"delivered": 1, "failed": 1}
    assert len(collider.told(MessageFailed)) == 1


async def test_a_receipt_moves_on_what_was_settled_by_hand(collider: Engine) -> None:
    texts = await lost(collider, 3)
    await settle(
        collider,
        settled("sent", collider.now, texts[0]),
        settled("failed", collider.now, texts[1], texts[2]),
    )
    for text in texts[:2]:
        await receive(collider, text, "delivered")
    await receive(collider, texts[2], "failed")
    assert await collider.statuses() == {"delivered": 2, "failed": 1}
    assert len(collider.told(MessageDelivered)) == len(collider.told(MessageSent)) == 2
    assert len(collider.told(MessageFailed)) == 2


async def test_a_late_answer_overrules_a_hand_that_said_not_sent(collider: Engine) -> None:
    [text] = await lost(collider, 1)
    await settle(collider, settled("failed", collider.now))
    outbound = Outbound(
        "org", text.message_id, 1, "att", "sms", "initial", NUMBER, text.to, text.text, (), None,
        EVENING,
    )  # fmt: skip
    for outcome in (Outcome("not taken"), Outcome("rejected"), Outcome("accepted", "its id")):
        async with collider.database.transaction() as tx:
            await record_outcomes(tx, "telnyx", [(outbound, outcome)])
    await collider.collect()
    assert await collider.statuses() == {"sent": 1}
    assert len(collider.told(MessageFailed)) == len(collider.told(MessageSent)) == 1


async def test_nothing_is_given_up_just_after_the_server_came_up(collider: Engine) -> None:
    async with collider.database.connection() as connection:
        came_up_at = await connection.fetchval("SELECT pg_postmaster_start_time()")
    await collider.launch(
        opens_at=came_up_at - timedelta(days=1), closes_at=came_up_at + timedelta(days=1)
    )
    collider.clock.at = came_up_at - timedelta(seconds=60)
    await collider.hear(*collider.texts("att", 1))
    async with collider.database.connection() as connection:
        await connection.execute(
            "UPDATE messages SET status = 'calling', attempt = 1, lease_until = $1",
            came_up_at - timedelta(seconds=30),
        )
    # It was away for longer than the lease; the replica that called is about to write its answer.
    collider.clock.at = came_up_at + timedelta(seconds=9)
    await collider.keep_up()
    assert await collider.statuses() == {"calling": 1}
    collider.clock.at = came_up_at + timedelta(seconds=11)
    await collider.keep_up()
    await collider.collect()
    assert await collider.statuses() == {"unclear": 1}
    assert len(collider.told(MessageUnclear)) == 1
