"""One request: who asks, what they may, and what they sent, checked before anything is done."""

import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from services.campaign.api.faults import first_fault
from services.campaign.domain import Caller, Refused, Role
from services.campaign.settings import CampaignSettings
from services.campaign.store import people
from shared.database import Database, Transaction
from shared.http import Problem, body_as

BASE = "/api/v1"
PAGE = 100
PAGE_MOST = 1000

OPERATORS: frozenset[Role] = frozenset({"operator"})
ADMINS: frozenset[Role] = frozenset({"admin"})
# An admin who was added to a campaign sends like anybody else.
SENDERS: frozenset[Role] = frozenset({"sender", "admin"})
ANYBODY: frozenset[Role] = frozenset({"operator", "admin", "sender"})

_ID = re.compile(r"[\x21-\x7e]{1,64}")
_STATUS = {"missing": 404, "invalid": 422, "conflict": 409, "forbidden": 403}
_TITLE = {
    "missing": "Not found",
    "invalid": "A field is not valid",
    "conflict": "Not as things stand",
    "forbidden": "Not for you",
}

Model = TypeVar("Model", bound=BaseModel)


class Body(BaseModel):
    """What a request brings. Unknown fields are refused, so that a slip of the pen is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Json(RootModel[Any]):
    """Whatever a body holds, before it is known what that should be."""


class Answer(BaseModel):
    """What an answer holds. Times are UTC."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Call:
    """A request of a person who is known."""

    def __init__(
        self,
        request: web.Request,
        caller: Caller,
        database: Database,
        settings: CampaignSettings,
    ) -> None:
        self.request = request
        self.caller = caller
        self.database = database
        self.settings = settings

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """All that this request reads and writes goes through here."""
        async with self.database.transaction() as tx:
            yield tx

    def id(self, name: str) -> str:
        """An id out of the path; one that nothing can have is not found."""
        value = self.request.match_info[name]
        if _ID.fullmatch(value) is None:
            raise Refused("missing", "There is no such thing")
        return value

    async def body(self, model: type[Model]) -> Model:
        """The body as a model; none at all is an empty object. Raises Problem with the field."""
        if not self.request.body_exists:
            return _valid(model, {})
        values = (await body_as(self.request, Json)).root
        if not isinstance(values, dict):
            raise Problem(422, "The body must be an object", detail='such as {"name": "Spring"}')
        return _valid(model, values)

    def query(self, model: type[Model]) -> Model:
        """The query string as a model. Raises Problem with the parameter."""
        return _valid(model, dict(self.request.query))


def _valid(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        field, reason = first_fault(error)
        raise Problem(422, "A field is not valid", detail=reason, field=field) from None


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the API: who may ask it, and what answers."""

    method: str
    path: str
    roles: frozenset[Role]
    handle: Callable[[Call], Awaitable[web.StreamResponse]]


def endpoint(
    route: Route, database: Database, settings: CampaignSettings
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A route as aiohttp calls it: the token first, then the role, then the handler."""

    async def handle(request: web.Request) -> web.StreamResponse:
        caller = await _caller(request, database)
        # Bound for what is logged of this request; the next one on its connection binds its own.
        structlog.contextvars.bind_contextvars(org_id=caller.org_id if caller else None)
        if caller is None:
            answer = Problem(401, "Who is asking?", detail="send Authorization: Bearer TOKEN")
            response = answer.response()
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        if caller.role not in route.roles:
            raise Problem(
                403, "Not for you", detail=f"this is not for a token of role {caller.role}"
            )
        try:
            return await route.handle(Call(request, caller, database, settings))
        except Refused as refused:
            raise Problem(
                _STATUS[refused.kind],
                _TITLE[refused.kind],
                detail=refused.reason,
                field=refused.field,
            ) from None

    return handle


async def _caller(request: web.Request, database: Database) -> Caller | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.isascii():
        return None
    async with database.transaction() as tx:
        return await people.with_token(tx, digest(token.strip()))


def new_token() -> str:
    """A token that nobody can guess: 256 random bits."""
    return f"sluice_{secrets.token_urlsafe(32)}"


def digest(token: str) -> bytes:
    """What is kept of a token.

    One round of SHA-256 is right here, where a password would need a slow hash: there is no
    dictionary of 256 random bits, and this runs with every request. It is looked up in an index:
    to learn from the time that takes, one would have to choose hashes, not tokens.
    """
    return hashlib.sha256(token.encode()).digest()


def answer(body: BaseModel, *, status: int = 200, location: str | None = None) -> web.Response:
    """An answer in JSON; `location`: where the thing is that was made, below the API's base."""
    headers = {} if location is None else {"Location": BASE + location}
    return web.Response(
        body=body.model_dump_json(by_alias=True).encode(),
        status=status,
        content_type="application/json",
        headers=headers,
    )
