"""Campaigns: drafts, launch, edits, details, senders."""

from datetime import UTC, datetime, time
from typing import Annotated, Any

from aiohttp import web
from pydantic import BeforeValidator, Field

from services.campaign import launching, scripts
from services.campaign.api.calls import ADMINS, Answer, Body, Call, Route, answer
from services.campaign.api.organizations import Zone
from services.campaign.domain import (
    BATCH_SIZE,
    Campaign,
    CarrierAnswer,
    Channel,
    Number,
    Plan,
    State,
    checked_hours,
    chosen_window,
    provisioning,
    why_no_initials,
    window_warnings,
)
from services.campaign.store import campaigns as store
from services.campaign.store import contacts, numbers, reports
from shared.database import Transaction
from shared.events import AreaCode, Id, Instant, Name, OpenHours, Url
from shared.events import Body as Text
from shared.ids import new_id
from shared.rules.hours import DEFAULT_CLOSES, DEFAULT_OPENS, parse_clock
from shared.rules.segments import count, segments_of


def _clock(text: Any) -> time:
    if not isinstance(text, str):
        raise ValueError('must be a time of day, such as "9:00"')
    return parse_clock(text)


Clock = Annotated[time, BeforeValidator(_clock)]
Script = Annotated[Text, Field(min_length=1)]
MediaUrls = Annotated[tuple[Url, ...], Field(max_length=10)]
AreaCodes = Annotated[tuple[AreaCode, ...], Field(max_length=50)]
BatchSize = Annotated[int, Field(ge=1, le=1000)]


class WindowWanted(Body):
    """The initial sending window: by default today's (in UTC), to that day's close."""

    opens_at: Instant | None = None
    closes_at: Instant | None = None


class HoursWanted(Body):
    """The open hours, in the campaign's own zone."""

    opens: Clock = DEFAULT_OPENS
    closes: Clock = DEFAULT_CLOSES
    time_zone: Zone


class SelfAssign(Body):
    """Whether senders may take batches by themselves, and how large ones."""

    enabled: bool = False
    batch_size: BatchSize = BATCH_SIZE


class NewCampaign(Body):
    """A draft."""

    name: Name
    use_case_id: Id
    contact_list_id: Id
    script: Script
    channel: Channel = "sms"
    media_urls: MediaUrls = ()
    area_codes: AreaCodes = ()
    window: WindowWanted = WindowWanted()
    hours: HoursWanted
    self_assign: SelfAssign = SelfAssign()


# In an edit only what was sent counts, and so the defaults below are never seen. They are of the
# right type, so that null is refused where it means nothing.
NEVER = datetime.min.replace(tzinfo=UTC)


class WindowEdit(Body):
    """Either end, or both."""

    opens_at: Instant = NEVER
    closes_at: Instant = NEVER


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
    script: Script = ""
    channel: Channel = "sms"
    media_urls: MediaUrls = ()
    area_codes: AreaCodes = ()
    window: WindowEdit = WindowEdit()
    hours: HoursEdit = HoursEdit()
    self_assign: SelfAssign = SelfAssign()

    def changes(self) -> dict[str, Any]:
        """What was sent, by the names of Plan."""
        changes = self.model_dump(exclude_unset=True)
        self_assign = changes.pop("self_assign", {})
        if "enabled" in self_assign:
            changes["self_assign"] = self_assign["enabled"]
        if "batch_size" in self_assign:
            changes["batch_size"] = self_assign["batch_size"]
        return changes


class NewSenders(Body):
    """People of the organization who are to send."""

    person_ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=1000)]


class WindowShown(Answer):
    """Half-open."""

    opens_at: datetime
    closes_at: datetime


class SelfAssignShown(Answer):
    """As it stands."""

    enabled: bool
    batch_size: int


class CarrierShown(Answer):
    """What a carrier said, since when."""

    state: str
    at: datetime
    reason: str | None


class ProvisioningShown(Answer):
    """The flag at the top of the details, and what is behind it."""

    status: str
    flag: str
    colour: str
    advice: str
    reason: str | None
    since: datetime
    number: str | None
    carriers: dict[str, CarrierShown]


class CampaignLine(Answer):
    """A campaign, as campaigns are listed. `initials_open`: senders may send now."""

    campaign_id: str
    name: str
    status: State
    channel: Channel
    use_case_id: str
    contact_list_id: str
    window: WindowShown
    hours: OpenHours
    self_assign: SelfAssignShown
    revision: int
    created_at: datetime
    launched_at: datetime | None
    initials_open: bool
    number: str | None
    provisioning: ProvisioningShown | None
    counts: dict[str, int]


class Sender(Answer):
    """A sender of a campaign, with what they have still to send and what they have sent."""

    person_id: str
    name: str
    email: str
    assigned: int
    sent: int


class ScriptSize(Answer):
    """What the longest rendering of the script takes."""

    segments: int
    encoding: str
    units: int


class CampaignDetails(CampaignLine):
    """Everything about a campaign. `counts_by_carrier`: carrier, then status."""

    script: str
    script_size: ScriptSize
    media_urls: list[str]
    area_codes: list[str]
    contacts: int
    counts_by_carrier: dict[str, dict[str, int]]
    senders: list[Sender]
    warnings: list[str]


class Campaigns(Answer):
    """All of an organization, newest first."""

    items: list[CampaignLine]


class Launched(Answer):
    """What a launch made, and what to look out for."""

    campaign_id: str
    status: State
    revision: int
    initials: int
    warnings: list[str]


class Removed(Answer):
    """How many texts of a removed sender are unassigned again."""

    unassigned: int


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
        )
        await launching.draft(tx, call.caller, campaign_id, plan)
        details = await _details(tx, call.caller.org_id, campaign_id)
    return answer(details, status=201, location=f"/campaigns/{campaign_id}")


async def edit(call: Call) -> web.StreamResponse:
    """Change a campaign; after the launch its name, window, hours and self-assign."""
    campaign_id = call.id("campaign_id")
    wanted = await call.body(CampaignEdit)
    async with call.transaction() as tx:
        await launching.edit(tx, call.caller, campaign_id, wanted.changes())
        details = await _details(tx, call.caller.org_id, campaign_id)
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
        return answer(await _details(tx, call.caller.org_id, call.id("campaign_id")))


async def show_all(call: Call) -> web.StreamResponse:
    """All campaigns, newest first."""
    org_id = call.caller.org_id
    async with call.transaction() as tx:
        found = await store.listed(tx, org_id)
        ids = [campaign.campaign_id for campaign in found]
        heard = await numbers.of_campaigns(tx, org_id, ids)
        counts = await reports.counts(tx, org_id, ids)
        now = await tx.now()
    lines = [
        CampaignLine(
            **_line(
                campaign,
                now,
                heard.get(campaign.campaign_id, (Number(), {})),
                counts.get(campaign.campaign_id, {}),
            )
        )
        for campaign in found
    ]
    return answer(Campaigns(items=lines))


async def _details(tx: Transaction, org_id: str, campaign_id: str) -> CampaignDetails:
    campaign = await store.get(tx, org_id, campaign_id)
    plan = campaign.plan
    heard = await numbers.of_campaigns(tx, org_id, [campaign_id])
    counts = (await reports.counts(tx, org_id, [campaign_id])).get(campaign_id, {})
    contact_list = await contacts.list_for_script(tx, org_id, plan.contact_list_id)
    now = await tx.now()
    longest = scripts.render(plan.script, contact_list.longest)
    size = count(longest)
    return CampaignDetails(
        **_line(campaign, now, heard.get(campaign_id, (Number(), {})), counts),
        script=plan.script,
        script_size=ScriptSize(
            segments=segments_of(plan.channel, longest), encoding=size.encoding, units=size.units
        ),
        media_urls=list(plan.media_urls),
        area_codes=list(plan.area_codes),
        contacts=contact_list.contacts,
        counts_by_carrier=counts,
        senders=[Sender(**row) for row in await store.senders(tx, campaign)],
        warnings=window_warnings(plan, now) if campaign.state == "draft" else [],
    )


def _line(
    campaign: Campaign,
    now: datetime,
    heard: tuple[Number, Any],
    counts: dict[str, dict[str, int]],
) -> dict[str, Any]:
    plan = campaign.plan
    number, answers = heard
    by_status: dict[str, int] = {}
    for of_carrier in counts.values():
        for status, texts in of_carrier.items():
            by_status[status] = by_status.get(status, 0) + texts
    return {
        "campaign_id": campaign.campaign_id,
        "name": plan.name,
        "status": campaign.state,
        "channel": plan.channel,
        "use_case_id": plan.use_case_id,
        "contact_list_id": plan.contact_list_id,
        "window": WindowShown.model_validate(plan.window),
        "hours": plan.hours,
        "self_assign": SelfAssignShown(enabled=plan.self_assign, batch_size=plan.batch_size),
        "revision": campaign.revision,
        "created_at": campaign.created_at,
        "launched_at": campaign.launched_at,
        "initials_open": why_no_initials(campaign.state, plan.window, now) is None,
        "number": number.number,
        "provisioning": _flag(campaign, number, answers),
        "counts": by_status,
    }


def _flag(
    campaign: Campaign, number: Number, answers: dict[Any, CarrierAnswer]
) -> ProvisioningShown | None:
    if campaign.launched_at is None:
        return None
    return ProvisioningShown.model_validate(provisioning(campaign.launched_at, number, answers))


async def add_senders(call: Call) -> web.StreamResponse:
    """Let people send."""
    campaign_id = call.id("campaign_id")
    wanted = await call.body(NewSenders)
    async with call.transaction() as tx:
        await launching.add_senders(tx, call.caller, campaign_id, wanted.person_ids)
        details = await _details(tx, call.caller.org_id, campaign_id)
    return answer(details)


async def remove_sender(call: Call) -> web.StreamResponse:
    """Take a sender off; what they had not sent is unassigned again."""
    campaign_id, person_id = call.id("campaign_id"), call.id("person_id")
    async with call.transaction() as tx:
        freed = await launching.remove_sender(tx, call.caller, campaign_id, person_id)
    return answer(Removed(unassigned=freed))


ROUTES = (
    Route("POST", "/campaigns", ADMINS, create),
    Route("GET", "/campaigns", ADMINS, show_all),
    Route("GET", "/campaigns/{campaign_id}", ADMINS, show),
    Route("PATCH", "/campaigns/{campaign_id}", ADMINS, edit),
    Route("POST", "/campaigns/{campaign_id}/launch", ADMINS, launch),
    Route("POST", "/campaigns/{campaign_id}/senders", ADMINS, add_senders),
    Route("DELETE", "/campaigns/{campaign_id}/senders/{person_id}", ADMINS, remove_sender),
)
