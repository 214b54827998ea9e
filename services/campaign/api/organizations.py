"""Organizations and their use cases: what operators decide and admins see."""

from datetime import datetime

from aiohttp import web

from services.campaign.api.calls import ADMINS, OPERATORS, Answer, Body, Call, Route, answer
from services.campaign.api.fields import Name
from services.campaign.domain import Refused
from services.campaign.store import organizations as store
from services.campaign.store import scope
from shared.events import UseCaseRegistered
from shared.ids import new_id


class NewOrganization(Body):
    """A customer."""

    name: Name


class Organization(Answer):
    """A customer as they stand."""

    organization_id: str
    name: str
    created_at: datetime


class Organizations(Answer):
    """All of them."""

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


class UseCases(Answer):
    """All of an organization."""

    items: list[UseCase]


async def create(call: Call) -> web.StreamResponse:
    """A new organization."""
    wanted = await call.body(NewOrganization)
    org_id = new_id()
    async with call.transaction() as tx:
        now = await tx.now()
        async with scope.within(tx, org_id):
            await store.add(tx, org_id, wanted.name, now)
    made = Organization(organization_id=org_id, name=wanted.name, created_at=now)
    return answer(made, status=201, location=f"/organizations/{org_id}")


async def show_all(call: Call) -> web.StreamResponse:
    """All organizations."""
    async with call.transaction() as tx:
        rows = await store.listed(tx)
    return answer(Organizations(items=[Organization(**row) for row in rows]))


async def show(call: Call) -> web.StreamResponse:
    """One organization."""
    async with call.transaction() as tx:
        row = await store.get(tx, call.id("organization_id"))
    return answer(Organization(**row))


async def register_use_case(call: Call) -> web.StreamResponse:
    """A new use case of an organization, and tell."""
    org_id, use_case_id = call.id("organization_id"), new_id()
    wanted = await call.body(NewUseCase)
    async with call.transaction() as tx:
        await store.get(tx, org_id)
        now = await tx.now()
        await store.add_use_case(tx, org_id, use_case_id, at=now, **wanted.model_dump())
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
    return await _use_cases(call, call.id("organization_id"))


async def show_own_use_cases(call: Call) -> web.StreamResponse:
    """The caller's own, to create campaigns with."""
    return await _use_cases(call, call.caller.org_id)


async def show_use_case(call: Call) -> web.StreamResponse:
    """One use case, for operators."""
    async with call.transaction() as tx:
        rows = await store.use_cases(tx, call.id("organization_id"))
    for row in rows:
        if row["use_case_id"] == call.id("use_case_id"):
            return answer(UseCase(**row))
    raise Refused("missing", "There is no such use case")


async def _use_cases(call: Call, org_id: str) -> web.StreamResponse:
    async with call.transaction() as tx:
        await store.get(tx, org_id)
        rows = await store.use_cases(tx, org_id)
    return answer(UseCases(items=[UseCase(**row) for row in rows]))


ONE = "/organizations/{organization_id}"

ROUTES = (
    Route(
        "POST",
        "/organizations",
        OPERATORS,
        create,
        takes=NewOrganization,
        gives=Organization,
        status=201,
    ),
    Route("GET", "/organizations", OPERATORS, show_all, gives=Organizations),
    Route("GET", ONE, OPERATORS, show, gives=Organization),
    Route(
        "POST",
        ONE + "/use-cases",
        OPERATORS,
        register_use_case,
        takes=NewUseCase,
        gives=UseCase,
        status=201,
    ),
    Route("GET", ONE + "/use-cases", OPERATORS, show_use_cases, gives=UseCases),
    Route("GET", ONE + "/use-cases/{use_case_id}", OPERATORS, show_use_case, gives=UseCase),
    Route("GET", "/use-cases", ADMINS, show_own_use_cases, gives=UseCases),
)
