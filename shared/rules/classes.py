"""What the carriers let a use case or an organization send, by the class or tier they put it in.

Which one it is, the carriers say when the use case is registered; an operator picks it here. The
figures, and who published them:

- AT&T, a use case a minute: its classes A to W, as resellers' pages list them, SMS in segments and
  MMS in messages. Of E and F one source says 50 MMS a minute, the others 150.
- T-Mobile, an organization a day, by its own midnight: its tiers, SMS segments and MMS messages
  together. It counts no minutes.
- Verizon publishes nothing: two resellers report 6,000 SMS a minute, nobody a figure for MMS.
- Where nobody publishes a figure, the cautious one is ours: low, and an operator's to raise.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class CarrierClass:
    """What one carrier lets through for those it has put into this class; None is no cap."""

    carrier: Literal["att", "tmobile", "verizon", "other"]
    name: str
    about: str
    sms_per_minute: int | None
    sms_unit: Literal["segment", "message"]
    mms_per_minute: int | None
    segments_per_day: int | None


def _att(name: str, sms: int, mms: int, about: str = "") -> CarrierClass:
    return CarrierClass("att", name, about, sms, "segment", mms, None)


def _tmobile(name: str, segments_per_day: int | None, about: str = "") -> CarrierClass:
    return CarrierClass("tmobile", name, about, None, "segment", None, segments_per_day)


CLASSES: tuple[CarrierClass, ...] = (
    _att("A", 4_500, 2_400),
    _att("B", 4_500, 2_400),
    _att("K", 4_500, 2_400, "political"),
    _att("C", 2_400, 1_200),
    _att("D", 2_400, 1_200),
    _att("P", 2_400, 1_200, "charity"),
    _att("E", 240, 150, "one source says 50 MMS a minute"),
    _att("F", 240, 150, "one source says 50 MMS a minute"),
    _att("T", 75, 50, "low volume, mixed"),
    _att("W", 15, 50, "sole proprietor"),
    _tmobile("top", 200_000),
    _tmobile("high-mid", 40_000),
    _tmobile("low-mid", 10_000),
    _tmobile("low", 2_000),
    _tmobile("sole-proprietor", 1_000, "sole proprietor"),
    _tmobile("uncapped", None, "verified political and government brands"),
    CarrierClass("verizon", "reported", "as two resellers report it; MMS is our own low figure",
                 6_000, "message", 60, None),
    CarrierClass("verizon", "cautious", "our own low figure", 60, "message", 60, None),
    CarrierClass("other", "cautious", "our own low figure", 60, "segment", 60, None),
)  # fmt: skip


def class_named(carrier: str, name: str) -> CarrierClass:
    """The carrier's class of this name. Raises LookupError, with the names that there are."""
    mine = {one.name: one for one in CLASSES if one.carrier == carrier}
    if name not in mine:
        raise LookupError(f"the classes of {carrier} are {', '.join(mine)}")
    return mine[name]
