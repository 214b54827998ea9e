"""A campaign's texts, page by page and one by one."""

from datetime import datetime

from aiohttp import web

from services.campaign.api.calls import (
    ADMINS,
    SENDERS,
    Answer,
    Call,
    Page,
    PageQuery,
    Route,
    answer,
    page_of,
)
from services.campaign.api.conversations import sendable_now
from services.campaign.domain import Refused, Status
from services.campaign.rules import scripts
from services.campaign.rules.sendable import UNSENT, Sendable
from services.campaign.store import campaigns, inbox, reports


class MessagesQuery(PageQuery):
    """Which."""

    status: Status | None = None


class Message(Answer):
    """A text, and what came of it."""

    message_id: str
    kind: str
    to: str
    carrier: str | None
    status: Status
    reason: str | None
    code: str | None
    segments: int | None
    sender_id: str | None
    queued_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    failed_at: datetime | None
    provider_id: str | None
    text: str | None


class MessageShown(Message):
    """A text by itself. `sendable`: it can be sent now, else `warning` says why not, or no longer.

    Until it is sent, its `text` is what would go; a sender sees it while they can send it.
    """

    sendable: bool
    warning: str | None


class Messages(Page):
    """Texts in the order of their ids."""

    items: list[Message]


async def show_all(call: Call) -> web.StreamResponse:
    """A page of a campaign's texts."""
    campaign_id, asked = call.id("campaign_id"), call.query(MessagesQuery)
    async with call.transaction() as tx:
        await campaigns.get(tx, call.org_id, campaign_id)
        rows = await reports.page(
            tx,
            call.org_id,
            campaign_id,
            status=asked.status,
            after=asked.after,
            most=asked.limit + 1,
        )
    shown, further = page_of(rows, asked.limit, lambda row: str(row["message_id"]))
    return answer(Messages(items=[Message(**row) for row in shown], next=further))


async def show(call: Call) -> web.StreamResponse:
    """One text; a sender sees their own."""
    message_id = call.id("message_id")
    async with call.transaction() as tx:
        row = await reports.one(tx, call.org_id, message_id)
        if row is None:
            raise Refused("missing", "There is no such message")
        contact = await inbox.text(tx, call.org_id, message_id)
        now = await tx.now()
    if call.caller.role == "sender" and row["sender_id"] != call.caller.person_id:
        raise Refused("forbidden", "The message is somebody else's")
    found, text = Sendable(False), row["text"]
    if contact is not None:
        found = sendable_now(contact, now)
        if row["status"] in UNSENT and (found.sendable or call.caller.role == "admin"):
            text = scripts.render(contact["script"], scripts.values_of(contact))
    return answer(
        MessageShown(**{**row, "text": text}, sendable=found.sendable, warning=found.warning)
    )


ROUTES = (
    Route(
        "GET",
        "/campaigns/{campaign_id}/messages",
        ADMINS,
        show_all,
        asks=MessagesQuery,
        gives=Messages,
    ),
    Route("GET", "/messages/{message_id}", SENDERS, show, gives=MessageShown),
)
