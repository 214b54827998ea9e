"""Counting in sliding minutes and civil days: pure, and shared by the carriers and the judge."""

from __future__ import annotations

from collections import deque
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.sandbox.domain import MINUTE_US

GRACE_US = 1_000_000
"""A lowered limit binds from the change + 1 s: what was let go before may still be on its way."""


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def day_of(at: datetime, zone: str) -> date:
    """The civil day of a moment in a zone, whether that day has 23, 24 or 25 hours."""
    return at.astimezone(_zone(zone)).date()


class SlidingMinute:
    """What arrived in the half-open 60 s (or another span) that end with the newest arrival.

    Two arrivals exactly 60 s apart are never in the same minute. Times must not go back.
    """

    __slots__ = ("_arrivals", "_span_us", "_total")

    def __init__(self, span_us: int = MINUTE_US) -> None:
        self._arrivals: deque[tuple[int, int]] = deque()
        self._span_us = span_us
        self._total = 0

    def total(self, at_us: int) -> int:
        """The count in (at - span, at]."""
        arrivals, gone_us = self._arrivals, at_us - self._span_us
        while arrivals and arrivals[0][0] <= gone_us:
            self._total -= arrivals.popleft()[1]
        return self._total

    def add(self, at_us: int, cost: int) -> int:
        """Count an arrival; the new total of the minute that ends with it."""
        self._arrivals.append((at_us, cost))
        self._total += cost
        return self.total(at_us)

    @property
    def first_us(self) -> int:
        """The oldest arrival still counted; only after `add`."""
        return self._arrivals[0][0]


class BoundPeak:
    """The highest count in any half-open 60 s, and whether it passed the limit then in force.

    Exact, not sampled: any busiest minute can be slid until it ends with an arrival, so looking
    at the minute before each arrival sees them all. With a limit that changes, a minute is held
    against the highest limit in force during it (a lowered one binds `GRACE_US` later), and the
    part of a minute after a change is held against the new limit alone.
    """

    __slots__ = ("_fresh", "_limits", "_minute", "over", "peak", "peak_us", "worst")

    def __init__(self) -> None:
        self._minute = SlidingMinute()
        self._limits: list[tuple[int, int | None]] = []
        self._fresh: list[list[int]] = []
        self.peak = 0
        self.peak_us: int | None = None
        self.over = False
        self.worst: tuple[int, int, int] | None = None
        """(count, limit, at_us) of the worst minute that passed its limit."""

    def tell(self, at_us: int, limit: int | None) -> None:
        """The limit from now on; the first one told also binds what was before."""
        if self._limits and self._limits[-1][1] == limit:
            return
        if self._limits:
            self._fresh.append([at_us + GRACE_US, 0])
        self._limits.append((at_us, limit))

    def add(self, at_us: int, cost: int) -> None:
        total = self._minute.add(at_us, cost)
        if total > self.peak:
            self.peak, self.peak_us = total, at_us
        if not self._limits:
            return
        self._hold(total, self._minute.first_us, at_us)
        if self._fresh:
            self._hold_fresh(at_us, cost)

    def _hold_fresh(self, at_us: int, cost: int) -> None:
        # Once a change lies a whole minute back, the sliding minute itself starts after it.
        self._fresh = [fresh for fresh in self._fresh if fresh[0] > at_us - MINUTE_US]
        for fresh in self._fresh:
            if at_us >= fresh[0]:
                fresh[1] += cost
                self._hold(fresh[1], fresh[0], at_us)

    def _hold(self, count: int, from_us: int, to_us: int) -> None:
        bound = self._highest_since(from_us - GRACE_US)
        if bound is None or count <= bound:
            return
        self.over = True
        if self.worst is None or count - bound > self.worst[0] - self.worst[1]:
            self.worst = (count, bound, to_us)

    def _highest_since(self, from_us: int) -> int | None:
        highest = 0
        for since_us, limit in reversed(self._limits):
            if limit is None:
                return None
            highest = max(highest, limit)
            if since_us <= from_us:
                break
        return highest


class DayCount:
    """Segments of one civil day against a quota that may change during it."""

    __slots__ = ("_limits", "over", "segments")

    def __init__(self, limit: int | None) -> None:
        self._limits: list[tuple[int, int | None]] = [(0, limit)]
        self.segments = 0
        self.over = False

    @property
    def limit(self) -> int | None:
        """The quota last told."""
        return self._limits[-1][1]

    def tell(self, at_us: int, limit: int | None) -> None:
        """The quota from now on; a lowered one binds `GRACE_US` later."""
        self._limits.append((at_us, limit))

    def add(self, at_us: int, segments: int) -> None:
        self.segments += segments
        changes = [since_us for since_us, _ in self._limits[1:]]
        in_force = [
            limit
            for (_, limit), ends_us in zip(self._limits, [*changes, None], strict=True)
            if ends_us is None or ends_us > at_us - GRACE_US
        ]
        capped = [limit for limit in in_force if limit is not None]
        if len(capped) == len(in_force) and self.segments > max(capped):
            self.over = True
