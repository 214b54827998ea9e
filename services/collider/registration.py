"""What a carrier has said of a campaign's number, and whether its texts there are held. Pure.

A number works before the carriers have confirmed it, so nothing is held until a carrier refuses a
text for it. Then the campaign's texts to that carrier wait for its word: while it is pending, and
after a refusal too, since a late confirmation is all that can help. A carrier that has confirmed
the number, or never says anything of numbers, is tried again every minute.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from services.collider.domain import HELD_AGAIN, NEVER
from shared.fields import Carrier

State = Literal["pending", "refused", "confirmed"]

# A carrier that is tried every minute and refuses again is still at the same.
SAME_HOLD = timedelta(minutes=10)

REASONS: dict[State, str] = {
    "pending": "the carrier has not confirmed the number yet; its texts wait until it does",
    "refused": "the carrier has refused the number; its texts wait unless it confirms it later",
    "confirmed": "the carrier refuses texts from the number though it has confirmed it; "
    "it is tried again every minute",
}
SILENT_REASON = "the carrier does not know the number; it is tried again every minute"


@dataclass(frozen=True, slots=True)
class Registration:
    """A campaign's number with one carrier. `told_at`: when its hold was told of."""

    confirmed_at: datetime | None = None
    refused_at: datetime | None = None
    held_until: datetime | None = None
    told_at: datetime | None = None

    @property
    def state(self) -> State:
        """What the carrier has said of the number last."""
        if self.refused_at and (self.confirmed_at is None or self.refused_at > self.confirmed_at):
            return "refused"
        return "pending" if self.confirmed_at is None else "confirmed"

    def is_held(self, now: datetime) -> bool:
        """Whether the campaign's texts to the carrier wait."""
        return self.held_until is not None and now < self.held_until


def confirmed(known: Registration, at: datetime) -> Registration:
    """The carrier knows the number since then: what was held goes on. An old word, or one that is
    known already, changes nothing."""
    if known.confirmed_at is not None and at <= known.confirmed_at:
        return known
    new = replace(known, confirmed_at=at)
    return replace(new, held_until=None, told_at=None) if new.state == "confirmed" else new


def refused(known: Registration, at: datetime, now: datetime) -> Registration:
    """The carrier has refused the number: what is held stays so until a late confirmation, and
    that is to be told anew."""
    if known.refused_at is not None and at <= known.refused_at:
        return known
    new = replace(known, refused_at=at)
    is_news = new.state == "refused" != known.state
    return replace(new, held_until=NEVER, told_at=now) if is_news and known.is_held(now) else new


def held(known: Registration, carrier: Carrier, now: datetime) -> Registration:
    """The carrier has refused a text for its number: hold those that follow."""
    waits_for_word = known.state != "confirmed" and carrier != "other"
    until = NEVER if waits_for_word else now + HELD_AGAIN
    is_same = (
        known.told_at is not None
        and known.held_until is not None
        and now <= known.held_until + (SAME_HOLD if known.held_until < NEVER else timedelta())
    )
    return replace(
        known,
        held_until=max(until, known.held_until or until),
        told_at=known.told_at if is_same else now,
    )


def rested(known: Registration, now: datetime) -> Registration:
    """The number is not ready at the provider: its texts wait for a moment."""
    until = now + HELD_AGAIN
    return replace(known, held_until=max(until, known.held_until or until))


def reason(registration: Registration, carrier: Carrier) -> str:
    """Why its texts are held, in words."""
    return SILENT_REASON if carrier == "other" else REASONS[registration.state]
