"""Opting a contact out by hand; STOP and its kin do it by themselves."""

from aiohttp import web
from asyncpg import Record

from services.campaign.acts import messenger
from services.campaign.api.calls import SENDERS, Answer, Call, Route, answer
from services.campaign.store import conversations, messages
from shared.database import Transaction


class OptedOut(Answer):
    """A contact who gets no more texts from the organization; how many unsent ones of all its
    campaigns were withdrawn."""

    phone: str
    withdrawn: int


async def opt_out_partner(call: Call) -> web.StreamResponse:
    """Opt the contact of a conversation out."""
    async with call.transaction() as tx:
        contact = await conversations.get(tx, call.org_id, call.id("conversation_id"))
        return await _opted_out(call, tx, contact)


async def opt_out_recipient(call: Call) -> web.StreamResponse:
    """Opt the contact out whom a text is for."""
    async with call.transaction() as tx:
        contact = await messages.recipient(tx, call.org_id, call.id("message_id"))
        return await _opted_out(call, tx, contact)


async def _opted_out(call: Call, tx: Transaction, contact: Record) -> web.StreamResponse:
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
