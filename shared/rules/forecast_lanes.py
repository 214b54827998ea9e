"""What a forecast's bucket is made of: lanes with their openings, minutes and days.

Times are seconds from the forecast's begin.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from math import ceil, inf

from shared.rules.hours import (
    Hours,
    Kind,
    Window,
    last_sendable_at,
    next_midnight,
    sendable_interval,
)
from shared.rules.limits import Limits
from shared.rules.meters import BETWEEN_CLAIMS_S, REMEMBER_S, SPREAD_S
from shared.rules.segments import Channel

BEFORE_CLOSE_S = 2 * SPREAD_S
"""In the last of an opening nothing is claimed."""
HAIR = 1e-6
"""Less than this, of a text, a segment or a second, is nothing but rounding."""


class Opening:
    """When lanes of one schedule may send: the present or next interval."""

    def __init__(
        self, kind: Kind, window: Window, hours: Hours, begun_at: datetime, not_before_s: float
    ) -> None:
        self._kind = kind
        self._window = window
        self._hours = hours
        self._begun_at = begun_at
        self._not_before_s = not_before_s
        self._opens_s = 0.0
        self._closes_s = 0.0
        self.is_open = False
        self.is_over = False
        """Whether it will never open again."""

    def look(self, at_s: float) -> float:
        """See whether it is open at this time; until when that holds."""
        while self._closes_s <= at_s:
            self._turn(max(at_s, self._not_before_s, self._closes_s + BEFORE_CLOSE_S))
        self.is_open = self._opens_s <= at_s
        return self._closes_s if self.is_open else self._opens_s

    def _turn(self, from_s: float) -> None:
        """Find the interval that holds this time, or the next one."""
        at = self._begun_at + timedelta(seconds=from_s)
        run = sendable_interval(self._kind, self._window, self._hours, at)
        self.is_over = run is None
        if run is None:
            self._opens_s = self._closes_s = inf
        else:
            opens_s = (run.opens_at - self._begun_at).total_seconds()
            self._opens_s = max(opens_s, self._not_before_s)
            self._closes_s = (run.closes_at - self._begun_at).total_seconds() - BEFORE_CLOSE_S


class Pace:
    """So many texts a second, and never more at once."""

    def __init__(self, per_s: float) -> None:
        self.leak = per_s
        self.stock = 0.0
        self.left = 0.0
        self.wanted = 0
        """The cost of the largest text that is looked at."""

    def fit(self, at_s: float) -> float:
        """Make room for the largest text that is looked at; when to look again."""
        return inf

    def flow(self, seconds: float, until_s: float) -> None:
        """Let so many seconds go by, up to this time."""


class Minute(Pace):
    """A limit a minute; see shared.rules.meters. `stock`: units that may go at once, `left`: what
    nobody uses of the leak. Only a `share` of the leak is counted with."""

    def __init__(self, per_minute: int, share: float) -> None:
        super().__init__(0.0)
        self.per_minute = per_minute
        self._share = share
        self._largest = 0
        self._seen_s = 0.0
        self._told: float | None = None

    def tell(self, stock: float) -> None:
        """So much may go at once, to begin with."""
        self._told = stock

    def fit(self, at_s: float) -> float:
        largest, again_s = self.wanted, inf
        if not self._largest:
            self._largest = 1
            self._set_leak()
            self.stock = self._capacity
            if self._told is not None:
                self.stock = min(self._told, max(self.stock, self._told // 1))
        if largest >= self._largest:
            self._largest, self._seen_s = largest, at_s
        elif at_s >= self._seen_s + REMEMBER_S:
            self.stock -= self._largest - largest
            self._largest, self._seen_s = largest, at_s
        else:
            again_s = self._seen_s + REMEMBER_S
        self._set_leak()
        return again_s

    def flow(self, seconds: float, until_s: float) -> None:
        if self.wanted >= self._largest:
            self._seen_s = until_s
        self.stock = min(max(self.stock, self._capacity), self.stock + self.left * seconds)

    def rest(self, seconds: float) -> None:
        """Let so many seconds go by in which nobody looks."""
        self.left, self.wanted = self.leak, 0
        self.flow(seconds, 0.0)

    @property
    def _capacity(self) -> float:
        return self._largest + self.leak * BETWEEN_CLAIMS_S

    def _set_leak(self) -> None:
        spare = self.per_minute + 1 - self._largest
        self.leak = self._share * spare / (60 + SPREAD_S + BETWEEN_CLAIMS_S)


class Day:
    """What the civil day of one scope's limits has left, in segments."""

    def __init__(self, limits: Limits, begun_at: datetime) -> None:
        self._per_day = inf if limits.segments_per_day is None else limits.segments_per_day
        self._zone = limits.day_zone
        self._begun_at = begun_at
        self.left = float(self._per_day)
        self.ends_s = self._midnight(begun_at)

    def turn(self, at_s: float) -> None:
        """Begin the day that it is at this time."""
        if at_s >= self.ends_s - HAIR:
            self.left = float(self._per_day)
            self.ends_s = self._midnight(self._begun_at + timedelta(seconds=at_s + HAIR))

    def _midnight(self, at: datetime) -> float:
        return (next_midnight(self._zone, at) - self._begun_at).total_seconds()


class Lane:
    """Texts of one campaign, kind and channel: what is left of them, and what each costs.

    A text is charged to its minutes little by little and to its days when it goes.
    """

    def __init__(
        self,
        use_case_id: str,
        kind: Kind,
        channel: Channel,
        texts: Mapping[int, int],
        window: Window,
        hours: Hours,
        queued_at: datetime,
        *,
        not_before: datetime | None = None,
        ranks_until: datetime | None = None,
        paused: bool = False,
    ) -> None:
        self.use_case_id = use_case_id
        self.kind = kind
        self.channel = channel
        self.texts = dict(texts)
        self.window = window
        self.hours = hours
        self.queued_at = queued_at
        self.not_before = not_before
        self.ranks_until = ranks_until
        self.paused = paused
        self.count = 0
        self.left = 0.0
        self.segments = 1.0
        self.minutes: list[tuple[Pace, float, int]] = []
        """What it is charged to a minute: what a text costs there, and the largest one."""
        self.days: list[Day] = []
        self.is_capped = True
        """Whether a limit a minute holds it; else it takes what its days have left at once."""
        self.booked = 0.0
        """Of that, what is on its way."""
        self.rate = 0.0
        self.last_sent_s: float | None = None
        self.is_begun = False
        """Whether a text has been charged to its minutes in part."""
        self.is_shut = False
        """Whether a limit of 0 keeps it."""
        self.opening: Opening

    def begin(self, both: Collection[Limits]) -> None:
        """Leave out what is too large for a limit, which the engine refuses, and count the rest."""
        self.texts = {
            size: count
            for size, count in self.texts.items()
            if count > 0 and not _too_large(both, self.channel, size)
        }
        self.count = sum(self.texts.values())
        self.left = float(self.count)
        if self.count:
            total = sum(size * count for size, count in self.texts.items())
            self.segments = total / self.count

    def cost(self, limits: Limits) -> tuple[float, int]:
        """What a text costs of this limit's minute, and what the largest one does."""
        costs = {size: limits.cost(self.channel, size) for size in self.texts}
        total = sum(costs[size] * count for size, count in self.texts.items())
        return total / self.count, max(costs.values())

    @property
    def unsent(self) -> int:
        """How many have not gone; one that is begun has not."""
        return ceil(self.left - HAIR)

    @property
    def sent(self) -> int:
        """How many have gone."""
        return self.count - self.unsent

    @property
    def rank(self) -> tuple[bool, float, datetime]:
        """What goes before what."""
        if self.kind == "reply":
            return (False, inf, self.queued_at)
        until = self.ranks_until
        if until is None:
            last = last_sendable_at(self.window, self.hours)
        elif until > self.window.opens_at:
            last = last_sendable_at(Window(self.window.opens_at, until), self.hours)
        else:
            last = until
        return (True, last.timestamp() if last else inf, self.queued_at)

    @property
    def allowed(self) -> float:
        """How many texts its days have room for: a whole number, or infinity."""
        if self.booked > HAIR:
            return ceil(self.booked - HAIR)
        least = min(day.left for day in self.days)
        return inf if least == inf else (least + HAIR) // self.segments

    def go(self, texts: float, until_s: float) -> float:
        """Let so many texts go, or a part of one, but no more than its days allow; how many went.
        The last of them goes at this time, or a little earlier."""
        before, allowed = self.unsent, self.allowed
        texts = min(texts, self.left)
        if allowed < inf:
            # Which is up to where the next whole text would be over.
            texts = max(0.0, min(texts, self.left - (before - allowed)))
        self.left -= texts
        if self.left <= HAIR:
            self.left = 0.0
        unsent = self.unsent
        gone, self.is_begun = before - unsent, unsent - self.left > HAIR
        if self.booked > HAIR:
            self.booked = max(0.0, self.booked - texts)
        elif gone:
            for day in self.days:
                day.left -= gone * self.segments
        if gone:
            begun_s = (unsent - self.left) / self.rate if self.rate else 0.0
            self.last_sent_s = until_s - begun_s
        return texts

    def book(self) -> None:
        """Take at once what its days have left."""
        if self.booked <= HAIR:
            texts = min(float(self.unsent), self.allowed)
            for day in self.days:
                day.left -= texts * self.segments
            self.booked = texts

    def give_back(self) -> None:
        """Give back what a text that is begun has taken of its minutes."""
        begun = self.unsent - self.left
        for minute, cost, _ in self.minutes:
            minute.stock += begun * cost
        self.left, self.is_begun = float(self.unsent), False

    def unbook(self) -> None:
        """Give back what was taken of its days for texts that do not go."""
        if self.booked:
            for day in self.days:
                day.left += ceil(self.booked - HAIR) * self.segments
            self.booked = 0.0


def _too_large(both: Collection[Limits], channel: Channel, segments: int) -> bool:
    for one in both:
        per_minute = one.per_minute(channel)
        if per_minute and one.cost(channel, segments) > per_minute:
            return True
        if one.segments_per_day and segments > one.segments_per_day:
            return True
    return False
