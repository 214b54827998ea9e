"""Follow-ups on numbers that rest after their last campaign's archive, or are gone. In virtual
time."""

from itertools import permutations

import pytest

from shared.events import CampaignArchived, MessageSent, NumberProvisioned
from tests.engine import EVENING, MORNING, NUMBER, Engine
from tests.integration.test_collider_provisioning import launched, provisioned, sent


async def rested(collider: Engine) -> None:
    """A number that was provisioned, and whose only campaign is archived."""
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(provisioned("complete", collider.now))
    collider.clock.advance(60)
    await collider.hear(
        CampaignArchived(org_id="org", campaign_id="campaign", archived_at=collider.now)
    )
    collider.clock.advance(60)


def without_number(collider: Engine) -> NumberProvisioned:
    """What is told of a follow-up that came too late for its number."""
    told = provisioned("failed", collider.now, campaign_id="follow-up")
    return told.model_copy(update={"number": None, "reason": "the number was given back"})


async def test_a_follow_up_that_holds_waits_until_a_resting_number_is_provisioned_anew(
    collider: Engine,
) -> None:
    await rested(collider)
    await collider.hear(
        launched(campaign_id="follow-up", number=NUMBER),
        *collider.texts("att", 2, campaign_id="follow-up"),
    )
    assert await sent(collider) == 0
    # Nor does another follow-up know better, because the first one is on the number.
    await collider.hear(
        launched(campaign_id="another", number=NUMBER),
        *collider.texts("att", 2, campaign_id="another"),
    )
    assert await sent(collider) == 0
    await collider.hear(provisioned("complete", collider.now, campaign_id="follow-up"))
    assert await sent(collider) == 4


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_a_follow_up_that_came_too_late_for_its_number_sends_nothing_from_it(
    collider: Engine, order: tuple[int, ...]
) -> None:
    await rested(collider)
    [text] = collider.texts("att", 1, campaign_id="follow-up")
    facts = [
        launched(hold=False, campaign_id="follow-up", number=NUMBER),
        without_number(collider),
        text,
    ]
    for index in order:
        await collider.hear(facts[index])
    assert await sent(collider) == 0
    assert collider.told(MessageSent) == []
