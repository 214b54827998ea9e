"""A campaign's forecast: when each carrier's texts will have gone, and what will be left."""

import asyncio
from datetime import datetime

from aiohttp import web

from services.campaign.acts import forecasting
from services.campaign.api.calls import ADMINS, Answer, Call, Route, answer
from services.campaign.api.details import WindowShown
from services.campaign.domain import Refused
from services.campaign.store import campaigns


class CarrierForecast(Answer):
    """One carrier's initials: `sent` by `finishes_at`; `failing` are left when the window ends.

    `refused` are larger than a limit and fail at once; `waiting` neither go nor fail within sixty
    days.
    """

    carrier: str
    sent: int
    failing: int
    refused: int
    waiting: int
    finishes_at: datetime | None


class Forecast(Answer):
    """What will become of a campaign's initials, as things stand.

    Counted are those that are queued, and those that no sender has sent yet as if all were sent
    now, or when the window opens. `safe_end_at` is the earliest end that saves them all; null:
    nothing is to be saved, or no end within sixty days does it. Of `unknown` texts no carrier is
    known: they are shared out as those that are.
    """

    campaign_id: str
    forecast_at: datetime
    window: WindowShown
    carriers: list[CarrierForecast]
    failing: int
    finishes_at: datetime | None
    safe_end_at: datetime | None
    unknown: int


async def show(call: Call) -> web.StreamResponse:
    """The forecast of a draft or of a running campaign."""
    campaign_id = call.id("campaign_id")
    async with call.transaction() as tx:
        campaign = await campaigns.get(tx, call.org_id, campaign_id)
        if campaign.state == "archived":
            raise Refused("missing", "It is archived: nothing of it goes any more")
        material = await forecasting.gather(tx, call.org_id, [campaign])
    seen = (await asyncio.to_thread(forecasting.look, material, [campaign_id]))[campaign_id]
    return answer(
        Forecast(
            campaign_id=campaign_id,
            forecast_at=seen.at,
            window=WindowShown.model_validate(campaign.plan.window),
            carriers=[CarrierForecast.model_validate(one) for one in seen.carriers],
            failing=seen.failing,
            finishes_at=seen.finishes_at,
            safe_end_at=seen.safe_end_at,
            unknown=seen.unknown,
        )
    )


ROUTES = (Route("GET", "/campaigns/{campaign_id}/forecast", ADMINS, show, gives=Forecast),)
