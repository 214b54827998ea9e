"""The provisioning flag on a campaign's details."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from services.campaign.domain import Carrier, Refused

CONFIRMING: tuple[Carrier, ...] = ("att", "tmobile", "verizon")
"""The carriers that confirm a number, one by one."""
NAMES: Mapping[Carrier, str] = {"att": "AT&T", "tmobile": "T-Mobile", "verizon": "Verizon"}
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CarrierAnswer:
    """What one carrier said of the number, and when."""

    state: Literal["confirmed", "refused", "pending"]
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """What was heard of a campaign's number so far.

    `launched_at`: when the campaign that it was bought for was launched. `released_at`: since when
    it is not ours any more. `waits_for`: what was last said, at `delayed_at`, to hold it up.
    """

    number: str | None = None
    purchased_at: datetime | None = None
    outcome: Literal["complete", "failed"] | None = None
    reason: str | None = None
    took_s: float | None = None
    launched_at: datetime | None = None
    released_at: datetime | None = None
    waits_for: str | None = None
    delayed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Provisioning:
    """The flag on a campaign's details, and what is behind it.

    `waits_for`: what has still to come, None when nothing has. With `delayed_at` it takes longer
    than it should, and these were the provisioner's own words then.
    """

    status: Literal["provisioning", "complete", "failed"]
    flag: str
    colour: Literal["yellow", "green", "red"]
    advice: str
    since: datetime
    waits_for: str | None
    delayed_at: datetime | None
    number: str | None
    released_at: datetime | None
    reason: str | None
    carriers: dict[Carrier, CarrierAnswer]


@dataclass(frozen=True, slots=True)
class _Look:
    """How an outcome looks, and what the articles advise."""

    status: Literal["provisioning", "complete", "failed"]
    flag: str
    colour: Literal["yellow", "green", "red"]
    advice: str


_LOOKS: dict[Literal["complete", "failed"] | None, _Look] = {
    None: _Look(
        "provisioning",
        "Provisioning",
        "yellow",
        "The phone number has not yet finished provisioning. While the campaign is provisioning, "
        "there is some risk that messages will be delivered at lower-than-normal rates.",
    ),
    "complete": _Look(
        "complete", "Provisioning Complete", "green", "The phone number is ready to go!"
    ),
    "failed": _Look(
        "failed",
        "Provisioning Failed",
        "red",
        "To re-attempt it before your messages are sent, clone the campaign and archive this one "
        "once the new one is ready. If its use case has close to 49 numbers, archive a few old "
        "campaigns before you clone.",
    ),
}


_OPEN = "Senders can send messages before the number has completed provisioning."
_HELD = "All messages wait until it has."
_AT_RISK = (
    "The campaign could not be provisioned with all of the carriers. There is an increased risk "
    "that messages will be delivered at lower-than-normal rates."
)
_REFUSED_SINCE = (
    "All carriers had confirmed the phone number, and {carriers} refused it afterwards: messages "
    "there may be delivered at lower-than-normal rates. To get another number, clone the campaign."
)
_OVER = "The campaign is archived: nothing is to be done."
_NO_NUMBER = (
    "The campaign could not be provisioned: it has no phone number, so no message can be sent "
    "from it."
)


def provisioning(
    launched_at: datetime,
    number: Number,
    answers: Mapping[Carrier, CarrierAnswer],
    *,
    held: bool = False,
    archived: bool = False,
) -> Provisioning:
    """Sort what was heard into the flag that the admin sees; `held`: nothing goes before it is
    complete. `archived`: the campaign is over, and what its number came to is of no account."""
    begun_at = number.purchased_at or launched_at
    carriers = {name: answers.get(name, CarrierAnswer("pending", begun_at)) for name in CONFIRMING}
    look = _LOOKS[number.outcome]
    advice = look.advice
    if look.status == "provisioning":
        advice = f"{advice} {_HELD if held else _OPEN}"
    refusing = [NAMES[name] for name in CONFIRMING if carriers[name].state == "refused"]
    if look.status == "complete" and refusing:
        advice = _REFUSED_SINCE.format(carriers=_listed(refusing))
    if look.status == "failed":
        advice = f"{_NO_NUMBER if number.number is None else _AT_RISK} {advice}"
    if archived:
        advice = _OVER
    waits_for, delayed_at = (None, None) if archived else _waits_for(number, carriers)
    return Provisioning(
        status=look.status,
        flag=look.flag,
        colour=look.colour,
        advice=advice,
        since=launched_at + timedelta(seconds=number.took_s or 0),
        waits_for=waits_for,
        delayed_at=delayed_at,
        number=number.number,
        released_at=number.released_at,
        reason=number.reason,
        carriers=carriers,
    )


def _waits_for(
    number: Number, carriers: Mapping[Carrier, CarrierAnswer]
) -> tuple[str | None, datetime | None]:
    """What is still to come, and since when it is said to be late, if it is.

    By the facts' own times, in whatever order they were heard: a delay is over when anything came
    of the number after it.
    """
    if number.outcome is not None:
        return None, None
    pending = [name for name, said in carriers.items() if said.state == "pending"]
    if not pending:
        return None, None
    came = [said.at for said in carriers.values() if said.state != "pending"]
    if number.purchased_at is not None:
        came.append(number.purchased_at)
    if number.delayed_at is not None and number.delayed_at > max(came, default=_LONG_AGO):
        return number.waits_for, number.delayed_at
    if number.number is None:
        return "a number, which is being bought", None
    return f"{_listed([NAMES[name] for name in pending])} to confirm the number", None


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def number_to_share(number: Number) -> str:
    """The number, for a follow-up on it.

    Raises Refused, with the reason, where there is none, or none any more. A number is ours until
    we hear that it was given back; who comes just before that hears it from the provisioner.
    """
    if number.released_at is not None:
        raise Refused("conflict", "The number was given back: clone the campaign instead")
    if number.number is None and number.outcome == "failed":
        raise Refused("conflict", f"The campaign never got a number: {number.reason}")
    if number.number is None:
        raise Refused("conflict", "The campaign has no number yet: try again in a moment")
    return number.number
