"""What an admin says after the launch: pause, resume, withdraw, archive. In virtual time."""

from datetime import timedelta

from shared.events import (
    CampaignArchived,
    CampaignPaused,
    CampaignResumed,
    MessageDelivered,
    MessageFailed,
    MessageSent,
    QueueWithdrawn,
)
from tests.engine import EVENING, MORNING, Engine

CAMPAIGN = {"org_id": "org", "campaign_id": "campaign"}


def paused(collider: Engine, revision: int) -> CampaignPaused:
    return CampaignPaused(
        org_id="org", campaign_id="campaign", paused_at=collider.now, revision=revision
    )


def resumed(collider: Engine, revision: int) -> CampaignResumed:
    return CampaignResumed(
        org_id="org", campaign_id="campaign", resumed_at=collider.now, revision=revision
    )


def withdrawn(collider: Engine) -> QueueWithdrawn:
    return QueueWithdrawn(org_id="org", campaign_id="campaign", withdrawn_at=collider.now)


def archived(collider: Engine) -> CampaignArchived:
    return CampaignArchived(org_id="org", campaign_id="campaign", archived_at=collider.now)


async def under_way(collider: Engine, *, queued: int = 50, sent_s: float = 5) -> int:
    """A campaign whose texts go at one a second; how many have gone."""
    await collider.limit("att", version=2, sms_per_minute=60)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", queued))
    await collider.run(sent_s)
    sent = len(collider.told(MessageSent))
    assert 0 < sent < queued
    return sent


async def test_a_paused_campaign_sends_nothing_until_it_is_resumed(collider: Engine) -> None:
    sent = await under_way(collider)
    await collider.hear(paused(collider, 1))
    await collider.hear(*collider.texts("att", 3, kind="reply"))
    await collider.run(120, every_s=1)
    assert len(collider.told(MessageSent)) == sent
    await collider.hear(resumed(collider, 2))
    await collider.run(1)
    assert len(collider.told(MessageSent)) > sent
    await collider.run(60)
    assert await collider.statuses() == {"delivered": 53}


async def test_a_pause_that_comes_after_its_resumption_changes_nothing(collider: Engine) -> None:
    sent = await under_way(collider)
    await collider.hear(resumed(collider, 2), paused(collider, 1))
    await collider.run(3)
    assert len(collider.told(MessageSent)) > sent


async def test_a_pause_holds_for_lanes_that_are_made_after_it(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(paused(collider, 1))
    await collider.hear(*collider.texts("att", 3))
    await collider.run(5)
    assert not collider.told(MessageSent)


async def test_a_paused_campaigns_window_ends_all_the_same(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=MORNING + timedelta(minutes=5))
    await collider.hear(paused(collider, 1))
    await collider.hear(*collider.texts("att", 3))
    await collider.run(301, every_s=1)
    assert [event.reason for event in collider.told(MessageFailed)] == ["sending failed"] * 3


async def test_what_is_withdrawn_never_goes_and_what_is_queued_later_does(
    collider: Engine,
) -> None:
    sent = await under_way(collider)
    collider.clock.advance(0.1)
    await collider.hear(withdrawn(collider))
    late = collider.texts("att", 1)
    collider.clock.advance(0.1)
    await collider.hear(*collider.texts("att", 2), *late)
    await collider.run(10)
    assert len(collider.told(MessageSent)) == sent + 2
    failed = collider.told(MessageFailed)
    assert {event.reason for event in failed} == {"withdrawn by an admin before it was sent"}
    # One that was queued before the withdrawal and comes after it is withdrawn like the others.
    assert late[0].message_id in {event.message_id for event in failed}
    assert len(failed) == 50 - sent + 1


async def test_what_is_withdrawn_is_not_claimed_before_it_has_been_ended(
    collider: Engine,
) -> None:
    sent = await under_way(collider)
    await collider.hear(withdrawn(collider))
    for _ in range(40):
        # The sweep has not come yet; the claim passes them over by itself.
        collider.clock.advance(0.25)
        await collider.send()
    await collider.step()
    assert len(collider.told(MessageSent)) == sent


async def test_an_archived_campaign_sends_nothing_more(collider: Engine) -> None:
    sent = await under_way(collider)
    await collider.hear(*collider.texts("att", 1, kind="reply"))
    await collider.hear(archived(collider))
    await collider.hear(*collider.texts("att", 1), *collider.texts("att", 1, kind="reply"))
    await collider.run(10)
    assert len(collider.told(MessageSent)) == sent
    assert (await collider.statuses())["campaign closed"] == 50 - sent + 3
    assert {event.reason for event in collider.told(MessageFailed)} == {"campaign closed"}


async def test_a_text_put_back_after_the_archive_ends_with_it(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 1))
    await collider.claimer.step()
    await collider.hear(archived(collider))
    await collider.run(70, every_s=1)
    collider.clock.advance(5)
    await collider.run(3)
    assert await collider.statuses() == {"campaign closed": 1}


async def test_a_text_queued_long_after_the_archive_ends_at_once(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(archived(collider))
    # One that was archived before anything else was heard of it waits for no launch.
    await collider.hear(archived(collider).model_copy(update={"campaign_id": "never-launched"}))
    await collider.run(3600, every_s=60)
    [unknown] = collider.texts("att", 1)
    await collider.hear(
        *collider.texts("att", 1),
        *collider.texts("att", 1, kind="reply"),
        unknown.model_copy(update={"carrier": None}),
        *collider.texts("att", 1, campaign_id="never-launched"),
    )
    assert await collider.statuses() == {"campaign closed": 4}
    await collider.collect()
    assert [one.reason for one in collider.told(MessageFailed)] == ["campaign closed"] * 4


async def test_texts_under_way_at_the_archive_are_settled_by_their_receipts(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    lost, *rest = texts = collider.texts("att", 3)
    await collider.hear(*texts)
    # One answer is lost on its way; a carrier says of another later that it came too fast.
    collider.replicas[0].line.fates.append("lost")
    collider.world.phones.spoil(rest[0].to, "40018")
    await collider.send()
    assert await collider.statuses() == {"unclear": 1, "sent": 2}
    await collider.hear(archived(collider))
    await collider.run(70, every_s=1)
    assert await collider.statuses() == {"delivered": 2, "campaign closed": 1}
    assert {one.message_id for one in collider.told(MessageDelivered)} == {
        lost.message_id,
        rest[1].message_id,
    }


# --- no one's calls hold up another's --------------------------------------------------------


async def test_an_organization_whose_calls_hang_leaves_hands_for_others(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 3000))
    while await collider.claimer.step():
        pass
    taken = collider.dispatcher.free
    assert collider.dispatcher.crowding == ["org"]
    assert taken >= 1400
    assert (await collider.statuses())["claimed"] <= 600


async def test_a_machine_that_is_too_busy_takes_less_at_once_until_calls_start_in_time(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 300))
    hands = collider.dispatcher.free
    await collider.claimer.step()
    # The marking comes after the spread is over.
    collider.clock.advance(1)
    await collider.dispatcher.step()
    while await collider.dispatcher.step():
        pass
    halved = collider.dispatcher.free
    assert halved == hands // 2
    await collider.run(5)
    assert halved < collider.dispatcher.free <= hands
    assert await collider.statuses() == {"delivered": 300}
