"""Campaigns that hold all sending until their number's provisioning is complete, and campaigns that
share a number. In virtual time."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations
from typing import Literal

import pytest

from services.collider import handlers
from services.collider.domain import Receipt
from services.collider.outcomes import record_receipts
from shared.events import (
    CampaignHeld,
    CampaignLaunched,
    CampaignPaused,
    CarrierAnswered,
    Event,
    MessageDelivered,
    MessageFailed,
    MessageQueued,
    MessageSent,
    NumberProvisioned,
    NumberPurchased,
    NumberReleased,
    WindowChanged,
)
from tests.engine import EVENING, MORNING, NUMBER, Engine, phone

WINDOW = {"opens_at": MORNING, "closes_at": EVENING}
HOURS = {"opens": "09:00", "closes": "21:00", "time_zone": "America/Los_Angeles"}
ADA = {"name": "Ada", "email": "ada@example.org"}


def launched(
    *, hold: bool = True, campaign_id: str = "campaign", number: str | None = None
) -> CampaignLaunched:
    return CampaignLaunched.model_validate(
        {
            "org_id": "org", "campaign_id": campaign_id, "use_case_id": "use-case",
            "name": "Get out the vote", "launched_by": ADA, "window": WINDOW, "hours": HOURS,
            "revision": 1, "number": number, "hold_until_provisioned": hold,
        }
    )  # fmt: skip


def changed(
    hold: bool | None,
    revision: int,
    *,
    closes_at: datetime = EVENING,
    campaign_id: str = "campaign",
) -> WindowChanged:
    return WindowChanged.model_validate(
        {
            "org_id": "org", "campaign_id": campaign_id, "hours": HOURS, "revision": revision,
            "window": {**WINDOW, "closes_at": closes_at}, "hold_until_provisioned": hold,
        }
    )  # fmt: skip


def provisioned(
    outcome: Literal["complete", "failed"], at: datetime, *, campaign_id: str = "campaign"
) -> NumberProvisioned:
    att = {"state": "confirmed" if outcome == "complete" else "refused", "at": at}
    confirmed = {"state": "confirmed", "at": at}
    return NumberProvisioned.model_validate(
        {
            "org_id": "org", "campaign_id": campaign_id, "name": "Get out the vote",
            "number": NUMBER, "outcome": outcome, "launched_by": ADA, "window": WINDOW,
            "carriers": {"att": att, "tmobile": confirmed, "verizon": confirmed}, "took_s": 60,
        }
    )  # fmt: skip


def purchased() -> NumberPurchased:
    return NumberPurchased(
        org_id="org", campaign_id="campaign", use_case_id="use-case", number=NUMBER,
        purchased_at=MORNING,
    )  # fmt: skip


async def sent(collider: Engine) -> int:
    """How many texts have gone, after a while in which they might."""
    await collider.run(3, every_s=0.5)
    return len(collider.told(MessageSent))


async def launch_held(collider: Engine, campaign_id: str = "campaign") -> None:
    """Launch a campaign that is to wait for its number's provisioning."""
    # Launch facts are write-once: of what follows only the number counts.
    await collider.hear(launched(campaign_id=campaign_id))
    await collider.launch(opens_at=MORNING, closes_at=EVENING, campaign_id=campaign_id)


async def held(collider: Engine, *, texts: int = 3) -> None:
    """A campaign that is to wait for its number's provisioning, and initials and replies of it."""
    await launch_held(collider)
    await collider.hear(
        *collider.texts("att", texts), *collider.texts("tmobile", texts, kind="reply")
    )
    assert await sent(collider) == 0


# --- the hold --------------------------------------------------------------------------------


async def test_nothing_of_a_campaign_that_holds_goes_until_provisioning_is_complete(
    collider: Engine,
) -> None:
    await held(collider)
    await collider.run(3600, every_s=60)
    assert await sent(collider) == 0
    await collider.hear(provisioned("complete", collider.now))
    assert await sent(collider) == 6
    assert not collider.told(MessageFailed)


async def test_without_the_option_texts_go_while_the_number_is_provisioning(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 3))
    assert await sent(collider) == 3


async def test_after_a_failure_it_stays_held_and_a_late_confirmation_lets_it_go(
    collider: Engine,
) -> None:
    await held(collider)
    await collider.hear(provisioned("failed", collider.now))
    await collider.run(3600, every_s=60)
    assert await sent(collider) == 0
    await collider.hear(provisioned("complete", collider.now))
    assert await sent(collider) == 6


async def test_an_admin_lets_it_go_at_once_and_holds_it_again(collider: Engine) -> None:
    await held(collider)
    await collider.hear(changed(False, 2))
    assert await sent(collider) == 6
    await collider.hear(changed(True, 3), *collider.texts("att", 2))
    assert await sent(collider) == 6
    # An edit of the window alone leaves it as it is.
    await collider.hear(changed(None, 4))
    assert await sent(collider) == 6
    await collider.hear(provisioned("complete", collider.now))
    assert await sent(collider) == 8


async def test_once_complete_a_hold_holds_nothing(collider: Engine) -> None:
    await held(collider)
    await collider.hear(provisioned("complete", collider.now))
    await collider.hear(changed(True, 2), *collider.texts("att", 2))
    # The failure that was told before it, and comes after it.
    await collider.hear(provisioned("failed", collider.now - timedelta(minutes=5)))
    assert await sent(collider) == 8


async def test_what_waits_for_provisioning_at_the_end_of_the_window_is_marked_sending_failed(
    collider: Engine,
) -> None:
    await held(collider)
    await collider.hear(changed(None, 2, closes_at=collider.now + timedelta(minutes=5)))
    await collider.run(302, every_s=1)
    assert await collider.statuses() == {"sending failed": 3, "queued": 3}
    assert {one.reason for one in collider.told(MessageFailed)} == {"sending failed"}
    # Replies may go after it.
    await collider.hear(provisioned("complete", collider.now))
    assert await sent(collider) == 3


async def test_a_refusal_after_all_had_confirmed_does_not_bring_the_hold_back(
    collider: Engine,
) -> None:
    await held(collider)
    complete = provisioned("complete", collider.now)
    await collider.hear(provisioned("failed", collider.now), complete)
    refusal = CarrierAnswered(
        org_id="org", campaign_id="campaign", number=NUMBER, carrier="att", answer="refused",
        reason="audit", answered_at=collider.now + timedelta(seconds=1),
    )  # fmt: skip
    await collider.hear(refusal)
    await collider.hear(complete)
    assert await sent(collider) == 6
    assert not collider.told(CampaignHeld)


async def test_a_paused_campaign_stays_paused_when_provisioning_completes(
    collider: Engine,
) -> None:
    await held(collider)
    await collider.hear(
        CampaignPaused(org_id="org", campaign_id="campaign", paused_at=collider.now, revision=2),
        provisioned("complete", collider.now),
    )
    assert await sent(collider) == 0


async def test_a_hold_that_is_told_after_the_claim_stops_the_call(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 1))
    await collider.claimer.step()
    assert await collider.statuses() == {"claimed": 1}
    await collider.hear(changed(True, 2))
    # In the same instant: nothing but the hold is in its way.
    await collider.replicas[0].dispatch()
    assert not collider.world.judge.page(0, 1)
    assert await sent(collider) == 0
    await collider.hear(provisioned("complete", collider.now))
    await collider.run(60, every_s=5)
    assert await sent(collider) == 1


FACTS: dict[str, tuple[Event, ...]] = {
    "held by its launch": (launched(), changed(None, 2), provisioned("failed", MORNING)),
    "held by an edit": (launched(hold=False), changed(True, 3), changed(False, 2)),
    "let go by an edit": (launched(), changed(True, 2), changed(False, 3), changed(None, 4)),
    "complete": (launched(), provisioned("failed", MORNING), provisioned("complete", MORNING)),
}


@pytest.mark.parametrize("name", FACTS)
async def test_the_hold_comes_out_the_same_in_whatever_order_its_facts_come(
    collider: Engine, name: str
) -> None:
    orders = list(permutations([*FACTS[name], purchased()]))
    for index, order in enumerate(orders):
        number = f"+1212555{index:04}"
        campaign_id = f"campaign-{index}"
        collider.world.provide_number(
            collider.now, number, campaign_id="use-case", messaging_profile_id="profile"
        )
        await collider.hear(*collider.texts("att", 1, campaign_id=campaign_id))
        told = [_of(one, campaign_id, number) for one in order]
        # Each in a batch of its own, and twice.
        for one in [*told, *told]:
            await collider.hear(one)
    goes = not name.startswith("held")
    assert await sent(collider) == (len(orders) if goes else 0)


def _of(event: Event, campaign_id: str, number: str) -> Event:
    numbered = {"number": number} if isinstance(event, NumberProvisioned | NumberPurchased) else {}
    return event.model_copy(update={"campaign_id": campaign_id, **numbered})


# --- campaigns that share a number -----------------------------------------------------------


async def with_follow_up(collider: Engine, *, hold: bool = True) -> None:
    """An original, and a follow-up on its number."""
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    collider.clock.advance(60)
    await collider.hear(launched(hold=hold, campaign_id="follow-up", number=NUMBER))


async def test_a_follow_up_that_holds_goes_when_its_originals_number_is_provisioned(
    collider: Engine,
) -> None:
    await with_follow_up(collider)
    await collider.hear(*collider.texts("att", 2, campaign_id="follow-up"))
    assert await sent(collider) == 0
    await collider.hear(provisioned("failed", collider.now))
    assert await sent(collider) == 0
    await collider.hear(provisioned("complete", collider.now))
    assert await sent(collider) == 2


async def test_followup_campaigns_do_not_require_additional_provisioning_time(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(provisioned("complete", collider.now))
    await collider.hear(
        launched(campaign_id="follow-up", number=NUMBER),
        *collider.texts("att", 2, campaign_id="follow-up"),
    )
    assert await sent(collider) == 2


async def test_a_follow_up_does_not_miss_what_is_told_of_its_number_while_it_is_launched(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    recorded, commit = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        async with collider.database.transaction() as tx:
            await handlers.record_launches(tx, [launched(campaign_id="follow-up", number=NUMBER)])
            recorded.set()
            await commit.wait()

    launching = asyncio.create_task(slowly())
    await recorded.wait()
    hearing = asyncio.create_task(collider.hear(provisioned("complete", collider.now)))
    await asyncio.sleep(0.3)
    commit.set()
    await asyncio.gather(launching, hearing)
    await collider.hear(*collider.texts("att", 2, campaign_id="follow-up"))
    assert await sent(collider) == 2


async def test_a_number_that_is_bought_anew_is_to_be_provisioned_anew(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(provisioned("complete", collider.now))
    collider.clock.advance(3600)
    await collider.hear(
        NumberReleased(
            org_id="org", use_case_id="use-case", number=NUMBER, released_at=collider.now
        )
    )
    collider.clock.advance(3600)
    await launch_held(collider, "again")
    await collider.hear(
        launched(campaign_id="follow-up", number=NUMBER),
        *collider.texts("att", 1, campaign_id="again"),
        *collider.texts("att", 1, campaign_id="follow-up"),
    )
    assert await sent(collider) == 0
    await collider.hear(provisioned("complete", collider.now, campaign_id="again"))
    assert await sent(collider) == 2


async def test_a_carriers_word_on_a_number_is_said_to_all_campaigns_on_it(
    collider: Engine,
) -> None:
    await with_follow_up(collider, hold=False)
    texts = [
        *collider.texts("att", 1), *collider.texts("att", 1, campaign_id="follow-up"),
    ]  # fmt: skip
    await collider.hear(*texts)
    await collider.send()
    await unregistered(collider, texts)
    await collider.run(600, every_s=30)
    assert await collider.statuses() == {"queued": 2}
    assert [one.campaign_id for one in collider.told(CampaignHeld)] == ["campaign", "follow-up"]
    await collider.hear(confirmed(collider.now))
    await collider.run(3)
    assert await collider.statuses() == {"delivered": 2}


async def test_what_a_carrier_said_before_a_follow_up_holds_for_it_too(collider: Engine) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(confirmed(collider.now))
    texts = collider.texts("att", 1, campaign_id="follow-up")
    await collider.hear(launched(hold=False, campaign_id="follow-up", number=NUMBER), *texts)
    await collider.send()
    await unregistered(collider, texts)
    # The carrier has confirmed the number: it is tried again in a minute, not waited for for ever.
    await collider.run(65, every_s=5)
    await collider.run(3)
    assert await collider.statuses() == {"delivered": 1}
    [told] = collider.told(CampaignHeld)
    assert (told.campaign_id, told.state) == ("follow-up", "confirmed")


async def test_both_campaigns_on_a_number_send_from_it_and_their_receipts_find_their_texts(
    collider: Engine,
) -> None:
    await with_follow_up(collider, hold=False)
    collider.world.phones.spoil(phone("att", 0), "40002")
    await collider.hear(
        *collider.texts("att", 2), *collider.texts("att", 2, campaign_id="follow-up")
    )
    await collider.run(5)
    entries = collider.world.judge.page(0, 10)
    assert [entry.text.number for entry in entries] == [NUMBER] * 4
    for campaign_id in ("campaign", "follow-up"):
        outcomes = [
            [one.code for one in collider.told(kind) if one.campaign_id == campaign_id]
            for kind in (MessageFailed, MessageDelivered)
        ]
        assert outcomes == [["40002"], [None]]


async def unregistered(collider: Engine, texts: Sequence[MessageQueued]) -> None:
    async with collider.database.transaction() as tx:
        await record_receipts(
            tx, [Receipt("org", one.message_id, 1, "failed", "40019", None, None) for one in texts]
        )


def confirmed(at: datetime) -> CarrierAnswered:
    return CarrierAnswered(
        org_id="org", campaign_id="campaign", number=NUMBER, carrier="att", answer="confirmed",
        answered_at=at,
    )  # fmt: skip
