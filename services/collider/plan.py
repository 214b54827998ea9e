"""Which of a bucket's messages may go now: pure, for one bucket at one instant.

Replies go first, over all use cases; then the campaign whose last sendable instant is nearest;
then the oldest. A message goes when all limits that apply have room, and is charged to all of them
or to none.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from heapq import merge
from itertools import groupby

from services.collider.bucket import Bucket, Candidate, Lane, Room, Scope
from services.collider.domain import NEVER
from services.collider.pace import PaceKey
from shared.fields import Channel, Kind
from shared.rules.limits import ORGANIZATION
from shared.rules.meters import Meter

BETWEEN_CLAIMS = timedelta(milliseconds=100)
"""A bucket with backlog is looked at this often at most; its meters allow for more than double."""

LANES_LEAST: Mapping[Kind, int] = {"reply": 8, "initial": 2}
"""As many lanes are read in any case, though the first may fill all hands: replies of several
campaigns go by their age, and an initial may be too large for the room that one behind it fits."""


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
    # The largest first: a smaller one that came before it would give up the room that has been
    # gathered for it, each time, and it would never go.
    sizes = [(lane, [head.segments for head in found.get(lane.lane_id, ())]) for lane in looked]
    for lane, segments in sorted(sizes, key=lambda one: max(one[1], default=0), reverse=True):
        room.fit(lane, segments)
    for _, rank in groupby(looked, key=lambda lane: lane.rank):
        equals = list(rank)
        for lane in equals:
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
    if len(looked) < len(bucket.lanes) or bucket.more_lanes:
        # Those before them may have had less than was thought: look again, and at once if the
        # next look will find them further on.
        further = result.chosen or result.emptied
        waits.append(now if further else now + BETWEEN_CLAIMS)
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
