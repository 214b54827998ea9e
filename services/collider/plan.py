"""Which of a bucket's messages may go now: pure, for one bucket at one instant.

Replies go first, over all use cases; then the campaign whose last sendable instant is nearest;
then the oldest. A message goes when all limits that apply have room, and is charged to all of them
or to none.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from heapq import merge
from itertools import groupby

from services.collider import pace
from services.collider.domain import NEVER, OPTED_OUT, WITHDRAWN, too_large
from services.collider.pace import Pace, PaceKey
from shared.fields import Carrier, Channel, Kind
from shared.rules import meters
from shared.rules.hours import civil_day, next_midnight
from shared.rules.limits import ORGANIZATION, Limits, applying
from shared.rules.meters import SPREAD_S, Meter

BETWEEN_CLAIMS = timedelta(milliseconds=100)
"""A bucket with backlog is looked at this often at most; its meters allow for more than double."""

LANES_LEAST: Mapping[Kind, int] = {"reply": 8, "initial": 2}
"""As many lanes are read in any case, though the first may fill all hands: replies of several
campaigns go by their age, and an initial may be too large for the room that one behind it fits."""

SPREAD = timedelta(seconds=SPREAD_S)
BEFORE_CLOSE = 2 * SPREAD
"""Nothing is claimed in the last of a day or an opening: a call starts up to SPREAD after its
claim, and may take as long again to arrive."""

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

    day: date
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
    cursors: Mapping[int, int] = field(default_factory=dict)
    """By lane: nothing is queued at or before this position."""
    begun: Mapping[tuple[Scope, Channel], Meter] = field(default_factory=dict)
    """Meters that were made, or have another limit, when that was found: they have to be written
    down though nothing of theirs is looked at. One that is made anew each time never leaks."""

    @property
    def key(self) -> tuple[str, str]:
        """Organization and carrier."""
        return (self.org_id, self.carrier)

    def is_paused(self, now: datetime) -> bool:
        """Whether the carrier asked for a rest that lasts still."""
        return self.paused_until is not None and now < self.paused_until


@dataclass(frozen=True, slots=True)
class Chosen:
    """A message that goes now, and the days that it is charged to."""

    candidate: Candidate
    use_case_id: Scope
    quota_day: date
    use_case_quota_day: date


@dataclass(slots=True)
class Plan:
    """What to write down for one bucket. Without `due_at` it rests until a wake-up comes."""

    due_at: datetime | None = None
    chosen: list[Chosen] = field(default_factory=list)
    refused: list[tuple[Candidate, str]] = field(default_factory=list)
    """Messages that can never go, and why."""
    meters: dict[tuple[Scope, Channel], Meter] = field(default_factory=dict)
    cursors: dict[int, int] = field(default_factory=dict)
    """Up to which position each lane has nothing queued any more."""
    emptied: list[int] = field(default_factory=list)
    """Lanes without backlog now."""
    lifted: Collection[PaceKey] = ()
    """Paces that are not imposed any more."""

    def spent(self) -> Iterator[tuple[Scope, date, int]]:
        """What to add to the days of the organization and of its use cases."""
        for one in self.chosen:
            yield ORGANIZATION, one.quota_day, one.candidate.segments
            yield one.use_case_id, one.use_case_quota_day, one.candidate.segments


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
    for use_case_id in bucket.told:
        for channel in CHANNELS:
            at = room.wait(Lane(0, use_case_id, "initial", channel), 1)
            if use_case_id != ORGANIZATION and at is not None:
                shut[use_case_id, channel] = max(at, rests.get((use_case_id, channel), at))
    begun = {
        key: meter
        for key, meter in room.meters.items()
        if key not in bucket.meters or bucket.meters[key].per_minute != meter.per_minute
    }
    return replace(bucket, shut=shut, begun=begun)


def ask(bucket: Bucket, room: Room, *, most: int) -> dict[int, int]:
    """How many messages of each lane to read: of each use case and channel, whose limits are their
    own, `most` in all or a few more. A lane that is not in it had better not be looked at: those
    before it take all."""
    asked: dict[int, int] = {}
    left: dict[tuple[Scope, Channel], int] = {}
    looked = Counter[Kind]()
    for lane in bucket.lanes:
        key = (lane.use_case_id, lane.channel)
        hands = left.get(key, most)
        if hands <= 0 and looked[lane.kind] >= LANES_LEAST[lane.kind]:
            continue
        asked[lane.lane_id] = room.appetite(lane, max(hands, 1))
        left[key] = hands - asked[lane.lane_id]
        looked[lane.kind] += 1
    return asked


def plan(
    bucket: Bucket,
    room: Room,
    asked: Mapping[int, int],
    found: Mapping[int, Sequence[Candidate]],
    now: datetime,
    *,
    most: int,
) -> Plan:
    """Choose up to `most` among the heads of the lanes; `asked` is how many of each lane were to
    be read."""
    result = Plan()
    looked = [lane for lane in bucket.lanes if lane.lane_id in asked]
    again: dict[int, datetime] = {}
    for _, rank in groupby(looked, key=lambda lane: lane.rank):
        equals = list(rank)
        for lane in equals:
            room.fit(lane, (head.segments for head in found.get(lane.lane_id, ())))
            if not asked[lane.lane_id] and (at := room.wait(lane, 1)) is not None:
                # Not even a small text goes, and none was read.
                again[lane.lane_id] = max(at, now + BETWEEN_CLAIMS)
        for lane, head in _by_age(equals, found):
            if lane.lane_id not in again:
                at = _choose(room, lane, head, result, now, most=most)
                if at is None:
                    result.cursors[lane.lane_id] = head.position
                else:
                    again[lane.lane_id] = at
    for lane in looked:
        if lane.lane_id not in again:
            if len(found.get(lane.lane_id, ())) < asked[lane.lane_id]:
                result.emptied.append(lane.lane_id)
            else:
                again[lane.lane_id] = now + BETWEEN_CLAIMS
    waits = [bucket.opens_at, *bucket.shut.values(), *again.values()]
    if len(looked) < len(bucket.lanes):
        # Those before them may have had less than was thought: look again, and at once if the
        # next look will find them further on.
        waits.append(now if result.chosen else now + BETWEEN_CLAIMS)
    result.due_at = min((at for at in waits if at is not None and at < NEVER), default=None)
    result.meters = {**bucket.begun, **room.meters}
    return result


def _by_age(
    lanes: Sequence[Lane], found: Mapping[int, Sequence[Candidate]]
) -> Iterator[tuple[Lane, Candidate]]:
    """The heads of lanes of one rank, the oldest first."""
    heads = [[(lane, head) for head in found.get(lane.lane_id, ())] for lane in lanes]
    return merge(*heads, key=lambda one: one[1].position)


def _choose(
    room: Room, lane: Lane, head: Candidate, result: Plan, now: datetime, *, most: int
) -> datetime | None:
    """Let a text go or refuse it for good; or when to look at it again."""
    refusal = room.refusal(lane, head)
    if refusal is not None:
        result.refused.append((head, refusal))
        return None
    if len(result.chosen) == most:
        # There is room, but no hands: at once, when there are some.
        return now
    at = room.wait(lane, head.segments)
    if at is not None:
        room.reserve(lane, head.segments, at)
        return max(at, now + BETWEEN_CLAIMS)
    room.take(lane, head.segments)
    result.chosen.append(Chosen(head, lane.use_case_id, *room.days(lane)))
    return None
