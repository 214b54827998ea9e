"""A bucket at one instant: its lanes, and the room that all of its limits leave. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from services.collider import pace
from services.collider.domain import NEVER, OPTED_OUT, WITHDRAWN, too_large
from services.collider.pace import Pace, PaceKey
from shared.fields import Carrier, Channel, Kind
from shared.rules import meters
from shared.rules.hours import civil_day, next_midnight
from shared.rules.limits import ORGANIZATION, Limits, applying
from shared.rules.meters import SPREAD_S, Meter

SPREAD = timedelta(seconds=SPREAD_S)
BEFORE_CLOSE = 2 * SPREAD
"""Nothing is claimed in the last of a day or an opening: a call starts up to SPREAD after its
claim, and may take as long again to arrive."""

BucketKey = tuple[str, str]
"""Organization and carrier."""
Scope = str
"""A use case's id, or ORGANIZATION."""
CHANNELS: tuple[Channel, ...] = ("sms", "mms")


@dataclass(frozen=True, slots=True)
class Lane:
    """One campaign's messages of one kind and channel in a bucket."""

    lane_id: int
    use_case_id: str
    kind: Kind
    channel: Channel
    last_sendable_at: datetime = NEVER

    @property
    def rank(self) -> tuple[bool, datetime]:
        """What goes before what; among equals the oldest text goes first."""
        return (self.kind != "reply", self.last_sendable_at)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A queued message at the head of its lane."""

    lane_id: int
    org_id: str
    message_id: str
    position: int
    segments: int
    opted_out: bool = False
    withdrawn: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Organization and message."""
        return (self.org_id, self.message_id)


@dataclass(frozen=True, slots=True)
class Quota:
    """What a scope has used of one civil day. `full`: the carrier said that the day is over."""

    used: int
    full: bool


@dataclass(frozen=True, slots=True)
class Bucket:
    """All that is known of one organization's bucket with one carrier, under its lock.

    `quotas` are those of the days around now, `told` limits by scope as somebody set them. `lanes`
    have backlog and are open now, in the order in which they go; `opens_at` is when the next of the
    others opens.
    """

    org_id: str
    carrier: Carrier
    told: Mapping[Scope, Limits]
    default: Limits
    meters: Mapping[tuple[Scope, Channel], Meter]
    quotas: Mapping[tuple[Scope, date], Quota]
    lanes: Sequence[Lane]
    opens_at: datetime | None = None
    paused_until: datetime | None = None
    paces: Mapping[PaceKey, Pace] = field(default_factory=dict)
    """What is imposed on use cases whose texts the carrier refused as too fast."""
    shut: Mapping[tuple[Scope, Channel], datetime] = field(default_factory=dict)
    """Use cases whose lanes were left out, having no room of their own, and until when."""
    more_lanes: bool = False
    """There are more lanes that are open than were read."""
    cursors: Mapping[int, int] = field(default_factory=dict)
    """By lane: nothing is queued at or before this position."""
    begun: Mapping[tuple[Scope, Channel], Meter] = field(default_factory=dict)
    """Meters that were made, or have another limit, when that was found: they have to be written
    down though nothing of theirs is looked at. One that is made anew each time never leaks."""

    @property
    def key(self) -> BucketKey:
        """Organization and carrier."""
        return (self.org_id, self.carrier)

    def is_paused(self, now: datetime) -> bool:
        """Whether the carrier asked for a rest that lasts still."""
        return self.paused_until is not None and now < self.paused_until


class Room:
    """What all the limits of one bucket leave at one instant; shrinks as messages are taken."""

    def __init__(self, bucket: Bucket, now: datetime) -> None:
        self._bucket = bucket
        self._now = now
        self._applying: dict[Scope, tuple[Limits, ...]] = {}
        self._reserved: dict[tuple[Scope, Channel], datetime] = {}
        self._left: dict[Scope, int] = {}
        self.meters: dict[tuple[Scope, Channel], Meter] = {}
        self._organization = bucket.told.get(ORGANIZATION, bucket.default)
        day = civil_day(self._organization.day_zone, now)
        quota = bucket.quotas.get((ORGANIZATION, day))
        self._day_is_full = quota is not None and quota.full

    def _limits(self, lane: Lane) -> tuple[Limits, ...]:
        """The limits that apply to a lane, with their meters and days opened."""
        found = self._applying.get(lane.use_case_id)
        if found is None:
            found = applying(lane.use_case_id, self._bucket.told, self._bucket.default)
            self._applying[lane.use_case_id] = found
        for limits in found:
            self._open(limits, lane.channel)
        return found

    def _open(self, limits: Limits, channel: Channel) -> None:
        key = (limits.use_case_id, channel)
        per_minute = limits.per_minute(channel)
        if per_minute is not None and key not in self.meters:
            known = self._bucket.meters.get(key)
            if known is not None:
                self.meters[key] = meters.limited(known, per_minute, self._now)
            elif self._bucket.quotas:
                # It has sent lately under other limits: nobody knows what this minute holds.
                self.meters[key] = meters.full(per_minute, self._now)
            else:
                self.meters[key] = meters.fresh(per_minute, self._now)
        if limits.segments_per_day is not None and limits.use_case_id not in self._left:
            self._left[limits.use_case_id] = self._left_today(limits, limits.segments_per_day)

    def _left_today(self, limits: Limits, per_day: int) -> int:
        day = civil_day(limits.day_zone, self._now)
        if civil_day(limits.day_zone, self._now + BEFORE_CLOSE) != day:
            return 0
        quota = self._bucket.quotas.get((limits.use_case_id, day))
        return per_day if quota is None else per_day - quota.used

    def appetite(self, lane: Lane, most: int) -> int:
        """How many of a lane's messages are worth reading now: as many as go if all are small, and
        one more to see what the next one costs; none when not even a small one goes."""
        if self._day_is_full:
            return 0
        for limits in self._limits(lane):
            meter = self.meters.get((limits.use_case_id, lane.channel))
            if meter is not None:
                most = min(most, int(meter.room(self._now)))
            if limits.use_case_id in self._left:
                most = min(most, self._left[limits.use_case_id])
        return most + 1 if most > 0 else 0

    def fit(self, lane: Lane, segments: Iterable[int]) -> None:
        """Let the lane's meters have room for the largest of these texts."""
        segments = list(segments)
        for limits in self._limits(lane):
            key = (limits.use_case_id, lane.channel)
            meter = self.meters.get(key)
            if meter is None:
                continue
            costs = [limits.cost(lane.channel, count) for count in segments]
            largest = max((cost for cost in costs if cost <= meter.per_minute), default=None)
            if largest is not None:
                self.meters[key] = meters.fitted(meter, largest, self._now)

    def refusal(self, lane: Lane, head: Candidate) -> str | None:
        """Why a text can never go; None: it can. Behind a closed limit (0) it only waits."""
        if head.opted_out:
            return OPTED_OUT
        if head.withdrawn:
            return WITHDRAWN
        return too_large(self._limits(lane), lane.channel, head.segments)

    def wait(self, lane: Lane, segments: int) -> datetime | None:
        """Until when a text of this lane has to wait; None: it may go now."""
        waits = [at for _, at in self._waits(lane, segments)]
        if self._day_is_full:
            waits.append(next_midnight(self._organization.day_zone, self._now))
        waits += [
            next_midnight(limits.day_zone, self._now)
            for limits in self._limits(lane)
            if self._left.get(limits.use_case_id, segments) < segments
        ]
        return max(waits, default=None)

    def _waits(self, lane: Lane, segments: int) -> Iterator[tuple[tuple[Scope, Channel], datetime]]:
        """The minute meters that have no room for such a text now, and until when."""
        for limits in self._limits(lane):
            key = (limits.use_case_id, lane.channel)
            meter = self.meters.get(key)
            if meter is None:
                continue
            if key in self._reserved:
                yield key, self._reserved[key]
            elif meter.room(self._now) < (cost := limits.cost(lane.channel, segments)):
                yield key, meter.room_at(cost, self._now) or NEVER

    def reserve(self, lane: Lane, segments: int, until: datetime) -> None:
        """Keep the room that a text waits for from what comes later in the order.

        Only a meter that it waits for to the last: while it waits for its day, or for a use case
        that is closed, the organization's minute is free for others.
        """
        for key, at in list(self._waits(lane, segments)):
            if at == until:
                self._reserved[key] = at

    def take(self, lane: Lane, segments: int) -> None:
        """Charge a text to all limits that apply."""
        for limits in self._limits(lane):
            key = (limits.use_case_id, lane.channel)
            if key in self.meters:
                cost = limits.cost(lane.channel, segments)
                self.meters[key] = meters.poured(self.meters[key], cost, self._now)
            if limits.use_case_id in self._left:
                self._left[limits.use_case_id] -= segments

    def days(self, lane: Lane) -> tuple[date, date]:
        """The civil days that a text of this lane is counted in: the organization's and its use
        case's. Counted even where nothing limits them: a limit told at noon holds for the day."""
        own = self._bucket.told.get(lane.use_case_id, self._organization)
        return civil_day(self._organization.day_zone, self._now), civil_day(own.day_zone, self._now)


def paced(bucket: Bucket, now: datetime) -> Bucket:
    """The bucket with its limits lowered to the paces that are imposed, and without the use cases
    that nothing goes out of now.

    Those lanes are not even looked at: there may be more of them than are looked at in a claim.
    """
    rests = pace.resting(bucket.paces, now) if bucket.paces else {}
    if bucket.paces:
        told = pace.slowed(bucket.told, bucket.default, bucket.paces, now)
        bucket = replace(bucket, told=told)
    room = Room(bucket, now)
    shut = dict(rests)
    # Where only some use cases have limits, the others go by the default, each by itself.
    whole = {ORGANIZATION} if not bucket.told else set()
    for use_case_id in whole | bucket.told.keys():
        for channel in CHANNELS:
            at = room.wait(Lane(0, use_case_id, "initial", channel), 1)
            if at is not None:
                shut[use_case_id, channel] = max(at, rests.get((use_case_id, channel), at))
    begun = {
        key: meter
        for key, meter in room.meters.items()
        if key not in bucket.meters or bucket.meters[key].per_minute != meter.per_minute
    }
    return replace(bucket, shut=shut, begun=begun)
