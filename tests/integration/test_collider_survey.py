"""The survey in virtual time: what is told of buckets, how often, and by how many replicas."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import pytest
from prometheus_client import REGISTRY

from services.collider import survey
from services.collider.gauges import BUCKETS
from services.collider.state import State
from services.collider.store import survey as store
from services.collider.survey import EVERY, LEASE, RESTS, Survey
from shared.database import Transaction
from shared.events import BucketState
from shared.fields import Carrier
from tests.engine import EVENING, MORNING, Engine


async def watch(collider: Engine, seconds: float, *, every_s: float = 1) -> list[BucketState]:
    """Turn the clock on, with surveys as they are due; what was told meanwhile."""
    before = len(collider.told(BucketState))
    for _ in range(int(seconds / every_s)):
        await collider.run(every_s, every_s=every_s)
        while await Survey(collider.database).step():
            pass
    await collider.step()
    return collider.told(BucketState)[before:]


def of(carrier: Carrier, told: Sequence[BucketState]) -> list[BucketState]:
    return [one for one in told if one.carrier == carrier]


async def shown(collider: Engine, name: str, carrier: Carrier) -> float | None:
    await Survey(collider.database).show()
    return REGISTRY.get_sample_value(f"sluice_bucket_{name}", {"org_id": "org", "carrier": carrier})


async def test_backlog_replies_rate_and_room_are_told(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=60)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 200))
    told = await watch(collider, 90, every_s=0.5)
    last = told[-1]
    assert 0 <= last.backlog - (await collider.statuses())["queued"] <= EVERY.total_seconds()
    assert 58 <= last.sent_per_minute <= 61
    assert last.room in (0, 1)
    assert last.day_quota_left is None
    assert last.oldest_queued_at is not None
    assert abs(last.oldest_queued_at - MORNING) < timedelta(seconds=1)
    assert not last.slowed
    await collider.hear(*collider.texts("att", 3, kind="reply"))
    [now] = await watch_once(collider)
    assert now.replies == 3


async def watch_once(collider: Engine) -> list[BucketState]:
    """What one round tells, without time for anything to be sent."""
    before = len(collider.told(BucketState))
    collider.clock.advance(EVERY.total_seconds())
    while await Survey(collider.database).step():
        pass
    await collider.collect()
    return collider.told(BucketState)[before:]


async def test_a_bucket_is_told_of_every_few_seconds_at_most(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=600)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 1000))
    told = await watch(collider, 60, every_s=0.5)
    assert 5 <= len(told) <= 60 / EVERY.total_seconds() + 1
    apart = [later.at - earlier.at for earlier, later in pairwise(told)]
    assert min(apart) >= timedelta(seconds=4)


async def test_a_bucket_in_which_nothing_changes_is_told_of_once(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING + timedelta(hours=1), closes_at=EVENING)
    await collider.hear(*collider.texts("att", 20))
    told = await watch(collider, 300, every_s=5)
    assert [(one.backlog, one.sent_per_minute) for one in told] == [(20, 0)]


async def test_a_bucket_that_falls_quiet_is_told_of_once_more_and_then_no_longer_shown(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 20))
    told = await watch(collider, 30)
    assert told[-1].backlog == 0
    assert await shown(collider, "sent_per_minute", "att") == 20
    told = await watch(collider, 150)
    assert (told[-1].backlog, told[-1].sent_per_minute, told[-1].oldest_queued_at) == (0, 0, None)
    assert not await watch(collider, 300, every_s=5)
    assert await shown(collider, "sent_per_minute", "att") is None


async def test_two_replicas_that_survey_at_once_tell_once(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING + timedelta(hours=1), closes_at=EVENING)
    for carrier in ("att", "verizon"):
        await collider.hear(*collider.texts(carrier, 5))
    replicas = [Survey(collider.database) for _ in range(2)]
    await replicas[0].step()
    for _ in range(10):
        collider.clock.advance(1)
        await asyncio.gather(*(one.step() for one in replicas))
    await collider.step()
    assert sorted(one.carrier for one in collider.told(BucketState)) == ["att", "verizon"]


async def test_a_replica_that_dies_in_the_middle_leaves_the_survey_to_another(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING + timedelta(hours=1), closes_at=EVENING)
    await collider.hear(*collider.texts("att", 5))
    await Survey(collider.database).step()
    async with collider.database.transaction() as dying:
        assert await store.take(dying, collider.now, until=collider.now + LEASE)
    assert not await watch_once(collider)
    collider.clock.advance(LEASE.total_seconds())
    assert len(await watch_once(collider)) == 1


async def test_a_replica_that_wakes_up_after_its_lease_tells_nothing(
    collider: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await collider.launch(opens_at=MORNING + timedelta(hours=1), closes_at=EVENING)
    await collider.hear(*collider.texts("att", 5))
    zombie, other = Survey(collider.database), Survey(collider.database)
    await zombie.step()
    looks = survey.look

    async def sleep_over(tx: Transaction, keys: Sequence[tuple[str, str]]) -> list[State]:
        monkeypatch.setattr(survey, "look", looks)
        collider.clock.advance(2 * LEASE.total_seconds())
        await other.step()
        return await looks(tx, keys)

    monkeypatch.setattr(survey, "look", sleep_over)
    with pytest.raises(TimeoutError):
        await zombie.step()
    await collider.step()
    assert len(collider.told(BucketState)) == 1


async def test_a_new_limit_and_the_carriers_midnight_are_told_of_quiet_buckets_too(
    collider: Engine,
) -> None:
    await collider.limit("tmobile", segments_per_day=100)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("tmobile", 30))
    told = await watch(collider, 300, every_s=5)
    assert told[-1].day_quota_left == 70
    await collider.limit("tmobile", version=2, segments_per_day=200)
    told = await watch(collider, 90, every_s=5)
    assert [one.day_quota_left for one in told] == [170]
    # Long after the last campaign has closed, and nothing else has woken the bucket.
    collider.clock.at = EVENING + timedelta(hours=1)
    await watch(collider, 300, every_s=5)
    collider.clock.at = MORNING + timedelta(hours=15)
    told = await watch(collider, 90, every_s=5)
    assert [one.day_quota_left for one in told] == [200]


async def test_texts_that_wait_while_the_providers_account_rests_are_counted(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 2))
    await watch(collider, 200, every_s=5)
    async with collider.database.connection() as connection:
        await connection.execute(
            "INSERT INTO pauses VALUES ('telnyx', $1)", collider.now + timedelta(minutes=1)
        )
    # The lane had run dry, and no claim takes up the wake-up that says otherwise.
    await collider.hear(*collider.texts("att", 7))
    told = await watch(collider, 12)
    assert told[-1].backlog == 7


async def test_the_survey_locks_no_bucket(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 5))
    await Survey(collider.database).step()
    collider.clock.advance(EVERY.total_seconds())
    async with collider.database.connection() as claiming:
        transaction = claiming.transaction()
        await transaction.start()
        await claiming.execute("SELECT FROM buckets FOR UPDATE")
        assert await Survey(collider.database).step()
        await transaction.rollback()


async def test_what_is_ready_is_shown_and_what_is_closed_is_not_ready(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING + timedelta(seconds=30), closes_at=EVENING)
    await collider.hear(*collider.texts("att", 5))
    await watch(collider, 10)
    assert await shown(collider, "backlog", "att") == 5
    assert await shown(collider, "ready", "att") == 0
    # Nobody claims: just what an alert is for.
    collider.clock.advance(60)
    await watch_once(collider)
    assert await shown(collider, "ready", "att") == 5
    assert await shown(collider, "oldest_waiting_seconds", "att") == 75


async def test_the_survey_rests_much_longer_than_it_works(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 5))
    one = Survey(collider.database)
    await one.step()
    before = collider.now
    assert await one.step()
    assert not await one.step()
    async with collider.database.connection() as connection:
        row = await connection.fetchrow("SELECT due_at, ended_at FROM surveys")
    assert row is not None
    assert row["ended_at"] == before
    assert row["due_at"] >= before + EVERY
    assert RESTS >= 20


def test_every_gauge_has_a_name_before_there_is_anything_to_show() -> None:
    names = {family.name for family in BUCKETS.describe()}
    assert {"sluice_bucket_backlog", "sluice_survey_timestamp_seconds"} <= names
