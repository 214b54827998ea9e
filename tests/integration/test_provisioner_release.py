"""Numbers that nobody is on any more: off their use case at once, and given back a day later."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from services.provisioner.domain import CARRIERS, Absent, Done, Ordered
from services.provisioner.providers import Fault
from services.provisioner.providers.telnyx import Telnyx
from services.sandbox import numbers as sandbox_numbers
from services.sandbox.behaviour import ConfirmationDelays, Refusal
from services.sandbox.behaviour import Fault as Script
from shared.ids import new_id
from tests.provisioner_bench import Bench, open_bench


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        await one.hear(one.use_case())
        yield one


async def test_a_number_is_given_back_when_the_last_campaign_on_it_is_archived(
    bench: Bench,
) -> None:
    bench.rest(1)
    number = await bench.complete()
    assert await bench.complete("followup", number=number) == number
    await bench.hear(bench.archive("spring"))
    await bench.pass_time(0.3)
    assert bench.on_use_case == [number]
    assert (await bench.number(number))["step"] == "held"
    await bench.hear(bench.archive("followup"))
    await bench.until_off(number)
    assert bench.on_use_case == []
    assert bench.bought == [number]
    assert await bench.told("NumberReleased") == []
    (event,) = await bench.until_given_back()
    assert (event["use_case_id"], event["number"]) == ("votes", number)
    assert bench.bought == []
    row = await bench.number(number)
    assert (event["released_at"] > row["let_go_at"].isoformat(), row["due_at"]) == (True, None)


async def test_a_number_comes_off_its_use_case_at_once_and_is_given_back_a_day_later(
    bench: Bench,
) -> None:
    bench.rest(24 * 3600)
    number = await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_off(number)
    row = await bench.number(number)
    assert row["step"] == "rest"
    assert (row["due_at"] - row["let_go_at"]).total_seconds() == 24 * 3600
    assert (row["off_at"] - row["let_go_at"]).total_seconds() < 20


async def test_an_archive_that_comes_twice_gives_one_number_back_and_says_so_once(
    bench: Bench,
) -> None:
    bench.rest(0)
    number = await bench.complete()
    await bench.hear(bench.archive(), bench.archive())
    await bench.until_given_back()
    await bench.hear(bench.archive())
    await bench.pass_time(0.2)
    (event,) = await bench.told("NumberReleased")
    assert event["number"] == number


@pytest.mark.parametrize("call", ["detach", "attachment", "phone_numbers", "release"])
@pytest.mark.parametrize("kind", ["reset", "garbled", "hang", "http"])
async def test_a_provider_that_fails_at_any_step_of_the_release_only_costs_time(
    bench: Bench, call: Any, kind: Any
) -> None:
    bench.rest(0.7)
    number = await bench.complete()
    bench.behave(answers=(Script(call=call, kind=kind, status=500, hang_s=1),))
    await bench.hear(bench.archive())
    (event,) = await bench.until_given_back()
    assert event["number"] == number
    assert bench.bought == bench.on_use_case == []
    assert bench.sandbox.world.next_fault(call) is None


async def test_what_the_provider_will_not_delete_is_asked_for_until_it_does(bench: Bench) -> None:
    bench.rest(0)
    number = await bench.complete()
    bench.behave(answers=(Script(call="release", kind="http", status=422, times=6),))
    await bench.hear(bench.archive())
    (event,) = await bench.until_given_back()
    assert event["number"] == number
    assert bench.bought == []


async def test_a_failed_unassignment_is_asked_for_again_and_no_place_is_free_until_then(
    bench: Bench,
) -> None:
    bench.numbers_most = 1
    bench.behave(unassignments_failing=1, unassignment_delay_s=0.1, numbers_per_campaign=1)
    number = await bench.complete()
    await bench.hear(bench.archive(), bench.launch("clone"))
    await bench.pass_time(1)
    assert bench.on_use_case == [number]
    assert (await bench.order("clone"))["step"] == "place"
    # As if the minute had passed after which it is asked for again.
    async with bench.database.connection() as connection:
        await connection.execute(
            "UPDATE numbers SET step_since = step_since - interval '2 minutes' WHERE org_id = $1",
            bench.org_id,
        )
    assert (await bench.outcome("clone"))["outcome"] == "complete"
    assert bench.verdict()["ok"] is True


class Crashing(Telnyx):
    """Does what it is asked, and dies before it can say so, once for each act."""

    died: set[str]

    def _die(self, act: str) -> None:
        if act not in self.died:
            self.died.add(act)
            raise RuntimeError("killed between the provider's answer and our record of it")

    async def detach(self, number: str) -> Done | Absent | Fault:
        answer = await super().detach(number)
        self._die("detach")
        return answer

    async def give_back(self, number: str) -> Done | Absent | Fault:
        answer = await super().give_back(number)
        self._die("give back")
        return answer

    async def buy(
        self, number: str, reference: str, messaging_profile_id: str | None
    ) -> Ordered | Fault:
        answer = await super().buy(number, reference, messaging_profile_id)
        self._die("buy")
        return answer

    async def attach(self, number: str, provider_campaign_id: str) -> Done | Fault:
        answer = await super().attach(number, provider_campaign_id)
        self._die("attach")
        return answer


def crashing(bench: Bench) -> Crashing:
    made = Crashing(bench.provider._session, str(bench.provider._url), bench.provider._key)
    made.died = set()
    return made


async def test_a_crash_after_any_act_of_the_release_is_made_good(bench: Bench) -> None:
    bench.rest(0.5)
    number = await bench.complete()
    provider = crashing(bench)
    await bench.hear(bench.archive())
    (event,) = await bench.until_given_back(bench.releaser(provider))
    assert provider.died == {"detach", "give back"}
    assert event["number"] == number
    assert bench.bought == []


async def test_two_replicas_give_forty_numbers_back_once_each(bench: Bench) -> None:
    bench.rest(0.5)
    await bench.hear(*(bench.launch(f"c{index}") for index in range(40)))
    events = await bench.until_settled(bench.worker(), bench.worker(), count=40)
    bench.behave(answers=(Script(call="release", kind="reset", times=5, skip=3),))
    await bench.hear(*(bench.archive(f"c{index}") for index in range(40)))
    replicas = [bench.releaser() for _ in range(3)]
    gone = await bench.until_given_back(*replicas, count=40)
    assert sorted(event["number"] for event in gone) == sorted(event["number"] for event in events)
    assert bench.bought == []


async def test_a_provisioning_failed_campaign_is_archived_once_its_clone_is_ready(
    bench: Bench,
) -> None:
    bench.rest(0.2)
    bench.behave(refusals=(Refusal(carrier="tmobile", next=True),))
    await bench.hear(bench.launch())
    failed = await bench.outcome("spring")
    assert failed["outcome"] == "failed"
    await bench.pass_time(0.2)
    # Its texts may still go, with the risk that the flag shows: the number stays.
    assert bench.on_use_case == [failed["number"]]
    number = await bench.complete("clone")
    await bench.hear(bench.archive())
    (event,) = await bench.until_given_back()
    assert event["number"] == failed["number"]
    assert bench.bought == bench.on_use_case == [number]


# --- archived while the order is under way -------------------------------------------------------


@pytest.mark.parametrize("steps", range(9))
async def test_an_archive_at_any_step_of_the_order_ends_it_and_leaves_no_number_behind(
    bench: Bench, steps: int
) -> None:
    bench.rest(0.5)
    bench.behave(confirmation_delay_s=ConfirmationDelays(att=60, tmobile=60, verizon=60))
    await bench.hear(bench.launch())
    worker = bench.worker()
    for _ in range(steps):
        await worker.step()
        await asyncio.sleep(0.06)
    await bench.hear(bench.archive())
    event = await bench.outcome("spring")
    assert event["outcome"] == "failed"
    assert event["reason"].startswith("The campaign was archived before ")

    async def all_is_gone() -> bool:
        async with bench.database.connection() as connection:
            left = await connection.fetchval(
                "SELECT count(*) FROM numbers WHERE org_id = $1 AND step <> 'gone'", bench.org_id
            )
        return bool(left == 0)

    await bench.work_until(all_is_gone)
    assert bench.bought == bench.on_use_case == []
    assert len(await bench.told("NumberProvisioned")) == 1
    bought = bench.sandbox.world.numbers.orders(None, None)
    assert len(await bench.told("NumberReleased")) == len(bought) == (steps >= 3)


@pytest.mark.parametrize("act", ["buy", "attach"])
async def test_an_archive_after_a_crash_finds_what_was_bought_and_gives_it_back(
    bench: Bench, act: str
) -> None:
    bench.rest(0.5)
    provider = crashing(bench)
    provider.died = {"buy", "attach"} - {act}
    await bench.hear(bench.launch())

    async def has_died() -> bool:
        return act in provider.died

    await bench.work_until(has_died, bench.worker(provider))
    await asyncio.sleep(0.15)
    (number,) = bench.bought
    await bench.hear(bench.archive())
    (event,) = await bench.until_given_back()
    assert event["number"] == number
    assert bench.bought == bench.on_use_case == []


async def test_an_archive_that_is_heard_before_the_launch_is_remembered(bench: Bench) -> None:
    await bench.hear(bench.archive())
    await bench.hear(bench.launch())
    event = await bench.outcome("spring")
    assert (event["outcome"], event["number"]) == ("failed", None)
    assert bench.sandbox.world.numbers.orders(None, None) == []


async def test_launch_and_archive_at_once_never_miss_each_other(bench: Bench) -> None:
    bench.rest(0.2)
    names = [f"c{index}" for index in range(20)]
    pairs = [(bench.launch(name), bench.archive(name)) for name in names]
    await asyncio.gather(*(bench.hear(event) for pair in pairs for event in pair))
    await bench.until_settled(count=20)

    async def all_is_gone() -> bool:
        async with bench.database.connection() as connection:
            waiting = await connection.fetchval(
                """
                SELECT (SELECT count(*) FROM orders WHERE org_id = $1 AND due_at IS NOT NULL)
                     + (SELECT count(*) FROM numbers WHERE org_id = $1 AND step <> 'gone')
                """,
                bench.org_id,
            )
        return bool(waiting == 0)

    await bench.work_until(all_is_gone)
    assert bench.bought == []


async def test_an_archive_that_comes_while_the_provider_is_asked_is_not_slept_over(
    bench: Bench,
) -> None:
    await bench.launch_silent()
    bench.patience = replace(bench.patience, poll_s=60)
    async with bench.answered():
        await bench.hear(bench.archive())
    assert (await bench.outcome("spring"))["archived"] is True


async def test_a_carriers_late_word_makes_no_second_notice_of_a_campaign_that_was_just_archived(
    bench: Bench,
) -> None:
    bench.behave(refusals=(Refusal(carrier="tmobile", next=True),))
    await bench.hear(bench.launch())
    number = str((await bench.outcome("spring"))["number"])
    bench.sandbox.world.registry.speak(bench.sandbox.now(), number, "tmobile", "confirmed")
    async with bench.answered():
        await bench.hear(bench.archive())
    row = await bench.order()
    assert (row["step"], row["due_at"]) == ("failed", None)
    assert len(await bench.told("NumberProvisioned")) == 1
    await bench.until_off(number)


async def test_an_archive_that_comes_with_the_carriers_last_word_ends_a_campaign_without_a_notice(
    bench: Bench,
) -> None:
    number = await bench.launch_silent()
    for carrier in CARRIERS:
        bench.sandbox.world.registry.speak(bench.sandbox.now(), number, carrier, "confirmed")
    async with bench.answered():
        await bench.hear(bench.archive())
    event = await bench.outcome("spring")
    assert (event["outcome"], event["archived"]) == ("failed", True)


async def test_a_number_that_is_being_given_back_is_bought_for_nobody(bench: Bench) -> None:
    bench.rest(0)
    bench.behave(answers=(Script(call="release", kind="garbled"),))
    with mock.patch.object(sandbox_numbers, "STOCK", 1):
        number = await bench.complete(area_codes=("303",))
        await bench.hear(bench.archive())

        async def is_sold_again() -> bool:
            return not bench.bought

        await bench.work_until(is_sold_again, bench.releaser())
        # The answer was lost: for all we know it has still to be given back.
        assert (await bench.number(number))["step"] == "return"
        bench.sandbox.world.numbers._taken.remove(number)
        other = replace(bench, org_id=new_id())
        await other.hear(other.use_case())
        early = other.launch("early", area_codes=("303",), nearby_area_codes=False)
        await other.hear(early)
        await other.until_settled(other.worker())
        bench.behave()
        await bench.until_given_back()
        assert (await other.outcome("early"))["outcome"] == "failed"
        assert await other.complete("late", area_codes=("303",)) == number
    assert bench.bought == [number]
