"""Who did what, when, and how it was before and after."""

from datetime import datetime
from typing import Any

from aiohttp import web
from pydantic import Field

from services.campaign.api.calls import (
    ADMINS,
    OPERATORS,
    Answer,
    Call,
    Page,
    PageQuery,
    Route,
    answer,
    page_of,
)
from services.campaign.api.fields import DateOrTime, Name
from services.campaign.domain import Role
from services.campaign.store import audit as store
from services.campaign.store import organizations
from shared.fields import Id


class AuditQuery(PageQuery):
    """Which acts: to whom or what, of which kind, by whom, from when on and until before when."""

    subject_id: Id | None = None
    act: Name | None = None
    person_id: Id | None = None
    since: DateOrTime | None = Field(None, alias="from")
    until: DateOrTime | None = Field(None, alias="to")


class Act(Answer):
    """What somebody did: `before` and `after` hold what it changed, where it changed anything."""

    audit_id: str
    at: datetime
    person_id: str
    role: Role
    act: str
    subject_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Trail(Page):
    """Acts, the latest first."""

    items: list[Act]


async def show_of(call: Call) -> web.StreamResponse:
    """Who did what in an organization, operators included."""
    return await _show(call)


async def show_own(call: Call) -> web.StreamResponse:
    """Who did what in the admin's own organization, operators included."""
    return await _show(call)


async def _show(call: Call) -> web.StreamResponse:
    asked = call.query(AuditQuery)
    async with call.transaction() as tx:
        await organizations.get(tx, call.org_id)
        rows = await store.listed(
            tx,
            call.org_id,
            most=asked.limit + 1,
            **asked.model_dump(exclude={"limit"}),
        )
    rows, further = page_of(rows, asked.limit, lambda row: str(row["audit_id"]))
    return answer(Trail(items=[Act(**row) for row in rows], next=further))


ROUTES = (
    Route(
        "GET",
        "/organizations/{organization_id}/audit",
        OPERATORS,
        show_of,
        asks=AuditQuery,
        gives=Trail,
    ),
    Route("GET", "/audit", ADMINS, show_own, asks=AuditQuery, gives=Trail),
)
