"""The two examples of the article on start and end dates, in virtual time."""

from datetime import timedelta

import pytest

from shared.events import MessageFailed, MessageSent
from tests.engine import MORNING, Engine, engine


async def test_ten_thousand_mms_at_a_thousand_a_minute_take_ten_minutes(
    database_url: str,
) -> None:
    async with engine(database_url, MORNING) as collider:
        await collider.limit("att", mms_per_minute=1000)
        await collider.launch(opens_at=MORNING, closes_at=MORNING + timedelta(hours=12))
        await collider.hear(*collider.texts("att", 10_000, channel="mms", text="", media_urls=(
            "https://example.org/poster.png",
        )))  # fmt: skip

        while len(collider.told(MessageSent)) < 10_000:
            assert collider.now < MORNING + timedelta(minutes=11)
            await collider.run(1)

        took_s = (collider.now - MORNING).total_seconds()
        assert took_s == pytest.approx(600, rel=0.02)
        _judge(collider)


@pytest.mark.parametrize("days", [1, 2])
async def test_what_is_over_a_days_quota_waits_for_the_next_day_if_the_window_lasts(
    database_url: str, days: int
) -> None:
    async with engine(database_url, MORNING) as collider:
        await collider.limit("tmobile", segments_per_day=10_000)
        closes_at = MORNING + timedelta(days=days - 1, hours=12)
        await collider.launch(opens_at=MORNING, closes_at=closes_at)
        await collider.hear(*collider.texts("tmobile", 15_000))

        await collider.run(600, every_s=1)
        assert len(collider.told(MessageSent)) == 10_000
        # All the evening and the night, over the carrier's midnight, to just before the opening.
        await collider.run(23.75 * 3600 - 60, every_s=300)
        assert len(collider.told(MessageSent)) == 10_000

        if days == 1:
            failed = collider.told(MessageFailed)
            assert len(failed) == 5_000
            assert {event.reason for event in failed} == {"sending failed"}
            assert await collider.statuses() == {"delivered": 10_000, "sending failed": 5_000}
        else:
            await collider.run(660, every_s=1)
            later = collider.told(MessageSent)[10_000:]
            assert len(later) == 5_000
            assert min(event.at for event in later) >= MORNING + timedelta(days=1)
            assert (await collider.statuses())["delivered"] == 15_000
        _judge(collider)


def _judge(collider: Engine) -> None:
    verdict = collider.world.judge.verdict()
    assert verdict["ok"], verdict
