"""The forecast of a campaign: what it is made of, and what is told of it.

Counted are the texts that are queued, and those that no sender has sent yet as if all were sent
now, or when the window opens: what then does not go in time goes in no case.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.campaign.domain import Campaign, Carrier
from services.campaign.rules import scripts
from services.campaign.store import audiences, buckets, forecasts
from services.campaign.store.forecasts import Seen
from shared.database import Transaction
from shared.events import Person, WindowAtRisk
from shared.ids import id_from
from shared.rules.forecast import (
    Bucket,
    CarrierForecast,
    Forecast,
    Load,
    forecast,
    safe_end,
)
from shared.rules.limits import CARRIERS, Limits
from shared.rules.segments import segments_of

LARGE: tuple[Carrier, ...] = ("att", "tmobile", "verizon")


@dataclass(frozen=True, slots=True)
class Material:
    """All that the forecasts of one organization's campaigns are made of."""

    now: datetime
    buckets: tuple[Bucket, ...]
    queued: tuple[Load, ...]
    """Of all campaigns."""
    unsent: Mapping[str, tuple[Load, ...]]
    """Of each that is looked at: only its own stand in its way, others' may never be sent."""
    unknown: Mapping[str, int]
    """Texts of each campaign whose carrier nobody knows yet."""

    def loads(self, campaign_id: str) -> tuple[Load, ...]:
        """What a campaign's forecast is made of."""
        return (*self.queued, *self.unsent.get(campaign_id, ()))


@dataclass(frozen=True, slots=True)
class CampaignForecast:
    """What will become of a campaign's initials.

    `unknown`: of so many no carrier is known; they are shared out as those that are.
    """

    at: datetime
    carriers: tuple[CarrierForecast, ...]
    failing: int
    finishes_at: datetime | None
    safe_end_at: datetime | None
    unknown: int


async def gather(tx: Transaction, org_id: str, looked_at: Sequence[Campaign]) -> Material:
    """Read what an organization has queued, and what these campaigns have still to send."""
    running = {one.campaign_id: one for one in await forecasts.running(tx, org_id)}
    running |= {one.campaign_id: one for one in looked_at}
    mine = [one.campaign_id for one in looked_at]
    now = await tx.now()
    unsent = await forecasts.unsent(tx, org_id, mine)
    for draft in [one for one in looked_at if one.state == "draft"]:
        unsent[draft.campaign_id] = (
            await forecasts.contacts_by_carrier(tx, draft)
            if draft.audience is None
            else await audiences.by_carrier(tx, draft, draft.audience)
        )
    queued: list[Load] = []
    for row in await forecasts.queued(tx, org_id):
        # What is left of an archived campaign's goes nowhere.
        if (campaign := running.get(row["campaign_id"])) is not None:
            queued += _queued(campaign, row, is_looked_at=campaign.campaign_id in mine)
    loads: dict[str, tuple[Load, ...]] = {}
    for campaign in looked_at:
        sample = await audiences.sample(tx, org_id, campaign.plan.contact_list_id)
        sizes, texts = _sizes(campaign, sample), unsent.get(campaign.campaign_id, {})
        loads[campaign.campaign_id] = tuple(_unsent(campaign, texts, sizes, now))
    return Material(
        now,
        _buckets(
            await forecasts.limits(tx, org_id),
            await buckets.listed(tx, org_id, after="", most=len(CARRIERS)),
        ),
        tuple(queued),
        loads,
        {campaign_id: of_it.get(None, 0) for campaign_id, of_it in unsent.items()},
    )


def look(material: Material, campaign_ids: Sequence[str]) -> dict[str, CampaignForecast]:
    """What will become of campaigns that the material was gathered for. Pure.

    Of several, one that fails nothing even if all are sent now fails nothing by itself: one
    forecast tells so of most. When those finish, it says as of all together.
    """
    whole = None
    if len(campaign_ids) > 1:
        unsent = itertools.chain.from_iterable(material.unsent.values())
        whole = forecast(material.now, material.buckets, (*material.queued, *unsent))
    return {campaign_id: _seen(material, campaign_id, whole) for campaign_id in campaign_ids}


def _seen(material: Material, campaign_id: str, whole: Forecast | None) -> CampaignForecast:
    now, buckets, loads = material.now, material.buckets, material.loads(campaign_id)
    if whole is None or whole.failing(campaign_id):
        whole = forecast(now, buckets, loads)
    carriers = whole.carriers(campaign_id)
    failing = whole.failing(campaign_id)
    ends = [one.finishes_at for one in carriers if one.finishes_at is not None]
    return CampaignForecast(
        now,
        carriers,
        failing,
        max(ends, default=None),
        safe_end(now, buckets, loads, campaign_id) if failing else None,
        material.unknown.get(campaign_id, 0),
    )


async def write_down(
    tx: Transaction, looked_at: Sequence[Campaign], found: Mapping[str, CampaignForecast]
) -> None:
    """Keep what was seen of an organization's running campaigns, and tell of those at risk, once
    for each of their ends."""
    org_id = looked_at[0].org_id
    by_id = {one.campaign_id: one for one in looked_at}
    seen = [
        # Of a paused campaign an admin knows that nothing goes.
        Seen(one, what.failing, what.safe_end_at, bool(what.failing) and one.paused_at is None)
        for one in looked_at
        for what in [found[one.campaign_id]]
    ]
    for row in await forecasts.keep(tx, org_id, seen):
        campaign = by_id[row["campaign_id"]]
        tx.tell(
            _at_risk(
                campaign, found[campaign.campaign_id], Person(name=row["name"], email=row["email"])
            ),
            event_id=id_from("WindowAtRisk", org_id, campaign.campaign_id, str(campaign.revision)),
        )


def _at_risk(campaign: Campaign, seen: CampaignForecast, launched_by: Person) -> WindowAtRisk:
    return WindowAtRisk(
        org_id=campaign.org_id,
        campaign_id=campaign.campaign_id,
        name=campaign.plan.name,
        launched_by=launched_by,
        window=campaign.plan.window,
        revision=campaign.revision,
        failing=seen.failing,
        safe_end_at=seen.safe_end_at,
        forecast_at=seen.at,
    )


def _buckets(limits: Iterable[Any], states: Iterable[Any]) -> tuple[Bucket, ...]:
    told: dict[str, dict[str, Limits]] = {}
    for row in limits:
        caps = dict(row)
        carrier = caps.pop("carrier")
        told.setdefault(carrier, {})[row["use_case_id"]] = Limits(**caps)
    seen = {row["carrier"]: buckets.seen_of(row) for row in states}
    return tuple(
        Bucket(carrier, told.get(carrier, {}), seen.get(carrier))
        for carrier in sorted(told.keys() | seen.keys())
    )


def _queued(campaign: Campaign, row: Any, *, is_looked_at: bool) -> Iterable[Load]:
    # A campaign that is paused is looked at as if it went on now; what others have paused waits.
    paused = campaign.paused_at is not None and not is_looked_at
    for carrier, texts in _by_known_carrier({row["carrier"]: row["texts"]}).items():
        yield Load(
            campaign.campaign_id,
            campaign.plan.use_case_id,
            carrier,
            "initial" if row["kind"] == "initial" else "reply",
            row["channel"],
            {row["segments"] or 1: texts},
            campaign.plan.window,
            campaign.plan.hours,
            row["queued_at"],
            paused=paused,
        )


def _unsent(
    campaign: Campaign, unsent: Mapping[str | None, int], sizes: Mapping[int, int], now: datetime
) -> Iterable[Load]:
    plan = campaign.plan
    for carrier, texts in _by_known_carrier(unsent).items():
        yield Load(
            campaign.campaign_id,
            plan.use_case_id,
            carrier,
            "initial",
            plan.channel,
            shared_out(texts, sizes),
            plan.window,
            plan.hours,
            now,
        )


def _by_known_carrier(texts: Mapping[str | None, int]) -> dict[str, int]:
    """Texts by carrier, where those of an unknown one are with the others as these are shared out;
    where all are unknown, evenly with the three large ones."""
    known = {carrier: count for carrier, count in texts.items() if carrier is not None}
    unknown = texts.get(None, 0)
    if not unknown:
        return known
    more = shared_out(unknown, known or dict.fromkeys(LARGE, 1))
    return dict(Counter(known) + Counter(more))


def _sizes(campaign: Campaign, sample: Iterable[Any]) -> Mapping[int, int]:
    """How many of the sampled contacts' texts have so many segments."""
    plan = campaign.plan
    sizes = Counter(
        segments_of(plan.channel, scripts.render(plan.script, scripts.values_of(row)))
        for row in sample
    )
    return sizes or {1: 1}


def shared_out(whole: int, shares: Mapping[Any, int]) -> dict[Any, int]:
    """A whole number in the proportion of the shares, to the last one (largest remainders)."""
    total = sum(shares.values())
    parts = {key: whole * share // total for key, share in shares.items()}
    rest = whole - sum(parts.values())
    by_remainder = sorted(shares, key=lambda key: -(whole * shares[key] % total))
    for key in by_remainder[:rest]:
        parts[key] += 1
    return {key: part for key, part in parts.items() if part}
