"""Carriers of whole contact lists, in virtual time: looked up in the background, behind the texts,
and told."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from services.collider.carriers import LookUp
from services.collider.providers import telnyx
from services.collider.recipients import LookUps
from shared.events import CarriersAsked, CarriersFound
from shared.fields import Carrier
from tests.engine import EVENING, MORNING, Engine, phone
from tests.look_up_story import NEW, Story
from tests.replicas import WeakDatabase


@pytest.fixture
async def story(collider: Engine) -> Story:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.limit("tmobile")
    return Story(collider)


def asked(*phones: str, org_id: str = "org") -> list[CarriersAsked]:
    return [
        CarriersAsked(org_id=org_id, phones=phones[start : start + 500])
        for start in range(0, len(phones), 500)
    ]


def listed(carrier: Carrier, count: int) -> list[str]:
    return [phone(carrier, index) for index in range(count)]


def found(story: Story, org_id: str = "org") -> dict[str, Carrier | None]:
    """What was told of an organization's phones; of each once."""
    told = [
        one
        for event in story.collider.told(CarriersFound)
        if event.org_id == org_id
        for one in event.found
    ]
    assert max(Counter(one.phone for one in told).values(), default=0) <= 1
    return {one.phone: one.carrier for one in told}


async def turn(story: Story) -> Sequence[str]:
    """One step of the look-ups, in which all that are under way are answered; what was asked."""
    before = len(story.directory.asked)
    await story.look_ups.step()
    for _ in range(3):
        await asyncio.sleep(0)
    return story.directory.asked[before:]


async def test_a_lists_phones_are_looked_up_and_told(story: Story) -> None:
    phones = [phone("att", 1), phone("tmobile", 1), phone("verizon", 1), phone("other", 1)]
    await story.collider.hear(*asked(*phones))
    assert not found(story)
    await story.run(2)
    assert found(story) == dict(zip(phones, ("att", "tmobile", "verizon", None), strict=True))
    assert await story.in_line() == 0


async def test_what_is_known_is_told_at_once_and_not_looked_up_again(story: Story) -> None:
    await story.queue(phone("att", 0), phone("other", 0))
    await story.run(2)
    await story.collider.hear(*asked(phone("att", 0), phone("other", 0), phone("tmobile", 0)))
    await story.collider.collect()
    assert found(story) == {phone("att", 0): "att", phone("other", 0): None}
    await story.run(2)
    assert found(story)[phone("tmobile", 0)] == "tmobile"
    assert len(story.directory.asked) == 3


async def test_answers_come_in_batches_of_five_hundred_at_most(story: Story) -> None:
    phones = listed("tmobile", 1100)
    await story.collider.hear(*asked(*phones))
    await story.run(20)
    assert found(story) == dict.fromkeys(phones, "tmobile")
    story.collider.events.clear()
    await story.collider.hear(*asked(*phones))
    await story.collider.collect()
    sizes = [len(event.found) for event in story.collider.told(CarriersFound)]
    assert sizes == [500, 500, 100]
    assert Counter(story.directory.asked) == Counter(phones)


async def test_a_list_that_is_asked_for_again_is_looked_up_once(story: Story) -> None:
    for _ in range(3):
        await story.collider.hear(*asked(*listed("att", 30)))
    await story.run(2)
    assert found(story) == dict.fromkeys(listed("att", 30), "att")
    assert Counter(story.directory.asked) == Counter(listed("att", 30))


async def test_two_organizations_with_the_same_list_pay_for_one_look_up(story: Story) -> None:
    phones = listed("verizon", 100)
    await story.collider.hear(*asked(*phones), *asked(*phones, org_id="another"))
    await story.run(5)
    for org_id in ("org", "another"):
        assert found(story, org_id) == dict.fromkeys(phones, "verizon")
    assert Counter(story.directory.asked) == Counter(phones)


# --- texts go first --------------------------------------------------------------------------


async def test_a_list_of_a_million_does_not_hold_up_texts_that_wait_for_their_carrier(
    story: Story,
) -> None:
    story.look_ups = LookUps(story.collider.database, story.directory, calls_most=10)
    hung = asyncio.Event()

    async def slowly(phone: str) -> LookUp:
        await hung.wait()
        return await story.directory.right(phone)

    story.directory.answer = slowly
    await story.collider.hear(*asked(*listed("att", 500)))
    assert len(await turn(story)) == 8
    # The list's look-ups hang, and a text's has a hand.
    texts = [phone("tmobile", index) for index in range(12)]
    await story.queue(*texts)
    assert await turn(story) == texts[:2]
    hung.set()
    assert [*await turn(story), *await turn(story)][:10] == texts[2:]
    await story.run(30)
    assert story.sent_by() == ["tmobile"] * 12
    assert len(found(story)) == 500


async def test_a_phone_that_a_text_waits_for_too_leaves_its_place_in_the_list(
    story: Story,
) -> None:
    story.look_ups = LookUps(story.collider.database, story.directory, calls_most=2)
    phones = listed("tmobile", 40)
    await story.collider.hear(*asked(*phones))
    last = (await story.rows("SELECT phone FROM look_ups ORDER BY phone DESC LIMIT 1"))[0][0]
    await story.queue(last)
    assert (await turn(story))[0] == last
    await story.run(30)
    assert story.sent_by() == ["tmobile"]
    assert found(story) == dict.fromkeys(phones, "tmobile")
    assert Counter(story.directory.asked) == Counter(phones)


@pytest.mark.parametrize("first", ["text", "list"])
async def test_text_and_list_both_learn_what_one_look_up_finds_whoever_comes_while_it_is_under_way(
    story: Story, first: str
) -> None:
    hung = asyncio.Event()

    async def slowly(phone: str) -> LookUp:
        await hung.wait()
        return await story.directory.right(phone)

    story.directory.answer = slowly
    for who in (first, "list" if first == "text" else "text"):
        await (story.queue(NEW) if who == "text" else story.collider.hear(*asked(NEW)))
        await turn(story)
    hung.set()
    await story.run(2)
    assert story.sent_by() == ["tmobile"]
    assert found(story) == {NEW: "tmobile"}
    assert story.directory.asked == [NEW]
    assert await story.in_line() == 0


async def test_lists_of_several_organizations_take_turns(story: Story) -> None:
    story.look_ups = LookUps(story.collider.database, story.directory, calls_most=10)
    await story.collider.hear(*asked(*listed("att", 500)))
    story.collider.clock.advance(0.1)
    small = listed("verizon", 4)
    await story.collider.hear(*asked(*small, org_id="small"))
    assert set(await turn(story)) >= set(small)


# --- where nothing is found ------------------------------------------------------------------


async def test_with_look_ups_switched_off_every_phone_comes_back_unknown(story: Story) -> None:
    directory, story.look_ups = story.look_ups, LookUps(story.collider.database, None)
    phones = listed("tmobile", 700)
    await story.collider.hear(*asked(*phones))
    await story.queue(NEW)
    await story.run(1)
    assert found(story) == dict.fromkeys(phones)
    assert story.sent_by() == ["other"]
    assert await story.in_line() == 0
    # That is no knowledge: switched on again, they are looked up.
    story.look_ups = directory
    story.collider.events.clear()
    await story.collider.hear(*asked(*phones))
    await story.run(20)
    assert found(story) == dict.fromkeys(phones, "tmobile")


async def test_a_phone_whose_look_ups_fail_comes_back_unknown_and_is_not_remembered(
    story: Story,
) -> None:
    async def fails(phone: str) -> LookUp:
        if phone == NEW:
            return telnyx.looked_up(500, {}, b"")
        return await story.directory.right(phone)

    story.directory.answer = fails
    await story.collider.hear(*asked(NEW, phone("att", 1)))
    await story.run(60, every_s=1)
    assert found(story) == {phone("att", 1): "att"}
    await story.run(60, every_s=1)
    assert found(story) == {phone("att", 1): "att", NEW: None}
    assert story.directory.asked.count(NEW) == 6
    assert await story.in_line() == 0
    story.collider.events.clear()
    story.directory.answer = story.directory.right
    await story.collider.hear(*asked(NEW))
    await story.run(2)
    assert found(story) == {NEW: "tmobile"}


@pytest.mark.parametrize("status", [401, 429])
async def test_while_nobody_is_answered_a_list_waits_for_ten_minutes_and_no_longer(
    story: Story, status: int
) -> None:
    async def refuses(phone: str) -> LookUp:
        body = b'{"errors": [{"code": "10009", "title": "refused"}]}'
        return telnyx.looked_up(status, {"Retry-After": "30"}, body)

    story.directory.answer = refuses
    phones = listed("att", 120)
    await story.collider.hear(*asked(*phones))
    await story.run(590, every_s=5)
    assert not found(story)
    await story.run(60, every_s=5)
    assert found(story) == dict.fromkeys(phones)
    assert await story.in_line() == 0


async def test_the_accounts_refusals_slow_lists_down_until_they_are_few(story: Story) -> None:
    refused = 0
    tokens = 20.0

    async def at_most_20_a_second(phone: str) -> LookUp:
        nonlocal refused, tokens
        if tokens < 1:
            refused += 1
            return telnyx.looked_up(429, {"Retry-After": "1"}, b"")
        tokens -= 1
        return await story.directory.right(phone)

    story.directory.answer = at_most_20_a_second
    phones = listed("att", 2500)
    await story.collider.hear(*asked(*phones))
    seconds = 0
    while await story.in_line():
        # A step of a quarter of a second is one look-up's time.
        for _ in range(4):
            tokens = min(20, tokens + 5)
            story.collider.clock.advance(0.25)
            await turn(story)
        seconds += 1
        assert seconds < 400
    await story.collider.collect()
    assert found(story) == dict.fromkeys(phones, "att")
    # 125 seconds at the account's own rate.
    assert seconds < 170
    assert refused < 250


# --- replicas that die, commits that are lost ------------------------------------------------


async def test_what_a_dead_replica_was_asking_for_a_list_is_asked_by_another_and_told_once(
    story: Story,
) -> None:
    async def hangs(phone: str) -> LookUp:
        await asyncio.Event().wait()
        raise AssertionError

    dead = Story(story.collider)
    dead.directory.answer = hangs
    await story.collider.hear(*asked(*listed("att", 60)))
    await turn(dead)
    assert len(dead.directory.asked) == 40
    await story.run(14)
    # What it has in its hands is left alone for as long as it may be alive.
    assert len(story.directory.asked) == 20
    await story.run(3)
    assert found(story) == dict.fromkeys(listed("att", 60), "att")
    await dead.look_ups.__aexit__()


async def test_the_other_replicas_do_not_ask_for_what_one_is_asking(story: Story) -> None:
    stories = [Story(story.collider) for _ in range(3)]
    phones = listed("verizon", 300)
    await story.collider.hear(*asked(*phones))
    for _ in range(20):
        await asyncio.gather(*(one.look_ups.step() for one in stories))
        await asyncio.sleep(0)
    await story.collider.collect()
    assert found(story) == dict.fromkeys(phones, "verizon")
    everything = Counter(phone for one in stories for phone in one.directory.asked)
    assert everything == Counter(phones)


@pytest.mark.parametrize("fate", ["unmade", "answer lost"])
async def test_a_commit_that_is_lost_loses_no_answer(story: Story, fate: str) -> None:
    database = story.collider.database
    assert isinstance(database, WeakDatabase)
    await story.collider.hear(*asked(NEW))
    await turn(story)
    database.next_commit = "unmade" if fate == "unmade" else "answer lost"
    with pytest.raises(ConnectionResetError):
        await story.look_ups.step()
    await story.run(2)
    assert found(story) == {NEW: "tmobile"}
    assert story.directory.asked == [NEW]
