"""Several campaigns on one number: follow-ups, and what becomes of their number."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.provisioner.domain import Done, Room
from services.provisioner.rules.reasons import GIVEN_BACK
from services.provisioner.rules.release import GiveBack
from services.provisioner.store import numbers
from services.sandbox.behaviour import Fault as Script
from services.sandbox.behaviour import Refusal
from tests.provisioner_bench import NEVER, Bench, open_bench


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        await one.hear(one.use_case())
        yield one


async def test_a_follow_up_buys_nothing_and_holds_the_number(bench: Bench) -> None:
    number = await bench.complete()
    await bench.complete("followup", number=number)
    assert len(bench.sandbox.world.numbers.orders(None, None)) == 1
    await bench.hear(bench.archive("followup"))
    await bench.pass_time(0.3)
    assert bench.on_use_case == [number]


async def test_a_follow_up_takes_a_number_back_that_is_still_resting(bench: Bench) -> None:
    number = await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_off(number)
    assert await bench.complete("followup", number=number) == number
    assert bench.on_use_case == [number]
    assert len(bench.sandbox.world.numbers.orders(None, None)) == 1
    row = await bench.number(number)
    assert (row["step"], row["off_at"], row["due_at"]) == ("held", None, None)
    assert len(await bench.told("CarrierAnswered")) == 6


async def test_a_follow_up_while_the_number_is_leaving_its_use_case_puts_it_on_again(
    bench: Bench,
) -> None:
    bench.behave(unassignment_delay_s=0.5)
    number = await bench.complete()
    await bench.hear(bench.archive())

    async def is_leaving() -> bool:
        return str((await bench.number(number))["step"]) == "leaving"

    await bench.work_until(is_leaving)
    await bench.hear(bench.launch("followup", number=number))
    assert (await bench.outcome("followup"))["outcome"] == "complete"
    (attachment,) = bench.sandbox.world.registry.attachments(bench.provider_campaign_id)
    assert attachment.assignment_status == "ASSIGNED"
    assert bench.verdict()["ok"] is True


async def test_a_follow_up_that_meets_the_archive_keeps_its_number_however_they_meet(
    bench: Bench,
) -> None:
    names = [f"c{index}" for index in range(12)]
    await bench.hear(*(bench.launch(name) for name in names))
    events = await bench.until_settled(count=12)
    number = {event["campaign_id"]: event["number"] for event in events}

    async def meet(index: int, name: str) -> None:
        archived = asyncio.create_task(bench.hear(bench.archive(name)))
        await asyncio.sleep(0.02 * index)
        await bench.hear(bench.launch(f"f-{name}", number=number[name]))
        await archived

    meetings = asyncio.gather(*(meet(index, name) for index, name in enumerate(names)))
    events = await bench.until_settled(count=24)
    await meetings
    await bench.pass_time(0.5)
    assert {event["outcome"] for event in events} == {"complete"}
    assert sorted(bench.on_use_case) == sorted(number.values())
    for attachment in bench.sandbox.world.registry.attachments(bench.provider_campaign_id):
        assert attachment.assignment_status == "ASSIGNED"
    assert await bench.told("NumberReleased") == []


async def test_a_number_that_is_taken_back_needs_a_place_again(bench: Bench) -> None:
    bench.numbers_most = 1
    number = await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_off(number)
    await bench.complete("other")
    await bench.hear(bench.launch("followup", number=number))
    event = await bench.outcome("followup")
    assert (event["outcome"], event["number"]) == ("failed", None)
    assert "Archive a few old campaigns" in event["reason"]
    assert len(bench.on_use_case) == 1


async def test_a_follow_up_after_the_number_was_given_back_fails_and_says_so(bench: Bench) -> None:
    bench.rest(0)
    number = await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_given_back()
    await bench.hear(bench.launch("followup", number=number))
    event = await bench.outcome("followup")
    assert (event["outcome"], event["number"], event["reason"]) == ("failed", None, GIVEN_BACK)
    assert bench.bought == []


async def test_a_follow_up_does_not_wait_for_nothing_where_its_original_is_archived_on_the_way(
    bench: Bench,
) -> None:
    bench.behave(answers=(Script(call="attach", kind="http", status=503, times=3),))
    await bench.hear(bench.launch())

    async def is_bought() -> bool:
        return bool(await bench.told("NumberPurchased"))

    await bench.work_until(is_bought)
    (purchased,) = await bench.told("NumberPurchased")
    await bench.hear(bench.launch("followup", number=purchased["number"]))
    await bench.hear(bench.archive("spring"))
    event = await bench.outcome("followup")
    assert (event["outcome"], event["took_s"] < 20) == ("complete", True)
    event = await bench.outcome("spring")
    assert (event["outcome"], event["archived"]) == ("failed", True)
    assert bench.on_use_case == [purchased["number"]]


async def test_the_archive_of_a_campaign_with_a_number_that_is_not_ours_releases_nothing(
    bench: Bench,
) -> None:
    bench.rest(0)
    await bench.hear(bench.launch(number="+12125550123"), bench.archive())
    await bench.hear(bench.archive())
    await bench.pass_time(0.2)
    assert await bench.told("NumberReleased") == []


async def test_a_use_cases_last_number_is_kept_where_the_operator_says_so(bench: Bench) -> None:
    bench.keep_last = True
    bench.rest(0)
    first, second = await bench.complete("one"), await bench.complete("two")
    await bench.hear(bench.archive("one"), bench.archive("two"))
    (event,) = await bench.until_given_back()
    assert event["number"] == first
    await bench.pass_time(0.3)
    assert bench.on_use_case == [second]
    # It goes as soon as it is the last no more.
    third = await bench.complete("three")
    gone = await bench.until_given_back(count=2)
    assert gone[-1]["number"] == second
    assert bench.on_use_case == [third]


async def test_a_number_that_is_kept_makes_room_for_the_next_campaign_where_there_is_no_other(
    bench: Bench,
) -> None:
    bench.keep_last = True
    bench.numbers_most = 1
    bench.rest(0.2)
    # It would be looked at again a minute later.
    bench.patience = replace(bench.patience, poll_most_s=60)
    kept = await bench.complete()
    await bench.hear(bench.archive())
    await bench.pass_time(0.3)
    assert bench.on_use_case == [kept]
    number = await bench.complete("next")
    assert bench.on_use_case == [number] != [kept]


async def test_a_number_that_is_just_being_taken_back_is_not_given_back(bench: Bench) -> None:
    number = await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_off(number)
    async with bench.database.connection() as connection:
        await connection.execute("UPDATE numbers SET due_at = now() WHERE number = $1", number)
    await bench.hear(bench.launch("followup", number=number))
    ((order, _),) = await bench.worker()._claim("slow")
    async with bench.database.transaction() as tx:
        room = await numbers.room(tx.sql, order, bench.numbers_most)
        assert isinstance(room, Room)
        assert not room.number_is_gone
        assert await bench.releaser()._claim("at the same time") == []
    ((_, act),) = await bench.releaser()._claim("after that")
    assert act == GiveBack(number)


async def test_what_carriers_confirmed_before_a_number_was_taken_back_makes_nobody_complete(
    bench: Bench,
) -> None:
    number = await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_off(number)
    bench.behave(confirmation_delay_s=NEVER)
    await bench.hear(bench.launch("back", number=number))
    await bench.until_at("confirm", "back")
    await bench.hear(bench.launch("again", number=number))
    assert (await bench.order("again"))["step"] == "confirm"


async def test_what_one_campaign_hears_when_it_asks_completes_the_others_on_its_number(
    bench: Bench,
) -> None:
    bench.patience = replace(bench.patience, poll_most_s=60)
    bench.behave(refusals=(Refusal(carrier="tmobile", next=True),))
    await bench.hear(bench.launch())
    number = str((await bench.outcome("spring"))["number"])
    await bench.hear(bench.launch("followup", number=number))
    assert (await bench.outcome("followup"))["outcome"] == "failed"
    bench.sandbox.world.registry.speak(bench.sandbox.now(), number, "tmobile", "confirmed")
    async with bench.database.connection() as connection:
        # It is the first that looks again; the other one would a minute later.
        await connection.execute(
            "UPDATE orders SET due_at = now() WHERE org_id = $1 AND campaign_id = 'spring'",
            bench.org_id,
        )

    async def are_complete() -> bool:
        steps = [(await bench.order(one))["step"] for one in ("spring", "followup")]
        return steps == ["complete"] * 2

    await bench.work_until(are_complete)


async def test_an_answered_request_keeps_no_place_though_the_number_was_looked_at_in_between(
    bench: Bench,
) -> None:
    bench.patience = replace(bench.patience, look_up_s=60)
    await bench.hear(bench.launch())
    await bench.until_at("attach", "spring", bench.worker())
    worker = bench.worker()
    claimed = await worker._claim("slow")
    # Others' orders may be due as well.
    ((order, act),) = [one for one in claimed if one[0].launch.org_id == bench.org_id]
    number = str(order.number)
    await bench.hear(bench.launch("followup", number=number))
    await bench.hear(bench.archive("followup"))
    await bench.releaser().step()
    await worker._record(order, act, Done(), "slow")
    await bench.hear(bench.archive())
    # Nothing may land any more; for what may, its place would be kept for a minute.
    await bench.until_off(number)
