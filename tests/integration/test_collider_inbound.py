"""To which campaign a contact's text goes, where several are on its number. In virtual time."""

from datetime import timedelta

import pytest

from services.collider.domain import Inbound
from services.collider.inbound import record_inbound
from shared.events import (
    CampaignArchived,
    CampaignLaunched,
    ContactOptedOut,
    MessageReceived,
    NumberReleased,
)
from shared.ids import new_id
from tests.engine import EVENING, MORNING, NUMBER, Engine, phone

CONTACT = phone("att", 0)


@pytest.fixture
async def original(collider: Engine) -> Engine:
    """A campaign that has texted the contact, and a minute that has passed since."""
    await collider.launch(opens_at=MORNING, closes_at=EVENING, campaign_id="original")
    await collider.hear(*collider.texts("att", 1, campaign_id="original"))
    await collider.run(60, every_s=5)
    return collider


async def follow_up(collider: Engine, campaign_id: str = "follow-up", org_id: str = "org") -> None:
    """Another campaign is launched with the same number."""
    await collider.hear(
        CampaignLaunched.model_validate(
            {
                "org_id": org_id, "campaign_id": campaign_id, "use_case_id": "use-case",
                "name": "Once more", "launched_by": {"name": "Ada", "email": "ada@example.org"},
                "window": {"opens_at": MORNING, "closes_at": EVENING},
                "hours": {
                    "opens": "09:00", "closes": "21:00", "time_zone": "America/Los_Angeles",
                },
                "revision": 1, "number": NUMBER,
            }
        )
    )  # fmt: skip
    collider.clock.advance(1)


async def archive(collider: Engine, campaign_id: str, org_id: str = "org") -> None:
    await collider.hear(
        CampaignArchived(org_id=org_id, campaign_id=campaign_id, archived_at=collider.now)
    )
    await collider.run(1)


async def hears(collider: Engine, sender: str = CONTACT, text: str = "Who is this?") -> str:
    """The campaign that is told of a contact's text."""
    async with collider.database.transaction() as tx:
        await record_inbound(tx, [Inbound(new_id(), sender, NUMBER, text)])
    await collider.collect()
    return collider.told(MessageReceived)[-1].campaign_id


async def test_a_text_goes_to_the_campaign_that_texted_the_contact_last(original: Engine) -> None:
    await follow_up(original)
    assert await hears(original) == "original"
    await original.hear(*original.texts("att", 1, campaign_id="follow-up"))
    await original.run(5)
    assert await hears(original) == "follow-up"
    await original.hear(*original.texts("att", 1, campaign_id="original", kind="reply"))
    await original.run(5)
    assert await hears(original) == "original"


async def test_texted_last_is_said_of_when_a_text_went_not_of_when_it_was_queued(
    original: Engine,
) -> None:
    await follow_up(original)
    await original.limit("att", version=2, sms_per_minute=0)
    await original.hear(*original.texts("att", 1, campaign_id="follow-up"))
    await original.run(5)
    # What only waits has texted nobody.
    assert await hears(original) == "original"
    await original.hear(*original.texts("att", 1, campaign_id="original", kind="reply"))
    await original.limit("att", version=3, sms_per_minute=1)
    # The reply goes first, the follow-up's initial, which was queued before it, a minute later.
    await original.run(5)
    assert await hears(original) == "original"
    await original.run(120, every_s=1)
    assert await hears(original) == "follow-up"


async def test_a_text_that_came_to_nothing_is_not_what_a_contact_answers(
    original: Engine,
) -> None:
    await follow_up(original)
    original.world.phones.spoil(CONTACT, "40002")
    await original.hear(*original.texts("att", 1, campaign_id="follow-up"))
    await original.run(5)
    assert await original.statuses() == {"delivered": 1, "failed": 1}
    assert await hears(original) == "original"


async def test_inbound_texts_go_to_an_archived_campaign_that_texted_the_contact_last(
    original: Engine,
) -> None:
    await follow_up(original)
    await archive(original, "original")
    assert await hears(original) == "original"


async def test_a_contact_whom_nobody_texted_means_the_campaign_launched_last_and_not_archived(
    original: Engine,
) -> None:
    stranger = phone("att", 9)
    assert await hears(original, stranger) == "original"
    await follow_up(original)
    assert await hears(original, stranger) == "follow-up"
    await follow_up(original, "another")
    assert await hears(original, stranger) == "another"
    await archive(original, "another")
    assert await hears(original, stranger) == "follow-up"
    for campaign_id in ("follow-up", "original"):
        await archive(original, campaign_id)
    assert await hears(original, stranger) == "another"


async def test_stop_in_answer_to_an_archived_campaign_is_obeyed(original: Engine) -> None:
    await archive(original, "original")
    assert await hears(original, text="STOP") == "original"
    [told] = original.told(ContactOptedOut)
    assert (told.org_id, told.phone) == ("org", CONTACT)


async def test_a_number_that_was_given_back_and_bought_by_another_means_its_owner(
    original: Engine,
) -> None:
    await archive(original, "original")
    released_at = original.now + timedelta(seconds=1)
    await original.run(2)
    await original.hear(
        NumberReleased(org_id="org", use_case_id="use-case", number=NUMBER, released_at=released_at)
    )
    # While nobody else has it: who else could be meant?
    assert await hears(original) == "original"
    await follow_up(original, "new-owner", org_id="another")
    assert await hears(original) == "new-owner"
    assert original.told(MessageReceived)[-1].org_id == "another"
