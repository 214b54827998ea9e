"""Recipients' carriers, in virtual time: told, looked up, corrected by what receipts say."""

import asyncio
from datetime import datetime
from itertools import pairwise

import pytest

from services.collider.carriers import LookUp, NotLookedUp
from services.collider.handlers import queue_messages
from services.collider.providers import telnyx
from services.collider.recipients import LookUps
from shared.events import (
    CampaignArchived,
    ContactOptedOut,
    MessageFailed,
    QueueWithdrawn,
    WindowClosed,
)
from tests.engine import EVENING, MORNING, Engine, phone
from tests.look_up_story import NEW, Story


@pytest.fixture
async def story(collider: Engine) -> Story:
    return Story(collider)


@pytest.fixture
async def launched(story: Story) -> Story:
    await story.collider.launch(opens_at=MORNING, closes_at=EVENING)
    return story


# --- looked up -------------------------------------------------------------------------------


async def test_a_text_goes_by_the_carrier_that_a_look_up_names(launched: Story) -> None:
    phones = [phone("att", 1), phone("tmobile", 1), phone("verizon", 1), phone("other", 1)]
    await launched.queue(*phones)
    assert await launched.collider.statuses() == {"unrouted": 4}
    await launched.run(2)
    assert sorted(launched.sent_by()) == ["att", "other", "tmobile", "verizon"]
    assert sorted(launched.directory.asked) == sorted(phones)
    assert await launched.in_line() == 0


async def test_a_phone_is_looked_up_once_for_all_its_texts_and_organizations(
    launched: Story,
) -> None:
    await launched.queue(NEW, NEW, NEW)
    await launched.run(2)
    await launched.queue(NEW)
    await launched.queue(NEW, org_id="another")
    await launched.run(1)
    assert launched.directory.asked == [NEW]
    assert launched.sent_by() == ["tmobile"] * 4


async def test_what_was_looked_up_a_month_ago_is_looked_up_again(launched: Story) -> None:
    await launched.queue(NEW, kind="reply")
    await launched.run(1)
    launched.collider.clock.advance(29 * 86_400)
    await launched.queue(NEW, kind="reply")
    await launched.run(1)
    assert launched.directory.asked == [NEW]
    launched.collider.clock.advance(2 * 86_400)
    await launched.queue(NEW, kind="reply")
    await launched.run(1)
    assert launched.directory.asked == [NEW, NEW]


async def test_a_told_carrier_needs_no_look_up(launched: Story) -> None:
    await launched.queue(phone("att", 7), carrier="att")
    await launched.run(1)
    assert launched.sent_by() == ["att"]
    assert not launched.directory.asked


async def test_a_text_whose_campaign_and_carrier_are_unknown_goes_when_both_are_known(
    story: Story,
) -> None:
    await story.queue(NEW)
    await story.run(2)
    assert await story.collider.statuses() == {"unrouted": 1}
    await story.collider.launch(opens_at=MORNING, closes_at=EVENING)
    await story.run(2)
    assert story.sent_by() == ["tmobile"]

    async def fails(phone: str) -> LookUp:
        return NotLookedUp("busy", pause_s=5)

    story.directory.answer = fails
    await story.queue(phone("verizon", 3), campaign_id="later")
    await story.run(2)
    await story.collider.launch(
        opens_at=MORNING, closes_at=EVENING, campaign_id="later", number="+12125550102"
    )
    await story.run(2)
    assert await story.collider.statuses() == {"delivered": 1, "unrouted": 1}
    story.directory.answer = story.directory.right
    await story.run(6)
    assert story.sent_by() == ["tmobile", "verizon"]


# --- look-ups that fail ----------------------------------------------------------------------


async def test_a_look_up_that_fails_is_tried_again_with_longer_waits(launched: Story) -> None:
    tries: list[datetime] = []

    async def fails(phone: str) -> LookUp:
        tries.append(launched.collider.now)
        return telnyx.looked_up(500, {}, b"")

    launched.directory.answer = fails
    await launched.queue(NEW)
    await launched.run(20)
    waits = [round((later - earlier).total_seconds()) for earlier, later in pairwise(tries)]
    assert waits == [2, 4, 8]
    assert await launched.collider.statuses() == {"unrouted": 1}
    launched.directory.answer = launched.directory.right
    await launched.run(20)
    assert launched.sent_by() == ["tmobile"]


async def test_no_look_up_keeps_a_text_for_more_than_two_minutes(launched: Story) -> None:
    async def fails(phone: str) -> LookUp:
        return telnyx.looked_up(500, {}, b"")

    async def refuses(phone: str) -> LookUp:
        return telnyx.looked_up(429, {"Retry-After": "30"}, b"")

    for index, answer in enumerate((fails, refuses)):
        launched.directory.answer = answer
        await launched.queue(phone("other", 10 + index))
        await launched.run(125, every_s=1)
    assert launched.sent_by() == ["other", "other"]
    # For want of a better word; and it is not remembered as one.
    assert await launched.rows("SELECT * FROM recipients") == []
    assert await launched.in_line() == 0
    launched.directory.answer = launched.directory.right
    launched.collider.clock.advance(60)
    await launched.queue(phone("tmobile", 12))
    await launched.run(2)
    assert launched.sent_by()[2:] == ["tmobile"]


async def test_a_refusal_rests_look_ups_alone_and_uses_up_no_phones_tries(
    launched: Story,
) -> None:
    async def refuses(phone: str) -> LookUp:
        return telnyx.looked_up(429, {"Retry-After": "3"}, b"")

    launched.directory.answer = refuses
    await launched.queue(NEW)
    await launched.run(1)
    assert len(launched.directory.asked) == 1
    await launched.queue(phone("att", 5), carrier="att")
    await launched.run(1)
    assert launched.sent_by() == ["att"]
    await launched.run(30, every_s=0.5)
    assert launched.sent_by() == ["att"]
    assert len(launched.directory.asked) > 9

    async def fails(_: str) -> LookUp:
        return telnyx.looked_up(500, {}, b"")

    # Its own first failure, after all of these, is not its last try.
    launched.directory.answer = fails
    await launched.run(4)
    launched.directory.answer = launched.directory.right
    await launched.run(8)
    assert launched.sent_by() == ["att", "tmobile"]


async def test_a_long_line_moves_on_however_long_it_takes_while_look_ups_are_answered(
    launched: Story,
) -> None:
    answered = 0

    async def a_few(phone: str) -> LookUp:
        nonlocal answered
        answered += 1
        if answered % 10 == 0:
            return telnyx.looked_up(429, {"Retry-After": "20"}, b"")
        return await launched.directory.right(phone)

    launched.look_ups = LookUps(launched.collider.database, launched.directory, calls_most=10)
    launched.directory.answer = a_few
    await launched.collider.limit("tmobile")
    await launched.queue(*(phone("tmobile", index) for index in range(100)))
    await launched.run(400, every_s=1)
    assert launched.sent_by() == ["tmobile"] * 100


@pytest.mark.parametrize(
    ("name", "line"), [("ONVOY, LLC", "mobile"), ("AT&T CORP.", "fixed line"), (None, "unknown")]
)
async def test_a_phone_of_no_carrier_that_we_know_is_remembered_as_other(
    launched: Story, name: str | None, line: str
) -> None:
    async def says(_: str) -> LookUp:
        return launched.directory.named(name, line)

    launched.directory.answer = says
    for _ in range(2):
        await launched.queue(phone("other", 1))
        await launched.run(1)
    assert launched.sent_by() == ["other", "other"]
    assert launched.directory.asked == [phone("other", 1)]


async def test_what_a_dead_replica_was_asking_is_asked_by_another(launched: Story) -> None:
    async def hangs(phone: str) -> LookUp:
        await asyncio.Event().wait()
        raise AssertionError

    dead = Story(launched.collider)
    dead.directory.answer = hangs
    await launched.queue(NEW)
    await dead.look_up()
    await launched.run(14)
    assert launched.directory.asked == []
    await launched.run(3)
    assert launched.sent_by() == ["tmobile"]
    await dead.look_ups.__aexit__()


async def test_the_other_replicas_do_not_ask_for_what_one_is_asking(launched: Story) -> None:
    stories = [Story(launched.collider) for _ in range(3)]
    await launched.queue(*(phone("verizon", index) for index in range(40)))
    for one in stories:
        await one.look_ups.step()
    for one in stories:
        await one.look_up()
    asked = [phone for one in stories for phone in one.directory.asked]
    assert len(asked) == len(set(asked)) == 40


# --- turns -----------------------------------------------------------------------------------


async def test_a_million_phones_of_one_organization_do_not_keep_anothers_waiting(
    launched: Story,
) -> None:
    launched.look_ups = LookUps(launched.collider.database, launched.directory, calls_most=10)
    await launched.queue(*(phone("att", index) for index in range(500)))
    launched.collider.clock.advance(0.1)
    small = [phone("verizon", index) for index in range(5)]
    await launched.queue(*small, org_id="small")
    await launched.look_ups.step()
    await asyncio.sleep(0)
    assert set(launched.directory.asked) >= set(small)
    assert len(launched.directory.asked) == 10


async def test_more_organizations_than_look_ups_at_once_take_turns(launched: Story) -> None:
    launched.look_ups = LookUps(launched.collider.database, launched.directory, calls_most=3)
    for index in range(7):
        phones = [phone("att", 100 * index + one) for one in range(3)]
        await launched.queue(*phones, org_id=f"org-{index}")
    seen: list[set[str]] = []
    for _ in range(3):
        before = len(launched.directory.asked)
        await launched.look_ups.step()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen.append(set(launched.directory.asked[before:]))
    organizations = {int(phone[-6:]) // 100 for phones in seen for phone in phones}
    assert organizations == set(range(7))


# --- what else may befall a text that waits --------------------------------------------------


async def waits_in_vain(story: Story) -> None:
    async def never(phone: str) -> LookUp:
        return NotLookedUp("not now", pause_s=10)

    story.directory.answer = never
    await story.queue(NEW)
    await story.run(1)
    assert await story.collider.statuses() == {"unrouted": 1}


async def ends_as(story: Story, status: str, reason: str) -> None:
    await story.run(3)
    assert await story.collider.statuses() == {status: 1}
    [failed] = story.collider.told(MessageFailed)
    assert failed.reason == reason
    # The look-up does not wake it up again, and nobody pays for one.
    asked = len(story.directory.asked)
    story.directory.answer = story.directory.right
    await story.run(12)
    assert await story.collider.statuses() == {status: 1}
    assert await story.in_line() == 0
    assert len(story.directory.asked) == asked
    assert not story.collider.world.judge.page(0, 10)


async def test_the_end_of_its_window_fails_a_text_that_waits_for_a_look_up(
    launched: Story,
) -> None:
    await waits_in_vain(launched)
    now = launched.collider.now
    await launched.collider.hear(
        WindowClosed(org_id="org", campaign_id="campaign", closed_at=now, revision=1)
    )
    await ends_as(launched, "sending failed", "sending failed")


async def test_the_archive_closes_a_text_that_waits_for_a_look_up(launched: Story) -> None:
    await waits_in_vain(launched)
    now = launched.collider.now
    await launched.collider.hear(
        CampaignArchived(org_id="org", campaign_id="campaign", archived_at=now)
    )
    await ends_as(launched, "campaign closed", "campaign closed")


async def test_a_withdrawal_takes_a_text_that_waits_for_a_look_up(launched: Story) -> None:
    await waits_in_vain(launched)
    now = launched.collider.now
    await launched.collider.hear(
        QueueWithdrawn(org_id="org", campaign_id="campaign", withdrawn_at=now)
    )
    await ends_as(launched, "failed", "withdrawn by an admin before it was sent")


async def test_an_opt_out_withdraws_a_text_that_waits_for_a_look_up(launched: Story) -> None:
    await waits_in_vain(launched)
    now = launched.collider.now
    await launched.collider.hear(ContactOptedOut(org_id="org", phone=NEW, opted_out_at=now))
    await ends_as(launched, "failed", "the contact has opted out")


async def test_a_text_too_large_for_its_carrier_is_refused_when_that_is_known(
    launched: Story,
) -> None:
    await launched.collider.limit("tmobile", sms_per_minute=2)
    await launched.queue(NEW, text="x" * 500)
    await launched.run(2)
    [failed] = launched.collider.told(MessageFailed)
    assert (failed.reason, failed.carrier) == (
        "it has more segments than its limits let out in a minute",
        "tmobile",
    )


async def test_many_texts_to_one_phone_are_routed_piece_by_piece(
    launched: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.collider.recipients.TEXTS_MOST", 7)
    await launched.collider.limit("tmobile")
    await launched.queue(*[NEW] * 50)
    await launched.run(3)
    assert launched.sent_by() == ["tmobile"] * 50
    assert launched.directory.asked == [NEW]
    assert await launched.in_line() == 0


async def test_a_text_that_is_recorded_while_its_phone_is_answered_is_not_left_behind(
    launched: Story,
) -> None:
    collider = launched.collider
    await launched.queue(NEW)
    await launched.look_ups.step()
    await asyncio.sleep(0)
    recorded, commit = asyncio.Event(), asyncio.Event()
    text = launched.text(NEW)

    async def slowly() -> None:
        async with collider.database.transaction() as tx:
            await queue_messages(tx, [text])
            recorded.set()
            await commit.wait()

    recording = asyncio.create_task(slowly())
    await recorded.wait()
    # The answer is written down, or waits, while that transaction is still open.
    writing = asyncio.create_task(launched.look_ups.step())
    await asyncio.sleep(0.3)
    commit.set()
    await asyncio.gather(recording, writing)
    await launched.run(2)
    assert launched.sent_by() == ["tmobile", "tmobile"]
    assert await launched.in_line() == 0
