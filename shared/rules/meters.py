"""The minute meter: a leaky bucket whose whole state is one moment.

A carrier counts what reaches it in any 60 seconds and filters what is over its limit L. So:

- The bucket holds at most `capacity` units and leaks `leak` units a second; a text's cost is poured
  in when it is claimed, if it fits. In a span of T seconds then at most capacity + leak * T units
  are claimed.
- What is claimed at one instant reaches the carrier within SPREAD_S after it. Whatever arrives in a
  half-open 60 s was therefore claimed in less than 60 + SPREAD_S seconds.
- The capacity must take the largest text, and what leaks out between two claims, or else that room
  is lost: capacity = largest + leak * BETWEEN_CLAIMS_S.

With leak = (L + 1 - largest) / (60 + SPREAD_S + BETWEEN_CLAIMS_S) any 60 seconds at the carrier see
less than capacity + leak * (60 + SPREAD_S) = L + 1 units: being whole, at most L. For texts of one
segment 60 / 60.5 = 99.2 % of L is used.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

SPREAD_S = 0.25
"""The longest from a claim until its call has been started (J). A later call is not made."""
BETWEEN_CLAIMS_S = 0.25
"""The longest between two claims of a bucket that has room and backlog, when all is well."""
REMEMBER_S = 60.0
"""How long the meter keeps room for a large text after the last one was seen."""

# Times are whole microseconds; this much is kept free, so that rounding never makes the last unit.
_SLACK = 0.001


@dataclass(frozen=True, slots=True)
class Meter:
    """What one limit a minute has seen. `dry_at`: when the bucket will have leaked dry.

    `largest` is the largest cost that there is room for now; it was last seen at `largest_at`.
    """

    per_minute: int
    largest: int
    largest_at: datetime
    dry_at: datetime

    @property
    def leak(self) -> float:
        """Units that leak out in a second."""
        return (self.per_minute + 1 - self.largest) / (60 + SPREAD_S + BETWEEN_CLAIMS_S)

    @property
    def capacity(self) -> float:
        """Units that it holds at most."""
        return self.largest + self.leak * BETWEEN_CLAIMS_S

    def level(self, now: datetime) -> float:
        """Units in it."""
        return max(0.0, (self.dry_at - now).total_seconds()) * self.leak

    def room(self, now: datetime) -> float:
        """Units that may be poured in now; less than nothing after the limit was lowered."""
        if self.per_minute == 0:
            return 0.0
        return self.capacity - self.level(now) - _SLACK

    def room_at(self, cost: float, now: datetime) -> datetime | None:
        """When there will be room for this cost; None: never, the limit is closed."""
        if self.per_minute == 0:
            return None
        missing = cost - self.room(now)
        # A little later than that, or the rounding to microseconds may leave it a hair short.
        return now + timedelta(seconds=max(0.0, missing / self.leak) + 0.001)


def fresh(per_minute: int, now: datetime) -> Meter:
    """A meter that has seen nothing yet."""
    return Meter(per_minute, 1, now, now)


def full(per_minute: int, now: datetime) -> Meter:
    """A meter of a bucket that has been sending, nobody knows how much: it leaks first."""
    meter = fresh(per_minute, now)
    return _at_level(meter, meter.capacity, now)


def poured(meter: Meter, cost: int, now: datetime) -> Meter:
    """The meter with this cost in it. Nothing is ever taken out again but by leaking."""
    return _at_level(meter, meter.level(now) + cost, now)


def limited(meter: Meter, per_minute: int, now: datetime) -> Meter:
    """The meter under another limit: what is in it stays in it, so a raise makes no burst."""
    if per_minute == meter.per_minute:
        return meter
    if meter.per_minute == 0:
        # What it let out before it was closed is forgotten, and may be but a moment ago.
        return full(per_minute, now)
    largest = max(1, min(meter.largest, per_minute))
    return _at_level(replace(meter, per_minute=per_minute, largest=largest), meter.level(now), now)


def fitted(meter: Meter, cost: int, now: datetime) -> Meter:
    """The meter with room for texts of this cost, the largest among those that wait.

    Room for larger ones is filled as it is made: the 60 s before it were claimed under a faster
    leak, and the new room on top of them would be over the limit. Room for smaller ones is given
    up only after none as large was seen for REMEMBER_S, since making it anew costs throughput.
    """
    if meter.per_minute == 0:
        return meter
    if cost >= meter.largest:
        added = cost - meter.largest
        grown = replace(meter, largest=cost, largest_at=now)
        return _at_level(grown, meter.level(now) + added, now) if added else grown
    if now - meter.largest_at < timedelta(seconds=REMEMBER_S):
        return meter
    return _at_level(replace(meter, largest=cost, largest_at=now), meter.level(now), now)


def _at_level(meter: Meter, level: float, now: datetime) -> Meter:
    if meter.per_minute == 0:
        # Closed: nothing is let out, so nothing has to be remembered beyond the moment.
        return replace(meter, dry_at=now)
    return replace(meter, dry_at=now + timedelta(seconds=level / meter.leak))
