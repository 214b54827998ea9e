"""CSV files that go out piece by piece, as slowly as their reader reads."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from services.campaign.api.calls import Call

PAGE_ROWS = 2000
UNREAD_S = 300
"""Who takes nothing for so long has gone away: seconds."""

# What a spreadsheet takes for a formula when a cell begins with it.
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")


async def send_csv(
    call: Call,
    file_name: str,
    columns: Sequence[str],
    pages: AsyncIterator[Sequence[Mapping[str, Any]]],
    *,
    as_they_are: Sequence[str] = (),
) -> web.StreamResponse:
    """Answer with these columns of all pages. Each page is fetched when the one before has gone
    out: neither it nor a transaction waits here for a slow reader.

    `as_they_are`: columns of ours, which no contact's or provider's words are in.
    """
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{file_name}"',
        }
    )
    await response.prepare(call.request)
    try:
        await _write(response, _lines([columns]))
        async for rows in pages:
            cells = [
                [_plain(row[name]) if name in as_they_are else _cell(row[name]) for name in columns]
                for row in rows
            ]
            await _write(response, _lines(cells))
    except BaseException:
        # Cut off, the file cannot be taken for a whole one: its last chunk never comes.
        if call.request.transport is not None:
            call.request.transport.abort()
        raise
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(UNREAD_S):
        await response.write(data)


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    lines = io.StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue().encode()


def _cell(value: Any) -> Any:
    """As it stands in the file, where a text that reads like a formula has an apostrophe in front.

    Contacts' names stand in texts, and providers' words in reasons: neither is to run on the
    machine of the admin who opens the file.
    """
    if isinstance(value, str) and value.startswith(_RUN_BY_SPREADSHEETS):
        return f"'{value}"
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return "" if value is None else value
