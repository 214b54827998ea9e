"""Conversations with contacts who have answered."""

from datetime import datetime
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field, StringConstraints

from services.campaign import sending
from services.campaign.api.calls import PAGE, PAGE_MOST, SENDERS, Answer, Body, Call, Route
from services.campaign.api.calls import answer as answered
from services.campaign.store import conversations as store
from shared.fields import Body as Words
from shared.fields import Id
from shared.ids import new_id


class ConversationsQuery(Body):
    """Which; `after` is the `next` of the page before."""

    campaign_id: Id | None = None
    waiting: bool | None = None
    after: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{0,64}$")] = ""
    limit: Annotated[int, Field(ge=1, le=PAGE_MOST)] = PAGE


class NewReply(Body):
    """An answer to a contact."""

    text: Words


class ConversationLine(Answer):
    """A conversation, as conversations are listed; `waiting`: the last word is the contact's."""

    conversation_id: str
    campaign_id: str
    phone: str
    first_name: str
    last_name: str
    sender_id: str | None
    waiting: bool
    last_received_at: datetime
    last_text: str

    @classmethod
    def of(cls, row: Any) -> "ConversationLine":
        """A number that is in no list has no name."""
        named = {name: row[name] or "" for name in ("first_name", "last_name", "last_text")}
        return cls(**{**row, **named, "sender_id": row["sender_id"] or None})


class Text(Answer):
    """One text, `in` from the contact or `out` to them."""

    direction: str
    message_id: str
    kind: str
    sender_id: str | None
    text: str
    status: str
    reason: str | None
    at: datetime


class Conversation(Answer):
    """A conversation, both ways, oldest first."""

    conversation_id: str
    campaign_id: str
    phone: str
    first_name: str
    last_name: str
    sender_id: str | None
    waiting: bool
    opted_out: bool
    messages: list[Text]


class Conversations(Answer):
    """A page; `next` is where the next one begins, if there is one."""

    items: list[ConversationLine]
    next: str | None


class Queued(Answer):
    """A text that is on its way; by the campaign's hours it goes at `goes_at` or later."""

    message_id: str
    status: str
    text: str
    segments: int
    queued_at: datetime
    goes_at: datetime
    note: str


async def show_all(call: Call) -> web.StreamResponse:
    """The caller's conversations; an admin's are the organization's."""
    asked = call.query(ConversationsQuery)
    mine = call.caller.person_id if call.caller.role == "sender" else None
    async with call.transaction() as tx:
        rows = await store.listed(
            tx,
            call.caller.org_id,
            sender_id=mine,
            campaign_id=asked.campaign_id,
            waiting=asked.waiting,
            after=asked.after,
            most=asked.limit,
        )
    items = [ConversationLine.of(row) for row in rows]
    more = len(items) == asked.limit
    return answered(Conversations(items=items, next=items[-1].conversation_id if more else None))


async def show(call: Call) -> web.StreamResponse:
    """One conversation."""
    async with call.transaction() as tx:
        row = await store.get(tx, call.caller.org_id, call.id("conversation_id"))
        sending.check_partner(call.caller, row["sender_id"])
        texts = await store.texts(tx, call.caller.org_id, row)
    return answered(
        Conversation(
            conversation_id=row["conversation_id"],
            campaign_id=row["campaign_id"],
            phone=row["phone"],
            first_name=row["first_name"] or "",
            last_name=row["last_name"] or "",
            sender_id=row["sender_id"] or None,
            waiting=row["waiting"],
            opted_out=row["opted_out"],
            messages=[Text(**{**text, "sender_id": text["sender_id"] or None}) for text in texts],
        )
    )


async def reply(call: Call) -> web.StreamResponse:
    """Answer: bound by open hours, never by the window."""
    conversation_id, message_id = call.id("conversation_id"), new_id()
    wanted = await call.body(NewReply)
    async with call.transaction() as tx:
        queued = await sending.reply(tx, call.caller, conversation_id, message_id, wanted.text)
    return answered(Queued.model_validate(queued), status=202, location=f"/messages/{message_id}")


ROUTES = (
    Route("GET", "/conversations", SENDERS, show_all, asks=ConversationsQuery, gives=Conversations),
    Route("GET", "/conversations/{conversation_id}", SENDERS, show, gives=Conversation),
    Route(
        "POST",
        "/conversations/{conversation_id}/replies",
        SENDERS,
        reply,
        takes=NewReply,
        gives=Queued,
        status=202,
    ),
)
