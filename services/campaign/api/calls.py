"""One request: who asks, what they may, and what they sent, checked before anything is done."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from services.campaign.api.faults import first_fault
from services.campaign.api.fields import Cursor
from services.campaign.domain import Caller, Refused, Role
from services.campaign.settings import CampaignSettings
from services.campaign.store import scope
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
# Whoever has the address, with or without a token.
STRANGERS: frozenset[Role] = frozenset({"operator", "admin", "sender", "stranger"})

STRANGER = Caller("", "", "stranger", "", "")
"""Who asks without a token."""

_ID = re.compile(r"[\x21-\x7e]{1,64}")

Model = TypeVar("Model", bound=BaseModel)
Row = TypeVar("Row")


class Body(BaseModel):
    """What a request brings. Unknown fields are refused, so that a slip of the pen is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PageQuery(Body):
    """Which part of a list: so many, after the `next` of the page before."""

    after: Cursor = ""
    limit: Annotated[int, Field(ge=1, le=PAGE_MOST)] = PAGE


class Json(RootModel[Any]):
    """Whatever a body holds, before it is known what that should be."""


class Answer(BaseModel):
    """What an answer holds. Times are UTC."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Page(Answer):
    """A part of a list; `next` is what `after` is for the next part, null on the last."""

    next: str | None = None


class Call:
    """A request of a person who is known."""

    def __init__(
        self,
        request: web.Request,
        route: "Route",
        caller: Caller,
        database: Database,
        settings: CampaignSettings,
    ) -> None:
        self.request = request
        self.route = route
        self.caller = caller
        self.settings = settings
        self._database = database
        self._open: Transaction | None = None

    @property
    def org_id(self) -> str:
        """Whose things are asked for: the organization that an operator names, or the caller's."""
        if self.caller.role == "operator" and "organization_id" in self.request.match_info:
            return self.id("organization_id")
        return self.caller.org_id

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """All that this request reads and writes goes through here, and sees the rows of
        `org_id` alone (store/scope.py).

        Within another one of this call it is that one: then what the request did and the answer
        that is kept for its Idempotency-Key become true together.
        """
        if self._open is not None:
            yield self._open
            return
        async with self._database.transaction() as tx:
            await scope.narrow(tx, self.caller, self.org_id)
            self._open = tx
            try:
                yield tx
            finally:
                self._open = None

    def id(self, name: str) -> str:
        """An id out of the path; one that nothing can have is not found."""
        value = self.request.match_info[name]
        if _ID.fullmatch(value) is None:
            raise Refused("missing", "There is no such thing")
        return value

    async def body(self, model: type[Model]) -> Model:
        """The body as a model; none at all is an empty object. Raises Problem with the field."""
        assert model is self.route.takes, "the route says what it takes"
        if not self.request.body_exists:
            return _valid(model, {})
        values = (await body_as(self.request, Json)).root
        if not isinstance(values, dict):
            raise Problem(422, "The body must be an object", detail='such as {"name": "Spring"}')
        return _valid(model, values)

    def query(self, model: type[Model]) -> Model:
        """The query string as a model. Raises Problem with the parameter."""
        assert model is self.route.asks, "the route says what it asks"
        return _valid(model, dict(self.request.query), "parameter")

    async def refuse_unasked(self) -> None:
        """Raise Problem for a parameter or a field where the route takes none: passed over, it
        would be believed to have been done."""
        # A link that is shared has parameters hung on by mailers.
        if self.route.asks is None and self.route.roles != STRANGERS:
            _none_of(self.request.query, "parameter")
        if self.route.takes is None and not self.route.streams and self.request.body_exists:
            _none_of((await body_as(self.request, Json)).root)


def _none_of(values: Any, kind: str = "field") -> None:
    if isinstance(values, Mapping) and values:
        raise Problem(
            422,
            f"A {kind} is not valid",
            detail=f"there is no such {kind}",
            field=next(iter(values)),
        )


def _valid(model: type[Model], values: dict[str, Any], kind: str = "field") -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        field, reason = first_fault(error, kind)
        raise Problem(422, f"A {kind} is not valid", detail=reason, field=field) from None


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the API: who may ask it, what answers, what goes in and what comes out.

    `takes` is its body, `asks` its query, `gives` what a success holds, with `status`. With
    `streams` the body is read piece by piece, and the handler sees to its Idempotency-Key. With
    `pages` a browser, which says that it takes HTML, gets a page, also of what is refused.
    """

    method: str
    path: str
    roles: frozenset[Role]
    handle: Callable[[Call], Awaitable[web.StreamResponse]]
    _: KW_ONLY
    gives: type[Answer] | Literal["csv", "html", "json"]
    status: int = 200
    takes: type[Body] | None = None
    asks: type[Body] | None = None
    streams: bool = False
    pages: bool = False


def page_of(rows: Sequence[Row], limit: int, cursor: Callable[[Row], str]) -> tuple[
    Sequence[Row], str | None
]:  # fmt: skip
    """At most `limit` out of rows that were read one further, and where the next page begins."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], cursor(rows[limit - 1])


def answer(body: BaseModel, *, status: int = 200, location: str | None = None) -> web.Response:
    """An answer in JSON; `location`: where the thing is that was made, below the API's base."""
    headers = {} if location is None else {"Location": BASE + location}
    return web.Response(
        # With a line's end, so that a shell's prompt does not stand behind it.
        body=f"{body.model_dump_json(by_alias=True)}\n".encode(),
        status=status,
        content_type="application/json",
        headers=headers,
    )
