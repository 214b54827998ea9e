"""A server that writes down what it is asked, and answers as Telnyx does."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

NUMBER = "+12125550101"
CAMPAIGN = {
    "phoneNumber": NUMBER,
    "campaignId": "C1",
    "assignmentStatus": "ASSIGNED",
    "createdAt": "2021-03-08T17:57:48.801186",
    "updatedAt": "2021-03-08T17:57:48.801186",
}
OWNED = {
    "id": "n1",
    "phone_number": NUMBER,
    "status": "deleted",
    "created_at": "2026-06-01T19:00:00Z",
    "messaging_profile_id": "profile",
}
ORDER = {"id": "po1", "status": "pending", "customer_reference": "o1-1"}
META = {"total_results": 1, "total_pages": 1, "page_number": 1, "page_size": 250}


def answer_to(method: str, path: str) -> Any:
    """What the API answers, where all is well: just what an adapter needs to go on."""
    if path == "/v2/10dlc/phone_number_campaigns" and method == "GET":
        return {"records": [CAMPAIGN], "page": 1, "totalRecords": 1, "recordsPerPage": 100}
    if path.startswith("/v2/10dlc/phone_number_campaigns"):
        return CAMPAIGN
    if path == "/v2/available_phone_numbers":
        return {"data": [{"phone_number": NUMBER, "best_effort": False}], "meta": {}}
    if path == "/v2/phone_numbers":
        return {"data": [OWNED], "meta": META}
    if path == "/v2/number_orders" and method == "GET":
        return {"data": [ORDER], "meta": META}
    if path.startswith("/v2/number_orders"):
        return {"data": ORDER}
    if path.startswith("/v2/phone_numbers/"):
        return {"data": OWNED}
    if path.startswith("/v2/number_lookup/"):
        return {"data": {"carrier": {"name": "AT&T", "type": "mobile"}}}
    assert path == "/v2/messages"
    return {"data": {"id": "m1", "to": [{"status": "queued"}]}}


@dataclass(frozen=True)
class Asked:
    """One request, with all that its meaning hangs on."""

    method: str
    path: str
    """As it came, escapes and all."""
    query: tuple[tuple[str, str], ...]
    """Decoded; in which order it came is nobody's concern."""
    body: Any
    authorization: str
    content_type: str


@dataclass
class Recorder:
    """What was asked, and what is answered: `status` and `raw` in place of the right answer."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    status: int = 200
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def take(self) -> list[Asked]:
        """What was asked since the last call."""
        taken, self.asked = self.asked, []
        return taken

    async def answer(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.asked.append(
            Asked(
                request.method,
                request.rel_url.raw_path,
                tuple(sorted(request.query.items())),
                json.loads(raw) if raw else None,
                request.headers.get("Authorization", ""),
                request.headers.get("Content-Type", "") if raw else "",
            )
        )
        if self.status != 200 or self.raw is not None:
            return web.Response(
                status=self.status,
                body=self.raw,
                headers=self.headers,
                content_type="application/json",
            )
        return web.json_response(answer_to(request.method, request.path), headers=self.headers)


@asynccontextmanager
async def open_recorder() -> AsyncIterator[Recorder]:
    recorder = Recorder()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", recorder.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    recorder.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v2"
    try:
        yield recorder
    finally:
        await runner.cleanup()
