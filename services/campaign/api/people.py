"""People and their tokens."""

from datetime import datetime
from typing import Literal

from aiohttp import web
from pydantic import EmailStr

from services.campaign.api.calls import (
    ADMINS,
    ANYBODY,
    OPERATORS,
    Answer,
    Body,
    Call,
    Route,
    answer,
    digest,
    new_token,
)
from services.campaign.domain import Refused, Role
from services.campaign.store import organizations
from services.campaign.store import people as store
from shared.events import Name
from shared.ids import new_id


class NewPerson(Body):
    """Somebody of an organization."""

    name: Name
    email: EmailStr
    role: Literal["admin", "sender"] = "sender"


class Person(Answer):
    """Somebody, as they stand."""

    person_id: str
    role: Role
    name: str
    email: str
    created_at: datetime


class PersonWithToken(Person):
    """Somebody new. The token is shown this once: only its hash is kept."""

    token: str


class People(Answer):
    """All of an organization."""

    items: list[Person]


class Me(Answer):
    """Who the token stands for; operators belong to no organization."""

    person_id: str
    organization_id: str | None
    role: Role
    name: str
    email: str


async def add_by_operator(call: Call) -> web.StreamResponse:
    """An admin or a sender of any organization."""
    return await _add(call, call.id("organization_id"), await call.body(NewPerson))


async def add_by_admin(call: Call) -> web.StreamResponse:
    """A sender of the admin's own organization."""
    wanted = await call.body(NewPerson)
    if wanted.role != "sender":
        raise Refused("forbidden", "an operator adds admins", field="role")
    return await _add(call, call.caller.org_id, wanted)


async def _add(call: Call, org_id: str, wanted: NewPerson) -> web.StreamResponse:
    person_id, token = new_id(), new_token()
    async with call.transaction() as tx:
        await organizations.check(tx, org_id)
        now = await tx.now()
        await store.add(tx, org_id, person_id, at=now, **wanted.model_dump())
        await store.add_token(
            tx, org_id, new_id(), person_id=person_id, digest=digest(token), at=now
        )
    made = PersonWithToken(person_id=person_id, created_at=now, token=token, **wanted.model_dump())
    return answer(made, status=201, location="/people")


async def show_of(call: Call) -> web.StreamResponse:
    """Everybody of an organization, for operators."""
    return await _show(call, call.id("organization_id"))


async def show_own(call: Call) -> web.StreamResponse:
    """Everybody of the admin's own organization."""
    return await _show(call, call.caller.org_id)


async def _show(call: Call, org_id: str) -> web.StreamResponse:
    async with call.transaction() as tx:
        await organizations.check(tx, org_id)
        rows = await store.listed(tx, org_id)
    return answer(People(items=[Person(**row) for row in rows]))


async def me(call: Call) -> web.StreamResponse:
    """Whose token this is."""
    caller = call.caller
    return answer(
        Me(
            person_id=caller.person_id,
            organization_id=caller.org_id or None,
            role=caller.role,
            name=caller.name,
            email=caller.email,
        )
    )


ROUTES = (
    Route("POST", "/organizations/{organization_id}/people", OPERATORS, add_by_operator),
    Route("GET", "/organizations/{organization_id}/people", OPERATORS, show_of),
    Route("POST", "/people", ADMINS, add_by_admin),
    Route("GET", "/people", ADMINS, show_own),
    Route("GET", "/me", ANYBODY, me),
)
