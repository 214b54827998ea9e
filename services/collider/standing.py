"""How a bucket stands: what claims change of it, as one value that each claim replaces. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from services.collider.bucket import Bucket, Scope
from services.collider.plan import Plan
from shared.fields import Channel
from shared.rules.meters import Meter

# A cursor only saves time, so the least lately used may be forgotten.
CURSORS_MOST = 64
MINUTE = timedelta(minutes=1)
# Zones are up to 14 hours off UTC: a day that is over by this date in UTC is over everywhere.
DAYS_KEPT = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a bucket has let out lately, and when it is to be looked at next."""

    version: int | None = None
    """The row to be replaced."""
    due_at: datetime | None = None
    minute_at: datetime | None = None
    this_minute: int = 0
    """Texts handed over in the minute of the clock that began at `minute_at`."""
    last_minute: int = 0
    """And in the one before."""
    meters: Mapping[tuple[Scope, Channel], Meter] = field(default_factory=dict)
    spent: Mapping[tuple[Scope, date], int] = field(default_factory=dict)
    """Segments of the days around now, by scope."""
    cursors: Mapping[int, int] = field(default_factory=dict)
    """By lane: nothing is queued at or before this position."""

    def handed_over(self, now: datetime) -> float:
        """About how many texts went in the last 60 seconds: those of this minute of the clock, and
        of the one before the part that is not over for so long."""
        if self.minute_at is None:
            return 0.0
        age = (now - self.minute_at) / MINUTE
        if age < 1:
            return self.this_minute + self.last_minute * (1 - age)
        return self.this_minute * (2 - age) if age < 2 else 0.0

    def without(self, days: Collection[tuple[Scope, date]]) -> "Standing":
        """The same without what was spent of these days."""
        left = {key: count for key, count in self.spent.items() if key not in days}
        return replace(self, spent=left)


def woken(standing: Mapping[int, int], positions: Mapping[int, int]) -> dict[int, int]:
    """Cursors after wake-ups: something is queued from these positions of these lanes on."""
    return {
        lane_id: min(cursor, positions.get(lane_id, cursor + 1) - 1)
        for lane_id, cursor in standing.items()
    }


def followed(standing: Standing, bucket: Bucket, plan: Plan, now: datetime) -> Standing:
    """How a bucket stands after what was planned has been claimed."""
    minute_at = now.replace(second=0, microsecond=0)
    same = standing.minute_at == minute_at
    before = standing.minute_at == minute_at - MINUTE
    last = standing.this_minute if before else 0
    spent = dict(standing.spent)
    for scope, day, segments in plan.spent():
        spent[scope, day] = spent.get((scope, day), 0) + segments
    # Those that were moved come last. What comes at a lower position brings a wake-up that says so.
    cursors = {lane: at for lane, at in bucket.cursors.items() if lane not in plan.cursors}
    cursors |= plan.cursors
    return Standing(
        standing.version,
        plan.due_at,
        minute_at,
        len(plan.chosen) + (standing.this_minute if same else 0),
        standing.last_minute if same else last,
        {**standing.meters, **plan.meters},
        spent,
        dict(list(cursors.items())[-CURSORS_MOST:]),
    )


def days_over(standing: Standing, now: datetime) -> dict[tuple[Scope, date], int]:
    """What was spent of days that are over, and leaves the standing for the archive."""
    last = now.date() - DAYS_KEPT
    return {key: count for key, count in standing.spent.items() if key[1] <= last}
