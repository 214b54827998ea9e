"""`/notices` on the ops port: deliveries that are not settled, and those that came to no good.

Read only. Of addresses it shows as much as is needed to tell them apart.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from urllib.parse import urlsplit

from aiohttp import web
from asyncpg import Record

from services.notifier.domain import State
from services.notifier.store import survey
from shared.database import Database
from shared.http import Problem

ROWS_DEFAULT, ROWS_MOST = 50, 200
OPEN: tuple[State, ...] = ("due", "sending")
NO_GOOD: tuple[State, ...] = ("refused", "unclear", "expired")
LATELY = timedelta(days=7)
EVER = datetime(1970, 1, 1, tzinfo=UTC)


class NoticePage:
    """The page. Parameters: org_id, campaign_id, state, limit (1 to 200). With a campaign_id or a
    state it shows all of those, however old; else what is not settled and what came to no good
    within a week."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def show(self, request: web.Request) -> web.Response:
        """Answer a request."""
        most = _limit(request.query.get("limit", str(ROWS_DEFAULT)))
        campaign_id = request.query.get("campaign_id")
        async with self._database.transaction() as tx:
            now = await tx.now()
            rows = await survey.deliveries(
                tx.sql,
                since=_wanted(request.query.get("state"), campaign_id, now),
                org_id=request.query.get("org_id"),
                campaign_id=campaign_id,
                most=most + 1,
            )
        return web.json_response(
            {
                "at": _plain(now),
                "notices": [_line(row) for row in rows[:most]],
                "more_notices": len(rows) > most,
            }
        )


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= ROWS_MOST:
        raise Problem(422, "A field is not valid", detail=f"from 1 to {ROWS_MOST}", field="limit")
    return int(text)


def _wanted(text: str | None, campaign_id: str | None, now: datetime) -> dict[State, datetime]:
    """The states that are shown, and since when: of one campaign all, whatever became of them."""
    named: dict[str, State] = {state: state for state in get_args(State)}
    if text is None and campaign_id is not None:
        return dict.fromkeys(named.values(), EVER)
    if text is None:
        return {**dict.fromkeys(OPEN, EVER), **dict.fromkeys(NO_GOOD, now - LATELY)}
    if text not in named:
        detail = f"one of {', '.join(named)}"
        raise Problem(422, "A field is not valid", detail=detail, field="state")
    return {named[text]: EVER}


def _line(row: Record) -> dict[str, Any]:
    """`next_at`: when it is tried next, or while it is being tried, when that counts as lost.
    `error`: why it is not sent; `answer`: what was said when it was."""
    line = {name: _plain(value) for name, value in row.items()}
    line["address"] = masked(row["channel"], row["address"])
    if row["channel"] == "email" and row["error"]:
        # Mail servers like to repeat whom they refuse.
        refused = re.compile(re.escape(row["address"]), re.IGNORECASE)
        line["error"] = refused.sub(lambda _: line["address"], row["error"])
    is_sent = line["state"] == "sent"
    line["answer"] = line["error"] if is_sent else None
    line["error"] = None if is_sent else line["error"]
    line["next_at"] = line.pop("due_at")
    return line


def masked(channel: str, address: str) -> str:
    """An address without what is nobody's business: most of a name; a path, which may be secret."""
    if not address:
        return "none"
    if channel == "webhook":
        parts = urlsplit(address)
        return f"{parts.scheme}://{parts.hostname or ''}/..."
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}***@{domain}"


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
