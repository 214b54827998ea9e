"""A message's life in the collider, in virtual time: order, windows, receipts, crashes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

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
    WindowChanged,
    WindowClosed,
)
from shared.ids import new_id
from tests.engine import NUMBER, Engine, engine, phone

MORNING = datetime(2026, 10, 20, 9, 0, tzinfo=ZoneInfo("America/Los_Angeles"))
EVENING = MORNING + timedelta(hours=12)


@pytest.fixture
async def collider(database_url: str) -> AsyncIterator[Engine]:
    async with engine(database_url, MORNING) as one:
        await one.limit("att")
        yield one


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
    return Receipt(new_id(), "org", message_id, attempt, state, code, None, "provider-1")


async def receive(collider: Engine, *receipts: Receipt) -> None:
    async with collider.database.transaction() as tx:
        await record_receipts(tx, receipts)


async def settle(collider: Engine, *, seconds: float = 1) -> None:
    await collider.run(seconds)


def window_changed(closes_at: datetime, revision: int) -> WindowChanged:
    return WindowChanged.model_validate(
        {
            "org_id": "org", "campaign_id": "campaign", "revision": revision,
            "window": {"opens_at": MORNING, "closes_at": closes_at},
            "hours": {"opens": "9:00", "closes": "21:00", "time_zone": "America/Los_Angeles"},
        }
    )  # fmt: skip


# --- order and hours -------------------------------------------------------------------------


async def test_a_reply_overtakes_the_initials_that_wait(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=60)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 50))
    await settle(collider, seconds=5)
    [reply] = collider.texts("att", 1, kind="reply")
    await collider.hear(reply)
    await settle(collider, seconds=2)
    sent = [event.message_id for event in collider.told(MessageSent)]
    assert reply.message_id in sent
    assert len(sent) < 12


async def test_the_campaign_whose_time_runs_out_first_goes_first(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=60)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.launch(
        opens_at=MORNING,
        closes_at=MORNING + timedelta(minutes=11),
        campaign_id="urgent",
        number="+12125550101",
    )
    await collider.hear(*collider.texts("att", 300))
    await collider.hear(*collider.texts("att", 500, campaign_id="urgent"))
    await settle(collider, seconds=14 * 60)
    assert not collider.told(MessageFailed)
    assert await collider.statuses() == {"delivered": 800}


async def test_what_is_queued_while_closed_goes_at_the_next_opening(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING - timedelta(days=1), closes_at=EVENING)
    collider.clock.at = MORNING - timedelta(hours=2)
    await collider.hear(*collider.texts("att", 3))
    await collider.run(2 * 3600 - 10, every_s=60)
    assert not collider.told(MessageSent)
    await collider.run(12)
    assert len(collider.told(MessageSent)) == 3
    assert min(event.at for event in collider.told(MessageSent)) >= MORNING


async def test_a_window_that_is_moved_into_the_past_ends_at_once(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=60)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 50))
    await settle(collider, seconds=3)
    sent = len(collider.told(MessageSent))
    await collider.hear(window_changed(MORNING + timedelta(seconds=1), revision=2))
    await settle(collider)
    assert len(collider.told(MessageSent)) == sent
    assert len(collider.told(MessageFailed)) == 50 - sent


async def test_an_older_edit_that_comes_late_changes_nothing(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(window_changed(EVENING, revision=3))
    await collider.hear(window_changed(MORNING + timedelta(seconds=1), revision=2))
    await settle(collider, seconds=2)
    await collider.hear(*collider.texts("att", 1))
    await settle(collider)
    assert len(collider.told(MessageSent)) == 1


async def test_what_failed_at_the_end_stays_failed_and_what_comes_after_an_extension_goes(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=MORNING + timedelta(seconds=5))
    await collider.limit("att", version=2, sms_per_minute=0)
    await collider.hear(*collider.texts("att", 3))
    await settle(collider, seconds=8)
    assert len(collider.told(MessageFailed)) == 3
    await collider.hear(*collider.texts("att", 1))
    assert len(collider.told(MessageFailed)) == 3
    await settle(collider)
    # Queued after the end and before the extension: the window was over for it too.
    assert len(collider.told(MessageFailed)) == 4

    await collider.limit("att", version=3)
    await collider.hear(window_changed(EVENING, revision=2))
    await collider.hear(*collider.texts("att", 2))
    await settle(collider, seconds=2)
    assert await collider.statuses() == {"sending failed": 4, "delivered": 2}


async def test_a_window_closed_by_anothers_word_is_closed(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(
        WindowClosed(org_id="org", campaign_id="campaign", closed_at=collider.now, revision=1)
    )
    await collider.hear(*collider.texts("att", 2))
    await settle(collider)
    assert {event.reason for event in collider.told(MessageFailed)} == {"sending failed"}
    assert not collider.told(MessageSent)


async def test_replies_go_on_after_the_window(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=MORNING + timedelta(seconds=5))
    await settle(collider, seconds=10)
    await collider.hear(*collider.texts("att", 2, kind="reply"))
    await settle(collider)
    assert len(collider.told(MessageSent)) == 2


# --- facts in any order ----------------------------------------------------------------------


async def test_texts_that_come_before_the_launch_wait_for_it(collider: Engine) -> None:
    await collider.hear(*collider.texts("att", 3))
    await settle(collider)
    assert await collider.statuses() == {"unrouted": 3}
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await settle(collider, seconds=2)
    assert await collider.statuses() == {"delivered": 3}


async def test_texts_of_a_campaign_that_nobody_launches_fail_with_that_reason(
    collider: Engine,
) -> None:
    await collider.hear(*collider.texts("att", 2))
    collider.clock.advance(86_401)
    while await collider.upkeep.expire():
        pass
    await settle(collider)
    assert {event.reason for event in collider.told(MessageFailed)} == {
        "its campaign was never launched"
    }


async def test_the_same_id_twice_is_one_text(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1)
    await collider.hear(text, text)
    await collider.hear(text.model_copy(update={"text": "Another word"}))
    await settle(collider)
    assert len(collider.told(MessageSent)) == 1
    assert len(collider.world.judge.page(0, 10)) == 1


# --- receipts --------------------------------------------------------------------------------


async def test_receipts_twice_and_in_any_order_come_out_the_same(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1)
    await collider.hear(text)
    await collider.send()
    for state in ("delivered", "sent", "delivered", "failed", "sent"):
        await receive(collider, said(state, text.message_id))
    await settle(collider)
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
    await settle(collider, seconds=2)
    assert await collider.statuses() == {"delivered": 2}


async def test_a_text_taken_for_spam_fails_with_its_code_and_plain_words(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1)
    await collider.hear(text)
    await collider.send()
    await receive(collider, said("failed", text.message_id, code="40002"))
    await settle(collider)
    [failed] = collider.told(MessageFailed)
    assert (failed.code, failed.reason) == ("40002", "blocked as spam by the carrier")


# --- STOP ------------------------------------------------------------------------------------


async def test_stop_withdraws_what_waits_and_refuses_what_comes(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 1))
    await settle(collider)
    await collider.limit("att", version=2, sms_per_minute=0)
    await collider.hear(*collider.texts("att", 2))
    stop = Inbound("text-1", phone("att", 0), NUMBER, " Stop. ")
    for _ in range(2):
        async with collider.database.transaction() as tx:
            await record_inbound(tx, [stop])
    await settle(collider)
    assert len(collider.told(MessageReceived)) == 1
    assert [event.phone for event in collider.told(ContactOptedOut)] == [phone("att", 0)]
    await collider.limit("att", version=3)
    await collider.hear(*collider.texts("att", 1, kind="reply"))
    await settle(collider, seconds=2)
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
    await settle(collider)
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
        "org", text.message_id, 1, "att", "sms", "initial", NUMBER, text.to, text.text, (), None
    )
    async with collider.database.transaction() as tx:
        await record_outcomes(tx, "telnyx", [(zombie, Outcome("not taken"))])
    await settle(collider, seconds=2)
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
