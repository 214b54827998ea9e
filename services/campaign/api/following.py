"""Clones and follow-ups."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field, StringConstraints

from services.campaign.acts import following
from services.campaign.api.calls import ADMINS, Body, Call, Route, answer
from services.campaign.api.campaigns import HoursEdit, MediaUrls, WindowWanted
from services.campaign.api.details import CampaignDetails, details_of
from services.campaign.api.fields import Flag, Name
from services.campaign.domain import Audience, Channel, Status
from shared.fields import Body as Text
from shared.ids import new_id

Code = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,64}$")]


class CloneWanted(Body):
    """What differs from the original; its window by default begins today, as a new one's does.

    `contacts`: all, or only those to whom the original has sent nothing by the clone's launch; by
    default these for a clone of a campaign whose provisioning has failed, else all.
    """

    name: Name
    window: WindowWanted = WindowWanted()
    hours: HoursEdit = HoursEdit()
    contacts: Literal["all", "untexted"] | None = None


class Targeting(Body):
    """Which of the original's contacts: those who fulfil all that is named.

    `replied`: have they answered? `statuses`, `codes`: what became of their initial, and with which
    error code. `tags`: they have one of these.
    """

    replied: Flag | None = None
    statuses: Annotated[tuple[Status, ...], Field(max_length=20)] = ()
    codes: Annotated[tuple[Code, ...], Field(max_length=100)] = ()
    tags: Annotated[tuple[Name, ...], Field(max_length=100)] = ()


class FollowUpWanted(Body):
    """A campaign on the original's number, for some of its contacts."""

    name: Name
    script: Text
    channel: Channel = "sms"
    media_urls: MediaUrls = ()
    window: WindowWanted = WindowWanted()
    hours: HoursEdit = HoursEdit()
    targeting: Targeting = Targeting()


def _wanted(body: CloneWanted | FollowUpWanted) -> following.Wanted:
    return following.Wanted(
        body.name,
        body.window.opens_at,
        body.window.closes_at,
        body.hours.model_dump(exclude_unset=True),
    )


async def clone(call: Call) -> web.StreamResponse:
    """A draft with the plan of this campaign, and a number of its own to come."""
    campaign_id, made_id = call.id("campaign_id"), new_id()
    wanted = await call.body(CloneWanted)
    untexted = None if wanted.contacts is None else wanted.contacts == "untexted"
    async with call.transaction() as tx:
        await following.clone(
            tx, call.caller, campaign_id, made_id, _wanted(wanted), untexted=untexted
        )
        details = await details_of(tx, call.caller.org_id, made_id)
    return answer(details, status=201, location=f"/campaigns/{made_id}")


async def follow_up(call: Call) -> web.StreamResponse:
    """A draft on this campaign's number, without provisioning, for some of its contacts."""
    campaign_id, made_id = call.id("campaign_id"), new_id()
    wanted = await call.body(FollowUpWanted)
    chosen = wanted.targeting
    audience = Audience(
        of=campaign_id,
        replied=chosen.replied,
        statuses=chosen.statuses,
        codes=chosen.codes,
        tags=chosen.tags,
    )
    async with call.transaction() as tx:
        await following.follow_up(
            tx,
            call.caller,
            campaign_id,
            made_id,
            _wanted(wanted),
            script=wanted.script,
            channel=wanted.channel,
            media_urls=wanted.media_urls,
            audience=audience,
        )
        details = await details_of(tx, call.caller.org_id, made_id)
    return answer(details, status=201, location=f"/campaigns/{made_id}")


ROUTES = (
    Route(
        "POST",
        "/campaigns/{campaign_id}/clone",
        ADMINS,
        clone,
        takes=CloneWanted,
        gives=CampaignDetails,
        status=201,
    ),
    Route(
        "POST",
        "/campaigns/{campaign_id}/follow-up",
        ADMINS,
        follow_up,
        takes=FollowUpWanted,
        gives=CampaignDetails,
        status=201,
    ),
)
