"""A campaign's texts: page by page, one by one, and as a CSV file."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field, StringConstraints

from services.campaign.api.calls import (
    ADMINS,
    PAGE,
    PAGE_MOST,
    SENDERS,
    Answer,
    Body,
    Call,
    Route,
    answer,
)
from services.campaign.domain import Refused, Status
from services.campaign.store import campaigns, reports

EXPORTED = (
    "message_id",
    "kind",
    "to",
    "carrier",
    "status",
    "reason",
    "code",
    "segments",
    "queued_at",
    "sent_at",
    "delivered_at",
    "failed_at",
    "text",
)
EXPORT_CHUNK = 2000
# What a spreadsheet takes for a formula when a cell begins with it.
RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")


class MessagesQuery(Body):
    """Which; `after` is the `next` of the page before."""

    status: Status | None = None
    after: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{0,64}$")] = ""
    limit: Annotated[int, Field(ge=1, le=PAGE_MOST)] = PAGE


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


class Messages(Answer):
    """A page; `next` is where the next one begins, if there is one."""

    items: list[Message]
    next: str | None


async def show_all(call: Call) -> web.StreamResponse:
    """A page of a campaign's texts."""
    org_id, campaign_id = call.caller.org_id, call.id("campaign_id")
    asked = call.query(MessagesQuery)
    async with call.transaction() as tx:
        await campaigns.get(tx, org_id, campaign_id)
        rows = await reports.page(
            tx, org_id, campaign_id, status=asked.status, after=asked.after, most=asked.limit
        )
    items = [Message(**row) for row in rows]
    more = len(items) == asked.limit
    return answer(Messages(items=items, next=items[-1].message_id if more else None))


async def show(call: Call) -> web.StreamResponse:
    """One text; a sender sees their own."""
    async with call.transaction() as tx:
        row = await reports.one(tx, call.caller.org_id, call.id("message_id"))
    if row is None:
        raise Refused("missing", "There is no such message")
    if call.caller.role == "sender" and row["sender_id"] != call.caller.person_id:
        raise Refused("forbidden", "The message is somebody else's")
    return answer(Message(**row))


async def export(call: Call) -> web.StreamResponse:
    """All texts of a campaign as CSV, in bounded memory.

    By key, page after page, each a short statement: a cursor would keep a transaction open for as
    long as the slowest client takes to read.
    """
    org_id, campaign_id = call.caller.org_id, call.id("campaign_id")
    async with call.transaction() as tx:
        await campaigns.get(tx, org_id, campaign_id)
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="messages-{campaign_id}.csv"',
        }
    )
    await response.prepare(call.request)
    await response.write(_csv([EXPORTED]))
    after = ""
    while True:
        async with call.transaction() as tx:
            rows = await reports.page(
                tx, org_id, campaign_id, status=None, after=after, most=EXPORT_CHUNK
            )
        if rows:
            await response.write(
                _csv([[_cell(name, row[name]) for name in EXPORTED] for row in rows])
            )
            after = rows[-1]["message_id"]
        if len(rows) < EXPORT_CHUNK:
            break
    await response.write_eof()
    return response


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    lines = io.StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue().encode()


def _cell(name: str, value: Any) -> Any:
    """As it stands in the file, where a text that reads like a formula has an apostrophe in front.

    Contacts' names stand in texts, and providers' words in reasons: neither is to run on the
    machine of the admin who opens the file. A phone number is a plus and digits, and stays so.
    """
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if name != "to" and isinstance(value, str) and value.startswith(RUN_BY_SPREADSHEETS):
        return f"'{value}"
    return "" if value is None else value


ROUTES = (
    Route(
        "GET",
        "/campaigns/{campaign_id}/messages",
        ADMINS,
        show_all,
        asks=MessagesQuery,
        gives=Messages,
    ),
    Route("GET", "/campaigns/{campaign_id}/messages.csv", ADMINS, export, gives="csv"),
    Route("GET", "/messages/{message_id}", SENDERS, show, gives=Message),
)
