"""When texts go, in virtual time: in which order, in which hours, and from facts in any order."""

from datetime import datetime, timedelta

from shared.events import MessageFailed, MessageSent, WindowChanged, WindowClosed
from tests.engine import EVENING, MORNING, Engine


def window_changed(closes_at: datetime, revision: int) -> WindowChanged:
    return WindowChanged.model_validate(
        {
            "org_id": "org", "campaign_id": "campaign", "revision": revision,
            "window": {"opens_at": MORNING, "closes_at": closes_at},
            "hours": {"opens": "9:00", "closes": "21:00", "time_zone": "America/Los_Angeles"},
        }
    )  # fmt: skip


# --- order and hours -------------------------------------------------------------------------


async def test_a_reply_overtakes_the_initials_that_wait(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=60)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 50))
    await collider.run(5)
    [reply] = collider.texts("att", 1, kind="reply")
    await collider.hear(reply)
    await collider.run(2)
    sent = [event.message_id for event in collider.told(MessageSent)]
    assert reply.message_id in sent
    assert len(sent) < 12


async def test_the_campaign_whose_time_runs_out_first_goes_first(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=60)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.launch(
        opens_at=MORNING,
        closes_at=MORNING + timedelta(minutes=11),
        campaign_id="urgent",
        number="+12125550101",
    )
    await collider.hear(*collider.texts("att", 300))
    await collider.hear(*collider.texts("att", 500, campaign_id="urgent"))
    await collider.run(14 * 60)
    assert not collider.told(MessageFailed)
    assert await collider.statuses() == {"delivered": 800}
    # In the same world oldest first would have kept the urgent ones waiting for too long.
    evening, urgent = (300, 12 * 60), (500, 11)
    assert _left_over([evening, urgent], per_minute=60) == 140
    assert _left_over([urgent, evening], per_minute=60) == 0


def _left_over(campaigns: list[tuple[int, int]], *, per_minute: int) -> int:
    """Of campaigns (texts, minutes until their end), one after the other: how many do not go."""
    left, minute = 0, 0.0
    for texts, ends in campaigns:
        gone = min(texts, max(0, int((ends - minute) * per_minute)))
        left += texts - gone
        minute += gone / per_minute
    return left


async def test_what_is_queued_while_closed_goes_at_the_next_opening(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING - timedelta(days=1), closes_at=EVENING)
    collider.clock.at = MORNING - timedelta(hours=2)
    await collider.hear(*collider.texts("att", 3))
    await collider.run(2 * 3600 - 10, every_s=60)
    assert not collider.told(MessageSent)
    await collider.run(12)
    assert len(collider.told(MessageSent)) == 3
    assert min(event.at for event in collider.told(MessageSent)) >= MORNING


async def test_a_window_that_is_moved_into_the_past_ends_at_once(collider: Engine) -> None:
    await collider.limit("att", version=2, sms_per_minute=60)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 50))
    await collider.run(3)
    sent = len(collider.told(MessageSent))
    await collider.hear(window_changed(MORNING + timedelta(seconds=1), revision=2))
    await collider.run(1)
    assert len(collider.told(MessageSent)) == sent
    assert len(collider.told(MessageFailed)) == 50 - sent


async def test_an_older_edit_that_comes_late_changes_nothing(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(window_changed(EVENING, revision=3))
    await collider.hear(window_changed(MORNING + timedelta(seconds=1), revision=2))
    await collider.run(2)
    await collider.hear(*collider.texts("att", 1))
    await collider.run(1)
    assert len(collider.told(MessageSent)) == 1


async def test_what_failed_at_the_end_stays_failed_and_what_comes_after_an_extension_goes(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=MORNING + timedelta(seconds=5))
    await collider.limit("att", version=2, sms_per_minute=0)
    await collider.hear(*collider.texts("att", 3))
    await collider.run(8)
    assert len(collider.told(MessageFailed)) == 3
    await collider.hear(*collider.texts("att", 1))
    assert len(collider.told(MessageFailed)) == 3
    await collider.run(1)
    # Queued after the end and before the extension: the window was over for it too.
    assert len(collider.told(MessageFailed)) == 4

    await collider.limit("att", version=3)
    await collider.hear(window_changed(EVENING, revision=2))
    await collider.hear(*collider.texts("att", 2))
    await collider.run(2)
    assert await collider.statuses() == {"sending failed": 4, "delivered": 2}


async def test_a_window_closed_by_anothers_word_is_closed(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(
        WindowClosed(org_id="org", campaign_id="campaign", closed_at=collider.now, revision=1)
    )
    await collider.hear(*collider.texts("att", 2))
    await collider.run(1)
    assert {event.reason for event in collider.told(MessageFailed)} == {"sending failed"}
    assert not collider.told(MessageSent)


async def test_replies_go_on_after_the_window(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=MORNING + timedelta(seconds=5))
    await collider.run(10)
    await collider.hear(*collider.texts("att", 2, kind="reply"))
    await collider.run(1)
    assert len(collider.told(MessageSent)) == 2


# --- facts in any order ----------------------------------------------------------------------


async def test_texts_that_come_before_the_launch_wait_for_it(collider: Engine) -> None:
    await collider.hear(*collider.texts("att", 3))
    await collider.run(1)
    assert await collider.statuses() == {"unrouted": 3}
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.run(2)
    assert await collider.statuses() == {"delivered": 3}


async def test_texts_of_a_campaign_that_nobody_launches_fail_with_that_reason(
    collider: Engine,
) -> None:
    await collider.hear(*collider.texts("att", 2))
    collider.clock.advance(86_401)
    while await collider.upkeep.expire():
        pass
    await collider.run(1)
    assert {event.reason for event in collider.told(MessageFailed)} == {
        "its campaign was never launched"
    }


async def test_the_same_id_twice_is_one_text(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    [text] = collider.texts("att", 1)
    await collider.hear(text, text)
    await collider.hear(text.model_copy(update={"text": "Another word"}))
    await collider.run(1)
    assert len(collider.told(MessageSent)) == 1
    assert len(collider.world.judge.page(0, 10)) == 1
