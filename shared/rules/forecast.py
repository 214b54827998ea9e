"""The forecast: when what waits will have gone, and how much of it will not go in time.

It is computed from what the campaign service knows: limits, what was last told of each bucket, and
the texts that wait or will. Nothing is simulated text by text: between two instants at which
something changes (an opening, a close, a midnight, a lane that runs dry) everything goes at a
steady rate. `tests/integration/test_collider_forecast.py` holds it against the real engine.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.rules.forecast_bucket import BucketRun
from shared.rules.forecast_lanes import Lane
from shared.rules.hours import Hours, Kind, Window
from shared.rules.limits import CAUTIOUS, Limits
from shared.rules.segments import Channel

REACH = timedelta(days=60)
"""Further ahead nothing is forecast."""
SAFETY = 0.98
"""An end is called safe where it saves all though the minutes let out no more than this share."""

TRIES = 30
"""So many ends are tried at most; two or three are, where few campaigns end one after another."""


@dataclass(frozen=True, slots=True)
class BucketSeen:
    """What was last told of a bucket, at `at`; see BucketState for the meaning of each."""

    at: datetime
    backlog: int = 0
    replies: int = 0
    sent_per_minute: int = 0
    room: int | None = None
    day_quota_left: int | None = None
    slowed: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """An organization's limits with one carrier by scope (a use case's id, or ORGANIZATION), none
    where nobody told any; and what was last told of its bucket, if anything ever was.

    `left_today`: segments that use cases with a day quota of their own have left today; a bucket's
    state says so of the organization alone.
    """

    carrier: str
    told: Mapping[str, Limits] = field(default_factory=dict)
    seen: BucketSeen | None = None
    left_today: Mapping[str, int] = field(default_factory=dict)

    @property
    def default(self) -> Limits:
        """What holds where nobody has said anything."""
        return CAUTIOUS[self.carrier]


@dataclass(frozen=True, slots=True)
class Load:
    """Texts of one campaign, kind and channel to one carrier, that wait or are going to.

    `texts` counts them by their segments. Among equals the load with the earlier `queued_at` goes
    first. `paused`: nothing of it goes until somebody says so (paused, held, no number yet), which
    the forecast takes to be never. Nothing goes before `not_before` (None: now). `ranks_until`: it
    has the place in the order of a campaign whose window ends then (None: of its own window's end).
    """

    campaign_id: str
    use_case_id: str
    carrier: str
    kind: Kind
    channel: Channel
    texts: Mapping[int, int]
    window: Window
    hours: Hours
    queued_at: datetime
    paused: bool = False
    not_before: datetime | None = None
    ranks_until: datetime | None = None

    @property
    def count(self) -> int:
        """How many texts."""
        return sum(self.texts.values())


@dataclass(frozen=True, slots=True)
class Outlook:
    """What will become of a load: sent + failing + refused + waiting are all its texts.

    `failing` end as `sending failed` with the window; `refused` are too large for a limit and fail
    at once; `waiting` neither go nor fail within the forecast's reach. `finishes_at`: when the last
    of those that are sent has gone; None: none goes.
    """

    load: Load
    sent: int
    failing: int
    refused: int
    waiting: int
    finishes_at: datetime | None


@dataclass(frozen=True, slots=True)
class CarrierForecast:
    """What will become of a campaign's initials with one carrier; the counts are as in Outlook."""

    carrier: str
    sent: int = 0
    failing: int = 0
    refused: int = 0
    waiting: int = 0
    finishes_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What will become of all loads, in their order."""

    outlooks: tuple[Outlook, ...]

    def carriers(self, campaign_id: str) -> tuple[CarrierForecast, ...]:
        """A campaign's initials, by carrier."""
        found: dict[str, CarrierForecast] = {}
        for one in self.outlooks:
            if (one.load.campaign_id, one.load.kind) != (campaign_id, "initial"):
                continue
            before = found.get(one.load.carrier, CarrierForecast(one.load.carrier))
            ends = [at for at in (before.finishes_at, one.finishes_at) if at is not None]
            found[one.load.carrier] = CarrierForecast(
                before.carrier,
                before.sent + one.sent,
                before.failing + one.failing,
                before.refused + one.refused,
                before.waiting + one.waiting,
                max(ends, default=None),
            )
        return tuple(found.values())

    def failing(self, campaign_id: str) -> int:
        """How many of a campaign's initials will end as `sending failed`."""
        return sum(one.failing for one in self.carriers(campaign_id))


def forecast(
    now: datetime,
    buckets: Iterable[Bucket],
    loads: Sequence[Load],
    *,
    reach: timedelta = REACH,
    share: float = 1.0,
) -> Forecast:
    """What will become of an organization's loads, as things stand.

    `buckets` are its buckets by carrier; one that is missing has the limits that hold where nobody
    has said anything. `share`: of the minutes' limits only so much is used.
    """
    known = {bucket.carrier: bucket for bucket in buckets}
    found: dict[int, Outlook] = {}
    for carrier in dict.fromkeys(load.carrier for load in loads):
        mine = [index for index, load in enumerate(loads) if load.carrier == carrier]
        bucket = known.get(carrier) or Bucket(carrier)
        outlooks = _play(now, bucket, [loads[index] for index in mine], reach, share)
        found.update(zip(mine, outlooks, strict=True))
    return Forecast(tuple(found[index] for index in range(len(loads))))


def safe_end(
    now: datetime,
    buckets: Iterable[Bucket],
    loads: Sequence[Load],
    campaign_id: str,
    *,
    reach: timedelta = REACH,
) -> datetime | None:
    """The earliest end of a campaign's window, no earlier than the present one, that saves all of
    its initials, to the minute; None: none within reach does.

    A later end also lets campaigns go first that end before it, so that it may have to be later
    still. It has a reserve, see SAFETY. `loads` are the organization's, as for `forecast`.
    """
    buckets = list(buckets)
    mine = [one for one in loads if _is_of(one, campaign_id)]
    if not any(one.count for one in mine):
        return mine[0].window.closes_at if mine else None
    carriers = {one.carrier for one in mine}
    loads = [one for one in loads if one.carrier in carriers]
    end = mine[0].window.closes_at
    for _ in range(TRIES):
        if _saves(now, buckets, loads, campaign_id, end, reach):
            return end
        last = _last(now, buckets, loads, campaign_id, end, reach)
        if last is None:
            return None
        # A whole minute, and not the one in whose last moment nothing is claimed any more.
        minute = (last + timedelta(seconds=1)).replace(second=0, microsecond=0)
        end = max(minute, end.replace(second=0, microsecond=0)) + timedelta(minutes=1)
        if end > now + reach:
            break
    return None


def expected_at(
    now: datetime, bucket: Bucket, load: Load, *, reach: timedelta = REACH
) -> datetime | None:
    """About when a text that is queued now will go, behind all that its bucket is known to hold.

    `load` is the text; None: not before its window ends, or not within reach.
    """
    seen = bucket.seen
    ahead = 0 if seen is None else seen.replies if load.kind == "reply" else seen.backlog
    [segments] = load.texts
    queue = replace(load, texts={segments: ahead + 1})
    [outlook] = _play(now, bucket, [queue], reach, 1.0)
    return outlook.finishes_at if outlook.sent == ahead + 1 else None


def _is_of(load: Load, campaign_id: str) -> bool:
    return load.campaign_id == campaign_id and load.kind == "initial"


def _saves(
    now: datetime,
    buckets: Sequence[Bucket],
    loads: Sequence[Load],
    campaign_id: str,
    end: datetime,
    reach: timedelta,
) -> bool:
    """Whether no initial of the campaign fails with its window's end then."""
    ended = [_ending(one, end) if _is_of(one, campaign_id) else one for one in loads]
    outlooks = forecast(now, buckets, ended, reach=reach).outlooks
    return not any(one.failing or one.waiting for one in outlooks if _is_of(one.load, campaign_id))


def _last(
    now: datetime,
    buckets: Sequence[Bucket],
    loads: Sequence[Load],
    campaign_id: str,
    end: datetime,
    reach: timedelta,
) -> datetime | None:
    """When the campaign's last initial goes, if its window never ends, but it has the place in the
    order that this end gives it; None: not within reach."""
    far = now + reach
    if any(one.window.opens_at >= far for one in loads if _is_of(one, campaign_id)):
        return None
    ranked = [
        replace(_ending(one, far), ranks_until=end) if _is_of(one, campaign_id) else one
        for one in loads
    ]
    outlooks = forecast(now, buckets, ranked, reach=reach, share=SAFETY).outlooks
    mine = [one for one in outlooks if _is_of(one.load, campaign_id)]
    if any(one.failing or one.waiting for one in mine):
        return None
    return max((one.finishes_at for one in mine if one.finishes_at is not None), default=now)


def _ending(load: Load, end: datetime) -> Load:
    opens_at = min(load.window.opens_at, end - timedelta(microseconds=1))
    return replace(load, window=Window(opens_at, end))


def _play(
    now: datetime, bucket: Bucket, loads: Sequence[Load], reach: timedelta, share: float
) -> list[Outlook]:
    seen = bucket.seen
    run = BucketRun(now, bucket.told, bucket.default, share=share)
    run.know_left_today(bucket.left_today)
    if seen is not None:
        run.saw(seen.at, seen.sent_per_minute, seen.room, seen.day_quota_left, slowed=seen.slowed)
    lanes = [
        Lane(
            one.use_case_id, one.kind, one.channel, one.texts, one.window, one.hours,
            one.queued_at, not_before=one.not_before, ranks_until=one.ranks_until,
            paused=one.paused,
        )
        for one in loads
    ]  # fmt: skip
    run.play(lanes, reach)
    return [_outlook(one, lane, now, reach) for one, lane in zip(loads, lanes, strict=True)]


def _outlook(load: Load, lane: Lane, now: datetime, reach: timedelta) -> Outlook:
    refused = load.count - lane.count
    left = lane.count - lane.sent
    fails = load.kind == "initial" and load.window.closes_at <= now + reach
    return Outlook(
        load,
        lane.sent,
        left if fails else 0,
        refused,
        0 if fails else left,
        None if lane.last_sent_s is None else now + timedelta(seconds=lane.last_sent_s),
    )
