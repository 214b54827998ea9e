"""A campaign as it is shown: a line of a list, and everything about it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from services.campaign.api.calls import Answer
from services.campaign.domain import Campaign, Carrier, Channel, Stage, Status
from services.campaign.rules import scripts
from services.campaign.rules.delivery import delivery_by_carrier
from services.campaign.rules.flag import CarrierAnswer, Number, provisioning
from services.campaign.rules.sizes import size_of, typical
from services.campaign.rules.warnings import alerts, window_warnings
from services.campaign.rules.window import why_no_initials
from services.campaign.store import audiences, contacts, forecasts, numbers, reports, senders
from services.campaign.store import campaigns as store
from shared.database import Transaction
from shared.fields import OpenHours


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
    """The flag at the top of the details, and what is behind it. `waits_for`: what is still to
    come, in words; it is late where `delayed_at` says since when."""

    status: str
    flag: str
    colour: str
    advice: str
    reason: str | None
    since: datetime
    waits_for: str | None
    delayed_at: datetime | None
    number: str | None
    released_at: datetime | None
    carriers: dict[str, CarrierShown]


class CampaignLine(Answer):
    """A campaign, as campaigns are listed. `initials_open`: senders may send now."""

    campaign_id: str
    name: str
    status: Stage
    channel: Channel
    use_case_id: str
    contact_list_id: str
    window: WindowShown
    hours: OpenHours
    self_assign: SelfAssignShown
    senders_may_edit: bool
    hold_until_provisioned: bool
    replies_first_over: int | None
    take_back_after_min: int | None
    dedicated_number: bool
    nearby_area_codes: bool
    revision: int
    created_at: datetime
    launched_at: datetime | None
    initials_open: bool
    number: str | None
    paused_at: datetime | None
    archived_at: datetime | None
    cloned_from: str | None
    follow_up_of: str | None
    provisioning: ProvisioningShown | None


class Sender(Answer):
    """A sender of a campaign, with what they have still to send and what they have sent."""

    person_id: str
    name: str
    email: str
    assigned: int
    sent: int


class TrapShown(Answer):
    """A character that makes the whole text go as UCS-2, at less than half as much a segment."""

    character: str
    code: str
    name: str


class SizeShown(Answer):
    """What one rendering of the script takes. `units`: septets, or 16-bit units in UCS-2."""

    segments: int
    encoding: Literal["gsm7", "ucs2"]
    units: int
    traps: list[TrapShown]


class ScriptSize(Answer):
    """What the longest rendering takes, and the one in the middle of a sample of the contacts."""

    longest: SizeShown
    typical: SizeShown | None


class Hold(Answer):
    """Why a carrier takes no texts from the campaign's number, since when."""

    state: str
    code: str | None
    reason: str
    held_at: datetime


class RiskShown(Answer):
    """As of the last look: how many initials will be left when the window ends; which end would
    save them all, where one would."""

    failing: int
    safe_end_at: datetime | None
    forecast_at: datetime


class DeliveryShown(Answer):
    """What became of texts that were handed over; `rate`: delivered of delivered and undelivered,
    from 0 to 1, null before there are any."""

    delivered: int
    undelivered: int
    on_the_way: int
    unclear: int
    rate: float | None


class AudienceShown(Answer):
    """Which contacts of a campaign it is for. `matching`: how many these are now, in a draft."""

    campaign_id: str
    untexted: bool
    replied: bool | None
    statuses: list[Status]
    codes: list[str]
    tags: list[str]
    matching: int | None


class CampaignDetails(CampaignLine):
    """Everything about a campaign. `counts` by status; `counts_by_carrier`: carrier, then status;
    `delivery` by carrier, and of `all` together.

    `warnings`: what looks like a slip in a draft; `alerts`: what an active one needs now.

    `held`: the carriers whose subscribers' texts wait, and why.
    """

    script: str
    script_size: ScriptSize
    media_urls: list[str]
    area_codes: list[str]
    contacts: int
    audience: AudienceShown | None
    counts: dict[str, int]
    counts_by_carrier: dict[str, dict[str, int]]
    delivery: dict[str, DeliveryShown]
    held: dict[str, Hold]
    forecast: RiskShown | None
    senders: list[Sender]
    warnings: list[str]
    alerts: list[str]


async def details_of(tx: Transaction, org_id: str, campaign_id: str) -> CampaignDetails:
    campaign = await store.get(tx, org_id, campaign_id)
    plan = campaign.plan
    heard = await numbers.of_campaigns(tx, org_id, [campaign])
    counts = (await reports.counts(tx, org_id, [campaign_id])).get(campaign_id, {})
    delivery = delivery_by_carrier(counts, await reports.never_handed_over(tx, org_id, campaign_id))
    contact_list = await contacts.list_for_script(tx, org_id, plan.contact_list_id)
    risk = await forecasts.risk(tx, campaign)
    now = await tx.now()
    return CampaignDetails(
        **line_of(campaign, now, heard[campaign_id]),
        script=plan.script,
        script_size=await _script_size(tx, campaign, contact_list.longest),
        media_urls=list(plan.media_urls),
        area_codes=list(plan.area_codes),
        contacts=contact_list.contacts,
        audience=await _audience(tx, campaign),
        counts=_by_status(counts),
        counts_by_carrier=counts,
        delivery={name: DeliveryShown.model_validate(one) for name, one in delivery.items()},
        forecast=None if risk is None else RiskShown(**risk),
        held={row["carrier"]: Hold(**row) for row in await numbers.holds(tx, campaign)},
        senders=[Sender(**row) for row in await senders.listed(tx, campaign)],
        warnings=window_warnings(plan, now) if campaign.state == "draft" else [],
        alerts=alerts(campaign, heard[campaign_id][0], now),
    )


def line_of(
    campaign: Campaign,
    now: datetime,
    heard: tuple[Number, Mapping[Carrier, CarrierAnswer]],
) -> dict[str, Any]:
    plan = campaign.plan
    number, answers = heard
    return {
        "campaign_id": campaign.campaign_id,
        "name": plan.name,
        "status": campaign.stage,
        "channel": plan.channel,
        "use_case_id": plan.use_case_id,
        "contact_list_id": plan.contact_list_id,
        "window": WindowShown.model_validate(plan.window),
        "hours": plan.hours,
        "self_assign": SelfAssignShown(enabled=plan.self_assign, batch_size=plan.batch_size),
        "senders_may_edit": plan.senders_may_edit,
        "hold_until_provisioned": plan.hold_until_provisioned,
        "replies_first_over": plan.replies_first_over,
        "take_back_after_min": plan.take_back_after_min,
        "dedicated_number": plan.dedicated_number,
        "nearby_area_codes": plan.nearby_area_codes,
        "revision": campaign.revision,
        "created_at": campaign.created_at,
        "launched_at": campaign.launched_at,
        "initials_open": why_no_initials(campaign.state, plan.window, now) is None,
        "number": number.number,
        "paused_at": campaign.paused_at,
        "archived_at": campaign.archived_at,
        "cloned_from": campaign.cloned_from or None,
        "follow_up_of": campaign.audience.of if campaign.number_of and campaign.audience else None,
        "provisioning": _flag(campaign, number, answers),
    }


def _by_status(counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for of_carrier in counts.values():
        for status, texts in of_carrier.items():
            found[status] = found.get(status, 0) + texts
    return found


async def _script_size(
    tx: Transaction, campaign: Campaign, longest: Mapping[str, str]
) -> ScriptSize:
    plan = campaign.plan
    sample = await audiences.sample(tx, campaign.org_id, plan.contact_list_id)
    texts = [scripts.render(plan.script, scripts.values_of(contact)) for contact in sample]
    middle = typical(plan.channel, texts)
    return ScriptSize(
        longest=SizeShown.model_validate(
            size_of(plan.channel, scripts.render(plan.script, longest))
        ),
        typical=None if middle is None else SizeShown.model_validate(middle),
    )


async def _audience(tx: Transaction, campaign: Campaign) -> AudienceShown | None:
    audience = campaign.audience
    if audience is None:
        return None
    draft = campaign.state == "draft"
    found = await audiences.by_carrier(tx, campaign, audience) if draft else {}
    return AudienceShown(
        campaign_id=audience.of,
        untexted=audience.untexted,
        replied=audience.replied,
        statuses=list(audience.statuses),
        codes=list(audience.codes),
        tags=list(audience.tags),
        matching=sum(found.values()) if draft else None,
    )


def _flag(
    campaign: Campaign, number: Number, answers: Mapping[Carrier, CarrierAnswer]
) -> ProvisioningShown | None:
    if campaign.launched_at is None:
        return None
    begun_at = number.launched_at or campaign.launched_at
    held = campaign.plan.hold_until_provisioned
    archived = campaign.state == "archived"
    shown = provisioning(begun_at, number, answers, held=held, archived=archived)
    return ProvisioningShown.model_validate(shown)
