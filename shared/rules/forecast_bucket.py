"""How one bucket will empty: the collider's order and its limits, as steady rates between borders.

A border is an instant at which something changes: a lane opens, closes or runs dry, a day's quota
is used up or renewed. Times are seconds from the run's begin.
"""

from collections.abc import Collection, Mapping, Sequence
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
        self._waiting: list[Lane] = []
        self._open: list[Lane] = []
        self._turns_s = 0.0
        """When a lane opens or closes next."""

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
            # It is told rounded down.
            minute.tell(room + 0.5)

    def know_left_today(self, segments: Mapping[str, int]) -> None:
        """So much have the days of these use cases left."""
        for use_case_id, left in segments.items():
            if use_case_id in self._told:
                self._day(self._told[use_case_id]).left = float(left)

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
        self._waiting = [one for one in lanes if one.left and not one.paused and not one.is_shut]
        self._waiting.sort(key=lambda one: one.rank)
        at_s, end_s = 0.0, reach.total_seconds()
        while at_s < end_s:
            at_s = self._step(at_s, end_s)

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
        lane.is_shut = any(limits.per_minute(lane.channel) == 0 for limits in both)
        if self._measured is not None:
            lane.minutes.append((self._measured, 1.0, 1))
        elif not lane.is_capped:
            lane.minutes.append((self._uncapped, 1.0, 1))

    def _step(self, at_s: float, end_s: float) -> float:
        """From one border to the next; its time."""
        for day in self._days.values():
            day.turn(at_s)
        looked, border_s = self._look(at_s)
        border_s = min(border_s, end_s)
        flowing: set[Pace] = set()
        if looked:
            flowing, again_s = self._fit(looked, at_s)
            self._burst(looked, at_s)
            border_s = min(border_s, again_s, self._rates(looked, flowing, at_s))
        border_s = max(border_s, at_s + HAIR)
        for resting in set(self._minutes.values()) - flowing:
            resting.rest(border_s - at_s)
        for one in flowing:
            one.flow(border_s - at_s, border_s)
        for lane in looked:
            if lane.rate:
                lane.go(lane.rate * (border_s - at_s), border_s)
        return border_s

    def _look(self, at_s: float) -> tuple[list[Lane], float]:
        """The lanes that are looked at now, and until when at most those are."""
        if at_s >= self._turns_s:
            self._turn(at_s)
        border_s = self._turns_s
        spent = [day for day in self._days.values() if day.left < 1]
        looked = []
        for lane in self._open:
            if lane.is_begun:
                # Who comes before it now may need that.
                lane.give_back()
            if not lane.left:
                continue
            if spent and not lane.booked and any(day in spent for day in lane.days):
                # Not even a small text would go.
                ends = (day.ends_s for day in lane.days if day in spent)
                border_s = min(border_s, *ends)
            else:
                looked.append(lane)
        return looked, border_s

    def _turn(self, at_s: float) -> None:
        """Find the lanes that are open from now on."""
        self._waiting = [one for one in self._waiting if one.left and not one.opening.is_over]
        openings = {lane.opening for lane in self._waiting}
        self._turns_s = min((opening.look(at_s) for opening in openings), default=inf)
        self._open = [lane for lane in self._waiting if lane.opening.is_open]
        for lane in self._waiting:
            if not lane.opening.is_open:
                lane.give_back()
                lane.unbook()

    def _fit(self, looked: Sequence[Lane], at_s: float) -> tuple[set[Pace], float]:
        """Make room for the largest text of each minute; which minutes, and when to do so again."""
        flowing: set[Pace] = set()
        for lane in looked:
            for minute, _, most in lane.minutes:
                if minute not in flowing:
                    flowing.add(minute)
                    minute.wanted = most
                elif most > minute.wanted:
                    minute.wanted = most
        return flowing, min(minute.fit(at_s) for minute in flowing)

    def _burst(self, looked: Sequence[Lane], at_s: float) -> None:
        """What there is room for goes at once."""
        for lane in looked:
            lane.rate = 0.0
            if not lane.is_capped:
                lane.book()
                continue
            texts = inf
            for minute, cost, _ in lane.minutes:
                texts = min(texts, minute.stock / cost)
            if texts > HAIR:
                texts = lane.go(texts, at_s)
                for minute, cost, _ in lane.minutes:
                    minute.stock -= texts * cost

    def _rates(self, looked: Sequence[Lane], flowing: Collection[Pace], at_s: float) -> float:
        """Set what each lane lets out a second; until when that holds."""
        border_s = inf
        for minute in flowing:
            minute.left = minute.leak
            if minute.stock < -HAIR:
                # What was let out has to be made up for first.
                minute.left = 0.0
                border_s = min(border_s, at_s - minute.stock / minute.leak)
        drains: dict[Day, tuple[float, float]] = {}
        for lane in looked:
            rate = inf
            for minute, cost, _ in lane.minutes:
                rate = min(rate, minute.left / cost)
            if rate <= HAIR or not lane.left:
                continue
            allowed = lane.allowed
            if allowed < 1:
                ends = (day.ends_s for day in lane.days if day.left < lane.segments)
                border_s = min(border_s, *ends)
                continue
            lane.rate = rate
            for minute, cost, _ in lane.minutes:
                minute.left = max(0.0, minute.left - rate * cost)
            border_s = min(border_s, at_s + (lane.booked or lane.left) / rate)
            if allowed < inf and not lane.booked:
                next_s = (lane.left - lane.unsent + 1) / rate
                for day in lane.days:
                    drain, first_s = drains.get(day, (0.0, inf))
                    drains[day] = (drain + rate * lane.segments, min(first_s, next_s))
        for day, (drain, first_s) in drains.items():
            border_s = min(border_s, at_s + max(first_s, day.left / drain), day.ends_s)
        for minute in flowing:
            if minute.stock < -HAIR:
                minute.left = minute.leak
        return border_s
