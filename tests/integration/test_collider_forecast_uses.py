"""What is made of forecasts, held against the real engine: the end that saves all, and when a text
that is queued now is expected to go."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.collider import survey
from shared.events import MessageSent
from shared.fields import Carrier
from shared.rules.forecast import Bucket, BucketSeen, Load, expected_at, forecast, safe_end
from shared.rules.hours import Hours, Window
from shared.rules.limits import ORGANIZATION, Limits
from tests.engine import EVENING, MORNING, Engine, engine
from tests.forecast_cases import LOS_ANGELES, Campaign, Case, draw
from tests.forecast_race import LATER, Race

REACH = timedelta(days=3)
CASES = 12
HOURS = Hours.parse("9:00", "21:00", LOS_ANGELES)


# --- the end that saves all --------------------------------------------------------------------


@pytest.mark.timeout(600)
async def test_with_the_end_that_the_forecast_calls_safe_none_fails(database_url: str) -> None:
    async with engine(database_url, MORNING) as collider:
        saved = [one for seed in range(300) if (one := _saved(seed, collider.now)) is not None]
        saved = saved[:CASES]
        assert len(saved) == CASES
        race = Race(collider, [case for case, _ in saved])
        await race.begin()
        await race.go_to(race.begun_at + LATER)
        await race.go_on()
        await race.go_to(race.begun_at + REACH + timedelta(days=1))
        ends = race.ends(race.begun_at - LATER)
        for case, campaign in saved:
            failed = {
                carrier: ends[case.seed][campaign.campaign_id, carrier].failed
                for carrier in case.carriers
            }
            assert not any(failed.values()), (case.seed, campaign, failed)


def _saved(seed: int, now: datetime) -> tuple[Case, Campaign] | None:
    """A case in which a campaign would fail texts, with the end that saves them; else None."""
    case = replace(draw(seed, now), later=())
    loads = [
        Load(
            batch.campaign.campaign_id, batch.campaign.use_case_id, batch.carrier, batch.kind,
            batch.channel, {size: batch.segments.count(size) for size in set(batch.segments)},
            batch.campaign.window, batch.campaign.hours, now + timedelta(microseconds=index),
            paused=batch.campaign.pause != "none",
        )
        for index, batch in enumerate(case.batches)
    ]  # fmt: skip
    buckets = [Bucket(carrier, case.limits.get(carrier, {})) for carrier in case.carriers]
    outlook = forecast(now, buckets, loads)
    for campaign in case.campaigns:
        if campaign.pause == "none" and outlook.failing(campaign.campaign_id):
            end = safe_end(now, buckets, loads, campaign.campaign_id, reach=REACH)
            if end is not None:
                longer = replace(campaign, window=Window(campaign.window.opens_at, end))
                return _with(case, campaign, longer), longer
    return None


def _with(case: Case, before: Campaign, after: Campaign) -> Case:
    return replace(
        case,
        campaigns=tuple(after if one is before else one for one in case.campaigns),
        batches=tuple(
            replace(one, campaign=after) if one.campaign is before else one for one in case.batches
        ),
    )


# --- a single text -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("carrier", "caps", "begins", "goes"),
    [
        # Behind 79 others, of which 20 s let out as many as they can.
        ("att", {"sms_per_minute": 60}, "10:00", None),
        ("tmobile", {"segments_per_day": 50}, "10:00", "09:00"),
        ("verizon", {"sms_per_minute": 6_000}, "22:00", "09:00"),
    ],
)
async def test_a_text_goes_when_it_is_expected_to(
    database_url: str, carrier: Carrier, caps: dict[str, Any], begins: str, goes: str | None
) -> None:
    at = datetime.fromisoformat(f"2026-10-20 {begins}").replace(tzinfo=ZoneInfo(LOS_ANGELES))
    async with engine(database_url, at) as collider:
        window = Window(MORNING, EVENING + timedelta(days=1))
        await collider.limit(carrier, **caps)
        await collider.launch(opens_at=window.opens_at, closes_at=window.closes_at)
        await collider.hear(*collider.texts(carrier, 79))
        await collider.run(20)
        expected = await _expected(collider, carrier, caps, window)
        [text] = collider.texts(carrier, 1)
        await collider.hear(text)
        begun_at = collider.now
        while (sent_at := _sent_at(collider, text.message_id)) is None:
            await collider.go_to(collider.now + timedelta(hours=1))
        assert abs(sent_at - expected) <= max(0.02 * (sent_at - begun_at), timedelta(seconds=1.5))
        if goes is not None:
            morning = MORNING + timedelta(days=1)
            assert f"{expected.astimezone(ZoneInfo(LOS_ANGELES)):%H:%M}" == goes
            assert timedelta(0) <= sent_at - morning < timedelta(seconds=2)


async def _expected(
    collider: Engine, carrier: Carrier, caps: dict[str, Any], window: Window
) -> datetime:
    async with collider.database.transaction() as tx:
        [state] = await survey.look(tx, [("org", carrier)])
    seen = BucketSeen(
        collider.now, state.backlog, state.replies, state.sent_per_minute, state.room,
        state.day_quota_left, state.slowed,
    )  # fmt: skip
    per_minute, per_day = caps.get("sms_per_minute"), caps.get("segments_per_day")
    told = {ORGANIZATION: Limits(ORGANIZATION, per_minute, "segment", None, per_day)}
    text = Load(
        "campaign", "use-case", carrier, "initial", "sms", {1: 1}, window, HOURS, collider.now
    )
    expected = expected_at(collider.now, Bucket(carrier, told, seen), text)
    assert expected is not None
    return expected


def _sent_at(collider: Engine, message_id: str) -> datetime | None:
    found = [one.at for one in collider.told(MessageSent) if one.message_id == message_id]
    return found[0] if found else None
