"""The look-up's adapter against the sandbox over HTTP, and whatever may stand in its way."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.collider.carriers import LookedUp, LookUp, NotLookedUp
from services.collider.providers.telnyx import TelnyxLookUps, looked_up
from services.sandbox.api import build_app
from services.sandbox.behaviour import Behaviour
from services.sandbox.domain import CARRIERS
from services.sandbox.service import Sandbox
from shared.fields import Carrier
from tests.engine import phone


@pytest.fixture
async def sandbox() -> Sandbox:
    return Sandbox(Behaviour(), "a seed", "an API key")


@pytest.fixture
async def url(sandbox: Sandbox) -> AsyncIterator[str]:
    server = TestServer(build_app(sandbox))
    await server.start_server()
    yield str(server.make_url("/v2"))
    await server.close()


async def look_up(url: str, phone: str, *, key: str = "an API key", timeout_s: float = 5) -> LookUp:
    async with TelnyxLookUps(url, key, timeout_s=timeout_s) as directory:
        return await directory.look_up(phone)


async def test_the_directory_names_the_carrier_of_a_phone(url: str, sandbox: Sandbox) -> None:
    for carrier in CARRIERS:
        assert await look_up(url, phone(carrier, 1)) == LookedUp(carrier)
    sandbox.world.phones.port(phone("att", 1), "verizon")
    assert await look_up(url, phone("att", 1)) == LookedUp("verizon")


@pytest.mark.parametrize(
    ("fault", "pause_s"),
    [
        ({"status": 429, "retry_after": "7"}, 7),
        ({"status": 429}, 1),
        ({"status": 429, "retry_after": "never"}, 1),
        ({"status": 429, "retry_after": "1e9"}, 60),
        ({"status": 503}, 1),
        ({"status": 503, "bare": True}, 0),
        ({"status": 500}, 0),
        ({"status": 404, "bare": True}, 0),
        # A GET is asked once more by itself.
        ({"kind": "reset", "times": 2}, 0),
        ({"kind": "garbled"}, 0),
        ({"kind": "garbled", "body": ""}, 0),
        ({"kind": "garbled", "body": '{"data": null}'}, 0),
        ({"kind": "garbled", "body": "[" * 100_000}, 0),
        ({"kind": "hang", "hang_s": 3}, 0),
    ],
    ids=str,
)
async def test_whatever_stands_in_its_way_a_look_up_comes_to_nothing_and_rests_at_most_a_minute(
    url: str, sandbox: Sandbox, fault: dict[str, Any], pause_s: float
) -> None:
    answers = [{"call": "lookup", **fault}]
    sandbox.behave(Behaviour.model_validate({"answers": answers}))
    started_s = time.monotonic()
    answer = await look_up(url, phone("att", 1), timeout_s=0.5)
    assert time.monotonic() - started_s < 2.8
    assert isinstance(answer, NotLookedUp)
    assert answer.pause_s == pause_s
    assert answer.reason
    # The next one is right.
    assert await look_up(url, phone("att", 1)) == LookedUp("att")


async def test_a_directory_that_is_away_or_does_not_know_us_rests_all_look_ups(url: str) -> None:
    refused = await look_up(url, phone("att", 1), key="a wrong key")
    assert isinstance(refused, NotLookedUp)
    assert refused.pause_s == 30
    away = await look_up("http://127.0.0.1:1/v2", phone("att", 1))
    assert isinstance(away, NotLookedUp)
    assert away.pause_s == 1


async def test_an_answer_that_trickles_is_cut_short() -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(40):
            await response.write(b" ")
            await asyncio.sleep(0.1)
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", trickle)
    server = TestServer(app)
    await server.start_server()
    started_s = time.monotonic()
    answer = await look_up(str(server.make_url("/v2")), phone("att", 1), timeout_s=0.4)
    assert time.monotonic() - started_s < 3
    assert isinstance(answer, NotLookedUp)
    await server.close()


def says(**carrier: object) -> bytes:
    return json.dumps({"data": {"carrier": carrier}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "carrier"),
    [
        (200, says(name="Some Reseller", normalized_carrier="T-Mobile USA", type="mobile"),
         "tmobile"),
        (200, says(name="NEW CINGULAR WIRELESS PCS, LLC - IL", type="mobile"), "att"),
        (200, says(name="Verizon Wireless:6006 - SVR/2", type="fixed line or mobile"), "verizon"),
        (200, says(name="VERIZON NEW YORK INC.", type="fixed line"), None),
        (200, says(name="AT&T", type="voip"), None),
        (200, says(name="", normalized_carrier=None, type=None), None),
        (200, says(name=["AT&T"], type={"a": 1}), None),
        (200, b'{"data": {"carrier": null}}', None),
        (404, b'{"errors": [{"code": "10005", "title": "Resource not found"}]}', None),
        (422, b'{"errors": [{"code": "10015", "title": "is a Canadian number"}]}', None),
    ],
)  # fmt: skip
def test_an_answer_names_a_carrier_of_ours_or_none(
    status: int, body: bytes, carrier: Carrier | None
) -> None:
    assert looked_up(status, {}, body) == LookedUp(carrier)
