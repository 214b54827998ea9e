"""The sandbox over real HTTP, as the production adapter and the demonstration see it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.sandbox.api import build_app, build_ops_app
from services.sandbox.behaviour import Behaviour
from services.sandbox.service import Sandbox

FAST = {
    "order_delay_s": 0.05,
    "assignment_delay_s": 0.02,
    "confirmation_delay_s": {"att": 0.05, "tmobile": 0.15, "verizon": 0.1},
    "receipt_delay_s": 0.05,
}
NUMBER, ATT = "+12125550100", "+12122340001"


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(1000):
        if await check():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


class Listener:
    """Takes webhooks; answers with `status`; keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self.server = TestServer(app)

    async def _take(self, request: web.Request) -> web.Response:
        self.got.append((request.path, dict(request.headers), await request.read()))
        return web.Response(status=self.status)

    def url(self, path: str) -> str:
        return str(self.server.make_url(path))

    def receipt_url(self, message_id: str) -> str:
        return self.url(f"/webhooks/telnyx/org/{message_id}/a1?kind=initial")

    def events(self, event_type: str) -> list[Any]:
        data = [json.loads(body)["data"] for _, _, body in self.got]
        return [event["payload"] for event in data if event["event_type"] == event_type]

    async def hears(self, event_type: str, count: int = 1) -> list[Any]:
        """The payloads, once `count` events of this type have come."""

        async def have_come() -> bool:
            return len(self.events(event_type)) >= count

        await until(have_come)
        return self.events(event_type)


class Client:
    """Speaks JSON to the sandbox with an API key."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session, self._base = session, base

    async def ask(
        self, method: str, path: str, body: object = None, status: int = 200, **query: str
    ) -> Any:
        async with self._session.request(
            method,
            self._base + path,
            json=body,
            params={f"filter[{name}]": value for name, value in query.items()},
        ) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def behave(self, **behaviour: object) -> None:
        await self.ask("PUT", "/sandbox/behaviour", {**FAST, **behaviour})

    async def send(self, listener: Listener, message_id: str, to: str = ATT, **more: Any) -> Any:
        text = {"from": NUMBER, "to": to, "text": "Hello!", **more.pop("text", {})}
        text["webhook_url"] = listener.receipt_url(message_id)
        return await self.ask("POST", "/v2/messages", text, **more)


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener()
    await listener.server.start_server()
    yield listener
    await listener.server.close()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    sandbox = Sandbox(Behaviour.model_validate(FAST), "a seed", "an API key")
    server = TestServer(build_app(sandbox))
    await server.start_server()
    headers = {"Authorization": "Bearer an API key"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield Client(session, str(server.make_url("")).rstrip("/"))
    await server.close()


@pytest.fixture
async def number(client: Client, listener: Listener) -> str:
    """A number that may send, whose inbound texts go to the listener."""
    profile = {"webhook_url": listener.url("/webhooks/telnyx/org")}
    await client.ask("PUT", "/sandbox/messaging_profiles/profile", profile)
    bought = {"messaging_profile_id": "profile", "campaign_id": "use-case"}
    await client.ask("PUT", f"/sandbox/numbers/{NUMBER}", bought)
    return NUMBER


async def test_a_number_is_found_bought_put_to_use_confirmed_and_given_back(client: Client) -> None:
    await client.behave(sold_out_area_codes=["212"])
    search = "/v2/available_phone_numbers"
    nothing = await client.ask("GET", search, national_destination_code="212", limit="5")
    assert nothing["data"] == []
    found = await client.ask("GET", search, national_destination_code="415", limit="2")
    assert len(found["data"]) == 2
    phone = found["data"][0]["phone_number"]

    asked = {"phone_numbers": [{"phone_number": phone}], "customer_reference": "ours-1"}
    order = (await client.ask("POST", "/v2/number_orders", asked))["data"]
    assert order["status"] == "pending"

    async def is_ordered() -> bool:
        again = await client.ask("GET", "/v2/number_orders", customer_reference="ours-1")
        assert [line["id"] for line in again["data"]] == [order["id"]]
        return bool(again["data"][0]["status"] == "success")

    await until(is_ordered)
    [owned] = (await client.ask("GET", "/v2/phone_numbers", phone_number=phone))["data"]
    messaging = f"/v2/phone_numbers/{owned['id']}/messaging"
    changed = await client.ask("PATCH", messaging, {"messaging_profile_id": "profile"})
    assert changed["data"]["messaging_profile_id"] == "profile"

    campaigns = "/v2/10dlc/phone_number_campaigns"
    attached = await client.ask("POST", campaigns, {"phoneNumber": phone, "campaignId": "c1"})
    assert attached["assignmentStatus"] == "PENDING_ASSIGNMENT"

    async def is_confirmed() -> bool:
        shown = await client.ask("GET", f"{campaigns}/{phone.replace('+', '%2B')}")
        carriers = ("att", "tmobile", "nonTmobile")
        return {shown[f"{carrier}NumberMappingStatus"] for carrier in carriers} == {"ADDED"}

    await until(is_confirmed)
    listed = await client.ask("GET", campaigns, telnyx_campaign_id="c1")
    assert [line["phoneNumber"] for line in listed["records"]] == [phone]
    [held] = (await client.ask("GET", "/judge"))["use_cases"]
    assert (held["use_case"], held["numbers"], held["over"]) == ("c1", 1, False)
    of_number = f"{campaigns}/{phone.replace('+', '%2B')}"
    leaving = await client.ask("DELETE", of_number)
    assert leaving["assignmentStatus"] == "PENDING_UNASSIGNMENT"

    async def is_off() -> bool:
        return not (await client.ask("GET", campaigns, telnyx_campaign_id="c1"))["records"]

    await until(is_off)
    await client.ask("DELETE", of_number, status=404)
    gone = await client.ask("DELETE", f"/v2/phone_numbers/{owned['id']}")
    assert gone["data"]["status"] == "deleted"
    await client.ask("DELETE", f"/v2/phone_numbers/{owned['id']}", status=404)
    assert (await client.ask("GET", "/v2/phone_numbers", phone_number=phone))["data"] == []


async def test_a_text_gets_signed_receipts_at_its_own_address(
    client: Client, listener: Listener, number: str
) -> None:
    answer = await client.send(listener, "m1")
    assert answer["data"]["to"][0]["status"] == "queued"
    [final] = await listener.hears("message.finalized")
    assert (final["id"], final["to"][0]["status"]) == (answer["data"]["id"], "delivered")

    shown = await client.ask("GET", "/sandbox/public_key")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(shown["public_key"]))
    assert len(listener.got) == 2
    for path, headers, body in listener.got:
        assert path == "/webhooks/telnyx/org/m1/a1"
        signature = base64.b64decode(headers["telnyx-signature-ed25519"])
        signed = f"{headers['telnyx-timestamp']}|".encode() + body
        key.verify(signature, signed)
        with pytest.raises(InvalidSignature):
            key.verify(signature, signed + b" ")
        assert json.loads(body)["meta"]["attempt"] == 1

    looked_up = await client.ask("GET", f"/v2/messages/{answer['data']['id']}")
    assert looked_up["data"]["to"][0]["status"] == "delivered"
    texts = await client.ask("GET", f"/sandbox/phones/{ATT}/texts")
    assert [text["text"] for text in texts["texts"]] == ["Hello!"]


async def test_the_key_is_the_same_for_the_same_seed() -> None:
    keys = [Sandbox(Behaviour(), seed).signer.public_key for seed in ("a", "a", "b")]
    assert keys[0] == keys[1] != keys[2]


async def test_a_carrier_speaks_again_with_a_time_of_its_own(
    client: Client, listener: Listener, number: str
) -> None:
    address = {"brand": "acme", "webhook_url": listener.url("/webhooks/telnyx/numbers")}
    await client.ask("PUT", "/sandbox/campaigns/use-case", address)
    word = f"/sandbox/numbers/{number}/carriers/tmobile"
    told = {"state": "refused", "at": "2030-06-01T12:00:00-07:00", "reason": "T-Mobile: no."}
    shown = await client.ask("PUT", word, told)
    assert shown["tmobileNumberMappingStatus"] == "FAILED"
    [update] = await listener.hears("10dlc.phone_number.update")
    assert (update["status"], update["failureReasons"]) == ("FAILED", "T-Mobile: no.")
    assert json.loads(listener.got[0][2])["data"]["occurred_at"] == "2030-06-01T19:00:00.000000Z"
    late = await client.ask("PUT", word, {"state": "confirmed", "at": "2030-06-01T18:59:59Z"})
    assert late["tmobileNumberMappingStatus"] == "FAILED"
    await client.ask("PUT", "/sandbox/numbers/+13/carriers/att", {"state": "pending"}, 404)


async def test_over_the_limit_the_receipt_says_so_and_the_judge_too(
    client: Client, listener: Listener, number: str
) -> None:
    await client.ask("PUT", "/sandbox/campaigns/use-case", {"brand": "acme"})
    await client.ask("PUT", "/sandbox/limits/acme/att", {"sms_per_minute": 2})
    for index in range(3):
        await client.send(listener, f"m{index}")
    finals = await listener.hears("message.finalized", 3)
    codes = sorted(error["code"] for final in finals for error in final["errors"])
    assert codes == ["40018"]
    verdict = await client.ask("GET", "/judge")
    assert verdict["ok"] is False
    [bucket] = [bucket for bucket in verdict["buckets"] if bucket["seen"]]
    assert (bucket["brand"], bucket["limit"], bucket["peak_60s"]) == ("acme", 2, 3)

    ledger = await client.ask("GET", "/judge/messages?after=2")
    assert ledger["next"] == 3
    [line] = ledger["messages"]
    assert (line["org_id"], line["message_id"], line["attempt"]) == ("org", "m2", "a1")
    assert line["receipt"]["code"] == "40018"
    assert (await client.ask("DELETE", "/judge"))["ok"] is True


async def test_a_use_cases_limit_is_told_by_its_campaign(
    client: Client, listener: Listener, number: str
) -> None:
    limit = {"sms_per_minute": 0, "sms_unit": "message"}
    await client.ask("PUT", "/sandbox/limits/use-case/att?campaign=use-case", limit)
    await client.send(listener, "m1")
    [final] = await listener.hears("message.finalized")
    assert final["errors"][0]["code"] == "40018"
    [told] = (await client.ask("GET", "/sandbox/limits"))["limits"]
    assert (told["campaign"], told["sms_unit"]) == ("use-case", "message")


async def test_a_contact_who_texts_stop_gets_nothing_more(
    client: Client, listener: Listener, number: str
) -> None:
    await client.ask("POST", f"/sandbox/phones/{ATT}/texts", {"to": number, "text": "STOP"}, 201)
    [received] = await listener.hears("message.received")
    assert received["from"]["phone_number"] == ATT
    assert received["to"][0]["phone_number"] == number
    assert listener.got[0][0] == "/webhooks/telnyx/org"
    refused = await client.send(listener, "m1", status=400)
    assert refused["errors"][0]["code"] == "40300"
    assert (await client.ask("GET", f"/sandbox/phones/{ATT}/texts"))["texts"] == []


async def test_contacts_answer_what_they_get(
    client: Client, listener: Listener, number: str
) -> None:
    await client.behave(reply_share=1, reply_delay_s={"min": 0, "max": 0.05}, reply_texts=["Yes"])
    await client.send(listener, "m1")
    [reply] = await listener.hears("message.received")
    assert (reply["text"], reply["from"]["phone_number"]) == ("Yes", ATT)


async def test_the_judge_knows_the_hours_that_a_number_promised(
    client: Client, listener: Listener, number: str
) -> None:
    window = {"opens_at": "2026-01-01T00:00:00Z", "closes_at": "2026-01-02T00:00:00Z"}
    hours = {"opens": "00:00", "closes": "23:59", "time_zone": "America/New_York"}
    promised = {"window": window, "hours": hours}
    await client.ask("PUT", f"/judge/hours/{number}", promised)
    await client.send(listener, "m1")
    assert (await client.ask("GET", "/judge"))["outside_hours"]["count"] == 1


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic an API key", "Bearer "])
async def test_without_the_api_key_nothing_is_done(client: Client, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with aiohttp.ClientSession(headers=headers) as session:
        stranger = Client(session, client._base)
        for method, path in (("POST", "/v2/messages"), ("GET", "/v2/phone_numbers")):
            refused = await stranger.ask(method, path, status=401)
            assert refused["errors"][0]["code"] == "10009"


async def test_what_is_told_wrongly_is_refused_with_the_field(client: Client) -> None:
    for path, body, field in (
        ("/sandbox/behaviour", {"reply_share": 2}, "reply_share"),
        ("/sandbox/behaviour", {"reply_shares": 1}, "reply_shares"),
        ("/sandbox/limits/acme/att", {"sms_per_minute": -1}, "sms_per_minute"),
        ("/sandbox/limits/acme/att", {"day_zone": "Mars/Olympus"}, "day_zone"),
        ("/sandbox/limits/acme/sprint", {}, "carrier"),
        ("/sandbox/carriers/+12125550100", {"carrier": "sprint"}, "carrier"),
        ("/sandbox/numbers/+12125550100/carriers/other", {"state": "confirmed"}, "carrier"),
        ("/sandbox/numbers/+12125550100/carriers/att", {"state": "added"}, "state"),
        ("/judge/hours/+12125550100", {"window": {"opens_at": "noon"}}, "window.opens_at"),
    ):
        refused = await client.ask("PUT", path, body, status=422)
        assert refused["errors"][0]["detail"].startswith(field)


async def test_a_body_that_is_no_json_is_refused(client: Client) -> None:
    for path in ("/v2/messages", "/v2/number_orders"):
        async with client._session.post(client._base + path, data=b"\xff{") as answer:
            assert answer.status == 400
            assert (await answer.json())["errors"][0]["code"] == "10015"


async def test_scripted_answers_are_played_and_the_ledger_tells_what_was_taken(
    client: Client, listener: Listener, number: str
) -> None:
    await client.behave(
        answers=[
            {"status": 429, "retry_after": "soon"},
            {"kind": "reset"},
            {"kind": "garbled"},
            {"kind": "hang", "hang_s": 0.2},
            {"status": 503, "call": "phone_numbers"},
        ]
    )
    refused = await client.send(listener, "limited", status=429)
    assert refused["errors"][0]["code"] == "10011"
    with pytest.raises(aiohttp.ClientError):
        await client.send(listener, "reset")
    with pytest.raises(ValueError, match="Expecting value"):
        await client.send(listener, "garbled")
    assert (await client.send(listener, "hung"))["data"]["id"]
    await client.ask("GET", "/v2/phone_numbers", status=503)
    await client.ask("GET", "/v2/phone_numbers")
    await listener.hears("message.finalized", 3)
    ledger = (await client.ask("GET", "/judge/messages"))["messages"]
    assert {line["message_id"]: (line["answer"], line["taken"]) for line in ledger} == {
        "limited": ("refused", False),
        "reset": ("unclear", True),
        "garbled": ("unclear", True),
        "hung": ("unclear", True),
    }


async def test_slow_calls_are_slow_and_count_as_excursions(
    client: Client, listener: Listener, number: str
) -> None:
    await client.behave(
        call_latency_ms={"median": 50, "p99": 50},
        arrival_latency_ms={"median": 50, "p99": 50},
        excursion_over_ms=40,
    )
    started = asyncio.get_running_loop().time()
    await client.send(listener, "m1")
    assert asyncio.get_running_loop().time() - started >= 0.1
    assert (await client.ask("GET", "/judge"))["excursions"] == 1


async def test_health_is_told_on_both_ports() -> None:
    sandbox = Sandbox(Behaviour(), "a seed")
    api, ops = TestServer(build_app(sandbox)), TestServer(build_ops_app(sandbox))
    await ops.start_server()
    async with aiohttp.ClientSession() as session:
        async with session.get(ops.make_url("/readyz")) as answer:
            assert answer.status == 503
        await api.start_server()
        for server in (api, ops):
            for path in ("/livez", "/readyz"):
                async with session.get(server.make_url(path)) as answer:
                    assert answer.status == 200
    await api.close()
    await ops.close()
