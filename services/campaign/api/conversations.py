"""Conversations: a sender's own; for admins all contacts, before they have written as well."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aiohttp import web
from asyncpg import Record

from services.campaign.acts import messenger, sending
from services.campaign.api.calls import SENDERS, Answer, Body, Call, Page, PageQuery, Route, page_of
from services.campaign.api.calls import answer as answered
from services.campaign.api.canned import CannedShown
from services.campaign.domain import RANKS, Caller, Refused, Status
from services.campaign.rules import scripts
from services.campaign.rules.sendable import FAILED, UNSENT, Sendable, Tab, sendable, why_no_answer
from services.campaign.store import conversations as store
from services.campaign.store import inbox, messages, tags
from services.campaign.store.inbox import Part
from shared.database import Transaction
from shared.fields import Body as Words
from shared.fields import Id
from shared.ids import new_id
from shared.rules.hours import Window


class ConversationsQuery(PageQuery):
    """Which; senders see their own. Only admins ask by `sender_id`, by `status` (of a text), and
    for the tabs of texts: `initials` (nobody has sent them yet), `failed`, `unclear`."""

    tab: Tab | None = None
    sender_id: Id | None = None
    status: Status | None = None
    campaign_id: Id | None = None
    waiting: bool | None = None


class NewReply(Body):
    """An answer to a contact."""

    text: Words


class ConversationLine(Answer):
    """A contact of a campaign: `message_id` and `status` are those of the text that is meant, their
    initial but for a reply that failed or is unclear; `conversation_id` is null until they write.

    `sendable`: the initial can be sent now, else `warning` says why not. `answerable`: a reply can
    be sent, else `answer_warning` says why not. `waiting`: the last word is the contact's.
    `last_text`: what they wrote last, or else the text to them.
    """

    campaign_id: str
    conversation_id: str | None
    message_id: str | None
    status: Status | None
    phone: str
    first_name: str
    last_name: str
    sender_id: str | None
    waiting: bool
    last_received_at: datetime | None
    last_text: str
    sendable: bool
    warning: str | None
    answerable: bool
    answer_warning: str | None

    @classmethod
    def of(cls, row: Any, now: datetime) -> "ConversationLine":
        """A number that is in no list has no name."""
        shown = sendable_now(row, now)
        talks = row["conversation_id"] is not None
        why = why_no_answer(row["state"], opted_out=row["opted_out"]) if talks else None
        return cls(
            campaign_id=row["campaign_id"],
            conversation_id=row["conversation_id"],
            message_id=row["message_id"],
            status=row["status"],
            phone=row["phone"],
            first_name=row["first_name"] or "",
            last_name=row["last_name"] or "",
            sender_id=row["sender_id"] or None,
            waiting=bool(row["waiting"]),
            last_received_at=row["last_received_at"],
            last_text=_last_text(row),
            sendable=shown.sendable,
            warning=shown.warning,
            answerable=talks and why is None,
            answer_warning=why,
        )


def sendable_now(row: Any, now: datetime) -> Sendable:
    """Whether the text of a row of the inbox can be sent."""
    if row["status"] is None:
        return Sendable(False)
    window = Window(row["opens_at"], row["closes_at"])
    return sendable(row["status"], row["state"], window, now, opted_out=row["opted_out"])


def _last_text(row: Any) -> str:
    found: str | None = row["last_received"]
    if found is None and row["status"] in UNSENT:
        return scripts.render(row["script"], scripts.values_of(row))
    return found if found is not None else row["text"] or ""


class Conversations(Page):
    """A page of contacts, those of the newest campaign first."""

    items: list[ConversationLine]


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


class Conversation(ConversationLine):
    """A conversation, both ways, oldest first, with the contact's tags, and the campaign's canned
    responses as they read for the contact."""

    opted_out: bool
    tags: list[str]
    canned_responses: list[CannedShown]
    messages: list[Text]


class Queued(Answer):
    """A text that is on its way; by the campaign's hours it goes at `goes_at` or later.

    `expected_at`: about when, behind all that waits for the same carrier; null where nobody can
    tell, or where it would not go before the window ends. `note` says it in words.
    """

    message_id: str
    status: str
    text: str
    segments: int
    queued_at: datetime
    goes_at: datetime
    expected_at: datetime | None
    note: str


async def show_all(call: Call) -> web.StreamResponse:
    """The caller's conversations; for admins all, and contacts who have not written as well."""
    asked = call.query(ConversationsQuery)
    part = Part(
        most=asked.limit + 1,
        after=_place(asked.after),
        sender_id=_whose(call.caller, asked),
        campaign_id=asked.campaign_id,
    )
    async with call.transaction() as tx:
        rows = await _listed(tx, call.caller, asked, part)
        now = await tx.now()
    shown, following = page_of(
        rows, asked.limit, lambda row: f"{row['campaign_id']}/{row['item_id']}"
    )
    items = [ConversationLine.of(row, now) for row in shown]
    return answered(Conversations(items=items, next=following))


def _place(after: str) -> tuple[str, str]:
    campaign_id, _, item_id = after.partition("/")
    return campaign_id, item_id


def _whose(caller: Caller, asked: ConversationsQuery) -> str | None:
    if caller.role != "sender":
        return asked.sender_id
    if asked.sender_id is not None or asked.status is not None or asked.tab in _TEXTS_OF_TAB:
        raise Refused("forbidden", "Senders see their own conversations")
    return caller.person_id


_TEXTS_OF_TAB: dict[Tab, tuple[Status, ...]] = {
    "initials": UNSENT,
    "failed": FAILED,
    "unclear": ("unclear",),
}


async def _listed(
    tx: Transaction, caller: Caller, asked: ConversationsQuery, part: Part
) -> Sequence[Record]:
    waiting = True if asked.tab == "waiting" else asked.waiting
    talks = asked.tab in ("replied", "waiting") or waiting is not None or caller.role == "sender"
    if talks and (asked.status is not None or asked.tab in _TEXTS_OF_TAB):
        raise Refused("invalid", "it goes with texts, not with conversations", field="status")
    if talks:
        return await inbox.talks(tx, caller.org_id, part, waiting=waiting)
    statuses = _TEXTS_OF_TAB[asked.tab] if asked.tab else tuple(RANKS)
    if asked.status is not None:
        statuses = tuple({asked.status} & set(statuses))
    if asked.tab == "initials" or (asked.tab is None and asked.status is not None):
        return await inbox.texts(tx, caller.org_id, part, statuses, ["initial"])
    if asked.tab is not None:
        return await inbox.texts(tx, caller.org_id, part, statuses, ["initial", "reply"])
    return await inbox.everything(tx, caller.org_id, part, statuses)


async def show(call: Call) -> web.StreamResponse:
    """One conversation."""
    org_id = call.caller.org_id
    async with call.transaction() as tx:
        row = await inbox.talk(tx, org_id, call.id("conversation_id"))
        if row is None:
            raise Refused("missing", "There is no such conversation")
        await messenger.check_partner(tx, call.caller, row)
        texts = await store.texts(tx, org_id, row["campaign_id"], row["phone"])
        canned = await messenger.canned_for(tx, org_id, row)
        tagged = await tags.of_contact(tx, org_id, row["campaign_id"], row["phone"])
        line = ConversationLine.of(row, await tx.now())
    return answered(
        Conversation(
            **dict(line),
            opted_out=row["opted_out"],
            tags=tagged,
            canned_responses=[CannedShown.model_validate(one) for one in canned],
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


async def contact_of(call: Call, tx: Transaction) -> Record:
    """The contact that a path names: by their conversation, or by a text to them; held."""
    if "conversation_id" in call.request.match_info:
        return await store.get(tx, call.org_id, call.id("conversation_id"))
    return await messages.recipient(tx, call.org_id, call.id("message_id"))


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
