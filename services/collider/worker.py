"""Claims: what may go now is marked as claimed and given to the dispatcher."""

import time

from services.collider import outcomes
from services.collider.dispatch import Dispatcher
from services.collider.domain import Outbound
from services.collider.plan import Bucket, Plan, Room, plan
from services.collider.store import claims, results
from services.collider.store.claims import BucketKey
from services.collider.store.results import Ended
from shared.database import Database, Transaction

BUCKETS_MOST = 200
BUCKET_MOST = 500
"""As many messages of one bucket are claimed at once, however much room there is."""
# Much longer than a claim may wait for its call, so that it only runs out when the replica died.
CLAIM_LEASE_S = 5.0


class Claimer:
    """A worker. Any number of replicas may claim: each bucket's row lets in one at a time."""

    def __init__(self, database: Database, dispatcher: Dispatcher) -> None:
        self._database = database
        self._dispatcher = dispatcher

    async def step(self) -> bool:
        """Claim from the buckets that are due, as much as can be called at once; whether there
        was any."""
        free = self._dispatcher.free
        if free < 1:
            return False
        # Taken before the database's time of the claim, so that the age is never underestimated.
        started_s = time.monotonic()
        async with self._database.transaction() as tx:
            keys, texts = await _claim(tx, self._dispatcher.provider_name, most=free)
        self._dispatcher.take(texts, started_s)
        return bool(keys)


async def _claim(
    tx: Transaction, provider: str, *, most: int
) -> tuple[list[BucketKey], list[Outbound]]:
    paused_until = await claims.paused_until(tx, provider)
    if paused_until is not None and await tx.now() < paused_until:
        return [], []
    keys = await claims.lock_due(tx, await tx.now(), most=min(BUCKETS_MOST, most))
    if not keys:
        return [], []
    # The locks may have been waited for: room is counted from after them.
    now = await tx.now(afresh=True)
    await claims.consume_wakes(tx, keys)
    buckets = await claims.read_buckets(tx, keys, now)
    share = min(BUCKET_MOST, max(1, most // len(keys)))
    asked: dict[int, int] = {}
    rooms: dict[BucketKey, Room] = {}
    for bucket in buckets:
        room = rooms[bucket.key] = Room(bucket, now)
        if not bucket.is_paused(now):
            asked |= {lane.lane_id: room.appetite(lane, share) for lane in bucket.lanes}
    wanted = {lane_id: count for lane_id, count in asked.items() if count}
    found = await claims.heads(tx, wanted) if wanted else {}
    plans: list[tuple[Bucket, Plan]] = []
    for bucket in buckets:
        if bucket.is_paused(now):
            plans.append((bucket, Plan(due_at=bucket.paused_until)))
        else:
            plans.append((bucket, plan(bucket, rooms[bucket.key], asked, found, now, most=share)))
    await claims.write_plans(tx, [(bucket.key, planned) for bucket, planned in plans])
    await _refuse(tx, [planned for _, planned in plans])
    chosen = [one for _, planned in plans for one in planned.chosen]
    texts = await claims.claim(tx, chosen, now, lease_s=CLAIM_LEASE_S) if chosen else []
    return keys, texts


async def _refuse(tx: Transaction, plans: list[Plan]) -> None:
    """Fail what can never go."""
    reasons = {
        (head.org_id, head.message_id): reason for one in plans for head, reason in one.refused
    }
    if reasons:
        messages = await results.lock_heads(tx, [head for one in plans for head, _ in one.refused])
        await outcomes.end(
            tx, [Ended(message, "failed", reason=reasons[message.key]) for message in messages]
        )
