"""Tokens: issued, listed, revoked. An operator's come from the command operator_token."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from aiohttp import web
from pydantic import Field

from services.campaign.api.calls import (
    ADMINS,
    ANYBODY,
    BASE,
    OPERATORS,
    Answer,
    Body,
    Call,
    Page,
    PageQuery,
    Route,
    answer,
    page_of,
)
from services.campaign.api.fields import Name, Whole
from services.campaign.domain import Caller, Refused
from services.campaign.store import audit, people, scope
from services.campaign.store import tokens as store
from services.campaign.tokens import Issued, issue
from shared.database import Transaction
from shared.fields import Id

DAYS_MOST = 3650


class NewToken(Body):
    """A token for somebody; `name` says what it is for, `days` for how long it is good."""

    name: Name | None = None
    days: Annotated[Whole, Field(ge=1, le=DAYS_MOST)] | None = None


class NewOwnToken(NewToken):
    """A token for oneself, here or in another organization that one has a place in."""

    organization_id: Id | None = None


class Token(Answer):
    """A token as it stands, without itself. `last_used_at` is true to the hour."""

    token_id: str
    name: str
    issued_by: str
    issued_at: datetime
    expires_at: datetime | None
    expired: bool
    last_used_at: datetime | None
    roams: bool


class Tokens(Page):
    """A person's tokens in one organization."""

    items: list[Token]


class IssuedToken(Answer):
    """A new token. It is shown this once: only its hash is kept."""

    token_id: str
    token: str
    name: str
    person_id: str
    organization_id: str | None
    issued_at: datetime
    expires_at: datetime
    roams: bool


async def issue_of(call: Call) -> web.StreamResponse:
    """A token for anybody of an organization."""
    wanted = await call.body(NewToken)
    async with call.transaction() as tx:
        return await _issued_to(call, tx, await _person(call, tx), wanted, roams=True)


async def issue_by_admin(call: Call) -> web.StreamResponse:
    """A token for a sender of the admin's organization, or for themselves."""
    wanted = await call.body(NewToken)
    async with call.transaction() as tx:
        person_id = await _person(call, tx)
        roams = person_id == call.caller.person_id and await store.roams(tx, call.caller)
        return await _issued_to(call, tx, person_id, wanted, roams=roams)


async def issue_own(call: Call) -> web.StreamResponse:
    """A token for oneself: here, or in another organization that one has a place in."""
    wanted, caller = await call.body(NewOwnToken), call.caller
    async with call.transaction() as tx:
        roams = await store.roams(tx, caller)
        if wanted.organization_id in (None, caller.org_id):
            return await _issued_to(call, tx, caller.person_id, wanted, roams=roams)
        if not roams:
            raise Refused(
                "forbidden",
                "this token is for one organization: an operator issues those that open others",
                field="organization_id",
            )
        async with scope.within(tx, wanted.organization_id):
            place = await people.find(tx, wanted.organization_id, caller.person_id)
            if place is None:
                raise Refused("invalid", "you have no place there", field="organization_id")
            there = replace(caller, org_id=wanted.organization_id, role=place["role"])
            made = await _issue(call, tx, there, caller.person_id, wanted, roams=True)
    return _shown(made, there.org_id, caller.person_id, wanted, roams=True, place="/me")


async def _issued_to(
    call: Call, tx: Transaction, person_id: str, wanted: NewToken, *, roams: bool
) -> web.StreamResponse:
    caller = replace(call.caller, org_id=call.org_id)
    made = await _issue(call, tx, caller, person_id, wanted, roams=roams)
    place = call.request.path.removeprefix(BASE).removesuffix("/tokens")
    return _shown(made, call.org_id, person_id, wanted, roams=roams, place=place)


async def _issue(
    call: Call, tx: Transaction, by: Caller, person_id: str, wanted: NewToken, *, roams: bool
) -> Issued:
    """Where `by` stands, and in their name."""
    made = await issue(
        tx,
        by.org_id,
        person_id,
        days=wanted.days or call.settings.token_days,
        issued_by=by.person_id,
        name=wanted.name or "",
        roams=roams,
    )
    after = {
        "token_id": made.token_id,
        "name": wanted.name or "",
        "expires_at": made.expires_at.isoformat(),
        "roams": roams,
    }
    await audit.add(tx, by, "token issued", person_id, after=after)
    return made


def _shown(
    made: Issued, org_id: str, person_id: str, wanted: NewToken, *, roams: bool, place: str
) -> web.Response:
    shown = IssuedToken(
        token_id=made.token_id,
        token=made.token,
        name=wanted.name or "",
        person_id=person_id,
        organization_id=org_id or None,
        issued_at=made.issued_at,
        expires_at=made.expires_at,
        roams=roams,
    )
    return answer(shown, status=201, location=f"{place}/tokens/{made.token_id}")


async def show_of(call: Call) -> web.StreamResponse:
    """The tokens of anybody of an organization."""
    return await _show(call)


async def show_by_admin(call: Call) -> web.StreamResponse:
    """The tokens of a sender of the admin's organization, or their own."""
    return await _show(call)


async def show_own(call: Call) -> web.StreamResponse:
    """One's own tokens, in the organization of the one that is asked with."""
    return await _show(call)


async def _show(call: Call) -> web.StreamResponse:
    asked = call.query(PageQuery)
    async with call.transaction() as tx:
        person_id = await _person(call, tx)
        rows = await store.listed(
            tx, call.org_id, person_id, after=asked.after, most=asked.limit + 1
        )
    rows, further = page_of(rows, asked.limit, lambda row: str(row["token_id"]))
    return answer(Tokens(items=[Token(**row) for row in rows], next=further))


async def revoke_of(call: Call) -> web.StreamResponse:
    """End a token of anybody of an organization, at once."""
    return await _revoke(call)


async def revoke_by_admin(call: Call) -> web.StreamResponse:
    """End a token of a sender of the admin's organization, or one of their own, at once."""
    return await _revoke(call)


async def revoke_own(call: Call) -> web.StreamResponse:
    """End a token of one's own, at once: the very one that is asked with, too."""
    return await _revoke(call)


async def _revoke(call: Call) -> web.StreamResponse:
    async with call.transaction() as tx:
        person_id = await _person(call, tx)
        gone = Token(**await store.revoke(tx, call.org_id, person_id, call.id("token_id")))
        before = gone.model_dump(mode="json", include={"token_id", "name", "expires_at"})
        await audit.add(
            tx, call.caller, "token revoked", person_id, org_id=call.org_id, before=before
        )
    return answer(gone)


async def _person(call: Call, tx: Transaction) -> str:
    """Whose tokens are meant. Raises Refused for somebody whom the caller has no say over.

    An admin who could give out another admin's token could act in their name.
    """
    if "person_id" not in call.request.match_info:
        return call.caller.person_id
    person_id = call.id("person_id")
    person = await people.get(tx, call.org_id, person_id)
    others = call.caller.role == "admin" and person_id != call.caller.person_id
    if others and person["role"] != "sender":
        raise Refused("forbidden", "an operator sees to the tokens of other admins")
    return person_id


OF = "/organizations/{organization_id}/people/{person_id}/tokens"
HERE = "/people/{person_id}/tokens"
OWN = "/me/tokens"
ONE = "/{token_id}"

ROUTES = (
    Route("POST", OF, OPERATORS, issue_of, takes=NewToken, gives=IssuedToken, status=201),
    Route("GET", OF, OPERATORS, show_of, asks=PageQuery, gives=Tokens),
    Route("DELETE", OF + ONE, OPERATORS, revoke_of, gives=Token),
    Route("POST", HERE, ADMINS, issue_by_admin, takes=NewToken, gives=IssuedToken, status=201),
    Route("GET", HERE, ADMINS, show_by_admin, asks=PageQuery, gives=Tokens),
    Route("DELETE", HERE + ONE, ADMINS, revoke_by_admin, gives=Token),
    Route("POST", OWN, ANYBODY, issue_own, takes=NewOwnToken, gives=IssuedToken, status=201),
    Route("GET", OWN, ANYBODY, show_own, asks=PageQuery, gives=Tokens),
    Route("DELETE", OWN + ONE, ANYBODY, revoke_own, gives=Token),
)
