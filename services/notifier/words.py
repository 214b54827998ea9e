"""A notice's facts in the words that templates put into sentences. Pure."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from services.notifier.domain import Delivery
from shared.events import CampaignHeld, CarrierState, NumberProvisioned, WindowAtRisk
from shared.rules.forecast import REACH
from shared.rules.hours import END_OF_DAY, Hours

CARRIERS = {
    "att": "AT&T",
    "tmobile": "T-Mobile",
    "verizon": "Verizon",
    "other": "smaller carriers",
}
_STATES = {
    "confirmed": ("confirmed", "green"),
    "refused": ("refused", "red"),
    "pending": ("has not answered", "yellow"),
}
_CONFIRMING = ("att", "tmobile", "verizon")
_ALMOST_A_MINUTE = timedelta(minutes=1, microseconds=-1)
Words = dict[str, Any]


def words_for(delivery: Delivery, link: str | None = None) -> Words:
    """What the templates of its kind may use; docs/operations.md lists them.

    `link`: the address of a campaign, with {org_id} and {campaign_id} in it.
    """
    notice, campaign = delivery.notice, delivery.campaign
    zone: tzinfo = ZoneInfo(campaign.hours.time_zone) if campaign.hours else UTC
    admin, name, window = campaign.launched_by, campaign.name, campaign.window
    match notice.kind:
        case "provisioning complete" | "provisioning failed":
            outcome = NumberProvisioned.model_validate(notice.facts)
            words, admin, name = _of_outcome(outcome), outcome.launched_by, outcome.name
            window = window or outcome.window
        case "window at risk":
            risk = WindowAtRisk.model_validate(notice.facts)
            words, admin, name = _of_risk(risk, zone), risk.launched_by, risk.name
            window = risk.window
        case "campaign held":
            words = _of_hold(CampaignHeld.model_validate(notice.facts), zone)
        case "daily digest":
            raise ValueError("a digest is posted, never mailed")
    if admin is None or name is None:
        raise ValueError("nothing can be said of a campaign before its launch is known")
    return words | {
        "admin": one_line(admin.name),
        "campaign": one_line(name),
        "opens": window and moment(window.opens_at, zone),
        "closes": window and moment(window.closes_at, zone),
        "hours": campaign.hours and open_hours(campaign.hours),
        "link": link and filled(link, notice.org_id, notice.campaign_id or ""),
    }


def _of_outcome(event: NumberProvisioned) -> Words:
    carriers: Mapping[str, CarrierState] = dict(event.carriers)
    reason = event.reason and one_line(event.reason)
    return {
        "number": event.number and readable(event.number),
        "took": duration(event.took_s),
        "reason": reason,
        "after_failure": event.after_failure,
        "carriers": [_standing(key, carriers[key], reason or "") for key in _CONFIRMING],
    }


def _of_risk(event: WindowAtRisk, zone: tzinfo) -> Words:
    return {
        "failing": f"{event.failing:,} initial message{'s' if event.failing > 1 else ''}",
        # To the next full minute: one that is rounded down would not save them all.
        "safe_end": event.safe_end_at and moment(event.safe_end_at + _ALMOST_A_MINUTE, zone),
        "reach_days": REACH.days,
        "forecast_at": moment(event.forecast_at, zone),
    }


def _of_hold(event: CampaignHeld, zone: tzinfo) -> Words:
    reason = one_line(event.reason)
    code = f" (code {one_line(event.code)})" if event.code else ""
    return {
        "carrier": CARRIERS[event.carrier],
        "carrier_confirms": event.carrier != "other",
        "state": event.state,
        "reason": f"{reason[:1].upper()}{reason[1:]}{code}",
        "held_at": moment(event.held_at, zone),
    }


def _standing(key: str, carrier: CarrierState, said: str) -> tuple[str, str, str]:
    """A carrier, its word, and the colour of that; why, unless that is said anyway."""
    word, colour = _STATES[carrier.state]
    why = one_line(carrier.reason or "").removeprefix(f"{CARRIERS[key]}: ")
    is_news = carrier.state == "refused" and why not in said
    return CARRIERS[key], f"{word}: {why}" if is_news else word, colour


def filled(link: str, org_id: str, campaign_id: str) -> str:
    """The address of one campaign. Ids may hold anything printable: a slash, a question mark."""
    named = {"{org_id}": quote(org_id, safe=""), "{campaign_id}": quote(campaign_id, safe="")}
    return re.sub(r"\{org_id\}|\{campaign_id\}", lambda found: named[found[0]], link)


def one_line(text: str) -> str:
    """Text that cannot start a line, or a header, of its own."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split())


def readable(number: str) -> str:
    """A phone number as people write it: (212) 555-0123 in North America."""
    match = re.fullmatch(r"\+1(\d{3})(\d{3})(\d{4})", number)
    return f"({match[1]}) {match[2]}-{match[3]}" if match else number


def moment(at: datetime, zone: tzinfo) -> str:
    """A time in a zone, to the minute: Wednesday, January 2, 2030 at 7:00 AM EST."""
    # 9999-12-31 for "no end" has no date in zones that are further on; the year says it all.
    with suppress(OverflowError):
        at = at.astimezone(zone)
    name = at.tzname() or ""
    # Zones without letters of their own are named after their offset: "-03".
    name = name if name[:1].isalpha() else f"UTC{name}"
    return f"{at:%A}, {at:%B} {at.day}, {at.year} at {_clock(at.time())} {name}"


def open_hours(hours: Hours) -> str:
    """The hours of a day in which a campaign is open: 9:00 AM to 9:00 PM."""
    closes = "midnight" if hours.closes == END_OF_DAY else _clock(hours.closes)
    opens = "midnight" if hours.opens == time.min else _clock(hours.opens)
    return "all day" if opens == closes else f"{opens} to {closes}"


def _clock(at: time) -> str:
    return f"{at.hour % 12 or 12}:{at.minute:02} {'AM' if at.hour < 12 else 'PM'}"


def duration(seconds: float) -> str:
    """A duration in its two largest units."""
    if seconds < 1:
        return "less than a second"
    whole = round(seconds)
    units = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)]
    parts = []
    for name, size in units:
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
        elif parts:
            # "1 day 5 seconds" would claim an exactness that nobody asked for.
            break
    return " ".join(parts[:2])
