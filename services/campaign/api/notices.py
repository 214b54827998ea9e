"""Which notices an admin gets as e-mail."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from services.campaign.acts import noticing
from services.campaign.acts.noticing import MAILED, Mailed
from services.campaign.api.calls import ADMINS, Answer, Body, Call, Route, answer
from shared.database import Transaction


class NewNotices(Body):
    """The whole choice: what is not in it is not sent."""

    notices: Annotated[tuple[Mailed, ...], Field(max_length=len(MAILED))]


class Notices(Answer):
    """What the caller gets in this organization, at their address there."""

    email: str
    notices: list[Mailed]


async def show(call: Call) -> web.StreamResponse:
    """Which notices one gets as e-mail: all, until one has said which."""
    async with call.transaction() as tx:
        return await _shown(call, tx)


async def put(call: Call) -> web.StreamResponse:
    """Say which notices one wants as e-mail, from the next one on."""
    wanted = await call.body(NewNotices)
    async with call.transaction() as tx:
        await noticing.choose(tx, call.caller, wanted.notices)
        return await _shown(call, tx)


async def _shown(call: Call, tx: Transaction) -> web.Response:
    email, notices = await noticing.chosen(tx, call.caller)
    return answer(Notices(email=email, notices=list(notices)))


OWN = "/me/notices"

ROUTES = (
    Route("GET", OWN, ADMINS, show, gives=Notices),
    Route("PUT", OWN, ADMINS, put, takes=NewNotices, gives=Notices),
)
