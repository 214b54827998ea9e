"""Opting a contact out by hand; STOP and its kin do it by themselves."""

from aiohttp import web

from services.campaign.acts import messenger
from services.campaign.api.calls import SENDERS, Answer, Call, Route, answer
from services.campaign.api.conversations import contact_of


class OptedOut(Answer):
    """A contact who gets no more texts from the organization; how many unsent ones of all its
    campaigns were withdrawn."""

    phone: str
    withdrawn: int


async def opt_out_partner(call: Call) -> web.StreamResponse:
    """Opt the contact of a conversation out."""
    return await _opted_out(call)


async def opt_out_recipient(call: Call) -> web.StreamResponse:
    """Opt the contact out whom a text is for."""
    return await _opted_out(call)


async def _opted_out(call: Call) -> web.StreamResponse:
    async with call.transaction() as tx:
        contact = await contact_of(call, tx)
        withdrawn = await messenger.opt_out(tx, call.caller, contact)
    return answer(OptedOut(phone=contact["phone"], withdrawn=withdrawn))


ROUTES = (
    Route(
        "POST",
        "/conversations/{conversation_id}/opt-out",
        SENDERS,
        opt_out_partner,
        gives=OptedOut,
    ),
    Route("POST", "/messages/{message_id}/opt-out", SENDERS, opt_out_recipient, gives=OptedOut),
)
