"""The judge's routes: /judge."""

from __future__ import annotations

from datetime import time

from aiohttp import web
from pydantic import AwareDatetime

from services.sandbox.api.edge import (
    ControlDocument,
    ZoneName,
    control,
    int_of,
    json_response,
    read_document,
)
from services.sandbox.hours import PromisedHours
from services.sandbox.service import Sandbox


class Window(ControlDocument):
    """The sending window of initials."""

    opens_at: AwareDatetime | None = None
    closes_at: AwareDatetime | None = None


class OpenHours(ControlDocument):
    """Times of day in a zone; `closes` is exclusive."""

    opens: time
    closes: time
    time_zone: ZoneName


class HoursDocument(ControlDocument):
    """What a number's campaign promises; what is left out does not bind."""

    window: Window = Window()
    hours: OpenHours | None = None
    archived_at: AwareDatetime | None = None

    def promised(self) -> PromisedHours:
        hours = self.hours
        return PromisedHours(
            time_zone="UTC" if hours is None else hours.time_zone,
            opens=None if hours is None else hours.opens,
            closes=None if hours is None else hours.closes,
            opens_at=self.window.opens_at,
            closes_at=self.window.closes_at,
            archived_at=self.archived_at,
        )


async def verdict(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /judge."""
    sandbox.now()
    return json_response(sandbox.world.judge.verdict())


async def reset(request: web.Request, sandbox: Sandbox) -> web.Response:
    """DELETE /judge: an empty ledger; limits and hours stay."""
    sandbox.world.judge.reset(sandbox.now())
    return json_response(sandbox.world.judge.verdict())


async def messages(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /judge/messages?after=N&limit=: the raw ledger; ask again with `next` as after."""
    sandbox.now()
    after = int_of(request.query.get("after"), 0)
    limit = min(max(int_of(request.query.get("limit"), 1000), 1), 2000)
    entries = sandbox.world.judge.page(after, limit)
    lines = [entry.line() for entry in entries]
    return json_response({"messages": lines, "next": entries[-1].n if entries else after})


async def put_hours(request: web.Request, sandbox: Sandbox) -> web.Response:
    """PUT /judge/hours/{number}."""
    document = await read_document(request, HoursDocument)
    number = request.match_info["number"]
    sandbox.world.judge.tell_hours(sandbox.now(), number, document.promised())
    return json_response(document.model_dump(mode="json"))


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_get("/judge", control(verdict))
    router.add_delete("/judge", control(reset))
    router.add_get("/judge/messages", control(messages))
    router.add_put("/judge/hours/{number}", control(put_hours))
