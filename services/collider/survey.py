"""The survey: how every bucket is doing, told when it has changed and shown as metrics."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from prometheus_client import Histogram

from services.collider.bucket import BucketKey
from services.collider.gauges import BUCKETS
from services.collider.state import State, state_of
from services.collider.store import standings
from services.collider.store import survey as store
from services.collider.store.survey import Round
from shared.database import Database, Transaction

EVERY = timedelta(seconds=5)
"""From the begin of one round over all buckets to that of the next, at least."""
# A little less, or a bucket that comes earlier in this round than in the last would be passed over.
TOLD_EVERY = timedelta(seconds=4)
# The most that one step looks at, and counts, if there are as many as last time.
BUCKETS_MOST = 200
TEXTS_MOST = 200_000
LEASE = timedelta(seconds=30)
"""Longer than any statement may take. When a replica dies in a step, another goes on after it."""
# After each step it rests for so many times what that took: of one core, and of the database, the
# survey takes a twentieth, however many texts there are to count.
RESTS = 20
# Quiet buckets are looked at in every so manieth round: midnight and new limits change them too.
WHOLE_EVERY = 12

SHOWN_MOST = 1000
UNROUTED_MOST = 10_000

SURVEY_S = Histogram("sluice_survey_step_seconds", "A step of the survey: up to 200 buckets")


class Survey:
    """Workers. Any number of replicas may run them: one at a time surveys, each shows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def step(self) -> bool:
        """Survey the next buckets, if that is due and nobody else is at it; whether it was."""
        async with self._database.transaction() as tx:
            now = await tx.now()
            leased_until = now + LEASE
            at = await store.take(tx, now, until=leased_until)
        if at is None:
            return False
        begun_s = time.monotonic()
        async with self._database.transaction() as tx:
            if at.begins:
                at = replace(at, begun_at=now, round=at.round + 1)
            keys, more = await _next(tx, at, now)
            if keys:
                await _tell(tx, keys)
            took_s = time.monotonic() - begun_s
            at = _rested(at, await tx.now(afresh=True), took_s, keys[-1] if more else None)
            if not await store.put(tx, at, leased_until=leased_until):
                raise TimeoutError("the survey took longer than its lease")
        SURVEY_S.observe(took_s)
        return True

    async def show(self) -> bool:
        """Take over what the last survey saw into this replica's metrics."""
        async with self._database.transaction() as tx:
            seen = await store.seen(tx, buckets_most=SHOWN_MOST, count_most=UNROUTED_MOST)
            BUCKETS.show(seen, await tx.now())
        return False


async def _next(tx: Transaction, at: Round, now: datetime) -> tuple[list[BucketKey], bool]:
    """The buckets of this step, and whether there are more in the round."""
    found = await store.buckets_after(
        tx,
        at,
        now,
        told_by=now - TOLD_EVERY,
        whole=at.round % WHOLE_EVERY == 1,
        most=BUCKETS_MOST,
    )
    keys: list[BucketKey] = []
    texts = 0
    for key, backlog in found:
        texts += backlog
        if keys and texts > TEXTS_MOST:
            return keys, True
        keys.append(key)
    return keys, len(keys) == BUCKETS_MOST


def _rested(at: Round, now: datetime, took_s: float, up_to: BucketKey | None) -> Round:
    """Where the round stands after a step, and when it goes on; without `up_to` it has ended."""
    goes_on_at = now + RESTS * timedelta(seconds=took_s)
    if up_to is not None:
        return replace(at.at(up_to), due_at=goes_on_at)
    next_at = max(goes_on_at, (at.begun_at or now) + EVERY)
    return replace(at.at(("", "")), due_at=next_at, ended_at=now)


async def look(tx: Transaction, keys: Sequence[BucketKey]) -> list[State]:
    """How these buckets are doing now."""
    now = await tx.now(afresh=True)
    standing = await standings.read(tx, keys)
    buckets = await standings.read_buckets(tx, standing, {}, now)
    waiting = await store.waiting(tx, standing, now)
    return [state_of(bucket, waiting[bucket.key], standing[bucket.key], now) for bucket in buckets]


async def _tell(tx: Transaction, keys: Sequence[BucketKey]) -> None:
    """Look at these buckets, and write down and tell of those that have changed."""
    known = await store.states(tx, keys)
    changed = [state for state in await look(tx, keys) if state != known.get(state.key)]
    if changed:
        now = await tx.now()
        await store.write(tx, changed, now)
        tx.tell(*(state.event(now) for state in changed))
