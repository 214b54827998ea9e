"""People: who they are, and in which organizations they have a place."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import EmailStr, StringConstraints

from services.campaign.acts import noticing
from services.campaign.api.calls import (
    ADMINS,
    ANYBODY,
    OPERATORS,
    SENDERS,
    Answer,
    Body,
    Call,
    Page,
    PageQuery,
    Route,
    answer,
    page_of,
)
from services.campaign.api.fields import Name
from services.campaign.domain import Refused, Role
from services.campaign.rules.contact_rows import e164
from services.campaign.store import audit, organizations, scope, trials
from services.campaign.store import people as store
from services.campaign.store import tokens as stored_tokens
from services.campaign.tokens import issue
from shared.database import Transaction
from shared.ids import new_id


class NewPerson(Body):
    """Somebody of an organization."""

    name: Name
    email: EmailStr
    role: Literal["admin", "sender"] = "sender"


class PlaceEdit(Body):
    """What somebody is in an organization; who has a place elsewhere gets one here by this."""

    role: Literal["admin", "sender"] | None = None
    name: Name | None = None
    email: EmailStr | None = None


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
    token_id: str
    token_expires_at: datetime


class People(Page):
    """People of an organization, the oldest first."""

    items: list[Person]


class Place(Answer):
    """A place in an organization."""

    organization_id: str
    organization: str
    role: Role
    name: str
    email: str


class MeEdit(Body):
    """The caller's own phone, as people write them; null forgets it."""

    phone: Annotated[str, StringConstraints(max_length=40)] | None


class Me(Answer):
    """Who the token stands for; operators belong to no organization.

    `places` are all that this token opens: one's places elsewhere too, where it roams.
    """

    person_id: str
    organization_id: str | None
    role: Role
    name: str
    email: str
    phone: str | None
    token_id: str
    places: list[Place]


async def add_by_operator(call: Call) -> web.StreamResponse:
    """An admin or a sender of any organization."""
    return await _add(call, await call.body(NewPerson), f"/organizations/{call.org_id}")


async def add_by_admin(call: Call) -> web.StreamResponse:
    """A sender of the admin's own organization."""
    wanted = await call.body(NewPerson)
    if wanted.role != "sender":
        raise Refused("forbidden", "an operator adds admins", field="role")
    return await _add(call, wanted, "")


async def _add(call: Call, wanted: NewPerson, place: str) -> web.StreamResponse:
    org_id, person_id = call.org_id, new_id()
    async with call.transaction() as tx:
        await organizations.get(tx, org_id)
        now = await tx.now()
        await store.add(tx, org_id, person_id, at=now, **wanted.model_dump())
        issued = await issue(
            tx,
            org_id,
            person_id,
            days=call.settings.token_days,
            issued_by=call.caller.person_id,
            # An admin sees the tokens of those whom they add: these are good here alone.
            roams=call.caller.role == "operator",
        )
        await audit.add(
            tx, call.caller, "person added", person_id, org_id=org_id, after=wanted.model_dump()
        )
    made = PersonWithToken(
        person_id=person_id,
        created_at=now,
        token=issued.token,
        token_id=issued.token_id,
        token_expires_at=issued.expires_at,
        **wanted.model_dump(),
    )
    return answer(made, status=201, location=f"{place}/people/{person_id}")


async def put_place(call: Call) -> web.StreamResponse:
    """Change somebody's place in an organization; who has one elsewhere gets one here.

    It is the one way into two organizations: by the person's id, never by an address, which an
    admin could write down as anybody's.
    """
    person_id, wanted = call.id("person_id"), await call.body(PlaceEdit)
    said = wanted.model_dump(exclude_none=True)
    async with call.transaction() as tx:
        await organizations.lock(tx, call.org_id)
        found = await store.find(tx, call.org_id, person_id)
        if found is None:
            await _link(call, tx, person_id, said)
        else:
            await _change(call, tx, person_id, dict(found), said)
        row = await store.get(tx, call.org_id, person_id)
    return answer(Person(**row))


async def _link(call: Call, tx: Transaction, person_id: str, said: Mapping[str, Any]) -> None:
    await scope.places_of(tx, person_id)
    elsewhere = await store.places(tx, person_id)
    if not elsewhere:
        raise Refused("missing", "There is no such person in any organization")
    known = {name: elsewhere[0][name] for name in ("name", "email")}
    who = {"role": "sender", **known, **said}
    await store.add(tx, call.org_id, person_id, at=await tx.now(), **who)
    await audit.add(tx, call.caller, "person added", person_id, org_id=call.org_id, after=who)


async def _change(
    call: Call, tx: Transaction, person_id: str, found: Mapping[str, Any], said: Mapping[str, Any]
) -> None:
    was = {name: found[name] for name in ("role", "name", "email")}
    now = {**was, **said}
    before, after = audit.differing(was, now)
    if not after:
        return
    await store.change(tx, call.org_id, person_id, **now)
    await noticing.move(tx, call.org_id, person_id, left=was["email"])
    await audit.add(
        tx,
        call.caller,
        "person edited",
        person_id,
        org_id=call.org_id,
        before=before,
        after=after,
    )


async def show_of(call: Call) -> web.StreamResponse:
    """Everybody of an organization, for operators."""
    return await _show(call)


async def show_own(call: Call) -> web.StreamResponse:
    """Everybody of the admin's own organization."""
    return await _show(call)


async def _show(call: Call) -> web.StreamResponse:
    asked = call.query(PageQuery)
    async with call.transaction() as tx:
        await organizations.get(tx, call.org_id)
        rows = await store.listed(tx, call.org_id, after=asked.after, most=asked.limit + 1)
    rows, further = page_of(rows, asked.limit, lambda row: str(row["person_id"]))
    return answer(People(items=[Person(**row) for row in rows], next=further))


async def show_one_of(call: Call) -> web.StreamResponse:
    """Somebody of an organization, for operators."""
    return await _show_one(call)


async def show_one(call: Call) -> web.StreamResponse:
    """Somebody of the admin's own organization."""
    return await _show_one(call)


async def _show_one(call: Call) -> web.StreamResponse:
    async with call.transaction() as tx:
        row = await store.get(tx, call.org_id, call.id("person_id"))
    return answer(Person(**row))


async def edit_me(call: Call) -> web.StreamResponse:
    """Say where one gets texts to oneself."""
    wanted = await call.body(MeEdit)
    phone = None if wanted.phone is None else e164(wanted.phone)
    if wanted.phone is not None and phone is None:
        raise Refused("invalid", "not a valid phone number", field="phone")
    async with call.transaction() as tx:
        await trials.set_own_phone(tx, call.caller, phone)
        return await me(call)


async def me(call: Call) -> web.StreamResponse:
    """Whose token this is, and which places it opens."""
    caller = call.caller
    async with call.transaction() as tx:
        phone = await trials.own_phone(tx, caller)
        if await stored_tokens.roams(tx, caller):
            await scope.places_of(tx, caller.person_id)
        places = await store.places(tx, caller.person_id)
    return answer(
        Me(
            person_id=caller.person_id,
            organization_id=caller.org_id or None,
            role=caller.role,
            name=caller.name,
            email=caller.email,
            phone=phone,
            token_id=caller.token_id,
            places=[Place(**row) for row in places],
        )
    )


ANY = "/organizations/{organization_id}/people"
ONE_OF = ANY + "/{person_id}"
HERE = "/people"

ROUTES = (
    Route(
        "POST", ANY, OPERATORS, add_by_operator, takes=NewPerson, gives=PersonWithToken, status=201
    ),
    Route("GET", ANY, OPERATORS, show_of, asks=PageQuery, gives=People),
    Route("GET", ONE_OF, OPERATORS, show_one_of, gives=Person),
    Route("PUT", ONE_OF, OPERATORS, put_place, takes=PlaceEdit, gives=Person),
    Route("POST", HERE, ADMINS, add_by_admin, takes=NewPerson, gives=PersonWithToken, status=201),
    Route("GET", HERE, ADMINS, show_own, asks=PageQuery, gives=People),
    Route("GET", HERE + "/{person_id}", ADMINS, show_one, gives=Person),
    Route("GET", "/me", ANYBODY, me, gives=Me),
    Route("PATCH", "/me", SENDERS, edit_me, takes=MeEdit, gives=Me),
)
