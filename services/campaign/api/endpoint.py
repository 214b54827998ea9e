"""A route as aiohttp calls it: the token first, then the role, then the handler."""

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from services.campaign.api import repeats
from services.campaign.api.calls import STRANGER, Call, Route
from services.campaign.domain import Caller, Refused
from services.campaign.settings import CampaignSettings
from services.campaign.store import tokens
from services.campaign.tokens import digest
from shared.database import Database
from shared.http import Problem

_STATUS = {"missing": 404, "invalid": 422, "conflict": 409, "forbidden": 403, "gone": 410}
_TITLE = {
    "missing": "Not found",
    "invalid": "A field is not valid",
    "conflict": "Not as things stand",
    "forbidden": "Not for you",
    "gone": "Gone",
}

_NO_TOKEN = "send Authorization: Bearer TOKEN"
_NO_GOOD_TOKEN = "this token is not known, was revoked, or its time is up"
_WHOSE = {"operator": "an operator's", "admin": "an admin's", "sender": "a sender's"}


def endpoint(
    route: Route, database: Database, settings: CampaignSettings
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answer one route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        caller = await _caller(request, database)
        if caller is None and "stranger" in route.roles and not _token(request):
            caller = STRANGER
        # Bound for what is logged of this request; the next one on its connection binds its own.
        structlog.contextvars.bind_contextvars(org_id=caller.org_id if caller else None)
        if caller is None:
            why = _NO_TOKEN if _token(request) == "" else _NO_GOOD_TOKEN
            response = Problem(401, "Who is asking?", detail=why).response()
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        if caller.role not in route.roles:
            raise Problem(403, "Not for you", detail=_for_whom(route, caller))
        try:
            return await _answer(Call(request, route, caller, database, settings))
        except Refused as refused:
            raise Problem(
                _STATUS[refused.kind],
                _TITLE[refused.kind],
                detail=refused.reason,
                field=refused.field,
            ) from None

    return handle


def _for_whom(route: Route, caller: Caller) -> str:
    those = " and ".join(f"{role}s" for role in sorted(route.roles))
    return f"this is for {those}, and the token is {_WHOSE[caller.role]}"


async def _answer(call: Call) -> web.StreamResponse:
    await call.refuse_unasked()
    if call.route.method == "POST" and not call.route.streams:
        key = repeats.key_of(call.request, call.caller)
        if key is not None:
            return await repeats.once(call, key, _token(call.request))
    return await call.route.handle(call)


def _token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _caller(request: web.Request, database: Database) -> Caller | None:
    token = _token(request)
    if not token or not token.isascii():
        return None
    async with database.transaction() as tx:
        return await tokens.bearer(tx, digest(token))
