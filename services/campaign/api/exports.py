"""Texts as CSV files: of a campaign, or of all."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from aiohttp import web
from pydantic import Field, model_validator

from services.campaign.api.calls import ADMINS, Body, Call, Route
from services.campaign.api.csv_files import PAGE_ROWS, send_csv
from services.campaign.api.fields import DateOrTime
from services.campaign.domain import Refused
from services.campaign.rules.export_rows import COLUMNS, exported
from services.campaign.store import campaigns
from services.campaign.store import exports as store

CAMPAIGNS_AT_ONCE = 100
_OURS = ("message_id", "campaign_id", "direction", "kind", "channel", "phone", "carrier", "status")
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


class ExportQuery(Body):
    """Texts that were queued or received from the one to before the other; a date is its midnight
    in UTC. With neither, all texts there are."""

    begins_at: Annotated[DateOrTime | None, Field(alias="from")] = None
    ends_at: Annotated[DateOrTime | None, Field(alias="to")] = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.begins_at and self.ends_at and self.ends_at <= self.begins_at:
            raise Refused("invalid", "must be later than from", field="to")
        return self

    @property
    def period(self) -> store.Period | None:
        """None: no matter when."""
        if self.begins_at is None and self.ends_at is None:
            return None
        return store.Period(self.begins_at or _EARLIEST, self.ends_at or _LATEST)


async def export_campaign(call: Call) -> web.StreamResponse:
    """The texts of a campaign, out and in, as CSV."""
    period = call.query(ExportQuery).period
    async with call.transaction() as tx:
        campaign = await campaigns.get(tx, call.org_id, call.id("campaign_id"))
    one = store.Exported(
        call.org_id, campaign.campaign_id, campaign.plan.name, campaign.plan.contact_list_id
    )
    pages = store.of_campaign(call.transaction, one, period, most=PAGE_ROWS)
    return await _send(call, f"messages-{one.campaign_id}.csv", pages)


async def export_account(call: Call) -> web.StreamResponse:
    """The texts of all campaigns, one after the other, as CSV."""
    period = call.query(ExportQuery).period

    async def pages() -> AsyncIterator[Sequence[Any]]:
        after = ""
        while True:
            async with call.transaction() as tx:
                found = await store.campaigns_after(
                    tx, call.org_id, after, period, most=CAMPAIGNS_AT_ONCE
                )
            for one in found:
                async for rows in store.of_campaign(call.transaction, one, period, most=PAGE_ROWS):
                    yield rows
            if len(found) < CAMPAIGNS_AT_ONCE:
                return
            after = found[-1].campaign_id

    return await _send(call, "messages.csv", pages())


async def _send(
    call: Call, file_name: str, pages: AsyncIterator[Sequence[Any]]
) -> web.StreamResponse:
    async def in_words() -> AsyncIterator[Sequence[dict[str, Any]]]:
        async for rows in pages:
            yield [exported(row) for row in rows]

    return await send_csv(call, file_name, COLUMNS, in_words(), as_they_are=_OURS)


ROUTES = (
    Route(
        "GET",
        "/campaigns/{campaign_id}/messages.csv",
        ADMINS,
        export_campaign,
        asks=ExportQuery,
        gives="csv",
    ),
    Route("GET", "/messages.csv", ADMINS, export_account, asks=ExportQuery, gives="csv"),
)
