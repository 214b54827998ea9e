"""`/orders` on the ops port."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from services.provisioner.page import OrderPage
from services.sandbox.behaviour import Fault as Script
from shared.health import Health
from tests.provisioner_bench import Bench, open_bench


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        await one.hear(one.use_case())
        yield one


async def ask(bench: Bench, status: int = 200, **query: str) -> Any:
    health = Health()
    health.pages["/orders"] = OrderPage(bench.database).show
    async with (
        TestClient(TestServer(health.app())) as client,
        client.get("/orders", params=query) as answer,
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
    assert line["step_since"] < shown["at"]
    assert line["next_at"] is not None
    assert shown["numbers"] == []


async def test_the_page_shows_an_ended_order_only_where_it_is_asked_for(bench: Bench) -> None:
    await bench.complete()
    assert (await ask(bench, org_id=bench.org_id))["orders"] == []
    (line,) = (await ask(bench, org_id=bench.org_id, campaign_id="spring"))["orders"]
    assert (line["step"], line["next_at"]) == ("complete", None)


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
