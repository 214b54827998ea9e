"""How the account's lists are asked for, and how they are read, over real HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from services.provisioner.domain import CARRIERS, CarriersSaid, NotTaken, Refused, Unclear
from services.provisioner.providers.telnyx import Telnyx
from services.provisioner.providers.telnyx_lists import TelnyxLists
from services.provisioner.rules.listed import ListedAttachment, ListedNumber, Page
from tests.integration.test_provisioner_telnyx import Provider

NUMBER = "+12125550101"
AT = datetime(2030, 1, 1, 12, tzinfo=UTC)
CONFIRMED = CarriersSaid(dict.fromkeys(CARRIERS, "confirmed"), None, AT)


@dataclass
class Desk:
    """Lists, and the provider that they are asked of."""

    provider: Provider
    lists: TelnyxLists

    def numbers(self, *rows: dict[str, Any], total: int | None = None, size: int = 250) -> None:
        meta = {"total_results": len(rows) if total is None else total, "page_size": size}
        self.provider.answers.append((200, {"data": list(rows), "meta": meta}))

    def attachments(self, *rows: dict[str, Any], total: int | None = None) -> None:
        told = {"records": list(rows), "page": 1, "recordsPerPage": 100}
        count = len(rows) if total is None else total
        self.provider.answers.append((200, told | {"totalRecords": count}))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    provider = Provider()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v2"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        yield Desk(provider, TelnyxLists(Telnyx(session, provider.url, SecretStr("secret"))))
    await runner.cleanup()


def number(**changes: Any) -> dict[str, Any]:
    shown = {
        "id": "1",
        "phone_number": NUMBER,
        "status": "active",
        "customer_reference": "o1-1",
        "messaging_profile_id": "P1",
        "created_at": "2030-01-01T12:00:00Z",
    }
    return shown | changes


def attachment(**changes: Any) -> dict[str, Any]:
    shown = {
        "phoneNumber": NUMBER,
        "campaignId": "C1",
        "telnyxCampaignId": None,
        "tcrCampaignId": "TCR1",
        "assignmentStatus": "ASSIGNED",
        "tmobileNumberMappingStatus": "ADDED",
        "nonTmobileNumberMappingStatus": "ADDED",
        "updatedAt": "2030-01-01T12:00:00.000000",
    }
    return shown | changes


async def test_a_page_of_numbers_is_asked_for_and_read(desk: Desk) -> None:
    desk.numbers(number(), number(phone_number="+12125550102", customer_reference=""), total=252)
    answer = await desk.lists.numbers(2)
    assert answer == Page(
        (
            ListedNumber(NUMBER, "o1-1", "P1", AT, is_active=True),
            ListedNumber("+12125550102", None, "P1", AT, is_active=True),
        ),
        size=250,
        total=252,
    )
    ((method, path, query, _),) = desk.provider.asked
    assert (method, path) == ("GET", "/v2/phone_numbers")
    assert query == [("page[number]", "2"), ("page[size]", "250")]


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("active", [True]),
        ("emergency-only", [True]),
        ("purchase-pending", [False]),
        ("port-out-pending", [False]),
        (None, [False]),
        ("deleted", []),
        ("ported-out", []),
        ("purchase-failed", []),
    ],
)
async def test_only_a_number_that_is_in_use_counts_as_there(
    desk: Desk, status: str | None, shown: list[bool]
) -> None:
    desk.numbers(number(status=status))
    answer = await desk.lists.numbers(1)
    assert isinstance(answer, Page)
    assert [item.is_active for item in answer.items] == shown


async def test_a_page_of_numbers_on_campaigns_is_asked_for_and_read(desk: Desk) -> None:
    leaving = attachment(phoneNumber="+12125550102", assignmentStatus="PENDING_UNASSIGNMENT")
    desk.attachments(attachment(), leaving)
    answer = await desk.lists.attachments(1)
    assert isinstance(answer, Page)
    on, off = answer.items
    campaigns = frozenset({"C1", "TCR1"})
    assert on == ListedAttachment(NUMBER, campaigns, leaving=False, said=CONFIRMED, changed_at=AT)
    assert (off.leaving, set(off.said.states.values())) == (True, {"pending"})
    ((method, path, query, _),) = desk.provider.asked
    assert (method, path) == ("GET", "/v2/10dlc/phone_number_campaigns")
    assert query == [("page", "1"), ("recordsPerPage", "100")]


async def test_an_account_without_numbers_has_empty_lists(desk: Desk) -> None:
    desk.numbers()
    desk.attachments()
    for answer in (await desk.lists.numbers(1), await desk.lists.attachments(1)):
        assert isinstance(answer, Page)
        assert (answer.items, answer.total) == ((), 0)


async def test_a_page_that_is_shorter_than_it_should_be_is_not_believed(desk: Desk) -> None:
    desk.numbers(number(), total=300)
    desk.numbers(total=251)
    desk.attachments(attachment(), total=101)
    assert isinstance(await desk.lists.numbers(1), Unclear)
    assert isinstance(await desk.lists.numbers(2), Unclear)
    assert isinstance(await desk.lists.attachments(1), Unclear)


async def test_a_provider_may_put_fewer_on_a_page_if_it_says_so(desk: Desk) -> None:
    desk.numbers(number(), total=3, size=1)
    assert isinstance(answer := await desk.lists.numbers(1), Page)
    assert (answer.size, answer.total) == (1, 3)


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (401, {"errors": []}, NotTaken),
        (404, {"errors": []}, Refused),
        (429, {"errors": []}, NotTaken),
        (500, "", Unclear),
        (200, '{"data": [', Unclear),
        (200, {"data": [{"id": "1"}], "meta": {"total_results": 1, "page_size": 1}}, Unclear),
        (200, {"records": [{}], "recordsPerPage": 1, "totalRecords": 1}, Unclear),
    ],
)
async def test_whatever_goes_wrong_with_a_page_is_a_fault(
    desk: Desk, status: int, told: Any, kind: type
) -> None:
    desk.provider.answers = [(status, told)] * 2
    assert isinstance(await desk.lists.numbers(1), kind)
    assert isinstance(await desk.lists.attachments(1), kind)
