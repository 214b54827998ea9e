"""`/orders` and `/differences` on the ops port."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from services.provisioner.page import DifferencePage, OrderPage
from services.provisioner.providers.telnyx_lists import TelnyxLists
from services.provisioner.reconciler import SETTLED_S, Reconciler
from services.sandbox.behaviour import Fault as Script
from shared.health import Health
from tests.provisioner_bench import Bench, open_bench


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        await one.hear(one.use_case())
        yield one


async def ask(bench: Bench, status: int = 200, page: str = "/orders", **query: str) -> Any:
    health = Health()
    health.pages["/orders"] = OrderPage(bench.database).show
    health.pages["/differences"] = DifferencePage(bench.database).show
    async with (
        TestClient(TestServer(health.app())) as client,
        client.get(page, params=query) as answer,
    ):
        assert answer.status == status
        return await answer.json()


async def test_the_page_shows_each_orders_step_and_what_keeps_it(bench: Bench) -> None:
    bench.behave(answers=(Script(call="search", kind="http", status=500, times=500),))
    await bench.hear(bench.launch())

    async def has_tried() -> bool:
        return bool((await bench.order())["tries"] >= 2)

    await bench.work_until(has_tried)
    shown = await ask(bench, org_id=bench.org_id)
    (line,) = shown["orders"]
    assert (line["campaign_id"], line["step"], line["number"]) == ("spring", "search", None)
    assert line["tries"] >= 2
    assert line["error"].startswith("500")
    assert line["reason"] is None
    assert line["step_since"] < shown["at"]
    assert line["next_at"] is not None
    assert shown["numbers"] == []


async def test_the_page_shows_an_ended_order_only_where_it_is_asked_for(bench: Bench) -> None:
    await bench.complete()
    assert (await ask(bench, org_id=bench.org_id))["orders"] == []
    (line,) = (await ask(bench, org_id=bench.org_id, campaign_id="spring"))["orders"]
    assert (line["step"], line["next_at"]) == ("complete", None)


async def test_what_was_said_of_an_orders_end_is_its_reason_and_no_error(bench: Bench) -> None:
    """A dedicated or a nearby number is nothing that went wrong."""
    bench.behave(sold_out_area_codes=("212", "646"))
    await bench.complete()
    (line,) = (await ask(bench, org_id=bench.org_id, campaign_id="spring"))["orders"]
    assert (line["step"], line["error"]) == ("complete", None)
    assert line["reason"].startswith("Sold out in area codes 212 and 646")


async def test_the_page_shows_numbers_on_their_way_back(bench: Bench) -> None:
    number = await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_off(number)
    (line,) = (await ask(bench, org_id=bench.org_id))["numbers"]
    assert (line["number"], line["step"], line["error"]) == (number, "rest", None)
    assert line["next_at"] > line["off_at"]


async def test_the_page_is_bounded(bench: Bench) -> None:
    await bench.hear(*(bench.launch(f"c{index}") for index in range(3)))
    shown = await ask(bench, org_id=bench.org_id, limit="2")
    assert (len(shown["orders"]), shown["more_orders"]) == (2, True)
    for limit in ("0", "201", "many"):
        await ask(bench, 422, limit=limit)


async def test_the_page_shows_what_differs_and_how_the_last_run_went(bench: Bench) -> None:
    shown = await ask(bench, page="/differences")
    assert (shown["run"]["ended_at"], shown["differences"]) == (None, [])
    for index in range(3):
        bench.sandbox.world.numbers.own(bench.sandbox.now(), f"+1312555010{index}", None, "profile")
    reconciler = Reconciler(
        bench.database,
        TelnyxLists(bench.provider),
        every_s=3600,
        look_up_s=-SETTLED_S,  # all that is there counts
        lease_s=30,
    )
    bench.behave(answers=(Script(call="phone_numbers", kind="http", status=500),))
    await reconciler.run_now()
    shown = await ask(bench, page="/differences")
    assert (shown["run"]["tries"], shown["run"]["ended_at"]) == (1, None)
    assert shown["run"]["error"].startswith("500")
    assert shown["run"]["next_at"] > shown["at"]

    await reconciler.run_now()
    shown = await ask(bench, page="/differences", kind="stranger", limit="2")
    assert (shown["run"]["tries"], shown["run"]["error"], shown["run"]["numbers"]) == (0, None, 3)
    assert shown["run"]["begun_at"] < shown["run"]["ended_at"] < shown["at"]
    assert shown["counts"]["stranger"] == 3
    assert (len(shown["differences"]), shown["more_differences"]) == (2, True)
    line = shown["differences"][0]
    assert (line["kind"], line["number"], line["org_id"]) == ("stranger", "+13125550100", "")
    assert (line["first_seen_at"], line["mended_at"]) == (shown["run"]["begun_at"], None)
    assert (await ask(bench, page="/differences", kind="spare"))["differences"] == []
    assert (await ask(bench, page="/differences", org_id="acme"))["differences"] == []
    await ask(bench, 422, page="/differences", kind="odd")
    await ask(bench, 422, page="/differences", limit="0")
