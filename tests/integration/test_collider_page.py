"""`/buckets` on the ops port, over HTTP: what it shows, how much of it, and what it never shows."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from services.collider.page import BucketPage
from services.collider.survey import Survey
from shared.events import LimitsChanged, WindowChanged
from shared.health import Health
from tests.engine import EVENING, MORNING, Engine

Ops = TestClient[web.Request, web.Application]


@pytest.fixture
async def ops(collider: Engine) -> AsyncIterator[Ops]:
    """The ops port: opened before the service has its pages, as in the runtime."""
    health = Health()
    async with TestClient(TestServer(health.app())) as client:
        health.pages["/buckets"] = BucketPage(collider.database).show
        yield client


async def page(ops: Ops, **query: str) -> dict[str, Any]:
    async with ops.get("/buckets", params=query) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
    return found


async def busy(collider: Engine) -> None:
    """A bucket under all kinds of limits, with something sent and something waiting."""
    await collider.limit("att", version=2, sms_per_minute=60, segments_per_day=1000)
    own = {"org_id": "org", "carrier": "att", "use_case_id": "use-case", "version": 1}
    caps = {"sms_per_minute": 30, "sms_unit": "message", "mms_per_minute": 5}
    await collider.hear(LimitsChanged.model_validate({**own, **caps, "segments_per_day": None}))
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 50), *collider.texts("att", 1, kind="reply"))
    await collider.run(6)


async def test_a_bucket_is_shown_with_all_its_limits(collider: Engine, ops: Ops) -> None:
    await busy(collider)
    [bucket] = (await page(ops))["buckets"]
    sent = 51 - (await collider.statuses())["queued"]
    assert (bucket["org_id"], bucket["carrier"]) == ("org", "att")
    assert (bucket["backlog"], bucket["sent_per_minute"]) == (51 - sent, sent)
    assert bucket["due_at"] is not None
    organization, use_case = bucket["limits"]
    assert (organization["use_case_id"], use_case["use_case_id"]) == (None, "use-case")
    assert organization["meters"].keys() == {"sms"}
    assert organization["meters"]["sms"]["per_minute"] == 60
    assert use_case["meters"].keys() == {"sms", "mms"}
    assert organization["day"] == {
        "date": "2026-10-20", "zone": "America/Los_Angeles",
        "used": sent, "left": 1000 - sent, "closed_by_carrier": False,
    }  # fmt: skip
    assert bucket["waits_for"].startswith("room under the limit a minute, at 2026-10-20T16:00")


async def test_a_campaign_that_waits_for_its_numbers_provisioning_says_so(
    collider: Engine, ops: Ops
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(
        WindowChanged.model_validate(
            {
                "org_id": "org", "campaign_id": "campaign", "revision": 2,
                "window": {"opens_at": MORNING, "closes_at": EVENING},
                "hours": {
                    "opens": "09:00", "closes": "21:00", "time_zone": "America/Los_Angeles",
                },
                "hold_until_provisioned": True,
            }
        ),
        *collider.texts("att", 2),
    )  # fmt: skip
    await collider.run(1)
    [bucket] = (await page(ops, org_id="org", carrier="att"))["buckets"]
    assert bucket["waits_for"].startswith("an admin: its campaigns are paused, wait for their n")
    assert [lane["awaits_provisioning"] for lane in bucket["lanes"]] == [True]
    assert bucket["ready"] == 0


async def test_a_bucket_asked_for_alone_shows_its_lanes(collider: Engine, ops: Ops) -> None:
    await busy(collider)
    await collider.launch(
        opens_at=MORNING + timedelta(hours=1),
        closes_at=EVENING,
        campaign_id="later",
        number="+12125550101",
    )
    await collider.hear(*collider.texts("att", 2, campaign_id="later"))
    await collider.run(1)
    assert "lanes" not in (await page(ops))["buckets"][0]
    [bucket] = (await page(ops, org_id="org", carrier="att"))["buckets"]
    lanes = {lane["campaign_id"]: lane for lane in bucket["lanes"]}
    assert lanes["campaign"]["open"] is True
    assert lanes["later"]["open"] is False
    assert lanes["later"]["opens_at"] == "2026-10-20T17:00:00+00:00"


async def test_no_text_and_no_phone_number_is_shown(collider: Engine, ops: Ops) -> None:
    await busy(collider)
    async with ops.get("/buckets", params={"org_id": "org", "carrier": "att"}) as answer:
        shown = await answer.text()
    assert "vote" not in shown
    assert "+1" not in shown.replace("+00:00", "")


async def test_the_page_is_paged(collider: Engine, ops: Ops) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    for carrier in ("att", "other", "tmobile", "verizon"):
        await collider.hear(*collider.texts(carrier, 1))
    first = await page(ops, limit="3")
    assert [bucket["carrier"] for bucket in first["buckets"]] == ["att", "other", "tmobile"]
    last = await page(ops, limit="3", after=first["next"])
    assert [bucket["carrier"] for bucket in last["buckets"]] == ["verizon"]
    assert last["next"] is None
    assert len((await page(ops, carrier="other"))["buckets"]) == 1
    assert (await page(ops, org_id="nobody"))["buckets"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "a"},
        {"limit": "9" * 5000},
        {"carrier": "sprint"},
    ],
    ids=["0", "201", "a", "long", "carrier"],
)
async def test_what_cannot_be_asked_for_is_refused_with_the_field(
    ops: Ops, query: dict[str, str]
) -> None:
    async with ops.get("/buckets", params=query) as answer:
        assert answer.status == 422
        assert (await answer.json())["field"] in query


async def test_a_page_that_is_not_there_says_which_are(ops: Ops) -> None:
    async with ops.get("/bucket") as answer:
        assert answer.status == 404
        assert (await answer.json())["detail"] == "/buckets"


async def test_one_page_at_a_time_takes_a_connection(collider: Engine, ops: Ops) -> None:
    await busy(collider)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(page(ops)) for _ in range(30)]
    assert all(len(one.result()["buckets"]) == 1 for one in asked)


async def test_the_metrics_name_each_bucket(collider: Engine, ops: Ops) -> None:
    await busy(collider)
    survey = Survey(collider.database)
    await survey.step()
    while await survey.step():
        pass
    await survey.show()
    async with ops.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    queued = (await collider.statuses())["queued"]
    assert f'sluice_bucket_backlog{{carrier="att",org_id="org"}} {queued}.0' in lines
    assert 'sluice_bucket_day_quota_left{carrier="att",org_id="org"}' in "\n".join(lines)
    async with ops.get("/metrics", params={"name[]": "sluice_buckets_busy"}) as answer:
        samples = [line for line in (await answer.text()).splitlines() if line[0] != "#"]
    assert samples == ["sluice_buckets_busy 1.0"]
