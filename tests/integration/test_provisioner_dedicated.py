"""Dedicated numbers: bought once for a use case, used by many campaigns, kept by every archive."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.provisioner import undedicate
from services.provisioner.rules.reasons import DEDICATED
from services.sandbox.behaviour import ConfirmationDelays, Refusal
from services.sandbox.behaviour import Fault as Script
from tests.provisioner_bench import Bench, open_bench


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        await one.hear(one.use_case())
        yield one


async def dedicated(bench: Bench, campaign_id: str, **changes: Any) -> str:
    """A campaign that is complete on the dedicated number; the number."""
    return await bench.complete(campaign_id, dedicated_number=True, **changes)


async def test_a_second_campaign_sends_from_the_dedicated_number_at_once_and_buys_nothing(
    bench: Bench,
) -> None:
    number = await dedicated(bench, "one")
    assert (await bench.number(number))["dedicated"] is True
    # Whatever area codes it would like.
    assert await dedicated(bench, "two", area_codes=("415",)) == number
    event = await bench.outcome("two")
    assert (event["reason"], event["took_s"] < 3) == (DEDICATED, True)
    assert {carrier["state"] for carrier in event["carriers"].values()} == {"confirmed"}
    assert [event["number"] for event in await bench.told("NumberPurchased")] == [number] * 2
    assert bench.bought == bench.on_use_case == [number]
    # Others get numbers of their own.
    own = await bench.complete("own")
    assert own != number
    assert (await bench.number(own))["dedicated"] is False


async def test_campaigns_launched_at_once_with_two_workers_buy_one_dedicated_number(
    bench: Bench,
) -> None:
    bench.behave(order_delay_s=0.5)
    launches = [bench.launch(f"c{index}", dedicated_number=True) for index in range(12)]
    await asyncio.gather(bench.hear(*launches[:6]), bench.hear(*launches[6:]))
    events = await bench.until_settled(*(bench.worker() for _ in range(4)), count=12)
    assert {event["outcome"] for event in events} == {"complete"}
    assert {event["number"] for event in events} == set(bench.bought)
    assert len(bench.bought) == len(bench.on_use_case) == 1
    assert len(bench.sandbox.world.numbers.orders(None, None)) == 1


async def test_a_campaign_that_finds_it_bought_but_not_confirmed_waits_for_the_carriers(
    bench: Bench,
) -> None:
    bench.behave(confirmation_delay_s=ConfirmationDelays(att=1, tmobile=1, verizon=1))
    await bench.hear(bench.launch("one", dedicated_number=True))

    async def is_bought() -> bool:
        return bool(await bench.told("NumberPurchased"))

    await bench.work_until(is_bought)
    await bench.hear(bench.launch("two", dedicated_number=True))
    assert (await bench.outcome("two"))["outcome"] == "complete"
    assert (await bench.outcome("one"))["outcome"] == "complete"
    assert len(bench.bought) == 1


async def test_who_waits_for_the_dedicated_number_says_so(bench: Bench) -> None:
    bench.behave(order_delay_s=60)
    await bench.hear(bench.launch("one", dedicated_number=True))
    for _ in range(4):
        await bench.worker().step()
    await bench.hear(bench.launch("two", dedicated_number=True))
    await bench.worker().step()
    order = await bench.order("two")
    assert (order["step"], order["error"]) == ("place", "waits for the use case's dedicated number")


async def test_where_the_first_cannot_buy_it_the_next_one_does(bench: Bench) -> None:
    bench.behave(sold_out_area_codes=("808",))
    await bench.hear(
        bench.launch("one", dedicated_number=True, area_codes=("808",)),
        bench.launch("two", dedicated_number=True, area_codes=("303",)),
        bench.launch("three", dedicated_number=True, area_codes=("808",)),
    )
    events = {event["campaign_id"]: event for event in await bench.until_settled(count=3)}
    assert events["two"]["outcome"] == "complete"
    number = events["two"]["number"]
    assert number.startswith("+1303")
    assert bench.bought == [number]
    # Those who came behind it have it too.
    assert {event["number"] for event in events.values()} <= {number, None}


async def test_no_archive_gives_a_dedicated_number_back(bench: Bench) -> None:
    bench.rest(0)
    number = await dedicated(bench, "one")
    assert await dedicated(bench, "two") == number
    await bench.hear(bench.archive("one"))
    await bench.pass_time(0.5)
    assert bench.on_use_case == [number]
    await bench.hear(bench.archive("two"))
    await bench.pass_time(0.5)
    assert bench.bought == bench.on_use_case == [number]
    row = await bench.number(number)
    assert (row["step"], row["due_at"], row["off_at"]) == ("held", None, None)
    assert await dedicated(bench, "three") == number
    assert (await bench.outcome("three"))["took_s"] < 3
    assert await bench.told("NumberReleased") == []
    # A follow-up of one that is long over has it as well.
    assert await bench.complete("followup", number=number) == number


async def test_an_archive_on_the_way_leaves_the_number_to_the_use_case(bench: Bench) -> None:
    bench.rest(0)
    bench.behave(order_delay_s=0.6)
    await bench.hear(bench.launch("one", dedicated_number=True))
    await bench.until_at("ordered", "one")
    await bench.hear(bench.archive("one"), bench.launch("two", dedicated_number=True))
    event = await bench.outcome("one")
    assert (event["outcome"], event["archived"]) == ("failed", True)
    # Its buyer has put it on the use case before it ended, so nobody waits for long.
    event = await bench.outcome("two")
    assert (event["outcome"], event["took_s"] < 20) == ("complete", True)
    assert bench.bought == bench.on_use_case == [event["number"]]
    assert len(bench.sandbox.world.numbers.orders(None, None)) == 1


async def test_what_an_archived_buyer_cannot_put_on_the_use_case_is_kept_for_nobody(
    bench: Bench,
) -> None:
    bench.behave(answers=(Script(call="attach", kind="http", status=422, times=5),))
    await bench.hear(bench.launch("one", dedicated_number=True))

    async def is_bought() -> bool:
        return bool(await bench.told("NumberPurchased"))

    await bench.work_until(is_bought)
    await bench.hear(bench.archive("one"))
    event = await bench.outcome("one")
    assert (event["outcome"], event["archived"]) == ("failed", True)
    assert (await bench.number(event["number"]))["dedicated"] is False
    await bench.until_off(event["number"])
    assert await dedicated(bench, "two") != event["number"]


async def test_an_archive_while_a_purchases_answer_is_lost_buys_no_second_number(
    bench: Bench,
) -> None:
    bench.behave(order_delay_s=0.3, answers=(Script(call="order", kind="reset"),))
    await bench.hear(bench.launch("one", dedicated_number=True))

    async def is_asked() -> bool:
        return str((await bench.order("one"))["ask"]) == "asked"

    await bench.work_until(is_asked)
    await bench.hear(bench.archive("one"), bench.launch("two", dedicated_number=True))
    assert (await bench.outcome("one"))["outcome"] == "failed"
    event = await bench.outcome("two")
    assert event["outcome"] == "complete"
    assert bench.bought == bench.on_use_case == [event["number"]]


async def test_a_number_that_a_carrier_refuses_is_kept_for_nobody(bench: Bench) -> None:
    bench.rest(0)
    bench.behave(refusals=(Refusal(carrier="att", next=True),))
    await bench.hear(bench.launch("one", dedicated_number=True))
    refused = await bench.outcome("one")
    assert refused["outcome"] == "failed"
    assert (await bench.number(refused["number"]))["dedicated"] is False
    bench.behave()
    # Clone it, and archive it once the clone is ready.
    number = await dedicated(bench, "clone")
    assert number != refused["number"]
    await bench.hear(bench.archive("one"))
    (gone,) = await bench.until_given_back()
    assert gone["number"] == refused["number"]
    assert bench.on_use_case == [number]


async def test_a_dedicated_number_counts_once_among_the_49(bench: Bench) -> None:
    bench.numbers_most = 2
    number = await dedicated(bench, "one")
    await bench.complete("own")
    # The use case is full, and campaigns on the dedicated number are complete all the same.
    for name in ("two", "three"):
        assert await dedicated(bench, name) == number
    await bench.hear(bench.launch("fourth"))
    assert (await bench.outcome("fourth"))["outcome"] == "failed"
    assert len(bench.on_use_case) == 2


async def test_where_the_use_case_is_full_no_dedicated_number_is_bought(bench: Bench) -> None:
    bench.numbers_most = 1
    await bench.complete("own")
    await bench.hear(bench.launch("one", dedicated_number=True))
    event = await bench.outcome("one")
    assert (event["outcome"], event["number"]) == ("failed", None)
    assert "Archive a few old campaigns" in event["reason"]


async def test_each_use_case_has_a_dedicated_number_of_its_own(bench: Bench) -> None:
    surveys = bench.use_case().model_copy(
        update={"use_case_id": "surveys", "provider_campaign_id": f"S-{bench.org_id[-8:]}"}
    )
    await bench.hear(surveys)
    first = await dedicated(bench, "one")
    assert await dedicated(bench, "two", use_case_id="surveys") != first


async def test_the_operator_ends_a_dedicated_number_and_the_next_campaign_buys_another(
    bench: Bench, database_url: str
) -> None:
    bench.rest(0)
    number = await dedicated(bench, "one")
    assert await undedicate.end(database_url, bench.org_id, "+12125550199") is False
    assert await undedicate.end(database_url, "another", number) is False
    assert await undedicate.end(database_url, bench.org_id, number) is True
    assert await undedicate.end(database_url, bench.org_id, number) is False
    # Its campaign goes on.
    await bench.pass_time(0.3)
    assert bench.on_use_case == [number]
    other = await dedicated(bench, "two")
    assert other != number
    await bench.hear(bench.archive("one"))
    (event,) = await bench.until_given_back()
    assert event["number"] == number
    assert bench.on_use_case == [other]


async def test_an_ended_number_that_no_campaign_is_on_goes_back_at_once(
    bench: Bench, database_url: str
) -> None:
    bench.rest(0)
    number = await dedicated(bench, "one")
    await bench.hear(bench.archive("one"))
    await bench.pass_time(0.2)
    assert await undedicate.end(database_url, bench.org_id, number) is True
    (event,) = await bench.until_given_back()
    assert event["number"] == number
    assert bench.bought == []


@pytest.mark.parametrize("arguments", [[], ["acme"], ["acme", "+12125550101", "more"]])
def test_the_command_says_how_it_is_called(arguments: list[str]) -> None:
    assert "Two arguments" in str(undedicate.main(arguments))


async def test_a_number_that_is_confirmed_after_all_is_the_use_cases_again(bench: Bench) -> None:
    bench.behave(refusals=(Refusal(carrier="att", next=True),))
    await bench.hear(bench.launch("one", dedicated_number=True))
    number = str((await bench.outcome("one"))["number"])
    bench.behave()
    bench.sandbox.world.registry.speak(bench.sandbox.now(), number, "att", "confirmed")

    async def is_confirmed() -> bool:
        return [event["outcome"] for event in await bench.told("NumberProvisioned")] == [
            "failed",
            "complete",
        ]

    await bench.work_until(is_confirmed)
    assert (await bench.number(number))["dedicated"] is True
    assert await dedicated(bench, "two") == number


@pytest.mark.parametrize("order_delay_s", [0.1, 3600])
async def test_a_number_that_is_confirmed_after_another_was_asked_for_makes_no_second_one(
    bench: Bench, order_delay_s: float
) -> None:
    bench.behave(refusals=(Refusal(carrier="att", next=True),))
    await bench.hear(bench.launch("one", dedicated_number=True))
    first = str((await bench.outcome("one"))["number"])
    # It is bought before the first is confirmed after all, or is being bought just then.
    bench.behave(order_delay_s=order_delay_s)
    await bench.hear(bench.launch("two", dedicated_number=True))
    if order_delay_s < 1:
        await bench.outcome("two")
    else:
        await bench.pass_time(0.3)
    bench.sandbox.world.registry.speak(bench.sandbox.now(), first, "att", "confirmed")
    await bench.until_at("complete", "one")
    bench.sandbox.world.advance(bench.sandbox.now() + timedelta(hours=2))
    second = str((await bench.outcome("two"))["number"])
    is_first = (await bench.number(first))["dedicated"]
    assert (is_first, (await bench.number(second))["dedicated"]) == (
        order_delay_s > 1,
        order_delay_s < 1,
    )
    assert await dedicated(bench, "three") == (first if is_first else second)
    assert sorted(bench.bought) == sorted([first, second])


async def test_who_waits_for_a_number_to_be_bought_takes_one_that_is_confirmed_after_all(
    bench: Bench,
) -> None:
    bench.behave(refusals=(Refusal(carrier="att", next=True),))
    await bench.hear(bench.launch("one", dedicated_number=True))
    first = str((await bench.outcome("one"))["number"])
    bench.behave(order_delay_s=3600)
    await bench.hear(bench.launch("two", dedicated_number=True))
    await bench.pass_time(0.3)
    await bench.hear(bench.launch("three", dedicated_number=True))
    slow = bench.worker()
    slow._patience = replace(bench.patience, poll_s=60)
    await slow.step()
    assert (await bench.order("three"))["step"] == "place"
    bench.sandbox.world.registry.speak(bench.sandbox.now(), first, "att", "confirmed")
    event = await bench.outcome("three")
    assert (event["outcome"], event["number"]) == ("complete", first)


async def test_archives_and_launches_that_meet_with_faults_in_between_leave_one_number(
    bench: Bench,
) -> None:
    bench.behave(
        order_delay_s=0.2,
        answers=(
            Script(call="order", kind="reset", times=2),
            Script(call="order_status", kind="http", status=500, times=3),
            Script(call="attach", kind="reset", times=2),
        ),
    )

    async def meet(index: int) -> None:
        name = f"c{index}"
        await asyncio.sleep(0.05 * index)
        await bench.hear(bench.launch(name, dedicated_number=True))
        if index % 3:
            await asyncio.sleep(0.07 * (index % 4))
            await bench.hear(bench.archive(name))

    meetings = asyncio.gather(*(meet(index) for index in range(18)))
    workers = [bench.worker() for _ in range(3)]
    events = await bench.until_settled(*workers, bench.releaser(), count=18)
    await meetings
    assert all(event["archived"] for event in events if event["outcome"] == "failed")
    await bench.pass_time(0.3)
    (number,) = bench.bought
    assert bench.on_use_case == [number]
    assert {event["number"] for event in events} <= {number, None}
    assert (await bench.number(number))["dedicated"] is True
