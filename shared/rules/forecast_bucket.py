"""How one bucket will empty: the collider's order and its limits, as steady rates between borders.

A border is an instant at which something changes: a lane opens, closes or runs dry, a day's quota
is used up or renewed. Times are seconds from the run's begin.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import inf

from shared.rules.forecast_lanes import HAIR, Day, Lane, Minute, Opening, Pace
from shared.rules.hours import civil_day
from shared.rules.limits import ORGANIZATION, Limits, applying
from shared.rules.segments import Channel

UNCAPPED_PER_S = 500.0
"""Texts that one organization gets out in a second where no limit a minute holds it."""
WHILE_SLOWED = 0.85
"""Of its limits a bucket uses so much when its carrier says "too fast" and nothing went lately."""


class BucketRun:
    """One organization's bucket with one carrier, from now on.

    `told` are limits by scope; of the minutes' only a `share` is counted with.
    """

    def __init__(
        self, now: datetime, told: Mapping[str, Limits], default: Limits, *, share: float = 1.0
    ) -> None:
        self._now = now
        self._told = told
        self._default = default
        self._share = share
        self._minutes: dict[tuple[str, Channel], Minute] = {}
        self._days: dict[str, Day] = {}
        self._uncapped = Pace(UNCAPPED_PER_S)
        self._measured: Pace | None = None
        self._is_busy = False

    def saw(
        self, at: datetime, sent_per_minute: int, room: int | None, day_left: int | None,
        *, slowed: bool,
    ) -> None:  # fmt: skip
        """Begin from what was last told of the bucket; see BucketState for the meaning of each."""
        own = self._told.get(ORGANIZATION, self._default)
        self._is_busy = sent_per_minute > 0
        if slowed and sent_per_minute:
            self._measured = Pace(sent_per_minute / 60)
        elif slowed:
            self._share *= WHILE_SLOWED
        today = civil_day(own.day_zone, self._now)
        if day_left is not None and civil_day(own.day_zone, at) == today:
            self._day(own).left = float(day_left)
        minute = self._minute(own, "sms")
        if minute is not None and room is not None:
            minute.tell(room)

    def play(self, lanes: Sequence[Lane], reach: timedelta) -> None:
        """Let the lanes empty, until nothing more can go within reach."""
        openings: dict[tuple[object, ...], Opening] = {}
        for lane in lanes:
            self._begin(lane)
            key = (lane.kind == "reply" or lane.window, lane.hours, lane.not_before)
            if key not in openings:
                wait = lane.not_before - self._now if lane.not_before else timedelta()
                openings[key] = Opening(
                    lane.kind, lane.window, lane.hours, self._now, wait.total_seconds()
                )
            lane.opening = openings[key]
        waiting = [one for one in lanes if one.left and not one.paused]
        waiting.sort(key=lambda one: one.rank)
        at_s, end_s = 0.0, reach.total_seconds()
        while waiting and at_s < end_s:
            at_s = self._step(waiting, at_s, end_s)
            waiting = [one for one in waiting if one.left and one.opening.closes_s < inf]

    def _minute(self, limits: Limits, channel: Channel) -> Minute | None:
        """The minute of one scope's limits; None: no cap."""
        per_minute = limits.per_minute(channel)
        if per_minute is None:
            return None
        key = (limits.use_case_id, channel)
        if key not in self._minutes:
            self._minutes[key] = Minute(per_minute, self._share)
            if self._is_busy:
                self._minutes[key].tell(0.0)
        return self._minutes[key]

    def _day(self, limits: Limits) -> Day:
        """The civil day of one scope's limits."""
        if limits.use_case_id not in self._days:
            self._days[limits.use_case_id] = Day(limits, self._now)
        return self._days[limits.use_case_id]

    def _begin(self, lane: Lane) -> None:
        both = applying(lane.use_case_id, self._told, self._default)
        lane.begin(both)
        if not lane.count:
            return
        lane.days = [self._day(limits) for limits in both]
        for limits in both:
            minute = self._minute(limits, lane.channel)
            if minute is not None:
                lane.minutes.append((minute, *lane.cost(limits)))
        lane.is_capped = bool(lane.minutes)
        if self._measured is not None:
            lane.minutes.append((self._measured, 1.0, 1))
        elif not lane.is_capped:
            lane.minutes.append((self._uncapped, 1.0, 1))

    def _step(self, waiting: Sequence[Lane], at_s: float, end_s: float) -> float:
        """From one border to the next; its time."""
        for day in self._days.values():
            day.turn(at_s)
        looked, border_s = self._open(waiting, at_s, end_s)
        if looked:
            border_s = min(border_s, self._fit(looked, at_s))
            self._burst(looked, at_s)
            border_s = min(border_s, self._rates(looked, at_s))
        border_s = max(border_s, at_s + HAIR)
        self._flow(looked, at_s, border_s)
        return border_s

    def _open(
        self, waiting: Sequence[Lane], at_s: float, border_s: float
    ) -> tuple[list[Lane], float]:
        """The lanes that are looked at now, and until when at most those are."""
        looked = []
        for lane in waiting:
            opening = lane.opening
            if lane.closes_s <= at_s:
                lane.stop()
                opening.turn(at_s)
                lane.closes_s = opening.closes_s
            if opening.opens_s > at_s:
                border_s = min(border_s, opening.opens_s)
            elif any(isinstance(one, Minute) and not one.per_minute for one, _, _ in lane.minutes):
                pass
            elif lane.booked <= HAIR and min(day.left for day in lane.days) < 1:
                # Not even a small text would go.
                lane.stop()
                border_s = min(border_s, *(day.ends_s for day in lane.days if day.left < 1))
            else:
                looked.append(lane)
                border_s = min(border_s, opening.closes_s)
        return looked, border_s

    def _fit(self, looked: Sequence[Lane], at_s: float) -> float:
        largest: dict[Pace, int] = {}
        for lane in looked:
            for minute, _, most in lane.minutes:
                largest[minute] = max(largest.get(minute, 1), most)
        return min(minute.fit(most, at_s) for minute, most in largest.items())

    def _burst(self, looked: Sequence[Lane], at_s: float) -> None:
        """What there is room for goes at once."""
        for lane in looked:
            lane.rate = 0.0
            if not lane.is_capped:
                lane.book()
                continue
            texts = min(minute.stock / cost for minute, cost, _ in lane.minutes)
            if texts > HAIR:
                texts = lane.go(texts, at_s)
                for minute, cost, _ in lane.minutes:
                    minute.stock -= texts * cost

    def _rates(self, looked: Sequence[Lane], at_s: float) -> float:
        """Set what each lane lets out a second; until when that holds."""
        border_s = inf
        for minute in {minute for lane in looked for minute, _, _ in lane.minutes}:
            minute.left = minute.leak
            if minute.stock < -HAIR:
                # What was let out has to be made up for first.
                border_s = min(border_s, at_s - minute.stock / minute.leak)
        drains: dict[Day, tuple[float, float]] = {}
        for lane in looked:
            allowed = lane.allowed
            if allowed < 1:
                lane.stop()
                ends = (day.ends_s for day in lane.days if day.left < lane.segments)
                border_s = min(border_s, *ends)
                continue
            if not lane.left or any(minute.stock < -HAIR for minute, _, _ in lane.minutes):
                continue
            rate = min(minute.left / cost for minute, cost, _ in lane.minutes)
            if rate <= HAIR:
                continue
            lane.rate = rate
            for minute, cost, _ in lane.minutes:
                minute.left = max(0.0, minute.left - rate * cost)
            border_s = min(border_s, at_s + (lane.booked or lane.left) / rate)
            if lane.booked <= HAIR and allowed < inf:
                next_s = (lane.left - lane.unsent + 1) / rate
                for day in lane.days:
                    drain, first_s = drains.get(day, (0.0, inf))
                    drains[day] = (drain + rate * lane.segments, min(first_s, next_s))
        for day, (drain, first_s) in drains.items():
            border_s = min(border_s, at_s + max(first_s, day.left / drain), day.ends_s)
        return border_s

    def _flow(self, looked: Sequence[Lane], at_s: float, until_s: float) -> None:
        seconds = until_s - at_s
        flowing = {minute for lane in looked for minute, _, _ in lane.minutes}
        for one in flowing:
            one.flow(seconds, until_s)
        for other in self._minutes.values():
            if other not in flowing:
                other.rest(seconds)
        for lane in looked:
            if lane.rate:
                lane.go(lane.rate * seconds, until_s)
