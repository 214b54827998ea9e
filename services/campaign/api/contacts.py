"""Contact lists, as CSV files that stream in."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from aiohttp import web

from services.campaign.api.calls import ADMINS, Answer, Body, Call, Route, answer
from services.campaign.api.fields import Name
from services.campaign.domain import Refused
from services.campaign.store import contacts as store
from services.campaign.uploads import Upload
from shared.http import Problem
from shared.ids import new_id

CHUNK_BYTES = 128 * 1024
NOT_A_TABLE = ("application/json", "multipart/", "application/vnd.openxmlformats", "image/")


class UploadQuery(Body):
    """What comes beside the file."""

    name: Name


class BadRow(Answer):
    """A row that was left out: its line in the file, the column at fault, and why."""

    line: int
    field: str
    reason: str


class ContactListLine(Answer):
    """A list, as lists are listed."""

    contact_list_id: str
    name: str
    created_at: datetime
    contacts: int
    duplicates: int
    bad_row_count: int
    fields: list[str]


class ContactList(ContactListLine):
    """A list, with the report of its upload; bad_rows holds the first thousand.

    `carriers`: how many contacts have which. A word that names none of the three large ones counts
    as `other`, so that a slip in the column shows here; `unknown` are those without a word.
    """

    opted_out: int
    carriers: dict[str, int]
    bad_rows: list[BadRow]


class ContactLists(Answer):
    """All of an organization."""

    items: list[ContactListLine]


async def upload(call: Call) -> web.StreamResponse:
    """A new list out of a CSV file: bad rows are reported, the others go in."""
    name = call.query(UploadQuery).name
    if call.request.content_type.startswith(NOT_A_TABLE):
        raise Problem(415, "Send the file itself", detail="curl --data-binary @contacts.csv")
    contact_list_id = new_id()
    incoming = Upload(
        call.transaction,
        call.caller.org_id,
        contact_list_id,
        name,
        most=call.settings.contacts_most,
    )
    await incoming.run(_chunks(call))
    return await _report(call, contact_list_id, made=True)


async def _chunks(call: Call) -> AsyncIterator[bytes]:
    left = call.settings.upload_most_mb * 1_000_000
    while True:
        try:
            async with asyncio.timeout(call.settings.upload_idle_s):
                chunk = await call.request.content.read(CHUNK_BYTES)
        except TimeoutError:
            raise Problem(408, "The upload stood still for too long") from None
        if not chunk:
            return
        left -= len(chunk)
        if left < 0:
            raise Problem(413, f"A file is at most {call.settings.upload_most_mb} MB")
        yield chunk


async def show(call: Call) -> web.StreamResponse:
    """A list, with the report of its upload."""
    return await _report(call, call.id("contact_list_id"), made=False)


async def _report(call: Call, contact_list_id: str, *, made: bool) -> web.StreamResponse:
    async with call.transaction() as tx:
        row = await store.report(tx, call.caller.org_id, contact_list_id)
    if row is None:
        raise Refused("missing", "There is no such contact list")
    location = f"/contact-lists/{contact_list_id}" if made else None
    return answer(ContactList(**row), status=201 if made else 200, location=location)


async def show_all(call: Call) -> web.StreamResponse:
    """An organization's lists, newest first."""
    async with call.transaction() as tx:
        rows = await store.listed(tx, call.caller.org_id)
    return answer(ContactLists(items=[ContactListLine(**row) for row in rows]))


ROUTES = (
    Route(
        "POST",
        "/contact-lists",
        ADMINS,
        upload,
        asks=UploadQuery,
        gives=ContactList,
        status=201,
        streams=True,
    ),
    Route("GET", "/contact-lists", ADMINS, show_all, gives=ContactLists),
    Route("GET", "/contact-lists/{contact_list_id}", ADMINS, show, gives=ContactList),
)
