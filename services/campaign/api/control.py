"""What an admin may do to a campaign that is under way."""

from datetime import datetime

from aiohttp import web

from services.campaign.acts import control
from services.campaign.api.calls import ADMINS, Answer, Body, Call, Route, answer
from services.campaign.api.details import CampaignDetails, details_of
from services.campaign.domain import Outcome


class Settling(Body):
    """What became of texts whose answer was lost."""

    outcome: Outcome


class Withdrawn(Answer):
    """How many were queued then, as far as known: each ends as `failed`, or was sent just now."""

    campaign_id: str
    queued: int
    withdrawn_at: datetime


class Settled(Answer):
    """What was settled; the text's status follows."""

    message_id: str
    campaign_id: str
    outcome: Outcome
    settled_at: datetime


class AllSettled(Answer):
    """How many were unclear then, as far as known; their statuses follow."""

    campaign_id: str
    unclear: int
    outcome: Outcome
    settled_at: datetime


async def pause(call: Call) -> web.StreamResponse:
    """Let nothing go until it is resumed."""
    campaign_id = call.id("campaign_id")
    async with call.transaction() as tx:
        await control.pause(tx, call.caller, campaign_id)
        details = await details_of(tx, call.caller.org_id, campaign_id)
    return answer(details)


async def resume(call: Call) -> web.StreamResponse:
    """Let it go on."""
    campaign_id = call.id("campaign_id")
    async with call.transaction() as tx:
        await control.resume(tx, call.caller, campaign_id)
        details = await details_of(tx, call.caller.org_id, campaign_id)
    return answer(details)


async def archive(call: Call) -> web.StreamResponse:
    """End it for good; the number is given back when no other campaign is on it."""
    campaign_id = call.id("campaign_id")
    async with call.transaction() as tx:
        await control.archive(tx, call.caller, campaign_id)
        details = await details_of(tx, call.caller.org_id, campaign_id)
    return answer(details)


async def withdraw(call: Call) -> web.StreamResponse:
    """Take back what is queued."""
    campaign_id = call.id("campaign_id")
    async with call.transaction() as tx:
        at, queued = await control.withdraw(tx, call.caller, campaign_id)
    return answer(Withdrawn(campaign_id=campaign_id, queued=queued, withdrawn_at=at), status=202)


async def settle(call: Call) -> web.StreamResponse:
    """Say what became of one text that is unclear."""
    message_id = call.id("message_id")
    wanted = await call.body(Settling)
    async with call.transaction() as tx:
        campaign_id, at = await control.settle(tx, call.caller, message_id, wanted.outcome)
    done = Settled(
        message_id=message_id, campaign_id=campaign_id, outcome=wanted.outcome, settled_at=at
    )
    return answer(done, status=202)


async def settle_all(call: Call) -> web.StreamResponse:
    """Say what became of all texts of a campaign that are unclear."""
    campaign_id = call.id("campaign_id")
    wanted = await call.body(Settling)
    async with call.transaction() as tx:
        at, unclear = await control.settle_all(tx, call.caller, campaign_id, wanted.outcome)
    done = AllSettled(
        campaign_id=campaign_id, unclear=unclear, outcome=wanted.outcome, settled_at=at
    )
    return answer(done, status=202)


ROUTES = (
    Route("POST", "/campaigns/{campaign_id}/pause", ADMINS, pause, gives=CampaignDetails),
    Route("POST", "/campaigns/{campaign_id}/resume", ADMINS, resume, gives=CampaignDetails),
    Route("POST", "/campaigns/{campaign_id}/archive", ADMINS, archive, gives=CampaignDetails),
    Route(
        "POST", "/campaigns/{campaign_id}/withdraw", ADMINS, withdraw, gives=Withdrawn, status=202
    ),
    Route(
        "POST",
        "/campaigns/{campaign_id}/unclear/settle",
        ADMINS,
        settle_all,
        takes=Settling,
        gives=AllSettled,
        status=202,
    ),
    Route(
        "POST",
        "/messages/{message_id}/settle",
        ADMINS,
        settle,
        takes=Settling,
        gives=Settled,
        status=202,
    ),
)
