"""Organizations and their use cases: what operators decide and admins see."""

from datetime import datetime

from aiohttp import web

from services.campaign.api.calls import (
    ADMINS,
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
from services.campaign.api.fields import Flag, Name
from services.campaign.domain import Refused
from services.campaign.store import audit, scope
from services.campaign.store import organizations as store
from shared.events import UseCaseRegistered
from shared.ids import new_id


class NewOrganization(Body):
    """A customer."""

    name: Name


class OrganizationEdit(Body):
    """What is to change of it.

    With `invites_add_people`, whoever follows a campaign's invite link and has no place in the
    organization gets a sender's.
    """

    name: Name | None = None
    invites_add_people: Flag | None = None


class Organization(Answer):
    """A customer as they stand."""

    organization_id: str
    name: str
    invites_add_people: bool
    created_at: datetime


class Organizations(Page):
    """Customers, the oldest first."""

    items: list[Organization]


class NewUseCase(Body):
    """A use case (10DLC campaign) that the provider knows."""

    name: Name
    provider_campaign_id: Name
    messaging_profile_id: Name | None = None


class UseCase(Answer):
    """A use case as it stands."""

    use_case_id: str
    name: str
    provider_campaign_id: str
    messaging_profile_id: str | None
    registered_at: datetime


class UseCases(Page):
    """An organization's use cases, the oldest first."""

    items: list[UseCase]


async def create(call: Call) -> web.StreamResponse:
    """A new organization."""
    wanted = await call.body(NewOrganization)
    org_id = new_id()
    async with call.transaction() as tx:
        now = await tx.now()
        async with scope.within(tx, org_id):
            await store.add(tx, org_id, wanted.name, now)
            await audit.add(
                tx,
                call.caller,
                "organization created",
                org_id,
                org_id=org_id,
                after={"name": wanted.name},
            )
    made = Organization(
        organization_id=org_id, name=wanted.name, invites_add_people=False, created_at=now
    )
    return answer(made, status=201, location=f"/organizations/{org_id}")


async def show_all(call: Call) -> web.StreamResponse:
    """All organizations."""
    asked = call.query(PageQuery)
    async with call.transaction() as tx:
        rows = await store.listed(tx, after=asked.after, most=asked.limit + 1)
    rows, further = page_of(rows, asked.limit, lambda row: str(row["organization_id"]))
    return answer(Organizations(items=[Organization(**row) for row in rows], next=further))


async def show(call: Call) -> web.StreamResponse:
    """One organization."""
    return await _show(call)


async def show_own(call: Call) -> web.StreamResponse:
    """The admin's own organization."""
    return await _show(call)


async def _show(call: Call) -> web.StreamResponse:
    async with call.transaction() as tx:
        row = await store.get(tx, call.org_id)
    return answer(Organization(**row))


async def edit(call: Call) -> web.StreamResponse:
    """Change an organization."""
    return await _edit(call)


async def edit_own(call: Call) -> web.StreamResponse:
    """Change what is the admin's to decide: whether invites add people."""
    return await _edit(call)


async def _edit(call: Call) -> web.StreamResponse:
    wanted = await call.body(OrganizationEdit)
    if wanted.name is not None and call.caller.role != "operator":
        raise Refused("forbidden", "an operator names organizations", field="name")
    async with call.transaction() as tx:
        await store.lock(tx, call.org_id)
        was = dict(await store.get(tx, call.org_id))
        now = {**was, **wanted.model_dump(exclude_none=True)}
        before, after = audit.differing(was, now)
        if after:
            await store.change(
                tx,
                call.org_id,
                name=now["name"],
                invites_add_people=now["invites_add_people"],
            )
            await audit.add(
                tx,
                call.caller,
                "organization edited",
                call.org_id,
                org_id=call.org_id,
                before=before,
                after=after,
            )
    return answer(Organization(**now))


async def register_use_case(call: Call) -> web.StreamResponse:
    """Register a use case of an organization."""
    org_id, use_case_id = call.org_id, new_id()
    wanted = await call.body(NewUseCase)
    async with call.transaction() as tx:
        await store.get(tx, org_id)
        now = await tx.now()
        await store.add_use_case(tx, org_id, use_case_id, at=now, **wanted.model_dump())
        await audit.add(
            tx,
            call.caller,
            "use case registered",
            use_case_id,
            org_id=org_id,
            after=wanted.model_dump(),
        )
        tx.tell(
            UseCaseRegistered(
                org_id=org_id,
                use_case_id=use_case_id,
                provider_campaign_id=wanted.provider_campaign_id,
                messaging_profile_id=wanted.messaging_profile_id,
            )
        )
    made = UseCase(use_case_id=use_case_id, registered_at=now, **wanted.model_dump())
    return answer(made, status=201, location=f"/organizations/{org_id}/use-cases/{use_case_id}")


async def show_use_cases(call: Call) -> web.StreamResponse:
    """An organization's use cases, for operators."""
    return await _use_cases(call)


async def show_own_use_cases(call: Call) -> web.StreamResponse:
    """The caller's own, to create campaigns with."""
    return await _use_cases(call)


async def show_use_case(call: Call) -> web.StreamResponse:
    """One use case, for operators."""
    async with call.transaction() as tx:
        row = await store.use_case(tx, call.org_id, call.id("use_case_id"))
    return answer(UseCase(**row))


async def _use_cases(call: Call) -> web.StreamResponse:
    asked = call.query(PageQuery)
    async with call.transaction() as tx:
        await store.get(tx, call.org_id)
        rows = await store.use_cases(tx, call.org_id, after=asked.after, most=asked.limit + 1)
    rows, further = page_of(rows, asked.limit, lambda row: str(row["use_case_id"]))
    return answer(UseCases(items=[UseCase(**row) for row in rows], next=further))


ALL = "/organizations"
ONE = "/organizations/{organization_id}"
OWN = "/organization"
CASES = ONE + "/use-cases"

ROUTES = (
    Route("POST", ALL, OPERATORS, create, takes=NewOrganization, gives=Organization, status=201),
    Route("GET", ALL, OPERATORS, show_all, asks=PageQuery, gives=Organizations),
    Route("GET", ONE, OPERATORS, show, gives=Organization),
    Route("PATCH", ONE, OPERATORS, edit, takes=OrganizationEdit, gives=Organization),
    Route("GET", OWN, ADMINS, show_own, gives=Organization),
    Route("PATCH", OWN, ADMINS, edit_own, takes=OrganizationEdit, gives=Organization),
    Route("POST", CASES, OPERATORS, register_use_case, takes=NewUseCase, gives=UseCase, status=201),
    Route("GET", CASES, OPERATORS, show_use_cases, asks=PageQuery, gives=UseCases),
    Route("GET", CASES + "/{use_case_id}", OPERATORS, show_use_case, gives=UseCase),
    Route("GET", "/use-cases", ADMINS, show_own_use_cases, asks=PageQuery, gives=UseCases),
)
