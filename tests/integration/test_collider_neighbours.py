"""What one campaign, organization or answer does must not be felt by another; in virtual time."""

from datetime import timedelta

import pytest

from services.collider.domain import Receipt
from services.collider.handlers import queue_messages
from services.collider.outcomes import record_receipts
from services.collider.providers import telnyx
from services.sandbox.behaviour import Fault
from shared.events import (
    CarrierAnswered,
    MessageFailed,
    MessageSent,
    WindowChanged,
    WindowClosed,
)
from tests.engine import EVENING, MORNING, NUMBER, Engine


async def failed_receipt(collider: Engine, message_id: str, code: str) -> None:
    async with collider.database.transaction() as tx:
        receipt = Receipt("org", message_id, 1, "failed", code, None, None)
        await record_receipts(tx, [receipt])


async def test_a_text_put_back_after_an_extension_fails_nobody(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=MORNING + timedelta(minutes=5))
    await collider.run(360, every_s=5)
    closed_at = MORNING + timedelta(minutes=5)
    await collider.hear(
        WindowClosed(org_id="org", campaign_id="campaign", closed_at=closed_at, revision=1)
    )
    await collider.hear(
        WindowChanged.model_validate(
            {
                "org_id": "org", "campaign_id": "campaign", "revision": 2,
                "window": {"opens_at": MORNING, "closes_at": EVENING},
                "hours": {"opens": "9:00", "closes": "21:00", "time_zone": "America/Los_Angeles"},
            }
        )
    )  # fmt: skip
    await collider.limit("att", version=2, sms_per_minute=60)
    texts = collider.texts("att", 100)
    await collider.hear(*texts)
    await collider.run(3)
    sent = collider.told(MessageSent)[0].message_id
    await failed_receipt(collider, sent, "40014")
    await collider.run(180, every_s=1)
    assert not collider.told(MessageFailed)
    assert await collider.statuses() == {"delivered": 100}


async def test_a_receipt_that_comes_after_the_confirmation_holds_but_for_a_moment(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text, later] = collider.texts("att", 2)
    await collider.hear(text)
    await collider.send()
    await collider.hear(
        CarrierAnswered(
            org_id="org", campaign_id="campaign", number=NUMBER, carrier="att",
            answer="confirmed", answered_at=collider.now,
        )
    )  # fmt: skip
    await failed_receipt(collider, text.message_id, "40019")
    await collider.hear(later)
    await collider.run(30)
    assert await collider.statuses() == {"queued": 2}
    await collider.run(40)
    assert await collider.statuses() == {"delivered": 2}


async def test_a_carrier_that_never_confirms_is_asked_again_after_a_moment(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("other", 1)
    await collider.hear(text)
    await collider.send()
    await failed_receipt(collider, text.message_id, "40010")
    await collider.run(70)
    assert await collider.statuses() == {"delivered": 1}


async def test_a_hold_holds_for_lanes_that_are_made_after_it(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1)
    await collider.hear(text)
    await collider.send()
    await failed_receipt(collider, text.message_id, "40019")
    await collider.hear(*collider.texts("att", 1, kind="reply"))
    await collider.run(300, every_s=5)
    assert await collider.statuses() == {"queued": 2}


async def test_a_daily_cap_receipt_rests_the_day_even_where_nobody_told_a_cap(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text, later] = collider.texts("att", 2)
    await collider.hear(text)
    await collider.send()
    await failed_receipt(collider, text.message_id, "40016")
    await collider.hear(later)
    await collider.run(120, every_s=1)
    assert await collider.statuses() == {"queued": 2}
    assert len(collider.world.judge.page(0, 10)) == 1


async def test_one_campaigns_refused_texts_do_not_pause_the_account() -> None:
    for status, code in ((400, "40010"), (400, "40016"), (403, "10038"), (400, "40300")):
        body = f'{{"errors": [{{"code": "{code}", "title": "no"}}]}}'.encode()
        assert telnyx.outcome(status, {}, body).pause_s == 0


async def test_an_answer_that_is_not_the_providers_fails_no_text() -> None:
    for status in (301, 404, 405, 422):
        outcome = telnyx.outcome(status, {}, b"<html>")
        assert outcome.verdict == "not taken"
        assert outcome.pause_s > 0


@pytest.mark.parametrize("asked", ["nan", "inf", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_a_senseless_retry_after_is_a_short_pause(asked: str) -> None:
    outcome = telnyx.outcome(429, {"Retry-After": asked}, b"")
    assert outcome.verdict == "not taken"
    assert 0 < outcome.pause_s <= 60


async def test_an_answer_with_nul_in_it_is_recorded(collider: Engine) -> None:
    body = b'{"errors": [{"code": "4\\u0000", "title": "no\\u0000\\ud800"}]}'
    outcome = telnyx.outcome(400, {}, body)
    assert (outcome.code, outcome.reason) == ("4", "no?")


async def test_a_window_moved_far_into_the_past_leaves_nothing_queued(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=60)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 1))
    await collider.run(1800, every_s=60)
    # A transaction that began before the edit, and commits after it.
    async with collider.database.transaction() as slow:
        await queue_messages(slow, collider.texts("att", 3))
        await collider.hear(
            WindowClosed(org_id="org", campaign_id="campaign", closed_at=MORNING, revision=1)
        )
        await collider.run(5)
    await collider.run(30)
    assert await collider.statuses() == {"delivered": 1, "sending failed": 3}


async def test_a_fault_of_the_provider_is_felt_by_its_own_text_only(collider: Engine) -> None:
    collider.world.behave(
        collider.world.behaviour.model_copy(
            update={"answers": (Fault(call="send", kind="http", status=500, times=1),)}
        )
    )
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 20))
    await collider.run(5)
    statuses = await collider.statuses()
    assert statuses["delivered"] >= 19


async def test_a_number_that_is_not_ready_at_the_provider_costs_no_text(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    answer = b'{"errors": [{"code": "40305", "title": "Invalid from address"}]}'
    assert telnyx.outcome(400, {}, answer).verdict == "not taken"
    [text] = collider.texts("att", 1)
    await collider.hear(text)
    await collider.send()
    await failed_receipt(collider, text.message_id, "40305")
    await collider.run(30)
    assert await collider.statuses() == {"queued": 1}
    await collider.run(40)
    assert await collider.statuses() == {"delivered": 1}
