"""Campaigns: drafts, edits, launch, lists."""

from datetime import UTC, datetime, time
from typing import Annotated, Any

from aiohttp import web
from pydantic import BeforeValidator, Field

from services.campaign.acts import launching
from services.campaign.api.calls import (
    ADMINS,
    Answer,
    Body,
    Call,
    Page,
    PageQuery,
    Route,
    answer,
    page_of,
)
from services.campaign.api.details import CampaignDetails, CampaignLine, details_of, line_of
from services.campaign.api.fields import Flag, Name, Time, Whole, Zone
from services.campaign.domain import BATCH_SIZE, Channel, Plan, Stage
from services.campaign.rules.window import checked_hours, chosen_window
from services.campaign.store import campaigns as store
from services.campaign.store import numbers
from shared.fields import AreaCode, Id, Url
from shared.fields import Body as Text
from shared.ids import new_id
from shared.rules.hours import DEFAULT_CLOSES, DEFAULT_OPENS, parse_clock


def _clock(text: Any) -> time:
    if not isinstance(text, str):
        raise ValueError('must be a time of day, such as "9:00"')
    return parse_clock(text)


Clock = Annotated[time, BeforeValidator(_clock)]
MediaUrls = Annotated[tuple[Url, ...], Field(max_length=10)]
AreaCodes = Annotated[tuple[AreaCode, ...], Field(max_length=50)]
BatchSize = Annotated[Whole, Field(ge=1, le=1000)]


Replies = Annotated[Whole, Field(ge=0, le=10_000)]
Minutes = Annotated[Whole, Field(ge=1, le=7 * 24 * 60)]


class WindowWanted(Body):
    """The initial sending window: by default today's (in UTC), to that day's close."""

    opens_at: Time | None = None
    closes_at: Time | None = None


class HoursWanted(Body):
    """The open hours, in the campaign's own zone."""

    opens: Clock = DEFAULT_OPENS
    closes: Clock = DEFAULT_CLOSES
    time_zone: Zone


class SelfAssign(Body):
    """Whether senders may take batches by themselves, and how large ones."""

    enabled: Flag = False
    batch_size: BatchSize = BATCH_SIZE


class NewCampaign(Body):
    """A draft."""

    name: Name
    use_case_id: Id
    contact_list_id: Id
    script: Text
    channel: Channel = "sms"
    media_urls: MediaUrls = ()
    area_codes: AreaCodes = ()
    nearby_area_codes: Flag = True
    dedicated_number: Flag = False
    window: WindowWanted = WindowWanted()
    hours: HoursWanted
    self_assign: SelfAssign = SelfAssign()
    senders_may_edit: Flag = False
    hold_until_provisioned: Flag = False
    replies_first_over: Replies | None = None
    take_back_after_min: Minutes | None = None


# In an edit only what was sent counts, and so the defaults below are never seen. They are of the
# right type, so that null is refused where it means nothing.
NEVER = datetime.min.replace(tzinfo=UTC)


class WindowEdit(Body):
    """Either end, or both."""

    opens_at: Time = NEVER
    closes_at: Time = NEVER


class HoursEdit(Body):
    """Any part of the hours."""

    opens: Clock = DEFAULT_OPENS
    closes: Clock = DEFAULT_CLOSES
    time_zone: Zone = ""


class CampaignEdit(Body):
    """Any part of a campaign."""

    name: Name = ""
    use_case_id: Id = ""
    contact_list_id: Id = ""
    script: Text = ""
    channel: Channel = "sms"
    media_urls: MediaUrls = ()
    area_codes: AreaCodes = ()
    nearby_area_codes: Flag = True
    dedicated_number: Flag = False
    window: WindowEdit = WindowEdit()
    hours: HoursEdit = HoursEdit()
    self_assign: SelfAssign = SelfAssign()
    senders_may_edit: Flag = False
    hold_until_provisioned: Flag = False
    replies_first_over: Replies | None = None
    take_back_after_min: Minutes | None = None

    def changes(self) -> dict[str, Any]:
        """What was sent, by the names of Plan."""
        changes = self.model_dump(exclude_unset=True)
        self_assign = changes.pop("self_assign", {})
        if "enabled" in self_assign:
            changes["self_assign"] = self_assign["enabled"]
        if "batch_size" in self_assign:
            changes["batch_size"] = self_assign["batch_size"]
        return changes


class CampaignsQuery(PageQuery):
    """Which; all where no status is named."""

    status: Stage | None = None


class Campaigns(Page):
    """A page of an organization's campaigns, newest first."""

    items: list[CampaignLine]


class Launched(Answer):
    """What a launch made, and what to look out for."""

    campaign_id: str
    status: Stage
    revision: int
    initials: int
    warnings: list[str]


async def create(call: Call) -> web.StreamResponse:
    """A new draft."""
    wanted = await call.body(NewCampaign)
    campaign_id = new_id()
    hours = checked_hours(wanted.hours.opens, wanted.hours.closes, wanted.hours.time_zone)
    async with call.transaction() as tx:
        now = await tx.now()
        plan = Plan(
            name=wanted.name,
            use_case_id=wanted.use_case_id,
            contact_list_id=wanted.contact_list_id,
            script=wanted.script,
            channel=wanted.channel,
            media_urls=wanted.media_urls,
            area_codes=wanted.area_codes,
            window=chosen_window(hours, now, wanted.window.opens_at, wanted.window.closes_at),
            hours=hours,
            self_assign=wanted.self_assign.enabled,
            batch_size=wanted.self_assign.batch_size,
            senders_may_edit=wanted.senders_may_edit,
            hold_until_provisioned=wanted.hold_until_provisioned,
            replies_first_over=wanted.replies_first_over,
            take_back_after_min=wanted.take_back_after_min,
            dedicated_number=wanted.dedicated_number,
            nearby_area_codes=wanted.nearby_area_codes,
        )
        await launching.draft(tx, call.caller, campaign_id, plan)
        details = await details_of(tx, call.caller.org_id, campaign_id)
    return answer(details, status=201, location=f"/campaigns/{campaign_id}")


async def edit(call: Call) -> web.StreamResponse:
    """Change a campaign; after the launch its name, window, hours and self-assign."""
    campaign_id = call.id("campaign_id")
    wanted = await call.body(CampaignEdit)
    async with call.transaction() as tx:
        await launching.edit(tx, call.caller, campaign_id, wanted.changes())
        details = await details_of(tx, call.caller.org_id, campaign_id)
    return answer(details)


async def launch(call: Call) -> web.StreamResponse:
    """Active at once, provisioning or not."""
    campaign_id = call.id("campaign_id")
    async with call.transaction() as tx:
        initials, warnings = await launching.launch(tx, call.caller, campaign_id)
    return answer(
        Launched(
            campaign_id=campaign_id,
            status="active",
            revision=1,
            initials=initials,
            warnings=warnings,
        )
    )


async def show(call: Call) -> web.StreamResponse:
    """The details."""
    async with call.transaction() as tx:
        return answer(await details_of(tx, call.caller.org_id, call.id("campaign_id")))


async def show_all(call: Call) -> web.StreamResponse:
    """Campaigns, newest first."""
    org_id, asked = call.caller.org_id, call.query(CampaignsQuery)
    async with call.transaction() as tx:
        rows = await store.listed(
            tx, org_id, stage=asked.status, after=asked.after, most=asked.limit + 1
        )
        found, following = page_of(rows, asked.limit, lambda campaign: campaign.campaign_id)
        heard = await numbers.of_campaigns(tx, org_id, found)
        now = await tx.now()
    lines = [
        CampaignLine(**line_of(campaign, now, heard[campaign.campaign_id])) for campaign in found
    ]
    return answer(Campaigns(items=lines, next=following))


ROUTES = (
    Route(
        "POST", "/campaigns", ADMINS, create, takes=NewCampaign, gives=CampaignDetails, status=201
    ),
    Route("GET", "/campaigns", ADMINS, show_all, asks=CampaignsQuery, gives=Campaigns),
    Route("GET", "/campaigns/{campaign_id}", ADMINS, show, gives=CampaignDetails),
    Route(
        "PATCH", "/campaigns/{campaign_id}", ADMINS, edit, takes=CampaignEdit, gives=CampaignDetails
    ),
    Route("POST", "/campaigns/{campaign_id}/launch", ADMINS, launch, gives=Launched),
)
