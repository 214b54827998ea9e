"""How one bucket will empty: the collider's order and its limits, as steady rates between borders.

A border is an instant at which something changes: a lane opens, closes or runs dry, a day's quota
is used up or renewed. Times are seconds from the run's begin. Where the engine lets out whole
texts, so does this at every border: what is but begun is given back.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil, inf

from shared.rules.hours import (
    Hours,
    Kind,
    Window,
    civil_day,
    last_sendable_at,
    next_midnight,
    sendable_interval,
)
from shared.rules.limits import Limits, applying
from shared.rules.meters import BETWEEN_CLAIMS_S, REMEMBER_S, SPREAD_S
from shared.rules.segments import Channel

UNCAPPED_PER_S = 500.0
"""Texts that one organization gets out in a second where no limit a minute holds it."""
WHILE_SLOWED = 0.85
"""Of its limits a bucket uses so much while its carrier says "too fast" and nothing went lately."""
BEFORE_CLOSE_S = 2 * SPREAD_S
"""In the last of an opening nothing is claimed."""

_HAIR = 1e-6

Scope = str


class Lane:
    """Texts of one campaign, kind and channel: what is left of them, and what each costs."""

    def __init__(
        self,
        use_case_id: Scope,
        kind: Kind,
        channel: Channel,
        texts: Mapping[int, int],
        window: Window,
        hours: Hours,
        queued_at: datetime,
        *,
        not_before: datetime | None = None,
        paused: bool = False,
    ) -> None:
        self.use_case_id = use_case_id
        self.kind = kind
        self.channel = channel
        self.texts = texts
        self.window = window
        self.hours = hours
        self.queued_at = queued_at
        self.not_before = not_before
        self.paused = paused
        self.count = 0
        """Texts that no limit is too small for."""
        self.left = 0.0
        self.last_sent_at: datetime | None = None
        self.opening: _Opening
        self.segments = 1.0
        self.charges: list[tuple[_Meter, float, int]] = []
        """The minutes that it is charged to, what a text costs there, and the largest one."""
        self.days: list[_Day] = []
        self.rate = 0.0
        self.closes_s = 0.0
        """The end of the opening that was last looked at."""

    @property
    def unsent(self) -> int:
        """How many have not gone; one that is begun has not."""
        return ceil(self.left - _HAIR)

    @property
    def sent(self) -> int:
        """How many have gone."""
        return self.count - self.unsent

    @property
    def need(self) -> float:
        """Segments that the next text takes of a day still."""
        return (1.0 + self.left - self.unsent) * self.segments

    def rank(self) -> tuple[bool, float, datetime]:
        """What goes before what."""
        if self.kind == "reply":
            return (False, inf, self.queued_at)
        last = last_sendable_at(self.window, self.hours)
        return (True, last.timestamp() if last else inf, self.queued_at)


class _Opening:
    """When lanes of one schedule may send: the present or next interval."""

    def __init__(self, lane: Lane, begun_at: datetime) -> None:
        self._kind, self._window, self._hours = lane.kind, lane.window, lane.hours
        self._begun_at = begun_at
        self.not_before_s = (lane.not_before - begun_at).total_seconds() if lane.not_before else 0.0
        self.opens_s = self.closes_s = 0.0

    def turn(self, at_s: float) -> None:
        """Find the interval that holds this time, or the next one."""
        while self.closes_s <= at_s:
            at = self._begun_at + timedelta(seconds=max(at_s, self.closes_s + BEFORE_CLOSE_S))
            run = sendable_interval(self._kind, self._window, self._hours, at)
            if run is None:
                self.opens_s = self.closes_s = inf
                return
            opens_s = (run.opens_at - self._begun_at).total_seconds()
            self.opens_s = max(opens_s, self.not_before_s)
            self.closes_s = (run.closes_at - self._begun_at).total_seconds() - BEFORE_CLOSE_S


class _Meter:
    """A minute's limit; see shared.rules.meters. `stock`: units that may go at once."""

    def __init__(self, per_minute: int, share: float) -> None:
        self.per_minute = per_minute
        self.share = share
        self.stock = 1.0
        self.largest = 0
        self.largest_s = 0.0
        self.wanted = 0
        self.leak = 0.0
        self.left = 0.0

    def fit(self, at_s: float) -> float:
        """Make room for the largest text that is looked at; when to look again."""
        again_s = inf
        if self.wanted >= self.largest:
            self.largest, self.largest_s = self.wanted, at_s
        elif at_s >= self.largest_s + REMEMBER_S:
            self.stock -= self.largest - self.wanted
            self.largest, self.largest_s = self.wanted, at_s
        else:
            again_s = self.largest_s + REMEMBER_S
        self.leak = (
            self.share * (self.per_minute + 1 - self.largest) / (60 + SPREAD_S + BETWEEN_CLAIMS_S)
        )
        return again_s

    def flow(self, seconds: float, until_s: float) -> None:
        """Let so many seconds of it go by, up to a time at which it was looked at still."""
        if self.wanted >= self.largest:
            self.largest_s = until_s
        most = max(self.stock, self.largest + self.leak * BETWEEN_CLAIMS_S)
        self.stock = min(most, self.stock + self.left * seconds)


class _Uncapped(_Meter):
    """No limit, but what an organization gets out at most."""

    def __init__(self) -> None:
        super().__init__(1, 1.0)
        self.stock = 0.0

    def fit(self, at_s: float) -> float:
        self.leak = UNCAPPED_PER_S
        return inf

    def flow(self, seconds: float, until_s: float) -> None:
        pass


class _Day:
    """What a civil day has left."""

    def __init__(self, limits: Limits, begun_at: datetime) -> None:
        self._per_day = inf if limits.segments_per_day is None else limits.segments_per_day
        self._zone = limits.day_zone
        self._begun_at = begun_at
        self.left = float(self._per_day)
        self.ends_s = self._midnight(begun_at)

    def tell(self, left: int) -> None:
        """So much is left of this day."""
        self.left = float(left)

    def turn(self, at_s: float) -> None:
        """Begin the day that it is at this time."""
        if at_s >= self.ends_s - _HAIR:
            self.left = float(self._per_day)
            self.ends_s = self._midnight(self._begun_at + timedelta(seconds=at_s + _HAIR))

    def _midnight(self, at: datetime) -> float:
        return (next_midnight(self._zone, at) - self._begun_at).total_seconds()


class BucketRun:
    """One organization's bucket with one carrier, from now on."""

    def __init__(
        self,
        now: datetime,
        told: Mapping[Scope, Limits],
        default: Limits,
        *,
        share: float = 1.0,
    ) -> None:
        self._now = now
        self._told = told
        self._default = default
        self._share = share
        self._meters: dict[tuple[Scope, Channel], _Meter] = {}
        self._uncapped = _Uncapped()
        self._days: dict[Scope, _Day] = {}

    def meter(self, limits: Limits, channel: Channel) -> _Meter | None:
        """The minute of one scope's limits; None: no cap."""
        per_minute = limits.per_minute(channel)
        if per_minute is None:
            return None
        key = (limits.use_case_id, channel)
        if key not in self._meters:
            self._meters[key] = _Meter(per_minute, self._share)
        return self._meters[key]

    def day(self, limits: Limits) -> _Day:
        """The civil day of one scope's limits."""
        if limits.use_case_id not in self._days:
            self._days[limits.use_case_id] = _Day(limits, self._now)
        return self._days[limits.use_case_id]

    def saw(
        self,
        at: datetime,
        sent_per_minute: int,
        room: int | None,
        day_quota_left: int | None,
        *,
        slowed: bool,
    ) -> None:
        """Begin from what was last told of the bucket."""
        own = self._told.get("", self._default)
        if day_quota_left is not None and (
            civil_day(own.day_zone, at) == civil_day(own.day_zone, self._now)
        ):
            self.day(own).tell(day_quota_left)
        meter = self.meter(own, "sms")
        if meter is not None and room is not None:
            meter.stock = float(room)
        if slowed:
            self._share *= WHILE_SLOWED
            for one in self._meters.values():
                one.share = self._share

    def play(self, lanes: Sequence[Lane], reach: timedelta) -> None:
        """Let the lanes empty, until nothing more can go within reach."""
        openings: dict[tuple[object, ...], _Opening] = {}
        for lane in lanes:
            self._prepare(lane)
            key = (lane.kind == "reply" or lane.window, lane.hours, lane.not_before)
            lane.opening = openings.setdefault(key, _Opening(lane, self._now))
        waiting = sorted(
            (one for one in lanes if one.left and not one.paused), key=lambda one: one.rank()
        )
        at_s, end_s = 0.0, reach.total_seconds()
        while waiting and at_s < end_s:
            at_s = self._step(waiting, at_s, end_s)
            waiting = [one for one in waiting if one.left and one.opening.closes_s < inf]

    def _prepare(self, lane: Lane) -> None:
        both = applying(lane.use_case_id, self._told, self._default)
        texts = {
            segments: count
            for segments, count in lane.texts.items()
            if count and not _too_large(both, lane.channel, segments)
        }
        lane.count = sum(texts.values())
        lane.left = float(lane.count)
        if not lane.count:
            return
        lane.segments = sum(size * count for size, count in texts.items()) / lane.count
        for limits in both:
            costs = {limits.cost(lane.channel, size): 0 for size in texts}
            for size, count in texts.items():
                costs[limits.cost(lane.channel, size)] += count
            meter = self.meter(limits, lane.channel)
            if meter is not None:
                mean = sum(cost * count for cost, count in costs.items()) / lane.count
                lane.charges.append((meter, mean, max(costs)))
            day = self.day(limits)
            if day not in lane.days:
                lane.days.append(day)
        if not lane.charges:
            lane.charges.append((self._uncapped, 1.0, 1))

    def _step(self, waiting: Sequence[Lane], at_s: float, end_s: float) -> float:
        """From one border to the next; its time."""
        border_s = end_s
        for day in self._days.values():
            day.turn(at_s)
        ready = []
        for lane in waiting:
            opening = lane.opening
            if lane.closes_s <= at_s:
                self._give_back(lane)
                opening.turn(at_s)
                lane.closes_s = opening.closes_s
            if opening.opens_s > at_s:
                border_s = min(border_s, opening.opens_s)
                continue
            spent = [day for day in lane.days if day.left + _HAIR < lane.need]
            if spent:
                self._give_back(lane)
                border_s = min(border_s, max(day.ends_s for day in spent))
            elif all(meter.per_minute for meter, _, _ in lane.charges):
                ready.append(lane)
                border_s = min(border_s, opening.closes_s)
        if not ready:
            self._rest(border_s - at_s)
            return border_s
        border_s = min(border_s, self._fit(ready, at_s))
        self._burst(ready, self._now + timedelta(seconds=at_s))
        border_s = max(min(border_s, self._rates(ready, at_s)), at_s + _HAIR)
        self._flow(ready, at_s, border_s)
        return border_s

    def _fit(self, ready: Sequence[Lane], at_s: float) -> float:
        wanted: dict[_Meter, int] = {}
        for lane in ready:
            for meter, _, largest in lane.charges:
                wanted[meter] = max(wanted.get(meter, 1), largest)
        border_s = inf
        for meter, largest in wanted.items():
            meter.wanted = largest
            border_s = min(border_s, meter.fit(at_s))
        return border_s

    def _burst(self, ready: Sequence[Lane], at: datetime) -> None:
        """What there is room for goes at once."""
        for lane in ready:
            most = min([lane.left, *(day.left / lane.segments for day in lane.days)])
            for meter, cost, _ in lane.charges:
                most = min(most, meter.stock / cost)
            if most > _HAIR:
                before = lane.unsent
                self._take(lane, most)
                if lane.unsent < before:
                    lane.last_sent_at = at

    def _rates(self, ready: Sequence[Lane], at_s: float) -> float:
        """Set what each lane lets out a second; until when that holds."""
        border_s = inf
        for meter in {meter for lane in ready for meter, _, _ in lane.charges}:
            meter.left = meter.leak
            if meter.stock < -_HAIR:
                border_s = min(border_s, at_s - meter.stock / meter.leak)
        drains: dict[_Day, float] = {}
        for lane in ready:
            lane.rate = 0.0
            if lane.left <= _HAIR:
                continue
            if any(meter.stock < -_HAIR for meter, _, _ in lane.charges):
                continue
            rate = min(meter.left / cost for meter, cost, _ in lane.charges)
            if rate <= _HAIR:
                continue
            lane.rate = rate
            for meter, cost, _ in lane.charges:
                meter.left = max(0.0, meter.left - rate * cost)
            for day in lane.days:
                drains[day] = drains.get(day, 0.0) + rate * lane.segments
            border_s = min(border_s, at_s + lane.left / rate)
        for day, drain in drains.items():
            border_s = min(border_s, at_s + day.left / drain, day.ends_s)
        return border_s

    def _flow(self, ready: Sequence[Lane], at_s: float, until_s: float) -> None:
        seconds = until_s - at_s
        for meter in {meter for lane in ready for meter, _, _ in lane.charges}:
            meter.flow(seconds, until_s)
        for lane in ready:
            if lane.rate:
                before = lane.unsent
                gone = min(lane.left, lane.rate * seconds)
                lane.left -= gone
                for day in lane.days:
                    day.left -= gone * lane.segments
                if lane.unsent < before:
                    last_s = until_s - (lane.unsent - lane.left) / lane.rate
                    lane.last_sent_at = self._now + timedelta(seconds=last_s)
            if lane.left <= _HAIR:
                lane.left = 0.0

    def _take(self, lane: Lane, texts: float) -> None:
        lane.left -= texts
        for meter, cost, _ in lane.charges:
            meter.stock -= texts * cost
        for day in lane.days:
            day.left -= texts * lane.segments

    def _give_back(self, lane: Lane) -> None:
        """Give back what a text that is begun, and cannot go on, has taken."""
        begun = lane.unsent - lane.left
        if begun > 0:
            self._take(lane, -begun)
        lane.left = float(lane.unsent)

    def _rest(self, seconds: float) -> None:
        for meter in self._meters.values():
            meter.left, meter.wanted = meter.leak, 0
            meter.flow(seconds, 0.0)


def _too_large(both: Collection[Limits], channel: Channel, segments: int) -> bool:
    for one in both:
        per_minute = one.per_minute(channel)
        if per_minute and one.cost(channel, segments) > per_minute:
            return True
        if one.segments_per_day and segments > one.segments_per_day:
            return True
    return False
