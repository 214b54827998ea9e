"""Stories that the state machine found, each made as short as it can be told."""

from datetime import timedelta

from shared.events import CampaignArchived, CampaignResumed, MessageFailed
from tests.engine import EVENING, MORNING, Engine


async def test_an_archive_is_obeyed_though_a_later_word_comes_before_anybody_could(
    collider: Engine,
) -> None:
    await collider.limit("att", version=2, sms_per_minute=0)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 3, kind="reply"))
    await collider.hear(
        CampaignArchived(org_id="org", campaign_id="campaign", archived_at=collider.now)
    )
    # The replicas' workers stood still meanwhile.
    collider.clock.at += timedelta(minutes=5)
    await collider.hear(
        CampaignResumed(org_id="org", campaign_id="campaign", resumed_at=collider.now, revision=2)
    )
    await collider.run(1)
    assert await collider.statuses() == {"campaign closed": 3}
    assert {event.reason for event in collider.told(MessageFailed)} == {"campaign closed"}
