"""Notices of every kind: what templates are tried with before anybody gets a letter."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Literal, get_args

from services.notifier.domain import Campaign, Delivery, Noticed, notice_of
from shared.events import (
    CampaignHeld,
    Carriers,
    CarrierState,
    NumberProvisioned,
    Person,
    WindowAtRisk,
)
from shared.fields import Carrier
from shared.rules.hours import Hours, Window

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
ADMIN = Person(name="Ada Lovelace", email="ada@example.org")
CAMPAIGN = Campaign(
    name="Spring drive",
    launched_by=ADMIN,
    window=Window(NOW + timedelta(days=1, hours=3), NOW + timedelta(days=3, hours=14)),
    hours=Hours.parse("9:00", "21:00", "America/New_York"),
    revision=1,
)
NEARBY = "Sold out in area code 212: the number is from 646."
Answer = Literal["confirmed", "refused", "pending"]


def sample(event: Noticed, campaign: Campaign = CAMPAIGN) -> Delivery:
    """The e-mail that an event asks for."""
    return Delivery(notice_of(event, NOW), ADMIN.email, "due", NOW, NOW, campaign=campaign)


def samples() -> Iterator[Delivery]:
    """One of each kind and of each turn that its letter can take."""
    yield sample(provisioned(), Campaign())
    for after_failure, reason in product((False, True), (None, NEARBY)):
        yield sample(provisioned(after_failure=after_failure, reason=reason))
    yield sample(failed())
    yield sample(failed(number=None, reason="No number is for sale in area code 212."))
    yield sample(at_risk())
    yield sample(at_risk(failing=1, safe_end_at=None))
    for carrier, state in product(get_args(Carrier), get_args(Answer)):
        yield sample(held(carrier=carrier, state=state))
    # As far as is known of one that was launched before the notifier heard of launches.
    yield sample(held(), Campaign(name=CAMPAIGN.name, launched_by=ADMIN))


def carriers(att: Answer, tmobile: Answer, verizon: Answer) -> Carriers:
    """What each has said of a number."""
    reason = "too many numbers on the campaign without a number pool"
    return Carriers(
        **{
            name: CarrierState(state=state, at=NOW, reason=reason if state == "refused" else None)
            for name, state in (("att", att), ("tmobile", tmobile), ("verizon", verizon))
        }
    )


def provisioned(**changes: Any) -> NumberProvisioned:
    """A number that is ready."""
    told = {
        "name": "Spring drive",
        "number": "+12125550123",
        "outcome": "complete",
        "carriers": carriers("confirmed", "confirmed", "confirmed"),
        "launched_by": ADMIN,
        "window": CAMPAIGN.window,
        "took_s": 41.2,
    }
    return NumberProvisioned(**{**_ABOUT, **told, **changes})


def failed(**changes: Any) -> NumberProvisioned:
    """A number that one carrier has refused, and another said nothing of."""
    told = {
        "outcome": "failed",
        "carriers": carriers("confirmed", "refused", "pending"),
        "reason": "Refused by T-Mobile: too many numbers on the campaign without a number pool",
        "took_s": 185.0,
    }
    return provisioned(**{**told, **changes})


def at_risk(**changes: Any) -> WindowAtRisk:
    """A window that is too short."""
    told = {
        "name": "Spring drive",
        "launched_by": ADMIN,
        "window": CAMPAIGN.window,
        "revision": 1,
        "failing": 1240,
        "safe_end_at": NOW + timedelta(days=4, hours=14),
        "forecast_at": NOW,
    }
    return WindowAtRisk(**{**_ABOUT, **told, **changes})


def held(**changes: Any) -> CampaignHeld:
    """A carrier that takes no texts."""
    told = {
        "carrier": "tmobile",
        "state": "pending",
        "code": "40010",
        "reason": "the carrier has not confirmed the number yet; its texts wait until it does",
        "held_at": NOW,
    }
    return CampaignHeld(**{**_ABOUT, **told, **changes})


_ABOUT = {"org_id": "acme", "campaign_id": "spring"}
