"""When a text that was queued just now is expected to go, and that in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.campaign.domain import Campaign, Carrier, Channel, Kind
from services.campaign.rules.window import when_it_goes
from shared.rules.forecast import Bucket, Load, expected_at
from shared.rules.hours import sendable_interval

_AT_ONCE = timedelta(minutes=1)
_NAMES: Mapping[str, str] = {
    "att": "AT&T",
    "tmobile": "T-Mobile",
    "verizon": "Verizon",
    "other": "the other carriers",
}


@dataclass(frozen=True, slots=True)
class Text:
    """What was queued, for whose subscriber; `carrier` None: nobody knows yet."""

    kind: Kind
    channel: Channel
    segments: int
    carrier: Carrier | None


@dataclass(frozen=True, slots=True)
class Expected:
    """By the campaign's hours it goes at `goes_at` or later; about `expected_at`, behind all that
    waits for the same carrier. None: nobody can tell, or not before the window ends."""

    goes_at: datetime
    expected_at: datetime | None
    note: str


def expected(
    campaign: Campaign, text: Text, bucket: Bucket | None, now: datetime, *, held: bool
) -> Expected:
    """When a text that was queued now goes. `held`: not before provisioning is complete."""
    plan, paused = campaign.plan, campaign.paused_at is not None
    goes_at, note = when_it_goes(text.kind, plan.window, plan.hours, now, paused=paused, held=held)
    run = sendable_interval(text.kind, plan.window, plan.hours, now)
    if paused or held or run is None or bucket is None:
        return Expected(goes_at, None, note)
    load = Load(
        campaign.campaign_id,
        plan.use_case_id,
        bucket.carrier,
        text.kind,
        text.channel,
        {text.segments: 1},
        plan.window,
        plan.hours,
        now,
    )
    at = expected_at(now, bucket, load)
    ahead = _ahead(text, bucket)
    if at is not None and ahead == 0 and at < goes_at + _AT_ONCE:
        return Expected(goes_at, at, note)
    parts = ["the campaign is closed now"] if goes_at > now else []
    if ahead:
        parts.append(_ahead_in_words(ahead, bucket))
    if at is not None:
        parts.append(f"expected about {_clock(at, now, plan.hours.time_zone)}")
    else:
        parts.append("by the limits it is not expected to go before the window ends")
    return Expected(goes_at, at, f"Queued: {'; '.join(parts)}.")


def _ahead(text: Text, bucket: Bucket) -> int:
    if bucket.seen is None:
        return 0
    return bucket.seen.replies if text.kind == "reply" else bucket.seen.backlog


def _ahead_in_words(ahead: int, bucket: Bucket) -> str:
    carrier = _NAMES[bucket.carrier]
    if ahead == 1:
        return f"1 text to {carrier} goes before it"
    return f"{ahead:,} texts to {carrier} go before it"


def _clock(at: datetime, now: datetime, time_zone: str) -> str:
    local, today = at.astimezone(ZoneInfo(time_zone)), now.astimezone(ZoneInfo(time_zone))
    clock = f"{local:%H:%M}"
    return clock if local.date() == today.date() else f"{clock} on {local.date()}"
