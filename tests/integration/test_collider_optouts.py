"""STOP, START and what others tell of a contact's will: the later word counts, in virtual time."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from services.collider.domain import Inbound, Receipt
from services.collider.inbound import record_inbound
from services.collider.outcomes import record_receipts
from services.collider.providers import telnyx
from shared.events import ContactOptedIn, ContactOptedOut, MessageFailed, MessageReceived
from tests.engine import EVENING, MORNING, NUMBER, Engine, phone

CONTACT = phone("att", 0)


async def texts_us(
    collider: Engine, text: str, said_at: datetime | None = None, *, event_id: str | None = None
) -> None:
    """The contact's text arrives now, though the provider may have had it for a while."""
    name = event_id or f"{text} {said_at or collider.now}"
    async with collider.database.transaction() as tx:
        await record_inbound(tx, [Inbound(name, CONTACT, NUMBER, text, said_at)])


def opted_out(at: datetime) -> ContactOptedOut:
    return ContactOptedOut(org_id="org", phone=CONTACT, opted_out_at=at)


def opted_in(at: datetime) -> ContactOptedIn:
    return ContactOptedIn(org_id="org", phone=CONTACT, opted_in_at=at)


async def is_welcome(collider: Engine) -> bool:
    """Whether a text to the contact goes out now."""
    before = await collider.statuses()
    await collider.hear(*collider.texts("att", 1, kind="reply"))
    await collider.run(2)
    after = await collider.statuses()
    gone = {name: after[name] - before.get(name, 0) for name in after}
    return {name: count for name, count in gone.items() if count} == {"delivered": 1}


async def launched(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 1))
    await collider.run(2)


@pytest.mark.parametrize("word", ["START", " unstop. ", "Start"])
async def test_start_lifts_an_opt_out_and_is_told_once(collider: Engine, word: str) -> None:
    await launched(collider)
    await texts_us(collider, "STOP")
    assert not await is_welcome(collider)
    for _ in range(2):
        await texts_us(collider, word, event_id="the same text")
    assert await is_welcome(collider)
    await texts_us(collider, word)
    assert len(collider.told(ContactOptedOut)) == len(collider.told(ContactOptedIn)) == 1
    assert len(collider.told(MessageReceived)) == 2
    await collider.run(1)
    assert len(collider.told(MessageReceived)) == 3


@pytest.mark.parametrize("words", ["Yes", "Start when?", "please restart", "start over"])
async def test_only_start_alone_lifts_an_opt_out(collider: Engine, words: str) -> None:
    await launched(collider)
    await texts_us(collider, "STOP")
    await collider.run(1)
    await texts_us(collider, words)
    assert not await is_welcome(collider)
    assert not collider.told(ContactOptedIn)


async def test_what_was_withdrawn_by_a_stop_stays_so_after_start(collider: Engine) -> None:
    await launched(collider)
    await collider.limit("att", version=2, sms_per_minute=0)
    await collider.hear(*collider.texts("att", 1))
    await texts_us(collider, "STOP")
    await collider.run(1)
    await texts_us(collider, "START")
    await collider.limit("att", version=3)
    await collider.run(5)
    assert await collider.statuses() == {"delivered": 1, "failed": 1}
    [failed] = collider.told(MessageFailed)
    assert failed.reason == "the contact has opted out"


async def test_who_opts_in_and_out_again_is_opted_out(collider: Engine) -> None:
    await launched(collider)
    for word in ("STOP", "START", "STOP"):
        await texts_us(collider, word)
        await collider.run(1)
    assert not await is_welcome(collider)
    assert len(collider.told(ContactOptedOut)) == 2
    await texts_us(collider, "START")
    await collider.run(1)
    assert len(collider.told(ContactOptedIn)) == 2


async def test_an_old_opt_out_told_again_after_start_changes_nothing(collider: Engine) -> None:
    await launched(collider)
    old = opted_out(collider.now)
    await collider.hear(old)
    await collider.run(60, every_s=5)
    await texts_us(collider, "START")
    await collider.limit("att", version=2, sms_per_minute=0)
    await collider.hear(*collider.texts("att", 1))
    await collider.run(60, every_s=5)
    await collider.hear(old)
    await collider.limit("att", version=3)
    await collider.run(2)
    assert await collider.statuses() == {"delivered": 2}
    assert await is_welcome(collider)
    assert len(collider.told(ContactOptedIn)) == 1
    assert not collider.told(ContactOptedOut)


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_the_latest_of_three_words_counts_in_whatever_order_they_come(
    collider: Engine, order: Sequence[int]
) -> None:
    await launched(collider)
    first = collider.now
    await collider.run(60, every_s=10)
    words = [opted_out(first), opted_in(first + timedelta(seconds=10))]
    words = [*words, opted_out(first + timedelta(seconds=20))]
    for index in order:
        await collider.hear(words[index])
        await collider.run(1)
    assert not await is_welcome(collider)
    await collider.hear(opted_in(first + timedelta(seconds=30)))
    assert await is_welcome(collider)
    assert not collider.told(ContactOptedOut)


async def test_a_stop_that_the_provider_delivers_after_a_later_start_changes_nothing(
    collider: Engine,
) -> None:
    await launched(collider)
    said_at = collider.now
    await collider.run(60, every_s=10)
    await texts_us(collider, "START", said_at + timedelta(seconds=20))
    await texts_us(collider, "STOP", said_at)
    assert await is_welcome(collider)
    await texts_us(collider, "STOP", said_at + timedelta(seconds=30))
    await texts_us(collider, "START", said_at + timedelta(seconds=20), event_id="again")
    assert not await is_welcome(collider)


async def test_an_old_start_after_a_later_stop_is_not_told(collider: Engine) -> None:
    await launched(collider)
    said_at = collider.now
    await collider.run(60, every_s=10)
    await texts_us(collider, "STOP", said_at + timedelta(seconds=30))
    await texts_us(collider, "START", said_at)
    assert not await is_welcome(collider)
    assert not collider.told(ContactOptedIn)


async def test_start_said_again_outlasts_a_stop_from_in_between_that_comes_late(
    collider: Engine,
) -> None:
    await launched(collider)
    said_at = collider.now
    await collider.run(60, every_s=10)
    await texts_us(collider, "START", said_at)
    await texts_us(collider, "START", said_at + timedelta(seconds=20))
    await texts_us(collider, "STOP", said_at + timedelta(seconds=10))
    assert await is_welcome(collider)
    assert not collider.told(ContactOptedOut)


async def test_a_word_from_the_future_does_not_outlast_the_next_one(collider: Engine) -> None:
    await launched(collider)
    await collider.hear(opted_out(collider.now + timedelta(hours=1)))
    await collider.run(1)
    await texts_us(collider, "START")
    assert await is_welcome(collider)
    await collider.hear(opted_in(collider.now + timedelta(hours=1)))
    await collider.run(1)
    await texts_us(collider, "STOP")
    assert not await is_welcome(collider)


async def test_a_refusal_of_a_text_from_before_start_does_not_opt_the_contact_out(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1)
    await collider.hear(text)
    await collider.send()
    collider.clock.advance(60)
    await texts_us(collider, "START")
    collider.clock.advance(60)
    refused = Receipt("org", text.message_id, 1, "failed", "40300", None, None)
    async with collider.database.transaction() as tx:
        await record_receipts(tx, [refused])
    await collider.run(1)
    assert len(collider.told(MessageFailed)) == 1
    assert not collider.told(ContactOptedOut)
    assert await is_welcome(collider)


@pytest.mark.parametrize(
    ("received_at", "said_at"),
    [
        ("2026-10-20T16:00:00.5Z", datetime(2026, 10, 20, 16, 0, 0, 500_000, UTC)),
        ("2026-10-20T09:00:00-07:00", datetime(2026, 10, 20, 16, tzinfo=UTC)),
        ("2026-10-20T16:00:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("soon", None),
        (5, None),
        (None, None),
    ],
)
def test_a_webhook_says_when_the_provider_had_the_text(
    received_at: object, said_at: datetime | None
) -> None:
    payload = {
        "id": "its id", "text": "STOP", "received_at": received_at,
        "from": {"phone_number": CONTACT}, "to": [{"phone_number": NUMBER}],
    }  # fmt: skip
    body = json.dumps({"data": {"event_type": "message.received", "payload": payload}})
    found = telnyx.read_inbound(body.encode())
    assert found == Inbound("its id", CONTACT, NUMBER, "STOP", said_at)
