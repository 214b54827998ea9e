"""Texts to oneself."""

from aiohttp import web

from services.campaign.acts import trying
from services.campaign.api.calls import ADMINS, Body, Call, Route, answer
from services.campaign.api.conversations import Queued
from shared.fields import Phone
from shared.ids import new_id


class TestTextWanted(Body):
    """As which contact of the list one would read it; by default as its first."""

    contact_phone: Phone | None = None


async def send(call: Call) -> web.StreamResponse:
    """The script, rendered, to one's own phone, from the campaign's number."""
    campaign_id, message_id = call.id("campaign_id"), new_id()
    wanted = await call.body(TestTextWanted)
    async with call.transaction() as tx:
        queued = await trying.send_to_oneself(
            tx, call.caller, campaign_id, message_id, wanted.contact_phone
        )
    return answer(Queued.model_validate(queued), status=202, location=f"/messages/{message_id}")


ROUTES = (
    Route(
        "POST",
        "/campaigns/{campaign_id}/test-text",
        ADMINS,
        send,
        takes=TestTextWanted,
        gives=Queued,
        status=202,
    ),
)
