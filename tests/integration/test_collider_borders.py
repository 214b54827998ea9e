"""The last moments before a close, a window's end and a carrier's midnight, and the last look
before a call: in virtual time, at the ledger."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal
from unittest import mock
from zoneinfo import ZoneInfo

import pytest

from services.collider import dispatch
from services.sandbox.minutes import day_of
from shared.clock import ManualClock
from shared.events import (
    CampaignArchived,
    CampaignPaused,
    ContactOptedOut,
    Event,
    MessageFailed,
    QueueWithdrawn,
    WindowChanged,
)
from shared.rules.hours import Hours, Window
from shared.rules.meters import SPREAD_S
from tests.engine import EVENING, MORNING, Engine, phone
from tests.replicas import Stopwatch

LOS_ANGELES = "America/Los_Angeles"
SPREAD = timedelta(seconds=SPREAD_S)
DAYTIME = Hours.parse("9:00", "21:00", LOS_ANGELES)
ALL_DAY = Hours.parse("0:00", "24:00", LOS_ANGELES)

Border = Literal["a close", "a window's end", "a midnight"]


def window_changed(closes_at: datetime, revision: int, hours: Hours = DAYTIME) -> WindowChanged:
    return WindowChanged(
        org_id="org", campaign_id="campaign", revision=revision, hours=hours,
        window=Window(MORNING - timedelta(days=1), closes_at),
    )  # fmt: skip


# --- the last of a spread --------------------------------------------------------------------


@pytest.mark.parametrize("border", ["a close", "a window's end", "a midnight"])
@pytest.mark.parametrize("late_s", [0.0, 0.24])
async def test_no_call_starts_in_the_last_spread_before(
    collider: Engine, border: Border, late_s: float
) -> None:
    """However late a dispatcher starts what was claimed: step by step over the border."""
    at = await _approach(collider, border)
    collider.clock.at = at - timedelta(seconds=3)
    await collider.hear(*collider.texts("tmobile", 200))
    while collider.now < at + timedelta(seconds=2):
        await collider.keep_up()
        await collider.claimer.step()
        collider.clock.advance(late_s)
        await collider.replicas[0].dispatch()
        collider.clock.advance(max(0.05 - late_s, 0.001))

    arrivals = [entry.arrived_at for entry in collider.world.judge.page(0, 1000)]
    before = [when for when in arrivals if when < at]
    assert len(before) >= 5
    assert max(before) <= at - SPREAD
    # And no longer before it than that and the time until the last claim's calls have begun.
    assert max(before) >= at - 2 * SPREAD - timedelta(seconds=1)
    if border == "a midnight":
        after = [when for when in arrivals if when >= at]
        assert after
        assert min(after) - at < timedelta(seconds=1)
    else:
        assert arrivals == before
    await collider.run(60, every_s=5)
    verdict = collider.world.judge.verdict()
    assert verdict["ok"], verdict


async def _approach(collider: Engine, border: Border) -> datetime:
    midnight = EVENING + timedelta(hours=3)
    ends_at = {
        "a close": MORNING + timedelta(days=3),
        "a window's end": MORNING + timedelta(minutes=30),
        "a midnight": MORNING + timedelta(days=3),
    }[border]
    hours = ALL_DAY if border == "a midnight" else DAYTIME
    await collider.limit("tmobile", sms_per_minute=120, segments_per_day=100)
    await collider.launch(opens_at=MORNING, closes_at=ends_at)
    await collider.hear(window_changed(ends_at, 2, hours))
    collider.promise(Window(MORNING - timedelta(days=1), ends_at), hours)
    return {"a close": EVENING, "a window's end": ends_at, "a midnight": midnight}[border]


async def test_each_side_of_a_midnight_is_charged_to_its_own_day(collider: Engine) -> None:
    midnight = await _approach(collider, "a midnight")
    collider.clock.at = midnight - timedelta(seconds=70)
    await collider.hear(*collider.texts("tmobile", 300))
    await collider.run(140)
    days = [day_of(one.arrived_at, LOS_ANGELES) for one in collider.world.judge.page(0, 1000)]
    assert len(days) == 200
    assert [days.count(day) for day in sorted(set(days))] == [100, 100]
    assert collider.world.judge.verdict()["ok"]


# --- the last look before a call -------------------------------------------------------------


def archived(collider: Engine) -> CampaignArchived:
    return CampaignArchived(org_id="org", campaign_id="campaign", archived_at=collider.now)


def paused(collider: Engine) -> CampaignPaused:
    return CampaignPaused(org_id="org", campaign_id="campaign", paused_at=collider.now, revision=2)


def opted_out(collider: Engine) -> ContactOptedOut:
    return ContactOptedOut(org_id="org", phone=phone("att", 0), opted_out_at=collider.now)


def ended(collider: Engine) -> WindowChanged:
    return window_changed(MORNING - timedelta(hours=1), 2)


def ends_in_a_moment(collider: Engine) -> WindowChanged:
    return window_changed(collider.now + timedelta(seconds=0.3), 2)


@pytest.mark.parametrize("fact", [archived, paused, opted_out, ended, ends_in_a_moment])
async def test_what_is_learnt_between_the_claim_and_the_call_is_heeded(
    collider: Engine, fact: Callable[[Engine], Event]
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 1))
    await collider.claimer.step()
    assert await collider.statuses() == {"claimed": 1}
    await collider.hear(fact(collider))
    collider.clock.advance(0.01)
    await collider.replicas[0].dispatch()
    assert not collider.world.judge.page(0, 10)
    await collider.run(5)
    assert not collider.world.judge.page(0, 10)
    if fact is not paused:
        assert len(collider.told(MessageFailed)) == 1


async def test_a_claim_that_is_a_spread_old_is_called_no_more(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    for late_s, called in ((0.25, 1), (0.251, 0)):
        await collider.hear(*collider.texts("att", 1))
        seen = len(collider.world.judge.page(0, 10))
        await collider.claimer.step()
        collider.clock.advance(late_s)
        await collider.replicas[0].dispatch()
        assert len(collider.world.judge.page(0, 10)) - seen == called
    await collider.run(2)
    assert await collider.statuses() == {"delivered": 2}


async def test_a_replica_whose_own_stopwatch_stood_still_calls_nothing_old(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 1))
    await collider.claimer.step()
    collider.clock.advance(1)
    with mock.patch.object(dispatch, "time", Stopwatch(ManualClock(collider.now))):
        await collider.replicas[0].dispatch()
    assert not collider.world.judge.page(0, 10)
    await collider.run(10)
    assert await collider.statuses() == {"delivered": 1}


async def test_a_replica_that_is_frozen_between_its_intent_and_its_call_calls_nobody(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 1))
    await collider.claimer.step()
    await collider.dispatcher.step()
    assert collider.dispatcher.busy
    collider.clock.advance(1)
    await asyncio.sleep(0)
    assert not collider.world.judge.page(0, 10)
    await collider.run(10)
    assert await collider.statuses() == {"delivered": 1}


async def test_a_zombies_word_on_its_attempt_changes_nothing_of_the_next(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 1))
    zombie, other = collider.replicas[0], collider.start_replica()
    await zombie.claimer.step()
    collider.clock.advance(6)
    await collider.keep_up()
    other.line.fates.append("hangs")
    await other.work()
    assert await collider.statuses() == {"calling": 1}
    # It finds its own claim gone, and says that it has not started its call.
    await zombie.dispatch()
    assert await collider.statuses() == {"calling": 1}
    other.line.let_go()
    await other.dispatch()
    await collider.run(10)
    assert await collider.statuses() == {"delivered": 1}
    assert [one.attempt for one in collider.world.judge.page(0, 10)] == ["2"]


async def test_replicas_that_claim_in_the_same_instant_share_one_minute(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=60)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 300))
    replicas = [collider.replicas[0], *(collider.start_replica() for _ in range(3))]
    for _ in range(80):
        collider.clock.advance(1)
        await asyncio.gather(*(replica.work() for replica in replicas))
    verdict = collider.world.judge.verdict()
    assert verdict["ok"], verdict
    assert 76 <= len(collider.world.judge.page(0, 1000)) <= 80


async def test_what_is_withdrawn_with_the_call_at_hand_is_gone_within_a_second(
    collider: Engine,
) -> None:
    await collider.limit("att", version=2, sms_per_minute=60)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 50))
    await collider.run(3)
    await collider.claimer.step()
    withdrawn_at = collider.now
    await collider.hear(
        QueueWithdrawn(org_id="org", campaign_id="campaign", withdrawn_at=withdrawn_at)
    )
    await collider.run(30)
    last = max(entry.arrived_at for entry in collider.world.judge.page(0, 100))
    assert last <= withdrawn_at + timedelta(seconds=1)
    statuses = await collider.statuses()
    assert statuses.keys() == {"delivered", "failed"}


# --- edits after the launch ------------------------------------------------------------------


async def test_a_window_that_is_extended_minutes_before_its_end_goes_on(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=60)
    ends_at = MORNING + timedelta(minutes=10)
    await collider.launch(opens_at=MORNING, closes_at=ends_at)
    collider.promise(Window(MORNING, ends_at), DAYTIME)
    collider.clock.at = ends_at - timedelta(minutes=2)
    await collider.hear(*collider.texts("att", 240))
    await collider.run(60, every_s=0.5)
    later_at = ends_at + timedelta(minutes=10)
    await collider.hear(window_changed(later_at, 2))
    collider.promise(Window(MORNING, later_at), DAYTIME)
    await collider.go_to(later_at)
    assert await collider.statuses() == {"delivered": 240}
    # Over the old end there was no break.
    arrivals = [entry.arrived_at for entry in collider.world.judge.page(0, 1000)]
    gaps = [after - before for before, after in pairwise(arrivals)]
    assert max(gaps) < timedelta(seconds=2)
    assert collider.world.judge.verdict()["ok"]


@pytest.mark.parametrize(
    "night", [datetime(2026, 10, 31), datetime(2027, 3, 13)], ids=["autumn", "spring"]
)
async def test_hours_about_the_change_of_clocks_are_those_on_the_wall(
    collider: Engine, night: datetime
) -> None:
    """Open from one to three in the night: four hours in autumn's, where one comes twice, and one
    hour in spring's, where two is skipped."""
    zone = ZoneInfo(LOS_ANGELES)
    start = night.replace(hour=22, tzinfo=zone)
    collider.clock.at = start.astimezone(ZoneInfo("UTC"))
    hours = Hours.parse("1:00", "3:00", LOS_ANGELES)
    await collider.launch(opens_at=start, closes_at=start + timedelta(days=1), opens="1:00",
                          closes="3:00")  # fmt: skip
    collider.promise(Window(start, start + timedelta(days=1)), hours)
    # Every ten minutes a text comes; it goes at once, or waits for the opening.
    for _ in range(50):
        await collider.hear(*collider.texts("att", 1))
        await collider.go_to(collider.now + timedelta(minutes=10))
    arrivals = [one.arrived_at.astimezone(zone) for one in collider.world.judge.page(0, 1000)]
    assert {one.hour for one in arrivals} == ({1, 2} if night.month == 10 else {1})
    opened = arrivals[0].timestamp(), arrivals[-1].timestamp()
    open_for_s = 3 * 3600 if night.month == 10 else 3600
    assert open_for_s - 700 <= opened[1] - opened[0] <= open_for_s
    assert collider.world.judge.verdict()["ok"]
