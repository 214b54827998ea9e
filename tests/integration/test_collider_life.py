"""What becomes of texts that were handed over, in virtual time: receipts, STOP, crashes."""

import asyncio
from datetime import UTC, timedelta

from services.collider.dispatch import Dispatcher
from services.collider.domain import ANSWER_LOST, Inbound, Outbound, Outcome, Receipt, ReceiptState
from services.collider.inbound import record_inbound
from services.collider.outcomes import record_outcomes, record_receipts
from services.collider.worker import Claimer
from shared.events import (
    CarrierAnswered,
    ContactOptedOut,
    MessageDelivered,
    MessageFailed,
    MessageReceived,
    MessageSent,
    MessageUnclear,
)
from tests.engine import EVENING, MORNING, NUMBER, Engine, phone


class Mute:
    """A provider whose answer never comes."""

    name = "telnyx"

    async def send(self, text: Outbound) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError


def replica(collider: Engine) -> tuple[Claimer, Dispatcher]:
    """Another replica, on the same database, that never hears an answer."""
    dispatcher = Dispatcher(collider.database, Mute(), calls_most=100, timeout_s=10)
    return Claimer(collider.database, dispatcher), dispatcher


def said(
    state: ReceiptState, message_id: str, *, attempt: int = 1, code: str | None = None
) -> Receipt:
    return Receipt("org", message_id, 1, state, code, None, None)


async def receive(collider: Engine, *receipts: Receipt) -> None:
    async with collider.database.transaction() as tx:
        await record_receipts(tx, receipts)


# --- receipts --------------------------------------------------------------------------------


async def test_receipts_twice_and_in_any_order_come_out_the_same(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1)
    await collider.hear(text)
    await collider.send()
    for state in ("delivered", "sent", "delivered", "failed", "sent"):
        await receive(collider, said(state, text.message_id))
    await collider.run(1)
    assert await collider.statuses() == {"delivered": 1}
    assert len(collider.told(MessageSent)) == len(collider.told(MessageDelivered)) == 1


async def test_a_receipt_that_is_quicker_than_the_answer_settles_the_message(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1)
    await collider.hear(text)
    claimer, dispatcher = replica(collider)
    await claimer.step()
    await dispatcher.step()
    await receive(collider, said("delivered", text.message_id))
    await collider.run(20)
    assert await collider.statuses() == {"delivered": 1}
    assert len(collider.told(MessageSent)) == 1
    assert not collider.told(MessageUnclear)


async def test_too_fast_puts_the_text_back_and_rests_the_bucket(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1)
    await collider.hear(text)
    await collider.send()
    await receive(collider, said("failed", text.message_id, code="40018"))
    await collider.run(55)
    assert await collider.statuses() == {"queued": 1}
    await collider.run(10)
    assert await collider.statuses() == {"delivered": 1}
    assert [entry.attempt for entry in collider.world.judge.page(0, 10)] == ["1", "2"]


async def test_a_daily_cap_receipt_closes_the_day_of_its_attempt(collider: Engine) -> None:
    await collider.limit("tmobile", segments_per_day=1000)
    await collider.launch(opens_at=MORNING, closes_at=EVENING + timedelta(days=1))
    texts = collider.texts("tmobile", 2)
    await collider.hear(texts[0])
    await collider.send()
    await receive(collider, said("failed", texts[0].message_id, code="40016"))
    await collider.hear(texts[1])
    await collider.run(600, every_s=10)
    assert await collider.statuses() == {"queued": 2}
    await collider.run(24 * 3600, every_s=300)
    assert await collider.statuses() == {"delivered": 2}


async def test_a_carrier_that_does_not_know_the_number_holds_the_campaign_until_it_does(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    texts = collider.texts("att", 2)
    await collider.hear(texts[0])
    await collider.send()
    await receive(collider, said("failed", texts[0].message_id, code="40019"))
    await collider.hear(texts[1])
    await collider.run(300, every_s=5)
    assert await collider.statuses() == {"queued": 2}
    await collider.hear(
        CarrierAnswered(
            org_id="org", campaign_id="campaign", number=NUMBER, carrier="att",
            answer="confirmed", answered_at=collider.now,
        )
    )  # fmt: skip
    await collider.run(2)
    assert await collider.statuses() == {"delivered": 2}


async def test_a_text_taken_for_spam_fails_with_its_code_and_plain_words(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1)
    await collider.hear(text)
    await collider.send()
    await receive(collider, said("failed", text.message_id, code="40002"))
    await collider.run(1)
    [failed] = collider.told(MessageFailed)
    assert (failed.code, failed.reason) == ("40002", "blocked as spam by the carrier")


# --- STOP ------------------------------------------------------------------------------------


async def test_stop_withdraws_what_waits_and_refuses_what_comes(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 1))
    await collider.run(1)
    await collider.limit("att", version=2, sms_per_minute=0)
    await collider.hear(*collider.texts("att", 2))
    stop = Inbound("text-1", phone("att", 0), NUMBER, " Stop. ")
    for _ in range(2):
        async with collider.database.transaction() as tx:
            await record_inbound(tx, [stop])
    await collider.run(1)
    assert len(collider.told(MessageReceived)) == 1
    assert [event.phone for event in collider.told(ContactOptedOut)] == [phone("att", 0)]
    await collider.limit("att", version=3)
    await collider.hear(*collider.texts("att", 1, kind="reply"))
    await collider.run(2)
    reasons = [event.reason for event in collider.told(MessageFailed)]
    assert reasons == ["the contact has opted out"] * 2
    assert len(collider.told(MessageSent)) == 2  # the first one, and the one to the other contact


# --- crashes ---------------------------------------------------------------------------------


async def test_what_a_dead_replica_had_only_claimed_goes_by_another(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.limit("tmobile", segments_per_day=1)
    await collider.hear(*collider.texts("tmobile", 1))
    claimer, _ = replica(collider)
    await claimer.step()
    assert await collider.statuses() == {"claimed": 1}
    await collider.run(4)
    assert await collider.statuses() == {"claimed": 1}
    await collider.run(4)
    # Its segment was given back to the day, so that the day's last one could go.
    assert await collider.statuses() == {"delivered": 1}


async def test_what_a_dead_replica_was_calling_is_unclear_and_never_called_again(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1)
    await collider.hear(text)
    claimer, dispatcher = replica(collider)
    await claimer.step()
    await dispatcher.step()
    await collider.run(3600, every_s=10)
    assert await collider.statuses() == {"unclear": 1}
    [unclear] = collider.told(MessageUnclear)
    assert unclear.reason == ANSWER_LOST
    assert not collider.world.judge.page(0, 10)
    # Until its receipt says what became of it.
    await receive(collider, said("delivered", text.message_id))
    await collider.run(1)
    assert await collider.statuses() == {"delivered": 1}


async def test_a_zombies_late_result_is_fenced_off(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1)
    await collider.hear(text)
    claimer, dispatcher = replica(collider)
    await claimer.step()
    await collider.run(8)
    assert await collider.statuses() == {"delivered": 1}
    # It wakes up with its claim of attempt 1 in its hands; attempt 2 has been delivered.
    await dispatcher.step()
    assert not dispatcher.busy
    zombie = Outbound(
        "org", text.message_id, 1, "att", "sms", "initial", NUMBER, text.to, text.text, (), None,
        EVENING,
    )  # fmt: skip
    async with collider.database.transaction() as tx:
        await record_outcomes(tx, "telnyx", [(zombie, Outcome("not taken"))])
    await collider.run(2)
    assert await collider.statuses() == {"delivered": 1}
    assert len(collider.world.judge.page(0, 10)) == 1


async def test_an_account_that_is_too_fast_rests_and_no_text_is_lost(collider: Engine) -> None:
    collider.world.behave(collider.world.behaviour.model_copy(update={"account_sends_per_s": 5}))
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 20))
    await collider.run(20)
    assert await collider.statuses() == {"delivered": 20}
    assert collider.world.judge.verdict()["ok"]
    assert collider.now.astimezone(UTC) < EVENING
