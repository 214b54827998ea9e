"""The API tells what it is, to programs and to people, before they have a token."""

from tests.campaign_desk import Desk


async def test_the_description_is_served_to_anybody(office: Desk) -> None:
    reply = await office.good("GET", "/openapi.json")
    assert reply["openapi"].startswith("3.1")
    assert "/campaigns/{campaign_id}/launch" in reply["paths"]
    assert "/openapi.json" in reply["paths"]


async def test_the_page_is_served_to_anybody_and_may_load_nothing(office: Desk) -> None:
    reply = await office.good("GET", "/docs")
    assert reply.headers["Content-Type"].startswith("text/html")
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "/api/v1/campaigns/{campaign_id}/launch" in reply.body


async def test_a_token_that_is_none_is_not_taken_for_no_token(office: Desk) -> None:
    assert (await office.call("GET", "/openapi.json", "sluice_wrong")).status == 401
