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
)
from services.campaign.api.fields import Name
from services.campaign.domain import Refused, Role
from services.campaign.store import organizations
from services.campaign.store import people as store
from services.campaign.tokens import digest, new_token
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
    org_id = call.id("organization_id")
    return await _add(call, org_id, await call.body(NewPerson), f"/organizations/{org_id}")


async def add_by_admin(call: Call) -> web.StreamResponse:
    """A sender of the admin's own organization."""
    wanted = await call.body(NewPerson)
    if wanted.role != "sender":
        raise Refused("forbidden", "an operator adds admins", field="role")
    return await _add(call, call.caller.org_id, wanted, "")


async def _add(call: Call, org_id: str, wanted: NewPerson, place: str) -> web.StreamResponse:
    person_id, token = new_id(), new_token()
    async with call.transaction() as tx:
        await organizations.get(tx, org_id)
        now = await tx.now()
        await store.add(tx, org_id, person_id, at=now, **wanted.model_dump())
        await store.add_token(
            tx, org_id, new_id(), person_id=person_id, digest=digest(token), at=now
        )
    made = PersonWithToken(person_id=person_id, created_at=now, token=token, **wanted.model_dump())
    return answer(made, status=201, location=f"{place}/people/{person_id}")


async def show_of(call: Call) -> web.StreamResponse:
    """Everybody of an organization, for operators."""
    return await _show(call, call.id("organization_id"))


async def show_own(call: Call) -> web.StreamResponse:
    """Everybody of the admin's own organization."""
    return await _show(call, call.caller.org_id)


async def _show(call: Call, org_id: str) -> web.StreamResponse:
    async with call.transaction() as tx:
        await organizations.get(tx, org_id)
        rows = await store.listed(tx, org_id)
    return answer(People(items=[Person(**row) for row in rows]))


async def show_one_of(call: Call) -> web.StreamResponse:
    """Somebody of an organization, for operators."""
    return await _show_one(call, call.id("organization_id"))


async def show_one(call: Call) -> web.StreamResponse:
    """Somebody of the admin's own organization."""
    return await _show_one(call, call.caller.org_id)


async def _show_one(call: Call, org_id: str) -> web.StreamResponse:
    async with call.transaction() as tx:
        row = await store.get(tx, org_id, call.id("person_id"))
    return answer(Person(**row))


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


ANY = "/organizations/{organization_id}/people"

ROUTES = (
    Route(
        "POST", ANY, OPERATORS, add_by_operator, takes=NewPerson, gives=PersonWithToken, status=201
    ),
    Route("GET", ANY, OPERATORS, show_of, gives=People),
    Route("GET", ANY + "/{person_id}", OPERATORS, show_one_of, gives=Person),
    Route(
        "POST", "/people", ADMINS, add_by_admin, takes=NewPerson, gives=PersonWithToken, status=201
    ),
    Route("GET", "/people", ADMINS, show_own, gives=People),
    Route("GET", "/people/{person_id}", ADMINS, show_one, gives=Person),
    Route("GET", "/me", ANYBODY, me, gives=Me),
)
