"""Contact lists, as CSV files that stream in, and what was left out of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import StringConstraints

from services.campaign.acts.uploads import Reading, Upload
from services.campaign.api import repeats
from services.campaign.api.calls import (
    ADMINS,
    PAGE_MOST,
    Answer,
    Body,
    Call,
    Page,
    PageQuery,
    Route,
    answer,
    page_of,
)
from services.campaign.api.csv_files import send_csv
from services.campaign.api.fields import Name
from services.campaign.domain import Refused
from services.campaign.rules.contact_rows import MAPPED
from services.campaign.rules.csv_records import Encoding
from services.campaign.store import audit, look_ups
from services.campaign.store import contacts as store
from shared.database import Transaction
from shared.http import Problem
from shared.ids import id_from, new_id

CHUNK_BYTES = 128 * 1024
NOT_A_TABLE = ("application/json", "multipart/", "application/vnd.openxmlformats", "image/")
THE_FILE = "the CSV file is the body itself, of type text/csv: curl --data-binary @contacts.csv"

LeftOutFor = Literal["bad", "duplicate", "opted out"]


class UploadQuery(Body):
    """What comes beside the file: headings of columns that bear another name, its encoding, and
    whether unknown carriers are looked up at once."""

    name: Name
    phone: Name | None = None
    first_name: Name | None = None
    last_name: Name | None = None
    carrier: Name | None = None
    encoding: Encoding = "utf-8"
    look_up: bool = False


class LeftOutQuery(PageQuery):
    """Which rows; `after` is a line."""

    after: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,9}$")] = ""
    what: LeftOutFor | None = None


class RowLeftOut(Answer):
    """A row that is not in the list: its line in the file, the column at fault, and why."""

    line: int
    what: LeftOutFor
    field: str
    reason: str


class RowsLeftOut(Page):
    """Rows that are not in the list, in the order of the file."""

    items: list[RowLeftOut]


class ContactListLine(Answer):
    """A list, as lists are listed; three counts say how many rows were left out, and for what."""

    contact_list_id: str
    name: str
    created_at: datetime
    contacts: int
    duplicates: int
    opted_out: int
    bad_row_count: int
    fields: list[str]


class CarrierLookUp(Answer):
    """How far the look-up of a list's unknown carriers is.

    Of `contacts` that had none, `found` have one now, `unknown` could not be told, and `left` are
    still without an answer; `asked` is how many the collider knows of.
    """

    started_at: datetime
    contacts: int
    asked: int
    found: int
    unknown: int
    left: int


class ContactList(ContactListLine):
    """A list, with the report of its upload; `rows_left_out` holds the first twenty.

    `carriers`: how many contacts have which; `unknown` are those without a word that we know.
    `opted_out_since` the upload want no texts, and get none.
    """

    opted_out_since: int
    carriers: dict[str, int]
    rows_left_out: list[RowLeftOut]
    look_up: CarrierLookUp | None


class ContactLists(Page):
    """An organization's lists, newest first."""

    items: list[ContactListLine]


async def upload(call: Call) -> web.StreamResponse:
    """A new list out of a CSV file: rows that cannot go in are reported, the others go in."""
    asked = call.query(UploadQuery)
    key = repeats.key_of(call.request, call.caller)
    if call.request.content_type.startswith(NOT_A_TABLE):
        raise Problem(415, "Send the file itself", detail=THE_FILE)
    org_id, caller = call.org_id, call.caller
    contact_list_id = (
        new_id() if key is None else id_from("contact list", org_id, caller.person_id, key)
    )
    given = {name: getattr(asked, name) for name in MAPPED}
    incoming = Upload(
        call.transaction,
        org_id,
        contact_list_id,
        Reading(
            name=asked.name,
            most=call.settings.contacts_most,
            mapping={name: heading for name, heading in given.items() if heading is not None},
            encoding=asked.encoding,
        ),
        # Its own request would have ended it long before.
        dead_after=timedelta(seconds=2 * call.settings.upload_idle_s),
        at_end=partial(_start_look_up, call, contact_list_id) if asked.look_up else None,
    )
    fresh = await incoming.run(_chunks(call))
    response = answer(
        await _report(call, contact_list_id),
        status=201,
        location=f"/contact-lists/{contact_list_id}",
    )
    if not fresh:
        response.headers["Idempotency-Replayed"] = "true"
    return response


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
    return answer(await _report(call, call.id("contact_list_id")))


async def _report(call: Call, contact_list_id: str) -> ContactList:
    async with call.transaction() as tx:
        row = await store.report(tx, call.org_id, contact_list_id)
        if row is None:
            raise Refused("missing", "There is no such contact list")
        going = await look_ups.progress(tx, call.org_id, contact_list_id)
    return ContactList(**row, look_up=None if going is None else CarrierLookUp(**going))


async def show_all(call: Call) -> web.StreamResponse:
    """A page of an organization's lists, newest first."""
    asked = call.query(PageQuery)
    async with call.transaction() as tx:
        rows = await store.listed(tx, call.org_id, after=asked.after, most=asked.limit + 1)
    shown, further = page_of(rows, asked.limit, lambda row: str(row["contact_list_id"]))
    return answer(ContactLists(items=[ContactListLine(**row) for row in shown], next=further))


async def show_left_out(call: Call) -> web.StreamResponse:
    """A page of the rows that are not in the list, and why."""
    asked = call.query(LeftOutQuery)
    contact_list_id = await _known(call)
    rows = await _left_out(call, contact_list_id, asked, int(asked.after or 0), asked.limit + 1)
    shown, further = page_of(rows, asked.limit, lambda row: str(row["line"]))
    return answer(RowsLeftOut(items=[RowLeftOut(**row) for row in shown], next=further))


class LeftOutFileQuery(Body):
    """Which rows."""

    what: LeftOutFor | None = None


async def export_left_out(call: Call) -> web.StreamResponse:
    """All rows that are not in the list, and why, as CSV."""
    asked = call.query(LeftOutFileQuery)
    contact_list_id = await _known(call)

    async def pages() -> AsyncIterator[Sequence[Any]]:
        rows: Sequence[Any] = await _left_out(call, contact_list_id, asked, 0, PAGE_MOST)
        while rows:
            yield rows
            rows = await _left_out(call, contact_list_id, asked, rows[-1]["line"], PAGE_MOST)

    return await send_csv(
        call, f"left-out-{contact_list_id}.csv", list(RowLeftOut.model_fields), pages()
    )


async def _left_out(
    call: Call,
    contact_list_id: str,
    asked: LeftOutQuery | LeftOutFileQuery,
    after: int,
    most: int,
) -> Sequence[Any]:
    async with call.transaction() as tx:
        return await store.left_out(
            tx, call.org_id, contact_list_id, what=asked.what, after=after, most=most
        )


async def look_up(call: Call) -> web.StreamResponse:
    """Have a list's unknown carriers looked up, in the background; one under way goes on."""
    contact_list_id = await _known(call)
    async with call.transaction() as tx:
        await _start_look_up(call, contact_list_id, tx)
        going = await look_ups.progress(tx, call.org_id, contact_list_id)
    assert going is not None
    return answer(CarrierLookUp(**going), status=202)


async def _start_look_up(call: Call, contact_list_id: str, tx: Transaction) -> None:
    await look_ups.start(tx, call.caller, contact_list_id, await tx.now())
    await audit.add(tx, call.caller, "carrier look-up asked for", contact_list_id)


async def _known(call: Call) -> str:
    contact_list_id = call.id("contact_list_id")
    async with call.transaction() as tx:
        if not await store.is_there(tx, call.org_id, contact_list_id):
            raise Refused("missing", "There is no such contact list")
    return contact_list_id


_ONE = "/contact-lists/{contact_list_id}"

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
    Route("GET", "/contact-lists", ADMINS, show_all, asks=PageQuery, gives=ContactLists),
    Route("GET", _ONE, ADMINS, show, gives=ContactList),
    Route(
        "GET",
        f"{_ONE}/rows-left-out",
        ADMINS,
        show_left_out,
        asks=LeftOutQuery,
        gives=RowsLeftOut,
    ),
    Route(
        "GET",
        f"{_ONE}/rows-left-out.csv",
        ADMINS,
        export_left_out,
        asks=LeftOutFileQuery,
        gives="csv",
    ),
    Route("POST", f"{_ONE}/carrier-look-up", ADMINS, look_up, gives=CarrierLookUp, status=202),
)
