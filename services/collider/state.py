"""How a bucket is doing at one instant, and what it waits for, in plain words: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.collider.bucket import Bucket, Lane, Room, Scope, paced
from services.collider.pace import over
from services.collider.standing import Standing
from shared.events import BucketState
from shared.fields import Channel
from shared.rules import meters
from shared.rules.hours import civil_day
from shared.rules.limits import ORGANIZATION, Limits
from shared.rules.meters import Meter


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is queued in a bucket's lanes of one use case and channel."""

    use_case_id: Scope
    channel: Channel
    queued: int
    replies: int
    open: int
    """So many of them may go now, as far as window, hours and the carrier's word on the number
    are concerned; limits aside."""
    held: int
    """And so many are held, because the carrier does not know the number."""
    oldest_queued_at: datetime | None
    oldest_reply_at: datetime | None
    """Of the replies that may go now: at night all wait, and nobody has to wonder."""
    opens_at: datetime | None
    """When the next of the lanes that are closed opens; None: none will by itself."""


@dataclass(frozen=True, slots=True)
class State:
    """What is told of a bucket and shown of it; see BucketState for the meaning of each."""

    org_id: str
    carrier: str
    backlog: int
    replies: int
    ready: int
    """Of the backlog, how many could go right now: open, not held, with room for one segment. While
    these are more than none for a minute and nothing is sent, something is wrong."""
    oldest_queued_at: datetime | None
    oldest_reply_at: datetime | None
    sent_per_minute: int
    per_minute: int | None
    """The organization's own SMS limit."""
    room: int | None
    day_quota_left: int | None
    slowed: bool

    @property
    def key(self) -> tuple[str, str]:
        """Organization and carrier."""
        return (self.org_id, self.carrier)

    def event(self, at: datetime) -> BucketState:
        """What others are told."""
        return BucketState.model_validate(
            {name: getattr(self, name) for name in BucketState.model_fields if name != "at"}
            | {"at": at}
        )


def state_of(
    bucket: Bucket, waiting: Sequence[Waiting], standing: Standing, now: datetime
) -> State:
    """How a bucket is doing now."""
    limits = own_limits(bucket)
    oldest = [one.oldest_queued_at for one in waiting if one.oldest_queued_at is not None]
    replies = [one.oldest_reply_at for one in waiting if one.oldest_reply_at is not None]
    return State(
        org_id=bucket.org_id,
        carrier=bucket.carrier,
        backlog=sum(one.queued for one in waiting),
        replies=sum(one.replies for one in waiting),
        ready=sum(one.open for one in going(bucket, waiting, now)),
        oldest_queued_at=min(oldest, default=None),
        oldest_reply_at=min(replies, default=None),
        sent_per_minute=round(standing.handed_over(now)),
        per_minute=limits.sms_per_minute if limits else None,
        room=room_of(bucket, limits, "sms", now) if limits else None,
        day_quota_left=left_today(bucket, limits, now) if limits else None,
        slowed=bucket.is_paused(now) or is_slowed(bucket, now),
    )


def own_limits(bucket: Bucket) -> Limits | None:
    """The organization's own limits; None when only its use cases have any."""
    if not bucket.told:
        return bucket.default
    return bucket.told.get(ORGANIZATION)


def room_of(bucket: Bucket, limits: Limits, channel: Channel, now: datetime) -> int | None:
    """How much may go at once under one scope's limit for a channel; None: no cap."""
    meter = meter_of(bucket, limits, channel, now)
    return None if meter is None else max(0, int(meter.room(now)))


def meter_of(bucket: Bucket, limits: Limits, channel: Channel, now: datetime) -> Meter | None:
    """The meter of a limit as the next claim would find it; None: no cap."""
    per_minute = limits.per_minute(channel)
    if per_minute is None:
        return None
    known = bucket.meters.get((limits.use_case_id, channel))
    if known is not None:
        return meters.limited(known, per_minute, now)
    # One that has sent lately under other limits: nobody knows what this minute holds.
    return (meters.full if bucket.quotas else meters.fresh)(per_minute, now)


def left_today(bucket: Bucket, limits: Limits, now: datetime) -> int | None:
    """Segments that a scope's day has left; None: no cap, and the carrier has not said that the
    day is over."""
    quota = bucket.quotas.get((limits.use_case_id, civil_day(limits.day_zone, now)))
    if quota is not None and quota.full:
        return 0
    if limits.segments_per_day is None:
        return None
    return max(0, limits.segments_per_day - (quota.used if quota else 0))


def is_slowed(bucket: Bucket, now: datetime) -> bool:
    """Whether a carrier that said "too fast" has any use case go slower than its limits."""
    return bool(bucket.paces.keys() - over(bucket.told, bucket.default, bucket.paces, now))


def going(bucket: Bucket, waiting: Sequence[Waiting], now: datetime) -> list[Waiting]:
    """Those whose next text could go now."""
    if bucket.is_paused(now):
        return []
    waits = _waits(bucket, waiting, now)
    return [one for one in waiting if one.open and one not in waits]


def _waits(bucket: Bucket, waiting: Sequence[Waiting], now: datetime) -> dict[Waiting, datetime]:
    """Those that may go, were it not for a limit or a rest, and until when."""
    bucket = paced(bucket, now)
    room = Room(bucket, now)
    found = {}
    for one in waiting:
        lane = Lane(0, one.use_case_id, "initial", one.channel)
        at = bucket.shut.get((one.use_case_id, one.channel)) or room.wait(lane, 1)
        if one.open and at is not None:
            found[one] = at
    return found


def waits_for(bucket: Bucket, waiting: Sequence[Waiting], now: datetime) -> str:
    """What keeps a bucket's next text, for somebody who wonders."""
    if not any(one.queued for one in waiting):
        return "nothing: no text waits"
    if bucket.paused_until is not None and bucket.is_paused(now):
        return f"the carrier, which said that texts came too fast, until {_at(bucket.paused_until)}"
    if going(bucket, waiting, now):
        return "nothing: texts are going"
    waits = _waits(bucket, waiting, now)
    if waits:
        first = min(waits, key=lambda one: waits[one])
        return _limit_in_the_way(bucket, first, waits[first], now)
    opens = [one.opens_at for one in waiting if one.opens_at is not None]
    if opens:
        return f"open hours: the next campaign opens at {_at(min(opens))}"
    if any(one.held for one in waiting):
        return "the carrier: it does not know the campaign's number yet"
    return "an admin: its campaigns are paused, wait for their number, or are over"


def _limit_in_the_way(bucket: Bucket, waiting: Waiting, at: datetime, now: datetime) -> str:
    """The limit that keeps a use case's next text until then."""
    own = bucket.told.get(waiting.use_case_id)
    both = [limits for limits in (bucket.told.get(ORGANIZATION), own) if limits is not None]
    for limits in both or [bucket.default]:
        whose = f"use case {limits.use_case_id}" if limits.use_case_id else "the organization"
        per_minute = limits.per_minute(waiting.channel)
        if per_minute == 0:
            return f"a higher limit: that of {whose} is 0 {waiting.channel.upper()} a minute"
        if left_today(bucket, limits, now) == 0:
            return f"the carrier's next day: {whose} has used up this one, until {_at(at)}"
    slowly = ", lowered for a while since the carrier said that texts came too fast"
    return f"room under the limit a minute{slowly if is_slowed(bucket, now) else ''}, at {_at(at)}"


def _at(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
