"""Tags: an organization's list of them, and who has which."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from aiohttp import web
from asyncpg import Record

from services.campaign.acts import messenger
from services.campaign.api.calls import (
    ADMINS,
    SENDERS,
    Answer,
    Body,
    Call,
    Page,
    PageQuery,
    Route,
    answer,
    page_of,
)
from services.campaign.api.conversations import contact_of
from services.campaign.api.fields import Tag
from services.campaign.domain import Caller
from services.campaign.store import tags
from shared.database import Transaction


class NewTag(Body):
    """A word for contacts."""

    tag: Tag


class TagShown(Answer):
    """A tag of the organization's."""

    tag: str
    created_at: datetime


class Tags(Page):
    """The organization's tags, in the order of the alphabet."""

    items: list[TagShown]


class TagRemoved(Answer):
    """A tag that is no more, and how many contacts it was taken off."""

    tag: str
    contacts: int


class ContactTags(Answer):
    """The tags that a contact has now, in this campaign."""

    campaign_id: str
    phone: str
    tags: list[str]


async def show_all(call: Call) -> web.StreamResponse:
    """The organization's tags."""
    asked = call.query(PageQuery)
    async with call.transaction() as tx:
        rows = await tags.page(tx, call.org_id, after=asked.after, most=asked.limit + 1)
    shown, following = page_of(rows, asked.limit, lambda row: str(row["tag"]))
    return answer(Tags(items=[TagShown(**row) for row in shown], next=following))


async def add(call: Call) -> web.StreamResponse:
    """Add a tag to the organization's."""
    wanted = await call.body(NewTag)
    async with call.transaction() as tx:
        now = await tx.now()
        await tags.add(tx, call.org_id, wanted.tag, now)
    shown = TagShown(tag=wanted.tag, created_at=now)
    return answer(shown, status=201, location=f"/tags/{wanted.tag}")


async def remove(call: Call) -> web.StreamResponse:
    """Delete a tag, and take it off all who have it."""
    tag = call.id("tag")
    async with call.transaction() as tx:
        contacts = await tags.remove(tx, call.org_id, tag)
    return answer(TagRemoved(tag=tag, contacts=contacts))


async def put_on_partner(call: Call) -> web.StreamResponse:
    """Put a tag on the contact of a conversation."""
    return await _with_tags(call, messenger.tag)


async def take_off_partner(call: Call) -> web.StreamResponse:
    """Take a tag off the contact of a conversation."""
    return await _with_tags(call, messenger.untag)


async def put_on_recipient(call: Call) -> web.StreamResponse:
    """Put a tag on the contact whom a text is for."""
    return await _with_tags(call, messenger.tag)


async def take_off_recipient(call: Call) -> web.StreamResponse:
    """Take a tag off the contact whom a text is for."""
    return await _with_tags(call, messenger.untag)


async def _with_tags(
    call: Call, act: Callable[[Transaction, Caller, Record, str], Awaitable[list[str]]]
) -> web.StreamResponse:
    async with call.transaction() as tx:
        contact = await contact_of(call, tx)
        found = await act(tx, call.caller, contact, call.id("tag"))
    return answer(
        ContactTags(campaign_id=contact["campaign_id"], phone=contact["phone"], tags=found)
    )


_OF_PARTNER = "/conversations/{conversation_id}/tags/{tag}"
_OF_RECIPIENT = "/messages/{message_id}/tags/{tag}"

ROUTES = (
    Route("GET", "/tags", SENDERS, show_all, asks=PageQuery, gives=Tags),
    Route("POST", "/tags", ADMINS, add, takes=NewTag, gives=TagShown, status=201),
    Route("DELETE", "/tags/{tag}", ADMINS, remove, gives=TagRemoved),
    Route("PUT", _OF_PARTNER, SENDERS, put_on_partner, gives=ContactTags),
    Route("DELETE", _OF_PARTNER, SENDERS, take_off_partner, gives=ContactTags),
    Route("PUT", _OF_RECIPIENT, SENDERS, put_on_recipient, gives=ContactTags),
    Route("DELETE", _OF_RECIPIENT, SENDERS, take_off_recipient, gives=ContactTags),
)
