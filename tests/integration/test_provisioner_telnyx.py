"""What the Telnyx adapter asks, and how it reads what it is told, over real HTTP."""

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from services.provisioner.domain import (
    Absent,
    CarriersSaid,
    Done,
    Found,
    NotTaken,
    Ordered,
    Refused,
    Unclear,
)
from services.provisioner.providers.telnyx import ANSWER_MOST_BYTES, Telnyx

NUMBER = "+12125550101"
ORDER = {"id": "po1", "status": "pending", "customer_reference": "o1-1"}


@dataclass
class Provider:
    """Says what it is told to say, and keeps what it was asked."""

    url: str = ""
    answers: list[tuple[int, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, list[tuple[str, str]], Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        query = list(request.query.items())
        self.asked.append((request.method, request.path, query, body))
        self.keys.add(request.headers.get("Authorization", ""))
        status, told = self.answers.pop(0)
        if isinstance(told, str | bytes):
            raw = told.encode() if isinstance(told, str) else told
            return web.Response(status=status, body=raw, headers=self.headers)
        return web.json_response(told, status=status, headers=self.headers)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    app = web.Application(client_max_size=2**20)
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v2"
    yield made
    await runner.cleanup()


@pytest.fixture
async def telnyx(provider: Provider) -> AsyncIterator[Telnyx]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        yield Telnyx(session, provider.url, SecretStr("secret"))


async def test_a_search_asks_for_local_numbers_that_can_text(
    provider: Provider, telnyx: Telnyx
) -> None:
    sale = [
        {"phone_number": NUMBER, "best_effort": False},
        {"phone_number": "+13325550100", "best_effort": True},
    ]
    provider.answers = [(200, {"data": sale})] * 2
    assert await telnyx.search(area_code="212") == Found((NUMBER,))
    assert await telnyx.search(state="NY") == Found((NUMBER,))
    assert provider.asked[1][2][-1] == ("filter[administrative_area]", "NY")
    method, path, query, _ = provider.asked[0]
    assert (method, path) == ("GET", "/v2/available_phone_numbers")
    assert query == [
        ("filter[country_code]", "US"),
        ("filter[phone_number_type]", "local"),
        ("filter[features][]", "sms"),
        ("filter[features][]", "mms"),
        ("filter[best_effort]", "false"),
        ("filter[limit]", "100"),
        ("filter[national_destination_code]", "212"),
    ]
    assert provider.keys == {"Bearer secret"}


async def test_an_order_names_the_number_the_reference_and_the_profile(
    provider: Provider, telnyx: Telnyx
) -> None:
    provider.answers = [(200, {"data": ORDER})] * 2
    assert await telnyx.buy(NUMBER, "o1-1", "profile") == Ordered("po1", "pending")
    assert provider.asked[0] == (
        "POST",
        "/v2/number_orders",
        [],
        {
            "phone_numbers": [{"phone_number": NUMBER}],
            "customer_reference": "o1-1",
            "messaging_profile_id": "profile",
        },
    )
    await telnyx.buy(NUMBER, "o1-1", None)
    assert "messaging_profile_id" not in provider.asked[1][3]


async def test_a_look_up_takes_only_our_reference_and_the_order_that_came_furthest(
    provider: Provider, telnyx: Telnyx
) -> None:
    others = {"id": "po0", "status": "success", "customer_reference": "somebody's"}
    failed = {**ORDER, "id": "po2", "status": "failure"}
    provider.answers = [(200, {"data": [others, failed, ORDER]}), (200, {"data": [others]})]
    assert await telnyx.look_up("o1-1") == Ordered("po1", "pending")
    assert await telnyx.look_up("o1-1") == Absent()
    assert provider.asked[0][1:3] == (
        "/v2/number_orders",
        [("filter[customer_reference]", "o1-1")],
    )


async def test_a_profile_is_set_by_the_numbers_own_id(provider: Provider, telnyx: Telnyx) -> None:
    longer = {"id": "n0", "phone_number": NUMBER + "0"}
    provider.answers = [
        (200, {"data": [longer, {"id": "n1", "phone_number": NUMBER}]}),
        (200, {"data": {"id": "n1", "messaging_profile_id": "profile"}}),
    ]
    assert await telnyx.set_profile(NUMBER, "profile") == Done()
    assert provider.asked == [
        ("GET", "/v2/phone_numbers", [("filter[phone_number]", "12125550101")], None),
        ("PATCH", "/v2/phone_numbers/n1/messaging", [], {"messaging_profile_id": "profile"}),
    ]
    provider.answers = [(200, {"data": [longer]})]
    assert await telnyx.set_profile(NUMBER, "profile") == Absent()
    provider.answers = [
        (200, {"data": [{"id": "n1", "phone_number": NUMBER}]}),
        (200, {"data": {"id": "n1", "messaging_profile_id": None}}),
    ]
    assert isinstance(await telnyx.set_profile(NUMBER, "profile"), Unclear)


async def test_a_number_that_is_on_the_use_case_already_counts_as_attached(
    provider: Provider, telnyx: Telnyx
) -> None:
    provider.answers = [(200, {"phoneNumber": NUMBER, "campaignId": "C1"})]
    assert await telnyx.attach(NUMBER, "C1") == Done()
    assert provider.asked[0] == (
        "POST",
        "/v2/10dlc/phone_number_campaigns",
        [],
        {"phoneNumber": NUMBER, "campaignId": "C1"},
    )
    there = {"phoneNumber": NUMBER, "campaignId": "other", "tcrCampaignId": "C1"}
    provider.answers = [(400, {"errors": []}), (200, there)]
    assert await telnyx.attach(NUMBER, "C1") == Done()
    error = {"errors": [{"code": "10015", "title": "Bad Request", "detail": "Not active"}]}
    provider.answers = [(400, error), (200, {**there, "tcrCampaignId": "C2"})]
    assert await telnyx.attach(NUMBER, "C1") == Refused("400 10015 Not active")
    provider.answers = [(400, error), (404, {})]
    assert await telnyx.attach(NUMBER, "C1") == Refused("400 10015 Not active")
    provider.answers = [(400, error), (502, "")]
    assert isinstance(await telnyx.attach(NUMBER, "C1"), Unclear)


async def test_a_number_is_attached_only_once_it_has_left_its_use_case_before(
    provider: Provider, telnyx: Telnyx
) -> None:
    leaving = {**SAID, "assignmentStatus": "PENDING_UNASSIGNMENT"}
    provider.answers = [(400, {"errors": []}), (200, leaving)]
    assert isinstance(await telnyx.attach(NUMBER, "C1"), NotTaken)


async def test_a_number_is_taken_off_its_use_case_by_its_digits(
    provider: Provider, telnyx: Telnyx
) -> None:
    leaving = {**SAID, "assignmentStatus": "PENDING_UNASSIGNMENT"}
    provider.answers = [(200, leaving), (404, {"errors": []}), (404, "<html>"), (500, "")]
    assert await telnyx.detach(NUMBER) == Done()
    assert provider.asked == [
        ("DELETE", f"/v2/10dlc/phone_number_campaigns/{NUMBER}", [], None),
    ]
    assert await telnyx.detach(NUMBER) == Absent()
    assert isinstance(await telnyx.detach(NUMBER), Unclear)
    assert isinstance(await telnyx.detach(NUMBER), Unclear)


async def test_a_number_is_given_back_by_its_own_id_and_is_gone_when_nobody_knows_it(
    provider: Provider, telnyx: Telnyx
) -> None:
    ours = (200, {"data": [{"id": "n1", "phone_number": NUMBER, "status": "active"}]})
    deleted = {"data": {"id": "n1", "phone_number": NUMBER, "status": "deleted"}}
    provider.answers = [ours, (200, deleted)]
    assert await telnyx.give_back(NUMBER) == Done()
    assert provider.asked == [
        ("GET", "/v2/phone_numbers", [("filter[phone_number]", "12125550101")], None),
        ("DELETE", "/v2/phone_numbers/n1", [], None),
    ]
    provider.answers = [ours, (404, {"errors": []})]
    assert await telnyx.give_back(NUMBER) == Absent()
    provider.answers = [(200, {"data": []})]
    assert await telnyx.give_back(NUMBER) == Absent()


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (200, {"data": {"id": "n1", "phone_number": NUMBER, "status": "active"}}, Unclear),
        (200, "", Unclear),
        (404, "<html>", Unclear),
        (422, {"errors": [{"code": "10015", "title": "deletion lock"}]}, Refused),
        (429, "", NotTaken),
        (500, "", Unclear),
    ],
)
async def test_a_number_is_gone_only_when_the_provider_says_so(
    provider: Provider, telnyx: Telnyx, status: int, told: Any, kind: type
) -> None:
    ours = (200, {"data": [{"id": "n1", "phone_number": NUMBER, "status": "active"}]})
    provider.answers = [ours, (status, told)]
    assert type(await telnyx.give_back(NUMBER)) is kind


SAID = {"phoneNumber": NUMBER, "campaignId": "C1", "assignmentStatus": "ASSIGNED"}


@pytest.mark.parametrize(
    ("told", "att", "tmobile", "verizon", "reason"),
    [
        ({}, "pending", "pending", "pending", None),
        (
            {"tmobileNumberMappingStatus": "PENDING", "nonTmobileNumberMappingStatus": "ADDED"},
            "confirmed",
            "pending",
            "confirmed",
            None,
        ),
        (
            {
                "attNumberMappingStatus": "FAILED",
                "tmobileNumberMappingStatus": "ADDED",
                "nonTmobileNumberMappingStatus": "PENDING",
                "errors": "on another campaign",
            },
            "refused",
            "confirmed",
            "pending",
            "on another campaign",
        ),
        (
            {
                "assignmentStatus": "FAILED_ASSIGNMENT",
                "nonTmobileNumberMappingStatus": "ADDED",
                "attNumberMappingStatus": "PENDING",
                "failureReasons": [{"description": "too many"}, "numbers"],
            },
            "refused",
            "refused",
            "confirmed",
            "too many; numbers",
        ),
        (
            {
                "assignmentStatus": "PENDING_UNASSIGNMENT",
                "tmobileNumberMappingStatus": "ADDED",
                "nonTmobileNumberMappingStatus": "ADDED",
            },
            "pending",
            "pending",
            "pending",
            None,
        ),
    ],
)
async def test_each_carriers_word_is_read_from_its_own_mapping(
    provider: Provider, telnyx: Telnyx, told: Any, att: Any, tmobile: Any, verizon: Any, reason: Any
) -> None:
    provider.answers = [(200, {**SAID, **told})]
    said = await telnyx.ask_carriers(NUMBER)
    assert said == CarriersSaid({"att": att, "tmobile": tmobile, "verizon": verizon}, reason)
    assert provider.asked[0][:2] == ("GET", f"/v2/10dlc/phone_number_campaigns/{NUMBER}")


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("2026-06-01T12:00:00-07:00", datetime(2026, 6, 1, 19, tzinfo=UTC)),
        # As Telnyx's examples have it.
        ("2021-03-08T17:57:48.801186", datetime(2021, 3, 8, 17, 57, 48, 801186, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        (None, None),
    ],
)
async def test_carriers_words_are_as_old_as_the_provider_says(
    provider: Provider, telnyx: Telnyx, told: str | None, at: datetime | None
) -> None:
    added = {"tmobileNumberMappingStatus": "ADDED", "updatedAt": told}
    provider.answers = [(200, {**SAID, **added})]
    said = await telnyx.ask_carriers(NUMBER)
    assert isinstance(said, CarriersSaid)
    assert said.at == at


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, "", Refused),
        (422, "not JSON", Refused),
        (401, "", NotTaken),
        (402, "", NotTaken),
        (403, "", NotTaken),
        (429, "", NotTaken),
        (404, "{}", Refused),
        (404, "<html>", Unclear),
        (408, "", Unclear),
        (500, "", Unclear),
        (502, "<html>", Unclear),
        (503, "", Unclear),
        (504, "", Unclear),
        (200, "", Unclear),
        (200, "[]", Unclear),
        (200, '{"data": {"id": "", "status": "pending"}}', Unclear),
        (200, '{"data": {"id": "po1", "status": "dreaming"}}', Unclear),
        (200, b"\xff\xfe", Unclear),
        (200, b"x" * (ANSWER_MOST_BYTES + 100_000), Unclear),
    ],
)
async def test_every_answer_to_a_purchase_is_sorted_by_what_surely_happened(
    provider: Provider, telnyx: Telnyx, status: int, body: Any, kind: type
) -> None:
    provider.answers = [(status, body)]
    assert type(await telnyx.buy(NUMBER, "o1-1", None)) is kind


@pytest.mark.parametrize(
    ("header", "after_s"),
    [("7", 7.0), ("0", 0.0), ("soon", None), ("-5", None), ("9" * 30, None)],
)
async def test_a_provider_that_is_busy_says_when_to_come_again(
    provider: Provider, telnyx: Telnyx, header: str, after_s: float | None
) -> None:
    provider.headers = {"Retry-After": header}
    provider.answers = [(429, "")]
    assert await telnyx.buy(NUMBER, "o1-1", None) == NotTaken("429", after_s)
    provider.answers = [(503, "")]
    kind = NotTaken if after_s is not None else Unclear
    assert type(await telnyx.buy(NUMBER, "o1-1", None)) is kind


async def test_a_redirect_is_not_followed_with_our_key(provider: Provider, telnyx: Telnyx) -> None:
    provider.headers = {"Location": provider.url + "/elsewhere"}
    provider.answers = [(307, "")]
    assert isinstance(await telnyx.buy(NUMBER, "o1-1", None), Unclear)
    assert len(provider.asked) == 1


async def test_a_provider_that_cannot_be_reached_has_surely_taken_nothing() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v2"
        async with aiohttp.ClientSession() as session:
            answer = await Telnyx(session, url, SecretStr("secret")).buy(NUMBER, "o1-1", None)
    assert isinstance(answer, NotTaken)
    assert "secret" not in answer.reason
