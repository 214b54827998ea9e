"""The provisioner on a real database, against the sandbox's HTTP API."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, get_args

import pytest

from services.provisioner.domain import Call, Ordered, Search
from services.provisioner.leased import ACTS
from services.provisioner.providers import Fault
from services.provisioner.providers.telnyx import Telnyx
from services.provisioner.rules.area_codes import fits
from services.provisioner.rules.release import ReleaseCall
from services.sandbox.behaviour import ConfirmationDelays, Refusal
from services.sandbox.behaviour import Fault as Script
from shared.events import WindowChanged
from shared.rules.hours import Hours, Window
from tests.provisioner_bench import OPENS_AT, Bench, open_bench


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        yield one


async def test_a_launched_campaign_gets_a_number_that_all_carriers_confirm(bench: Bench) -> None:
    await bench.hear(bench.use_case(), bench.launch())
    (event,) = await bench.until_settled()
    assert event["outcome"] == "complete"
    assert event["number"].startswith("+1212")
    assert bench.bought == [event["number"]]
    assert {carrier["state"] for carrier in event["carriers"].values()} == {"confirmed"}
    assert event["took_s"] < 30
    assert event["reason"] is None
    answers = await bench.told("CarrierAnswered")
    assert [answer["carrier"] for answer in answers] == ["att", "tmobile", "verizon"]
    assert {answer["answer"] for answer in answers} == {"confirmed"}
    (purchased,) = await bench.told("NumberPurchased")
    assert purchased["number"] == event["number"]
    owned = bench.sandbox.world.numbers.by_phone(event["number"])
    assert owned is not None
    assert owned.messaging_profile_id == "profile"


async def test_what_the_provider_is_asked_is_counted_and_nothing_else(bench: Bench) -> None:
    def counted() -> set[tuple[str, str, float]]:
        samples = [sample for family in ACTS.collect() for sample in family.samples]
        totals = [sample for sample in samples if sample.name.endswith("_total")]
        return {(one.labels["act"], one.labels["answer"], one.value) for one in totals}

    bench.rest(1)
    before = counted()
    await bench.hear(bench.use_case())
    await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_given_back()
    rose = {act for act, *_ in counted() - before}
    assert rose >= {"Search", "Buy", "SetProfile", "Attach", "AskCarriers", "Detach", "GiveBack"}
    assert rose <= {one.__name__ for one in get_args(Call | ReleaseCall)}


async def test_a_sold_out_area_code_gives_way_to_the_next(bench: Bench) -> None:
    bench.behave(sold_out_area_codes=("212",))
    await bench.hear(bench.use_case(), bench.launch())
    (event,) = await bench.until_settled()
    assert event["number"].startswith("+1646")


async def test_when_all_are_sold_out_a_number_nearby_is_bought_and_the_admin_is_told(
    bench: Bench,
) -> None:
    bench.behave(sold_out_area_codes=("212", "646"))
    await bench.hear(bench.use_case(), bench.launch())
    (event,) = await bench.until_settled()
    assert event["outcome"] == "complete"
    assert event["reason"] == "Sold out in area codes 212 and 646: the number is from 332."


async def test_where_all_of_a_city_is_sold_out_a_number_of_its_state_is_bought(
    bench: Bench,
) -> None:
    new_york = ("212", "332", "347", "465", "646", "718", "917", "929")
    bench.behave(sold_out_area_codes=(*new_york, "315", "516"))
    await bench.hear(bench.use_case(), bench.launch())
    (event,) = await bench.until_settled()
    assert fits(Search(state="NY"), event["number"])
    assert event["number"][2:5] not in (*new_york, "315", "516")


async def test_a_state_that_is_sold_out_fails_the_campaign_rather_than_buying_in_another(
    bench: Bench,
) -> None:
    bench.behave(sold_out_area_codes=("808",))
    await bench.hear(bench.use_case(), bench.launch(area_codes=("808",)))
    (event,) = await bench.until_settled()
    assert (event["outcome"], event["number"]) == ("failed", None)
    assert event["reason"].startswith("No number is for sale in area code 808 or nearby ")


async def test_a_campaign_that_allows_no_nearby_area_codes_fails_and_says_why(
    bench: Bench,
) -> None:
    bench.behave(sold_out_area_codes=("212", "646"))
    await bench.hear(bench.use_case(), bench.launch(nearby_area_codes=False))
    (event,) = await bench.until_settled()
    assert (event["outcome"], event["number"]) == ("failed", None)
    assert event["reason"] == (
        "No number is for sale in area codes 212 and 646. "
        "Clone the campaign with other area codes, or allow nearby ones."
    )
    assert bench.bought == []


async def test_a_number_that_is_gone_when_bought_gives_way_to_the_next(bench: Bench) -> None:
    bench.behave(orders_gone=2)
    await bench.hear(bench.use_case(), bench.launch())
    (event,) = await bench.until_settled()
    assert bench.bought == [event["number"]]
    assert (await bench.order())["purchase"] == 3


async def test_one_carrier_that_refuses_fails_the_campaign(bench: Bench) -> None:
    bench.behave(refusals=(Refusal(carrier="tmobile", area_code="212"),))
    await bench.hear(bench.use_case(), bench.launch())
    (event,) = await bench.until_settled()
    assert event["outcome"] == "failed"
    assert event["carriers"]["tmobile"]["state"] == "refused"
    assert event["reason"].startswith("Refused by T-Mobile: ")
    answers = await bench.told("CarrierAnswered")
    assert ("tmobile", "refused") in [(said["carrier"], said["answer"]) for said in answers]


async def test_a_campaign_waits_for_its_use_case(bench: Bench) -> None:
    await bench.hear(bench.launch())
    await bench.worker().step()
    assert (await bench.order())["step"] == "waiting"
    await bench.hear(bench.use_case())
    (event,) = await bench.until_settled()
    assert event["outcome"] == "complete"


async def test_a_launch_that_comes_twice_buys_one_number(bench: Bench) -> None:
    await bench.hear(bench.use_case(), bench.launch(), bench.launch(area_codes=("415",)))
    await bench.hear(bench.launch(area_codes=("415",)))
    (event,) = await bench.until_settled()
    assert event["number"].startswith("+1212")
    assert bench.bought == [event["number"]]


async def test_a_campaign_with_a_number_is_complete_at_once(bench: Bench) -> None:
    await bench.hear(bench.launch(number="+12125550123"))
    (event,) = await bench.told("NumberProvisioned")
    assert event["outcome"] == "complete"
    assert event["number"] == "+12125550123"
    assert "no number was bought for it" in event["reason"]
    (purchased,) = await bench.told("NumberPurchased")
    assert purchased["number"] == "+12125550123"
    await bench.worker().step()
    assert bench.bought == []


async def test_a_follow_up_on_a_number_that_is_not_confirmed_yet_waits_for_it(
    bench: Bench,
) -> None:
    bench.behave(confirmation_delay_s=ConfirmationDelays(att=2, tmobile=2, verizon=2))
    await bench.hear(bench.use_case(), bench.launch())
    async with asyncio.timeout(10):
        while not await bench.told("NumberPurchased"):
            await bench.worker().step()
    (purchased,) = await bench.told("NumberPurchased")
    await bench.hear(bench.launch("followup", number=purchased["number"]))
    assert await bench.told("NumberProvisioned") == []
    events = await bench.until_settled(count=2)
    assert {event["campaign_id"] for event in events} == {"spring", "followup"}
    assert {event["outcome"] for event in events} == {"complete"}
    assert bench.bought == [purchased["number"]]


class Crashing(Telnyx):
    """Does what it is asked, and dies before it can say so, the first `crashes` times."""

    crashes = 1

    async def buy(
        self, number: str, reference: str, messaging_profile_id: str | None
    ) -> Ordered | Fault:
        answer = await super().buy(number, reference, messaging_profile_id)
        if self.crashes:
            self.crashes -= 1
            raise RuntimeError("killed between the provider's answer and our record of it")
        return answer


async def test_a_crash_between_the_purchase_and_its_record_buys_no_second_number(
    bench: Bench,
) -> None:
    provider = bench.provider
    crashing = Crashing(provider._session, str(provider._url), provider._key)
    await bench.hear(bench.use_case(), bench.launch())
    (event,) = await bench.until_settled(bench.worker(crashing))
    assert crashing.crashes == 0
    assert bench.bought == [event["number"]]
    assert (await bench.order())["purchase"] == 1
    assert len(bench.sandbox.world.numbers.orders(None, None)) == 1


@pytest.mark.parametrize("call", ["search", "order", "order_status", "messaging", "attach"])
@pytest.mark.parametrize("kind", ["reset", "garbled", "hang", "http"])
async def test_a_provider_that_fails_at_any_step_costs_time_and_no_second_number(
    bench: Bench, call: Any, kind: Any
) -> None:
    bench.behave(answers=(Script(call=call, kind=kind, status=500, hang_s=1, times=2),))
    await bench.hear(bench.use_case(), bench.launch())
    (event,) = await bench.until_settled()
    assert event["outcome"] == "complete"
    assert bench.bought == [event["number"]]


async def test_two_provisioners_buy_one_number_for_each_of_forty_campaigns(bench: Bench) -> None:
    bench.behave(answers=(Script(call="order", kind="reset", times=5, skip=3),))
    await bench.hear(bench.use_case(), *(bench.launch(f"c{index}") for index in range(40)))
    workers = [bench.worker() for _ in range(4)]
    events = await bench.until_settled(*workers, count=40, within_s=60)
    numbers = [event["number"] for event in events]
    assert len(set(numbers)) == 40
    assert sorted(bench.bought) == sorted(numbers)


async def test_a_worker_whose_lease_ran_out_records_nothing(bench: Bench) -> None:
    await bench.hear(bench.use_case(), bench.launch())
    worker = bench.worker()
    await worker.step()  # takes its place
    ((order, act),) = await worker._claim("slow")
    async with bench.database.connection() as connection:
        await connection.execute(
            "UPDATE orders SET due_at = clock_timestamp() WHERE org_id = $1", bench.org_id
        )
    ((again, _),) = await worker._claim("quick")
    assert again.order_id == order.order_id
    await worker._record(order, act, await bench.provider.search(area_code="212"), "slow")
    assert (await bench.order())["step"] == "search"
    assert (await bench.order())["lease"] == "quick"


async def test_a_campaign_that_is_not_confirmed_in_time_fails(bench: Bench) -> None:
    bench.behave(confirmation_delay_s=ConfirmationDelays(att=0.1, tmobile=60, verizon=60))
    await bench.hear(bench.use_case(), bench.launch())
    await bench.lose_patience(answers=1)
    (event,) = await bench.until_settled()
    assert event["outcome"] == "failed"
    assert event["reason"].startswith("Not confirmed by T-Mobile and Verizon within ")
    assert event["carriers"]["att"]["state"] == "confirmed"
    assert event["carriers"]["verizon"]["state"] == "pending"


async def test_a_wrong_key_leaves_the_campaign_provisioning(bench: Bench) -> None:
    bench.sandbox.api_key = "another"
    await bench.hear(bench.use_case(), bench.launch())
    await bench.worker().step()  # takes its place
    await bench.worker().step()
    order = await bench.order()
    assert order["step"] == "search"
    assert order["error"].startswith("401 ")
    assert "key" not in order["error"].split()
    bench.sandbox.api_key = "key"
    (event,) = await bench.until_settled()
    assert event["outcome"] == "complete"


async def test_the_notice_names_the_window_as_it_was_edited_since(bench: Bench) -> None:
    edited = Window(OPENS_AT, OPENS_AT + timedelta(days=9))
    change = WindowChanged(
        org_id=bench.org_id,
        campaign_id="spring",
        window=edited,
        hours=Hours.parse("9:00", "21:00", "America/New_York"),
        revision=2,
    )
    # It may well come before its launch.
    await bench.hear(change)
    await bench.hear(bench.use_case(), bench.launch())
    [provisioned] = await bench.until_settled()
    assert provisioned["window"]["closes_at"] == "2030-01-10T09:00:00Z"
