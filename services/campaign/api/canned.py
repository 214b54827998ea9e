"""A campaign's canned responses, as its admins write them."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from services.campaign.acts import messenger
from services.campaign.api.calls import ADMINS, Answer, Body, Call, Page, Route, answer
from services.campaign.api.fields import Name
from services.campaign.store import campaigns, canned
from services.campaign.store.canned import CannedResponse
from shared.fields import Body as Words


class NewCannedResponse(Body):
    """A ready answer: what senders pick it by, and its text with {fields} of the contact."""

    name: Name
    text: Words


class NewCannedResponses(Body):
    """All of a campaign's, in order; they take the place of those that there are."""

    items: Annotated[tuple[NewCannedResponse, ...], Field(max_length=100)]


class CannedShown(Answer):
    """A ready answer."""

    name: str
    text: str


class CannedResponses(Page):
    """All of a campaign's, in order, on one page."""

    campaign_id: str
    items: list[CannedShown]


async def show(call: Call) -> web.StreamResponse:
    """A campaign's canned responses as they were written."""
    campaign_id = call.id("campaign_id")
    async with call.transaction() as tx:
        await campaigns.get(tx, call.org_id, campaign_id)
        found = await canned.of_campaign(tx, call.org_id, campaign_id)
    return _answer(campaign_id, found)


async def put(call: Call) -> web.StreamResponse:
    """Write all of a campaign's canned responses."""
    campaign_id = call.id("campaign_id")
    wanted = await call.body(NewCannedResponses)
    written = [CannedResponse(one.name, one.text) for one in wanted.items]
    async with call.transaction() as tx:
        await messenger.put_canned(tx, call.caller, campaign_id, written)
    return _answer(campaign_id, written)


def _answer(campaign_id: str, found: list[CannedResponse]) -> web.StreamResponse:
    items = [CannedShown.model_validate(one) for one in found]
    return answer(CannedResponses(campaign_id=campaign_id, items=items))


_OF_CAMPAIGN = "/campaigns/{campaign_id}/canned-responses"

ROUTES = (
    Route("GET", _OF_CAMPAIGN, ADMINS, show, gives=CannedResponses),
    Route("PUT", _OF_CAMPAIGN, ADMINS, put, takes=NewCannedResponses, gives=CannedResponses),
)
