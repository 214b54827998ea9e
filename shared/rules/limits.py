"""What an organization may send with a carrier, and what it may when nobody has said so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.rules.classes import class_named
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
    sms_cost_most: int | None = None
    """A text counts for so much of the minute at most. Set where a carrier's refusals, not an
    admin, made the limit lower than one text may cost: it takes the whole minute then, and must
    neither fail nor block what is behind it."""

    def per_minute(self, channel: Channel) -> int | None:
        """The cap a minute for this channel."""
        return self.sms_per_minute if channel == "sms" else self.mms_per_minute

    def cost(self, channel: Channel, segments: int) -> int:
        """What a text costs of the minute's cap; of the day's it costs its segments."""
        if channel == "mms" or self.sms_unit == "message":
            return 1
        return segments if self.sms_cost_most is None else min(segments, self.sms_cost_most)


def of_class(carrier: str, name: str) -> Limits:
    """An organization's limits, as the carrier's class has them."""
    one = class_named(carrier, name)
    return Limits(
        ORGANIZATION, one.sms_per_minute, one.sms_unit, one.mms_per_minute, one.segments_per_day
    )


# "Nobody said" must never mean "no limit", so an organization starts low: with AT&T's class of low
# volume, T-Mobile's lowest tier, and for those who publish nothing a low figure of our own. What a
# sole proprietor may send is lower still, and theirs alone.
CAUTIOUS = {
    "att": of_class("att", "T"),
    "tmobile": of_class("tmobile", "low"),
    "verizon": of_class("verizon", "cautious"),
    "other": of_class("other", "cautious"),
}


def applying(use_case_id: str, told: Mapping[str, Limits], default: Limits) -> tuple[Limits, ...]:
    """All limits that hold for a use case's texts: its own and its organization's.

    `told` are the limits somebody set with this carrier, by scope; the default holds where neither
    has any.
    """
    both = tuple(told[scope] for scope in (ORGANIZATION, use_case_id) if scope in told)
    return both or (default,)
