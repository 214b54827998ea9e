"""Numbers that a carrier does not know: held, told of once, let go by a confirmation."""

from datetime import datetime
from typing import Literal

from services.collider.domain import Receipt
from services.collider.outcomes import record_receipts
from shared.events import (
    CampaignHeld,
    CarrierAnswered,
    MessageFailed,
    MessageQueued,
    NumberProvisioned,
)
from tests.engine import EVENING, MORNING, NUMBER, Engine


async def unregistered(collider: Engine, *texts: MessageQueued, code: str = "40019") -> None:
    async with collider.database.transaction() as tx:
        await record_receipts(
            tx, [Receipt("org", one.message_id, 1, "failed", code, None, None) for one in texts]
        )


def answered(
    answer: Literal["confirmed", "refused"], at: datetime, reason: str | None = None
) -> CarrierAnswered:
    return CarrierAnswered(
        org_id="org", campaign_id="campaign", number=NUMBER, carrier="att",
        answer=answer, reason=reason, answered_at=at,
    )  # fmt: skip


def provisioned(att: Literal["confirmed", "refused"], at: datetime) -> NumberProvisioned:
    carriers = {name: {"state": "confirmed", "at": at} for name in ("tmobile", "verizon")}
    return NumberProvisioned.model_validate(
        {
            "org_id": "org", "campaign_id": "campaign", "name": "Get out the vote",
            "number": NUMBER, "outcome": "complete" if att == "confirmed" else "failed",
            "carriers": {**carriers, "att": {"state": att, "at": at}},
            "launched_by": {"name": "Ada", "email": "ada@example.org"},
            "window": {"opens_at": MORNING, "closes_at": EVENING}, "took_s": 60,
        }
    )  # fmt: skip


async def sent(collider: Engine, count: int) -> list[MessageQueued]:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    texts = collider.texts("att", count)
    await collider.hear(*texts)
    await collider.send()
    return texts


async def test_a_hold_is_told_once_however_many_texts_it_stops(collider: Engine) -> None:
    texts = await sent(collider, 20)
    await unregistered(collider, *texts[:10])
    await unregistered(collider, *texts[10:])
    await collider.run(3600, every_s=60)
    assert await collider.statuses() == {"queued": 20}
    [held] = collider.told(CampaignHeld)
    assert (held.campaign_id, held.carrier, held.state, held.code) == (
        "campaign", "att", "pending", "40019",
    )  # fmt: skip
    assert held.reason.startswith("the carrier has not confirmed the number yet")
    await collider.hear(answered("confirmed", collider.now))
    await collider.run(2)
    assert await collider.statuses() == {"delivered": 20}
    assert len(collider.told(CampaignHeld)) == 1
    assert not collider.told(MessageFailed)


async def test_a_refusal_while_held_is_told_and_lasts_until_a_late_confirmation(
    collider: Engine,
) -> None:
    texts = await sent(collider, 1)
    await unregistered(collider, *texts)
    await collider.run(60, every_s=10)
    refused = [answered("refused", collider.now), provisioned("refused", collider.now)]
    await collider.hear(*refused)
    await collider.run(60, every_s=10)
    await collider.hear(*refused, answered("refused", collider.now))
    await collider.run(3600, every_s=60)
    assert [held.state for held in collider.told(CampaignHeld)] == ["pending", "refused"]
    assert await collider.statuses() == {"queued": 1}
    await collider.hear(provisioned("confirmed", collider.now))
    await collider.run(2)
    assert await collider.statuses() == {"delivered": 1}


async def test_a_refusal_alone_holds_nothing_and_the_first_refused_text_says_so(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(answered("refused", collider.now))
    texts = collider.texts("att", 2)
    await collider.hear(texts[0])
    await collider.run(2)
    assert await collider.statuses() == {"delivered": 1}
    await collider.hear(texts[1])
    await collider.send()
    await unregistered(collider, texts[1], code="40010")
    await collider.run(3600, every_s=60)
    [held] = collider.told(CampaignHeld)
    assert (held.state, held.code) == ("refused", "40010")
    assert await collider.statuses() == {"delivered": 1, "queued": 1}


async def test_an_old_confirmation_does_not_lift_the_hold_of_a_later_refusal(
    collider: Engine,
) -> None:
    texts = await sent(collider, 1)
    early = collider.now
    collider.clock.advance(1)
    await unregistered(collider, *texts)
    await collider.hear(answered("refused", collider.now))
    await collider.hear(answered("confirmed", early))
    await collider.run(60, every_s=10)
    assert await collider.statuses() == {"queued": 1}


async def test_a_carrier_that_confirmed_and_still_refuses_is_tried_every_minute(
    collider: Engine,
) -> None:
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(answered("confirmed", collider.now))
    texts = collider.texts("att", 1)
    await collider.hear(*texts)
    await collider.send()
    await unregistered(collider, *texts)
    await collider.run(55, every_s=5)
    assert await collider.statuses() == {"queued": 1}
    await collider.run(5.5, every_s=5.5)
    assert await collider.statuses() == {"sent": 1}
    # It refuses it again: the same hold, which is told of once.
    async with collider.database.transaction() as tx:
        again = Receipt("org", texts[0].message_id, 2, "failed", "40019", None, None)
        await record_receipts(tx, [again])
    await collider.run(55, every_s=5)
    assert await collider.statuses() == {"queued": 1}
    await collider.run(10)
    assert await collider.statuses() == {"delivered": 1}
    [held] = collider.told(CampaignHeld)
    assert held.state == "confirmed"
