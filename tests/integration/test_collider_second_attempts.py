"""Texts that were put back: their second attempt is as good as a first, and an end still finds
them."""

from datetime import datetime, timedelta
from typing import Literal

from services.collider.domain import WITHDRAWN, Receipt
from services.collider.outcomes import record_receipts
from shared.events import MessageFailed, MessageQueued, QueueWithdrawn
from tests.engine import EVENING, MORNING, Engine
from tests.replicas import Fate

EXPIRED, DAY_FULL = "40014", "40016"
State = Literal["sent", "delivered", "failed"]


async def receipt(
    collider: Engine, text: MessageQueued, attempt: int, state: State, code: str | None = None
) -> None:
    """The provider says so of this attempt, under the id that it gave to it."""
    said = Receipt("org", text.message_id, attempt, state, code, None, f"its id {attempt}")
    async with collider.database.transaction() as tx:
        await record_receipts(tx, [said])


async def try_twice(collider: Engine, second: Fate) -> MessageQueued:
    """A text that expired at the provider and was called again; what comes of the second call."""
    await collider.limit("tmobile", segments_per_day=1000)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("tmobile", 1)
    await collider.hear(text)
    collider.replicas[0].line.fates.extend(["lost", second])
    await collider.send()
    await receipt(collider, text, 1, "sent")
    await receipt(collider, text, 1, "failed", EXPIRED)
    assert await collider.statuses() == {"queued": 1}
    collider.clock.advance(61)
    await collider.send()
    assert await attempts(collider) == 2
    return text


async def attempts(collider: Engine) -> int:
    async with collider.database.connection() as connection:
        attempt = await connection.fetchval("SELECT attempt FROM messages")
    assert isinstance(attempt, int)
    return attempt


async def test_a_second_attempt_that_the_day_had_no_room_for_is_put_back_before_its_answer(
    collider: Engine,
) -> None:
    text = await try_twice(collider, "hangs")
    await receipt(collider, text, 2, "failed", DAY_FULL)
    collider.replicas[0].line.let_go()
    await collider.replicas[0].dispatch()
    assert await collider.statuses() == {"queued": 1}
    async with collider.database.connection() as connection:
        full = await connection.fetchval(
            "SELECT count(*) FROM day_quotas WHERE use_case_id = '' AND full_at IS NOT NULL"
        )
    assert full == 1


async def test_a_second_attempt_whose_answer_was_lost_is_settled_by_its_receipt(
    collider: Engine,
) -> None:
    text = await try_twice(collider, "lost")
    assert await collider.statuses() == {"unclear": 1}
    await receipt(collider, text, 2, "delivered")
    assert await collider.statuses() == {"delivered": 1}


async def test_a_receipt_of_the_first_attempt_says_nothing_of_the_second(collider: Engine) -> None:
    text = await try_twice(collider, "lost")
    await receipt(collider, text, 1, "delivered")
    assert await collider.statuses() == {"unclear": 1}


# --- put back into a campaign that is over, or was emptied -------------------------------------


async def under_way(collider: Engine, *, closes_at: datetime) -> None:
    """A text whose call never leaves, which nobody knows yet."""
    await collider.limit("verizon")
    await collider.launch(opens_at=MORNING, closes_at=closes_at)
    await collider.hear(*collider.texts("verizon", 1))
    await not_leaving(collider)


async def not_leaving(collider: Engine) -> None:
    collider.replicas[0].line.fates.append("unconnected")
    await collider.send()
    assert (await collider.statuses()).get("calling") == 1


async def come_back(collider: Engine) -> None:
    """Now it is known, and the text is put back."""
    collider.replicas[0].line.let_go()
    await collider.replicas[0].dispatch()
    assert (await collider.statuses()).get("queued") == 1


async def withdraw(collider: Engine) -> None:
    await collider.hear(
        QueueWithdrawn(org_id="org", campaign_id="campaign", withdrawn_at=collider.now)
    )


async def sweep(collider: Engine) -> None:
    while await collider.upkeep.close():
        pass


async def sweep_is_due(collider: Engine) -> bool:
    """Whether the next sweep looks through the campaign."""
    async with collider.database.connection() as connection:
        due = await connection.fetchval(
            """
            SELECT close_due_at <= $1 FROM campaigns
            UNION ALL SELECT true FROM rearms ORDER BY 1 DESC LIMIT 1
            """,
            collider.now,
        )
    return due is True


async def test_a_text_that_is_put_back_after_it_was_withdrawn_is_ended(collider: Engine) -> None:
    await under_way(collider, closes_at=EVENING)
    collider.clock.advance(1)
    await withdraw(collider)
    await sweep(collider)
    assert not await sweep_is_due(collider)
    await come_back(collider)
    await sweep(collider)
    await collider.collect()
    assert await collider.statuses() == {"failed": 1}
    assert [event.reason for event in collider.told(MessageFailed)] == [WITHDRAWN]
    assert not await sweep_is_due(collider)


async def test_a_text_that_was_queued_after_a_withdrawal_has_nothing_swept_when_put_back(
    collider: Engine,
) -> None:
    await collider.limit("verizon")
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await withdraw(collider)
    await sweep(collider)
    collider.clock.advance(1)
    await collider.hear(*collider.texts("verizon", 1))
    await not_leaving(collider)
    await come_back(collider)
    assert not await sweep_is_due(collider)
    await collider.run(10)
    assert await collider.statuses() == {"delivered": 1}


async def test_a_text_that_is_put_back_after_the_window_s_end_is_ended(collider: Engine) -> None:
    await under_way(collider, closes_at=MORNING + timedelta(minutes=1))
    collider.clock.advance(61)
    await sweep(collider)
    assert not await sweep_is_due(collider)
    await come_back(collider)
    await sweep(collider)
    assert await collider.statuses() == {"sending failed": 1}
    assert not await sweep_is_due(collider)
