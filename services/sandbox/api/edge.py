"""What all routes share: reading JSON, writing Telnyx's shapes, playing scripted faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from services.sandbox.behaviour import Call, Fault
from services.sandbox.domain import (
    AUTHENTICATION_FAILED,
    BAD_REQUEST,
    TITLES,
    TOO_MANY_REQUESTS,
    UNEXPECTED,
    Refused,
)
from services.sandbox.service import Sandbox

SANDBOX = web.AppKey("sandbox", Sandbox)


class ControlDocument(BaseModel):
    """A body of the control routes: what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid")


Document = TypeVar("Document", bound=BaseModel)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"no time zone {name!r}") from None
    return name


ZoneName = Annotated[str, AfterValidator(_known_zone)]
"""The name of a time zone that exists."""


Handler = Callable[[web.Request, Sandbox], Awaitable[web.StreamResponse]]
WebHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def json_response(
    body: object, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """Compact JSON."""
    raw = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(body=raw, status=status, content_type="application/json", headers=headers)


def refusal_response(refused: Refused) -> web.Response:
    """`{"errors": [{code, title, detail}]}` with the refusal's HTTP status."""
    headers = None
    if refused.retry_after_s is not None:
        headers = {"Retry-After": str(refused.retry_after_s)}
    error = {"code": refused.code, "title": refused.title, "detail": refused.detail}
    return json_response({"errors": [error]}, refused.status, headers)


async def read_json(request: web.Request) -> Any:
    """The parsed body, or `Refused` 400."""
    try:
        return json.loads(await request.read())
    except ValueError:
        raise Refused(400, BAD_REQUEST, "The request body is not JSON.") from None


async def read_document(request: web.Request, kind: type[Document]) -> Document:
    """A control document, or `Refused` 422 that names the field at fault."""
    try:
        return kind.model_validate_json(await request.read() or b"{}")
    except ValidationError as wrong:
        first = wrong.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise Refused(422, BAD_REQUEST, f"{field}: {first['msg']}") from None


def page(items: Sequence[dict[str, object]], request: web.Request) -> web.Response:
    """A list with Telnyx's `meta`, by `page[number]` and `page[size]`."""
    number = max(int_of(request.query.get("page[number]"), 1), 1)
    size = min(max(int_of(request.query.get("page[size]"), 20), 1), 250)
    meta = {
        "total_results": len(items),
        "total_pages": -(-len(items) // size),
        "page_number": number,
        "page_size": size,
    }
    return json_response({"data": items[(number - 1) * size : number * size], "meta": meta})


def int_of(text: str | None, default: int) -> int:
    """A whole number from a query, or `Refused` 400."""
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise Refused(400, BAD_REQUEST, f"{text!r} is not a whole number.") from None


def check_bearer(request: web.Request, sandbox: Sandbox) -> None:
    """`Refused` 401 unless the request carries the account's API key."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted = sandbox.api_key
    if scheme != "Bearer" or not token or (wanted and token != wanted):
        raise Refused(401, AUTHENTICATION_FAILED, "The bearer token is missing or wrong.")


async def play(fault: Fault, request: web.Request, right: web.StreamResponse) -> web.StreamResponse:
    """Answer with a scripted fault instead of the right answer."""
    if fault.kind == "hang":
        await asyncio.sleep(fault.hang_s)
        return right
    if fault.kind == "garbled":
        return web.Response(text=fault.body, content_type="application/json")
    if fault.kind == "reset":
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    code = TOO_MANY_REQUESTS if fault.status == 429 else UNEXPECTED
    headers = None if fault.retry_after is None else {"Retry-After": fault.retry_after}
    if fault.bare:
        return web.Response(status=fault.status, headers=headers)
    error = {"code": code, "title": TITLES[code], "detail": "As the script has it."}
    return json_response({"errors": [error]}, fault.status, headers)


async def rest(sandbox: Sandbox) -> None:
    """The provider's own time to answer a call."""
    latency_s = sandbox.world.behaviour.call_latency_ms.draw_s(sandbox.world.dice)
    if latency_s:
        await asyncio.sleep(latency_s)


def provider(call: Call, handle: Handler) -> WebHandler:
    """A provider route: bearer token, scripted faults, latency, Telnyx's errors."""

    async def answer(request: web.Request) -> web.StreamResponse:
        sandbox = request.app[SANDBOX]
        try:
            check_bearer(request, sandbox)
            fault = sandbox.world.next_fault(call)
            if fault is not None and not fault.is_taken:
                return await play(fault, request, web.Response(status=504))
            response = await handle(request, sandbox)
            await rest(sandbox)
        except Refused as refused:
            return refusal_response(refused)
        return response if fault is None else await play(fault, request, response)

    return answer


def control(handle: Handler) -> WebHandler:
    """A control or judge route: no token, no faults, the same errors."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handle(request, request.app[SANDBOX])
        except Refused as refused:
            return refusal_response(refused)

    return answer
