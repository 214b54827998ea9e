"""The API tells what it is, to programs and to people, before they have a token."""

from services.campaign.api.app import ROUTES
from services.campaign.api.openapi import document
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


async def test_what_browsers_get_of_an_invite_link_is_described_too(office: Desk) -> None:
    described = document(ROUTES)["paths"]["/invites/{secret}"]["get"]["responses"]
    acme = await office.organization()
    path = f"/campaigns/{await acme.launch()}/invite"
    link = (await office.good("PUT", path, acme.admin))["path"]

    async def looked(at: str) -> tuple[int, str]:
        async with office.client.get(at, headers={"Accept": "text/html"}) as reply:
            return reply.status, reply.content_type

    found = [await looked(link), await looked(f"{link}x")]
    await office.good("DELETE", path, acme.admin)
    found.append(await looked(link))
    assert found == [(200, "text/html"), (404, "text/html"), (410, "text/html")]
    assert all(media in described[str(status)]["content"] for status, media in found)
