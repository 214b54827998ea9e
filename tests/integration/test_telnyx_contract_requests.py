"""For the same act the vendor's own SDK and our adapters send the same request."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from telnyx import AsyncTelnyx

from services.collider.domain import Outbound
from services.collider.providers.telnyx import TelnyxLookUps, TelnyxMessages
from services.provisioner.providers.telnyx import Telnyx
from services.provisioner.providers.telnyx_lists import TelnyxLists
from tests.telnyx_recorder import NUMBER, Asked, Recorder, open_recorder

KEY = "KEY0123_secret"
PHONE = "+12122340001"
RECEIPTS = "https://texts.example.org"
RECEIPT = f"{RECEIPTS}/webhooks/telnyx/acme/m%2F1/2?kind=reply"

Ask = Callable[[Any], Awaitable[object]]


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    async with open_recorder() as one:
        yield one


@pytest.fixture
async def sdk(recorder: Recorder) -> AsyncIterator[AsyncTelnyx]:
    async with AsyncTelnyx(api_key=KEY, base_url=recorder.url, max_retries=0, timeout=5) as one:
        yield one


@pytest.fixture
async def telnyx(recorder: Recorder) -> AsyncIterator[Telnyx]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield Telnyx(session, recorder.url, SecretStr(KEY))


@pytest.fixture
async def messages(recorder: Recorder) -> AsyncIterator[TelnyxMessages]:
    async with TelnyxMessages(recorder.url, KEY, RECEIPTS, timeout_s=5, calls_most=5) as one:
        yield one


@pytest.fixture
async def look_ups(recorder: Recorder) -> AsyncIterator[TelnyxLookUps]:
    async with TelnyxLookUps(recorder.url, KEY) as one:
        yield one


async def both(recorder: Recorder, theirs: Awaitable[object], ours: Awaitable[object]) -> None:
    """One act by both; they must have asked the same."""
    await theirs
    wanted = recorder.take()
    await ours
    assert recorder.take() == wanted
    assert wanted
    assert {one.authorization for one in wanted} == {f"Bearer {KEY}"}


async def numbers_with(sdk: AsyncTelnyx) -> str:
    """The id of our number, as the SDK finds it."""
    found = await sdk.phone_numbers.list(filter={"phone_number": NUMBER.removeprefix("+")})
    return str(found.data[0].id)


FOR_SALE: Any = {
    "country_code": "US",
    "phone_number_type": "local",
    "features": ["sms", "mms"],
    "best_effort": False,
    "limit": 100,
}


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        ({"area_code": "212"}, {"national_destination_code": "212"}),
        ({"state": "NY"}, {"administrative_area": "NY"}),
        ({}, {}),
    ],
)
async def test_a_search_differs_in_how_a_list_is_written_and_in_nothing_else(
    recorder: Recorder, sdk: AsyncTelnyx, telnyx: Telnyx, place: Any, wanted: Any
) -> None:
    told: Any = {**FOR_SALE, **wanted}
    await sdk.available_phone_numbers.list(filter=told)
    [theirs] = recorder.take()
    await telnyx.search(**place)
    [ours] = recorder.take()
    joined = ("filter[features]", "sms,mms")
    apart = (("filter[features][]", "mms"), ("filter[features][]", "sms"))
    assert joined in theirs.query
    assert set(apart) < set(ours.query)
    same = (*(pair for pair in ours.query if pair not in apart), joined)
    assert replace(ours, query=tuple(sorted(same))) == theirs
    assert ours.authorization == f"Bearer {KEY}"


@pytest.mark.parametrize("profile", ["profile", None])
async def test_a_number_is_ordered_alike(
    recorder: Recorder, sdk: AsyncTelnyx, telnyx: Telnyx, profile: str | None
) -> None:
    told: Any = {} if profile is None else {"messaging_profile_id": profile}
    await both(
        recorder,
        sdk.number_orders.create(
            phone_numbers=[{"phone_number": NUMBER}], customer_reference="o1-1", **told
        ),
        telnyx.buy(NUMBER, "o1-1", profile),
    )


async def test_an_order_is_found_by_its_reference_and_by_its_id_alike(
    recorder: Recorder, sdk: AsyncTelnyx, telnyx: Telnyx
) -> None:
    found = sdk.number_orders.list(filter={"customer_reference": "o1-1"})
    await both(recorder, found, telnyx.look_up("o1-1"))
    await both(recorder, sdk.number_orders.retrieve("po1"), telnyx.see_order("po1"))


async def test_a_number_is_put_on_its_messaging_profile_alike(
    recorder: Recorder, sdk: AsyncTelnyx, telnyx: Telnyx
) -> None:
    async def theirs() -> None:
        number_id = await numbers_with(sdk)
        await sdk.phone_numbers.messaging.update(number_id, messaging_profile_id="profile")

    await both(recorder, theirs(), telnyx.set_profile(NUMBER, "profile"))


async def test_a_number_goes_on_its_use_case_is_asked_after_and_comes_off_alike(
    recorder: Recorder, sdk: AsyncTelnyx, telnyx: Telnyx
) -> None:
    campaigns = sdk.messaging_10dlc.phone_number_campaigns
    attach = campaigns.create(campaign_id="C1", phone_number=NUMBER)
    await both(recorder, attach, telnyx.attach(NUMBER, "C1"))
    await both(recorder, campaigns.retrieve(NUMBER), telnyx.ask_carriers(NUMBER))
    await both(recorder, campaigns.delete(NUMBER), telnyx.detach(NUMBER))


async def test_a_number_is_given_back_alike(
    recorder: Recorder, sdk: AsyncTelnyx, telnyx: Telnyx
) -> None:
    async def theirs() -> None:
        await sdk.phone_numbers.delete(await numbers_with(sdk))

    await both(recorder, theirs(), telnyx.give_back(NUMBER))


async def test_the_accounts_numbers_are_listed_alike(
    recorder: Recorder, sdk: AsyncTelnyx, telnyx: Telnyx
) -> None:
    lists = TelnyxLists(telnyx)
    await both(recorder, sdk.phone_numbers.list(page_number=2, page_size=250), lists.numbers(2))
    campaigns = sdk.messaging_10dlc.phone_number_campaigns
    await both(recorder, campaigns.list(page=2, records_per_page=100), lists.attachments(2))


def outbound(**changes: Any) -> Outbound:
    told: dict[str, Any] = {
        "org_id": "acme",
        "message_id": "m/1",
        "attempt": 2,
        "carrier": "att",
        "channel": "sms",
        "kind": "reply",
        "sender": NUMBER,
        "to": PHONE,
        "text": 'Ünïcode, "quotes" and 😀',
        "media_urls": (),
        "messaging_profile_id": None,
        "expires_at": datetime(2026, 6, 1, tzinfo=UTC),
    }
    return Outbound(**{**told, **changes})


async def test_a_text_is_handed_over_alike(
    recorder: Recorder, sdk: AsyncTelnyx, messages: TelnyxMessages
) -> None:
    text = outbound()
    theirs = sdk.messages.send(
        from_=NUMBER, to=PHONE, text=text.text, type="SMS", webhook_url=RECEIPT
    )
    await both(recorder, theirs, messages.send(text))


async def test_a_text_with_pictures_on_a_profile_is_handed_over_alike(
    recorder: Recorder, sdk: AsyncTelnyx, messages: TelnyxMessages
) -> None:
    pictures = ("https://example.org/a%20b.jpg", "https://example.org/c.png")
    text = outbound(channel="mms", media_urls=pictures, messaging_profile_id="profile")
    theirs = sdk.messages.send(
        from_=NUMBER,
        to=PHONE,
        text=text.text,
        type="MMS",
        media_urls=list(pictures),
        messaging_profile_id="profile",
        webhook_url=RECEIPT,
    )
    await both(recorder, theirs, messages.send(text))


async def test_a_phones_carrier_is_looked_up_alike(
    recorder: Recorder, sdk: AsyncTelnyx, look_ups: TelnyxLookUps
) -> None:
    theirs = sdk.number_lookup.retrieve(PHONE, type="carrier")
    await both(recorder, theirs, look_ups.look_up(PHONE))


async def test_the_recorder_tells_requests_apart(
    recorder: Recorder, sdk: AsyncTelnyx, telnyx: Telnyx
) -> None:
    campaigns = sdk.messaging_10dlc.phone_number_campaigns
    with pytest.raises(AssertionError):
        await both(recorder, campaigns.retrieve(NUMBER), telnyx.detach(NUMBER))
    attach = campaigns.create(campaign_id="C2", phone_number=NUMBER)
    with pytest.raises(AssertionError):
        await both(recorder, attach, telnyx.attach(NUMBER, "C1"))
    await telnyx.look_up("o1-1")
    [asked] = recorder.take()
    assert asked == Asked(
        "GET",
        "/v2/number_orders",
        (("filter[customer_reference]", "o1-1"),),
        None,
        f"Bearer {KEY}",
        "",
    )
