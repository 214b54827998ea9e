"""Who sends for a campaign."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from services.campaign import assigning
from services.campaign.api.calls import ADMINS, Answer, Body, Call, Route, answer
from services.campaign.api.details import CampaignDetails, details_of
from shared.fields import Id


class NewSenders(Body):
    """People of the organization who are to send."""

    person_ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=1000)]


class Removed(Answer):
    """How many texts of a removed sender are unassigned again."""

    unassigned: int


async def add_senders(call: Call) -> web.StreamResponse:
    """Let people send."""
    campaign_id = call.id("campaign_id")
    wanted = await call.body(NewSenders)
    async with call.transaction() as tx:
        await assigning.add_senders(tx, call.caller, campaign_id, wanted.person_ids)
        details = await details_of(tx, call.caller.org_id, campaign_id)
    return answer(details)


async def remove_sender(call: Call) -> web.StreamResponse:
    """Take a sender off; what they had not sent is unassigned again."""
    campaign_id, person_id = call.id("campaign_id"), call.id("person_id")
    async with call.transaction() as tx:
        freed = await assigning.remove_sender(tx, call.caller, campaign_id, person_id)
    return answer(Removed(unassigned=freed))


ROUTES = (
    Route(
        "POST",
        "/campaigns/{campaign_id}/senders",
        ADMINS,
        add_senders,
        takes=NewSenders,
        gives=CampaignDetails,
    ),
    Route(
        "DELETE",
        "/campaigns/{campaign_id}/senders/{person_id}",
        ADMINS,
        remove_sender,
        gives=Removed,
    ),
)
