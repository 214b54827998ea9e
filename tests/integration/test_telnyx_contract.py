"""The vendor's own SDK, with nothing but its address changed, lives a number's life in the sandbox.

It validates every answer against the vendor's published types, strictly.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import telnyx as sdk
from aiohttp import web
from pydantic import BaseModel
from telnyx import AsyncTelnyx

from services.sandbox.api import build_app
from services.sandbox.behaviour import Behaviour, ConfirmationDelays, Fault
from services.sandbox.service import Sandbox

PHONE = "+12122340001"
QUICK: dict[str, Any] = {
    "order_delay_s": 0.1,
    "assignment_delay_s": 0.02,
    "confirmation_delay_s": ConfirmationDelays(att=0.1, tmobile=0.15, verizon=0.2),
    "unassignment_delay_s": 0.1,
    "receipt_delay_s": 0.1,
}
# What live answers hold though the published types do not have it.
UNPUBLISHED = {"attNumberMappingStatus", "errors"}
# What other published types of the same thing have: the SDK's are not of one mind.
ELSEWHERE = {"country_iso_alpha2", "recordsPerPage", "page_size", "total_results"}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(Behaviour(**QUICK), "seed", "key")


@pytest.fixture
async def url(sandbox: Sandbox) -> AsyncIterator[str]:
    runner = web.AppRunner(build_app(sandbox), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v2"
    await runner.cleanup()


def client_of(url: str, *, key: str = "key", max_retries: int = 0) -> AsyncTelnyx:
    return AsyncTelnyx(
        api_key=key,
        base_url=url,
        max_retries=max_retries,
        timeout=5,
        _strict_response_validation=True,
    )


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncTelnyx]:
    async with client_of(url) as one:
        yield one


def unknown(found: object) -> set[str]:
    """Fields of an answer that the SDK's type does not have, however deep."""
    if isinstance(found, list):
        return set[str]().union(*(unknown(item) for item in found))
    if not isinstance(found, BaseModel):
        return set()
    inside = [getattr(found, name) for name in type(found).model_fields]
    return set(found.model_extra or ()).union(*(unknown(part) for part in inside))


async def until(is_so: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(10):
        while not await is_so():
            await asyncio.sleep(0.02)


async def test_a_number_is_found_ordered_confirmed_used_and_given_back(client: AsyncTelnyx) -> None:
    phone = await find_number(client)
    profile_id = await make_profile(client)
    number_id = await order_number(client, phone, profile_id)
    await put_on_profile(client, number_id, profile_id)
    await put_on_use_case(client, phone)
    await send_text(client, phone)
    await look_up(client)
    await give_back(client, phone, number_id)


async def find_number(client: AsyncTelnyx) -> str:
    found = await client.available_phone_numbers.list(
        filter={
            "country_code": "US",
            "phone_number_type": "local",
            "features": ["sms", "mms"],
            "national_destination_code": "212",
            "limit": 5,
        }
    )
    assert found.data is not None
    assert found.metadata is not None
    assert (len(found.data), found.metadata.total_results) == (5, 5)
    first = found.data[0]
    assert first.phone_number is not None
    assert first.phone_number.startswith("+1212")
    assert {one.name for one in first.features or []} >= {"sms", "mms"}
    assert unknown(found) == set()
    return first.phone_number


async def make_profile(client: AsyncTelnyx) -> str:
    made = await client.messaging_profiles.create(
        name="Votes", whitelisted_destinations=["US"], webhook_url="https://example.org/texts"
    )
    assert made.data is not None
    assert (made.data.name, made.data.webhook_url) == ("Votes", "https://example.org/texts")
    assert made.data.id is not None
    seen = await client.messaging_profiles.retrieve(made.data.id)
    assert seen.data == made.data
    assert unknown(made) == set()
    return made.data.id


async def order_number(client: AsyncTelnyx, phone: str, profile_id: str) -> str:
    placed = await client.number_orders.create(
        phone_numbers=[{"phone_number": phone}],
        customer_reference="order-1",
        messaging_profile_id=profile_id,
    )
    order = placed.data
    assert order is not None
    assert order.id is not None
    assert (order.status, order.customer_reference) == ("pending", "order-1")
    assert [one.phone_number for one in order.phone_numbers or []] == [phone]
    order_id = order.id

    async def is_ours() -> bool:
        seen = (await client.number_orders.retrieve(order_id)).data
        return seen is not None and seen.status == "success"

    await until(is_ours)
    listed = await client.number_orders.list(filter={"customer_reference": "order-1"})
    assert [one.id for one in listed.data or []] == [order_id]
    owned = await client.phone_numbers.list(filter={"phone_number": phone.removeprefix("+")})
    [number] = owned.data
    assert (number.phone_number, number.status) == (phone, "active")
    assert number.customer_reference == "order-1"
    assert number.messaging_profile_id == profile_id
    assert number.id not in {one.id for one in order.phone_numbers or []}
    assert unknown(placed) == set()
    assert unknown(owned) <= ELSEWHERE
    return number.id


async def put_on_profile(client: AsyncTelnyx, number_id: str, profile_id: str) -> None:
    moved = await client.phone_numbers.messaging.update(number_id, messaging_profile_id=profile_id)
    seen = await client.phone_numbers.messaging.retrieve(number_id)
    assert moved.data is not None
    assert moved.data.messaging_profile_id == profile_id
    assert seen.data == moved.data
    assert unknown(moved) == set()


async def put_on_use_case(client: AsyncTelnyx, phone: str) -> None:
    campaigns = client.messaging_10dlc.phone_number_campaigns
    attached = await campaigns.create(campaign_id="C1", phone_number=phone)
    assert (attached.phone_number, attached.campaign_id) == (phone, "C1")
    assert attached.assignment_status == "PENDING_ASSIGNMENT"
    assert attached.tmobile_number_mapping_status == "PENDING"

    async def is_confirmed() -> bool:
        seen = await campaigns.retrieve(phone)
        mappings = (seen.tmobile_number_mapping_status, seen.non_tmobile_number_mapping_status)
        return mappings == ("ADDED", "ADDED")

    await until(is_confirmed)
    seen = await campaigns.retrieve(phone)
    assert seen.assignment_status == "ASSIGNED"
    assert seen.updated_at > attached.updated_at
    listed = await campaigns.list(filter={"telnyx_campaign_id": "C1"}, records_per_page=50)
    assert listed.records == [seen]
    assert unknown(attached) == UNPUBLISHED
    assert unknown(listed) <= UNPUBLISHED | ELSEWHERE


async def send_text(client: AsyncTelnyx, phone: str) -> None:
    sent = await client.messages.send(from_=phone, to=PHONE, text="Hello!", type="SMS")
    assert sent.data is not None
    message_id = sent.data.id
    assert message_id is not None
    assert (sent.data.type, sent.data.parts, sent.data.direction) == ("SMS", 1, "outbound")
    assert [one.status for one in sent.data.to or []] == ["queued"]

    async def is_delivered() -> bool:
        seen = (await client.messages.retrieve(message_id)).data
        return [one.status for one in getattr(seen, "to", None) or []] == ["delivered"]

    await until(is_delivered)
    assert unknown(sent) == set()


async def look_up(client: AsyncTelnyx) -> None:
    found = await client.number_lookup.retrieve(PHONE, type="carrier")
    assert found.data is not None
    assert found.data.carrier is not None
    assert (found.data.phone_number, found.data.carrier.name) == (PHONE, "AT&T")
    assert found.data.carrier.type == "mobile"
    assert unknown(found) == set()


async def give_back(client: AsyncTelnyx, phone: str, number_id: str) -> None:
    campaigns = client.messaging_10dlc.phone_number_campaigns
    leaving = await campaigns.delete(phone)
    assert leaving.assignment_status == "PENDING_UNASSIGNMENT"

    async def is_off() -> bool:
        try:
            await campaigns.retrieve(phone)
        except sdk.NotFoundError:
            return True
        return False

    await until(is_off)
    gone = await client.phone_numbers.delete(number_id)
    assert gone.data is not None
    assert (gone.data.phone_number, gone.data.status) == (phone, "deleted")
    assert unknown(gone) <= ELSEWHERE
    with pytest.raises(sdk.NotFoundError):
        await client.phone_numbers.delete(number_id)


async def test_a_number_that_is_sold_is_refused_in_telnyxs_words(client: AsyncTelnyx) -> None:
    phone = await find_number(client)
    await client.number_orders.create(phone_numbers=[{"phone_number": phone}])
    with pytest.raises(sdk.UnprocessableEntityError) as raised:
        await client.number_orders.create(phone_numbers=[{"phone_number": phone}])
    assert isinstance(raised.value.body, dict)
    [error] = raised.value.body["errors"]
    assert set(error) == {"code", "title", "detail"}


async def test_what_is_not_there_is_not_found(client: AsyncTelnyx) -> None:
    for asked in (
        client.number_orders.retrieve("nobody's"),
        client.phone_numbers.retrieve("nobody's"),
        client.phone_numbers.messaging.update("nobody's", messaging_profile_id="profile"),
        client.messaging_10dlc.phone_number_campaigns.retrieve("+12125550199"),
        client.messaging_10dlc.phone_number_campaigns.delete("+12125550199"),
        client.messages.retrieve("nobody's"),
    ):
        with pytest.raises(sdk.NotFoundError):
            await asked


async def test_a_stranger_is_not_let_in(url: str) -> None:
    async with client_of(url, key="another") as stranger:
        with pytest.raises(sdk.AuthenticationError):
            await stranger.phone_numbers.list()


async def test_all_pages_of_a_list_hold_all_of_it_once(
    client: AsyncTelnyx, sandbox: Sandbox
) -> None:
    phones = [f"+1212555010{index}" for index in range(5)]
    for phone in phones:
        sandbox.world.provide_number(
            sandbox.now(), phone, campaign_id="C1", messaging_profile_id="profile"
        )
    owned = [one.phone_number async for one in client.phone_numbers.list(page_size=2)]
    assert sorted(owned) == phones
    campaigns = client.messaging_10dlc.phone_number_campaigns
    on_it = [one.phone_number async for one in campaigns.list(records_per_page=2)]
    assert sorted(on_it) == phones


async def test_a_fault_that_passes_is_waited_out_by_whoever_may_ask_again(
    url: str, sandbox: Sandbox
) -> None:
    faults = (Fault(call="phone_numbers", status=429, retry_after="1"),)
    sandbox.behave(Behaviour(**QUICK, answers=faults))
    async with client_of(url, max_retries=1) as patient:
        assert (await patient.phone_numbers.list()).data == []
    sandbox.behave(Behaviour(**QUICK, answers=faults))
    async with client_of(url) as hasty:
        with pytest.raises(sdk.RateLimitError):
            await hasty.phone_numbers.list()
