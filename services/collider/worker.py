"""Claims: what may go now is marked as claimed and given to the dispatcher."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from prometheus_client import Histogram

from services.collider import outcomes
from services.collider.bucket import Bucket, BucketKey, Lane, Room, paced
from services.collider.dispatch import Dispatcher
from services.collider.domain import Outbound
from services.collider.lookout import Lookout
from services.collider.pace import over
from services.collider.plan import Plan, ask, plan
from services.collider.standing import Standing, followed
from services.collider.store import claims, due, paces, results, standings
from services.collider.store.results import Ended
from shared.database import Database, Transaction
from shared.rules.meters import SPREAD_S

# So many buckets are looked at in one claim: all that are due, or where these have more to go than
# there are hands for, fewer of them for more texts each, since each costs about as much as a text.
BUCKETS_MOST, BUCKETS_LEAST = 200, 16
TEXTS_MOST = 500
"""As many are claimed at once: more would hardly be called in time."""
HANDS_FULL = 0.8
# Much longer than a claim may wait for its call, so that it only runs out when the replica died.
CLAIM_LEASE_S = 5.0
# The commit, the marking and the start of the calls need the rest of the spread.
CLAIM_MOST_S = 0.6 * SPREAD_S
NOT_PLANNED = timedelta(seconds=60)

CLAIM_S = Histogram("sluice_claim_seconds", "One claim, from its begin to its commit")

log = structlog.get_logger(__name__)


class Claimer:
    """A worker. Any number of replicas may claim: each bucket's row lets in one at a time."""

    def __init__(self, database: Database, dispatcher: Dispatcher) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._lookout = Lookout()
        self._buckets_most = BUCKETS_MOST

    async def step(self) -> bool:
        """Claim from the buckets that are due, as much as can be called at once; whether there
        was any."""
        most = min(self._dispatcher.free, TEXTS_MOST)
        if most < 1:
            self._dispatcher.wait_for_hands()
            return False
        try:
            with CLAIM_S.time():
                async with self._database.transaction() as tx:
                    claim = await _claim(
                        tx, self._dispatcher, self._lookout, self._buckets_most, most
                    )
                    late = time.monotonic() - claim.started_s > CLAIM_MOST_S
                    if claim.texts and late and self._dispatcher.slow_down():
                        raise _TooSlow
        except _TooSlow:
            return True
        self._dispatcher.take(claim.texts, claim.started_s)
        if len(claim.texts) > HANDS_FULL * most:
            self._buckets_most = max(BUCKETS_LEAST, self._buckets_most // 2)
        else:
            self._buckets_most = min(BUCKETS_MOST, self._buckets_most * 2)
        return claim.found


class _TooSlow(Exception):
    """A claim whose calls would hardly start in time: rolled back, and nothing is charged."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """What was claimed, and the monotonic time just before the instant it is charged to."""

    found: bool
    texts: list[Outbound] = field(default_factory=list)
    started_s: float = 0.0


async def _claim(
    tx: Transaction, hands: Dispatcher, lookout: Lookout, buckets_most: int, texts_most: int
) -> _Claim:
    paused_until = await due.paused_until(tx, hands.provider_name)
    now = await tx.now()
    if paused_until is not None and now < paused_until:
        return _Claim(found=False)
    floor = lookout.floor()
    found = await due.lock_due(
        tx, now, floor=floor, most=min(buckets_most, texts_most), without=hands.crowding
    )
    if not found.keys:
        return _Claim(found=False)
    lookout.saw(found, now)
    started_s = time.monotonic()
    # The locks may have been waited for: room is counted from after them.
    now = await tx.now(afresh=True)
    woken, positions = await due.consume_wakes(tx, found.keys, floor=floor)
    # Another replica may have been there between the finding and the locking.
    before = {
        key: one
        for key, one in (await standings.read(tx, found.keys)).items()
        if key in woken or (one.due_at is not None and one.due_at <= now)
    }
    if not before:
        return _Claim(found=True)
    most = _shares(list(before), hands, texts_most)
    buckets = await standings.read_buckets(tx, before, positions, now)
    try:
        plans = await _plan(tx, buckets, now, most=most)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        plans = await _plan_one_by_one(tx, buckets, now, most=most)
    chosen = [one for planned in plans.values() for one in planned.chosen]
    texts = await claims.claim(tx, chosen, now, lease_s=CLAIM_LEASE_S) if chosen else []
    if len(texts) < len(chosen):
        # Some were withdrawn or ended after they had been read: no day is charged for them.
        claimed = {(text.org_id, text.message_id) for text in texts}
        for planned in plans.values():
            planned.chosen = [one for one in planned.chosen if one.candidate.key in claimed]
    await _write_down(tx, buckets, before, plans, now)
    return _Claim(True, texts, started_s)


async def _write_down(
    tx: Transaction,
    buckets: Sequence[Bucket],
    before: Mapping[BucketKey, Standing],
    plans: Mapping[BucketKey, Plan],
    now: datetime,
) -> None:
    after = {one.key: followed(before[one.key], one, plans[one.key], now) for one in buckets}
    await standings.write(tx, after, now)
    lifted = [(*key, *pace) for key, planned in plans.items() for pace in planned.lifted]
    if lifted:
        await paces.lift(tx, lifted)
    emptied = [lane_id for planned in plans.values() for lane_id in planned.emptied]
    if emptied:
        await claims.empty(tx, emptied)
    await _refuse(tx, list(plans.values()))


def _shares(keys: Sequence[BucketKey], hands: Dispatcher, texts_most: int) -> dict[BucketKey, int]:
    """How many messages of each bucket there are hands for."""
    buckets_of = Counter(org_id for org_id, _ in keys)
    each = texts_most // len(keys)
    return {key: max(1, min(each, hands.free_for(key[0]) // buckets_of[key[0]])) for key in keys}


async def _plan(
    tx: Transaction, buckets: Sequence[Bucket], now: datetime, *, most: Mapping[BucketKey, int]
) -> dict[BucketKey, Plan]:
    """Read what may go from each bucket that the carrier has not put to rest, and choose."""
    resting = {bucket.key: Plan(due_at=bucket.paused_until) for bucket in buckets}
    awake = [paced(one, now) for one in buckets if not one.is_paused(now)]
    lanes = await claims.open_lanes(tx, awake, now, most=most) if awake else {}
    looked = [_with_lanes(one, lanes.get(one.key, ()), most=most[one.key]) for one in awake]
    rooms = {bucket.key: Room(bucket, now) for bucket in looked}
    asked = {bucket.key: ask(bucket, rooms[bucket.key], most=most[bucket.key]) for bucket in looked}
    wanted = {lane_id: count for one in asked.values() for lane_id, count in one.items() if count}
    cursors = {lane_id: at for bucket in looked for lane_id, at in bucket.cursors.items()}
    found = await claims.heads(tx, wanted, cursors) if wanted else {}
    for bucket in looked:
        key = bucket.key
        resting[key] = plan(bucket, rooms[key], asked[key], found, now, most=most[key])
    for bucket in buckets:
        resting[bucket.key].lifted = over(bucket.told, bucket.default, bucket.paces, now)
    return resting


def _with_lanes(bucket: Bucket, lanes: Sequence[Lane], *, most: int) -> Bucket:
    """The bucket with the lanes that were read of it, of which there may be more."""
    return replace(bucket, lanes=lanes, more_lanes=len(lanes) >= claims.lanes_read(most))


async def _plan_one_by_one(
    tx: Transaction, buckets: Sequence[Bucket], now: datetime, *, most: Mapping[BucketKey, int]
) -> dict[BucketKey, Plan]:
    """A bucket that no rule can make sense of rests for a minute, and must not hold up others."""
    plans: dict[BucketKey, Plan] = {}
    for bucket in buckets:
        try:
            plans |= await _plan(tx, [bucket], now, most=most)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            log.exception("bucket not planned", org_id=bucket.org_id, carrier=bucket.carrier)
            plans[bucket.key] = Plan(due_at=now + NOT_PLANNED)
    return plans


async def _refuse(tx: Transaction, plans: list[Plan]) -> None:
    """Fail what can never go."""
    reasons = {head.key: reason for one in plans for head, reason in one.refused}
    if reasons:
        messages = await results.lock_heads(tx, [head for one in plans for head, _ in one.refused])
        await outcomes.end(
            tx, [Ended(message, "failed", reason=reasons[message.key]) for message in messages]
        )
