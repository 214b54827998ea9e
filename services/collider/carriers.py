"""Whose subscriber a recipient is: which word counts, and how look-ups are tried again. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from shared.fields import Carrier

# About one phone in a hundred changes its carrier in a month; what is wrong then, the first
# receipt puts right.
LOOKED_UP_FOR = timedelta(days=30)
# A look-up that fails for one phone is tried so often: with the waits between, a minute and a
# half. A text must not miss its hours for a figure that its receipt will tell anyway.
TRIES_MOST = 6
AGAIN_FIRST_S, AGAIN_MOST_S = 2, 30
# While nobody is answered, a phone waits no longer than this. While others are, a long line moves
# on, and its texts come faster through it than through the cautious limits of `other`.
SILENCE_MOST = timedelta(seconds=120)
# A contact list has time, but nobody should look at its progress for ever: what is not known then
# is looked up when it is texted.
LIST_SILENCE_MOST = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored of a phone. `corrected`: a receipt has told, not a look-up."""

    carrier: Carrier
    corrected: bool


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What a look-up found; without a carrier it named none that we know, nor will tomorrow."""

    carrier: Carrier | None


@dataclass(frozen=True, slots=True)
class NotLookedUp:
    """A look-up that came to nothing. With a pause it is not the phone's fault: all shall rest."""

    reason: str
    pause_s: float = 0.0


LookUp = LookedUp | NotLookedUp


def carrier_of(told: Carrier | None, known: Known | None) -> Carrier | None:
    """The carrier to send by; None: it has to be looked up.

    A receipt is the carrier's own word, and younger than the list from which whoever queued the
    text has theirs; a look-up only helps where nobody has said anything.
    """
    if known is not None and (known.corrected or told is None):
        return known.carrier
    return told


def again_after(tries: int) -> timedelta | None:
    """How long to wait after so many failed tries for one phone; None: it goes without."""
    if tries >= TRIES_MOST:
        return None
    return timedelta(seconds=min(AGAIN_FIRST_S * 2 ** (tries - 1), AGAIN_MOST_S))
