"""Carriers that receipts name otherwise than an event, or a look-up, did; in virtual time."""

import asyncio
import json

import pytest

from services.collider.carriers import LookUp
from services.collider.providers import telnyx
from services.collider.recipients import correct
from services.sandbox.messages import CARRIER_NAMES
from shared.events import (
    MessageDelivered,
)
from tests.engine import EVENING, MORNING, Engine, phone
from tests.look_up_story import NEW, Story


@pytest.fixture
async def launched(collider: Engine) -> Story:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    return Story(collider)


async def test_a_receipt_corrects_the_carrier_that_an_old_list_told(launched: Story) -> None:
    launched.collider.world.phones.port(NEW, "verizon")
    for _ in range(3):
        await launched.queue(NEW, carrier="tmobile")
        await launched.run(2)
    assert launched.sent_by() == ["tmobile", "verizon", "verizon"]
    assert await launched.rows("SELECT phone, carrier, source FROM recipients") == [
        (NEW, "verizon", "receipt")
    ]
    # It is ported again: the same word of the list is right by now, and the receipt says so.
    launched.collider.world.phones.port(NEW, "tmobile")
    for _ in range(2):
        await launched.queue(NEW, carrier="tmobile")
        await launched.run(2)
    assert launched.sent_by()[3:] == ["verizon", "tmobile"]
    assert not launched.directory.asked


async def test_a_receipt_corrects_a_look_up_and_no_look_up_a_receipt(launched: Story) -> None:
    async def wrong(phone: str) -> LookUp:
        return launched.directory.named("AT&T")

    launched.directory.answer = wrong
    await launched.queue(NEW)
    await launched.run(2)
    await launched.queue(NEW)
    await launched.run(2)
    assert launched.sent_by() == ["att", "tmobile"]
    # Older than any look-up counts; the clocks have gone back by an hour meanwhile.
    launched.collider.clock.advance(40 * 86_400 + 3600)
    await launched.queue(NEW, kind="reply")
    await launched.queue(NEW, kind="reply", carrier="verizon")
    await launched.run(2)
    assert launched.sent_by()[2:] == ["tmobile", "tmobile"]
    assert len(launched.directory.asked) == 1


async def test_a_receipt_that_comes_while_a_look_up_is_under_way_counts_more(
    launched: Story,
) -> None:
    told = asyncio.Event()

    async def wrong_and_late(_: str) -> LookUp:
        await told.wait()
        return launched.directory.named("AT&T")

    launched.directory.answer = wrong_and_late
    await launched.queue(NEW)
    await launched.run(1)
    await launched.queue(NEW, carrier="verizon")
    await launched.run(2)
    told.set()
    await launched.run(2)
    assert launched.sent_by() == ["verizon", "tmobile"]
    assert await launched.rows("SELECT carrier, source FROM recipients") == [("tmobile", "receipt")]


async def test_what_went_by_other_for_want_of_a_look_up_is_corrected_by_its_receipt(
    launched: Story,
) -> None:
    async def fails(phone: str) -> LookUp:
        return telnyx.looked_up(500, {}, b"")

    launched.directory.answer = fails
    await launched.queue(NEW)
    await launched.run(110, every_s=1)
    await launched.queue(NEW)
    await launched.run(2)
    assert launched.sent_by() == ["other", "tmobile"]


async def test_a_receipt_that_agrees_writes_nothing(launched: Story) -> None:
    await launched.queue(phone("att", 1), phone("att", 2), carrier="att")
    await launched.run(2)
    assert len(launched.collider.told(MessageDelivered)) == 2
    assert await launched.rows("SELECT * FROM recipients") == []


@pytest.mark.parametrize("name", ["ONVOY, LLC", ""])
async def test_a_name_that_says_nothing_corrects_nothing(
    launched: Story, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(CARRIER_NAMES, "tmobile", name)
    await launched.queue(NEW, carrier="att")
    await launched.run(2)
    await launched.queue(NEW, carrier="att")
    await launched.run(2)
    assert launched.sent_by() == ["att", "att"]


async def test_a_receipt_of_another_message_corrects_nothing(launched: Story) -> None:
    [text] = launched.collider.texts("att", 1)
    await launched.collider.hear(text)
    await launched.run(2)
    payload = {
        "id": "another", "to": [{"status": "delivered", "carrier": "Verizon Wireless"}],
    }  # fmt: skip
    body = json.dumps({"data": {"payload": payload}}).encode()
    receipt = telnyx.read_receipt(body, "org", text.message_id, 1)
    assert receipt is not None
    assert receipt.carrier == "verizon"
    async with launched.collider.database.transaction() as tx:
        await correct(tx, [receipt])
    assert await launched.rows("SELECT * FROM recipients") == []
