"""The provisioning flag on a campaign's details."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.campaign.domain import Carrier

CONFIRMING: tuple[Carrier, ...] = ("att", "tmobile", "verizon")
"""The carriers that confirm a number, one by one."""


@dataclass(frozen=True, slots=True)
class CarrierAnswer:
    """What one carrier said of the number, and when."""

    state: Literal["confirmed", "refused", "pending"]
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """What was heard of a campaign's number so far."""

    number: str | None = None
    purchased_at: datetime | None = None
    outcome: Literal["complete", "failed"] | None = None
    reason: str | None = None
    took_s: float | None = None


@dataclass(frozen=True, slots=True)
class Provisioning:
    """The flag on a campaign's details, and what is behind it."""

    status: Literal["provisioning", "complete", "failed"]
    flag: str
    colour: Literal["yellow", "green", "red"]
    advice: str
    since: datetime
    number: str | None
    reason: str | None
    carriers: dict[Carrier, CarrierAnswer]


_WAIT = (
    "The phone number has not finished provisioning. There is some risk that messages will be "
    "delivered at lower-than-normal rates."
)
_READY = "The phone number is ready to go!"
_CLONE = (
    "The campaign could not be provisioned with all of the carriers. There is an increased risk "
    "that messages will be delivered at lower-than-normal rates. To try again before they are "
    "sent, clone the campaign and archive this one once the new one is ready. If its use case has "
    "close to 49 numbers, archive a few old campaigns first."
)


def provisioning(
    launched_at: datetime, number: Number, answers: Mapping[Carrier, CarrierAnswer]
) -> Provisioning:
    """Sort what was heard into the flag that the admin sees."""
    begun_at = number.purchased_at or launched_at
    carriers = {name: answers.get(name, CarrierAnswer("pending", begun_at)) for name in CONFIRMING}
    since = launched_at + timedelta(seconds=number.took_s or 0)
    if number.outcome == "complete":
        return Provisioning(
            "complete", "Provisioning Complete", "green", _READY, since, number.number,
            None, carriers,
        )  # fmt: skip
    if number.outcome == "failed":
        return Provisioning(
            "failed", "Provisioning Failed", "red", _CLONE, since, number.number,
            number.reason, carriers,
        )  # fmt: skip
    return Provisioning(
        "provisioning", "Provisioning", "yellow", _WAIT, launched_at, number.number,
        None, carriers,
    )  # fmt: skip
