"""What an organization may send with a carrier, and what it may when nobody has said so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.rules.segments import Channel

CARRIERS = ("att", "tmobile", "verizon", "other")
ORGANIZATION = ""
"""The scope of limits that hold for all use cases of an organization together."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one scope with one carrier: an organization, or one use case of it; None is no cap.

    SMS and MMS have separate minutes; the day counts SMS segments and MMS messages together, by
    civil days of `day_zone`.
    """

    use_case_id: str
    sms_per_minute: int | None
    sms_unit: Literal["segment", "message"]
    mms_per_minute: int | None
    segments_per_day: int | None
    day_zone: str = "America/Los_Angeles"

    def per_minute(self, channel: Channel) -> int | None:
        """The cap a minute for this channel."""
        return self.sms_per_minute if channel == "sms" else self.mms_per_minute

    def cost(self, channel: Channel, segments: int) -> int:
        """What a text costs of the minute's cap; of the day's it costs its segments."""
        return segments if channel == "sms" and self.sms_unit == "segment" else 1


# "Nobody said" must never mean "no limit", so an organization starts at each carrier's lowest:
# AT&T's class T, T-Mobile's lowest tier, and for those who publish nothing a low figure.
CAUTIOUS = {
    "att": Limits(ORGANIZATION, 75, "segment", 50, None),
    "tmobile": Limits(ORGANIZATION, None, "segment", None, 2_000),
    "verizon": Limits(ORGANIZATION, 60, "message", 60, None),
    "other": Limits(ORGANIZATION, 60, "segment", 60, None),
}


def applying(use_case_id: str, told: Mapping[str, Limits], default: Limits) -> tuple[Limits, ...]:
    """All limits that hold for a use case's texts: its own and its organization's.

    `told` are the limits somebody set with this carrier, by scope; the default holds where neither
    has any.
    """
    both = tuple(told[scope] for scope in (ORGANIZATION, use_case_id) if scope in told)
    return both or (default,)
