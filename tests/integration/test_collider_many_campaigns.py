"""Many campaigns, or many texts, on one bucket: none is forgotten behind the others."""

from datetime import timedelta

import pytest

from services.collider import upkeep
from services.collider.plan import LANES_LEAST
from services.collider.store import claims, due
from services.collider.store.due import Due, Floor
from shared.database import Transaction
from shared.events import ContactOptedOut
from tests.engine import EVENING, MORNING, Engine

SOONER = EVENING - timedelta(hours=1)
ELSEWHERE = "+13036999999"
# A replica with so few hands takes two texts of a bucket at once, and looks at a few lanes more.
FEW_HANDS, SHARE = 8, 2
LANES_READ = SHARE + claims.LANES_MORE


def few_hands(collider: Engine) -> None:
    """One small replica instead of a large one."""
    collider.replicas.clear()
    collider.start_replica(calls_most=FEW_HANDS)


async def test_lanes_behind_those_that_were_read_and_are_all_empty_have_their_turn(
    collider: Engine,
) -> None:
    await collider.limit("verizon")
    kinds = ["reply"] * LANES_LEAST["reply"] + ["initial"] * LANES_LEAST["initial"]
    assert len(kinds) == LANES_READ
    for index, kind in enumerate(kinds):
        name = f"campaign-{index}"
        await collider.launch(campaign_id=name, opens_at=MORNING, closes_at=SOONER)
        await collider.hear(*collider.texts("verizon", 1, campaign_id=name, kind=kind))
    await collider.launch(campaign_id="late", opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("verizon", 3, campaign_id="late", to=ELSEWHERE))
    # The contact of all the others wants no more texts.
    [text] = collider.texts("verizon", 1)
    await collider.hear(ContactOptedOut(org_id="org", phone=text.to, opted_out_at=collider.now))
    few_hands(collider)
    await collider.replicas[0].claimer.step()
    async with collider.database.connection() as connection:
        assert await connection.fetchval("SELECT due_at FROM standings") is not None
    await collider.run(10, every_s=0.5)
    assert await collider.statuses() == {"failed": len(kinds), "delivered": 3}


async def test_mms_go_while_sms_of_many_campaigns_wait_for_the_organization_s_minute(
    collider: Engine,
) -> None:
    await collider.limit("verizon", sms_per_minute=60, mms_per_minute=60)
    for index in range(LANES_READ + 2):
        name = f"campaign-{index}"
        await collider.launch(campaign_id=name, opens_at=MORNING, closes_at=SOONER)
        await collider.hear(*collider.texts("verizon", 10, campaign_id=name))
    await collider.launch(campaign_id="pictures", opens_at=MORNING, closes_at=EVENING)
    await collider.hear(
        *collider.texts(
            "verizon", 5, campaign_id="pictures", channel="mms",
            media_urls=("http://127.0.0.1/a.png",),
        )
    )  # fmt: skip
    few_hands(collider)
    await collider.run(15, every_s=0.5)
    async with collider.database.connection() as connection:
        waiting = await connection.fetch(
            "SELECT channel, count(*) FROM messages WHERE status = 'queued' GROUP BY channel"
        )
    assert [row["channel"] for row in waiting] == ["sms"]


async def test_a_small_campaign_s_texts_are_ended_in_the_first_step_beside_a_big_one_s(
    collider: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MESSAGES_MOST", 20)
    await collider.limit("verizon", sms_per_minute=0)
    end = MORNING + timedelta(minutes=1)
    await collider.launch(campaign_id="big", opens_at=MORNING, closes_at=end)
    await collider.launch(
        campaign_id="small", opens_at=MORNING, closes_at=end + timedelta(seconds=1)
    )
    await collider.hear(*collider.texts("verizon", 100, campaign_id="big"))
    await collider.hear(*collider.texts("verizon", 5, campaign_id="small"))
    collider.clock.advance(62)
    assert await collider.upkeep.close()
    async with collider.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT campaign_id, count(*) FROM messages WHERE status = 'queued' GROUP BY 1"
        )
    assert {row["campaign_id"]: row["count"] for row in rows} == {"big": 90}
    while await collider.upkeep.close():
        pass
    assert await collider.statuses() == {"sending failed": 105}


async def test_a_claim_is_planned_for_many_texts_though_there_were_few_before(
    collider: Engine,
) -> None:
    await collider.limit("verizon")
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    for _ in range(8):
        await collider.hear(*collider.texts("verizon", 1))
        collider.clock.advance(0.25)
        await collider.send()
    async with collider.database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO messages (org_id, message_id, campaign_id, kind, channel, carrier, phone,
                text, media_urls, segments, queued_at, recorded_at, lane_id, status)
            SELECT org_id, message_id || number, campaign_id, kind, channel, carrier, phone,
                text, media_urls, segments, queued_at, recorded_at, lane_id, 'queued'
            FROM (SELECT * FROM messages LIMIT 1) AS one, generate_series(1, 20000) AS number
            """
        )
        # As the claims have prepared it on this connection of the pool.
        [name] = [
            row["name"]
            for row in await connection.fetch(
                "SELECT name FROM pg_prepared_statements WHERE statement LIKE $1",
                "%WITH claimed AS (%",
            )
        ]
        lines = await connection.fetch(
            f"EXPLAIN EXECUTE \"{name}\" ('{{org}}', '{{a}}', '{{2026-10-20}}', '{{2026-10-20}}', "
            "'2026-10-20 09:00-07', 5)"
        )
    plan = "\n".join(line[0] for line in lines)
    # Each by its key; not all that is queued, as is cheapest while that is one text.
    assert "Index Scan using messages_pkey on messages" in plan, plan


# --- organizations that had too many calls under way -------------------------------------------


async def crowd(collider: Engine) -> None:
    """All hands that one organization may have hang, while it has more to go."""
    await collider.limit("verizon")
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("verizon", 20))
    collider.replicas.clear()
    replica = collider.start_replica(calls_most=16)
    collider.clock.advance(1)
    # One that finds something first, so that the floor is not at the bottom any more.
    await replica.work()
    replica.line.fates.extend(["hangs"] * 4)
    collider.clock.advance(0.2)
    await replica.work()
    assert replica.dispatcher.crowding == ["org"]


async def test_an_organization_is_looked_at_again_as_soon_as_its_calls_have_ended(
    collider: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await crowd(collider)
    replica = collider.replicas[0]
    neighbour = {"org_id": "neighbour", "campaign_id": "theirs"}
    await collider.limit("verizon", org_id="neighbour")
    await collider.launch(
        opens_at=MORNING, closes_at=EVENING, number="+12125550199", use_case_id="their-case",
        **neighbour,
    )  # fmt: skip
    collider.clock.advance(11)
    await collider.hear(*collider.texts("verizon", 1, **neighbour))
    lock_due = due.lock_due

    async def meanwhile(
        tx: Transaction, now: object, *, floor: Floor, most: int, without: list[str]
    ) -> Due:
        found = await lock_due(tx, collider.now, floor=floor, most=most, without=without)
        # The calls end after the organization was passed over.
        assert without == ["org"]
        for _ in range(4):
            replica.line.let_go(answered=False)
        await replica.dispatch()
        assert not replica.dispatcher.crowding
        return found

    with monkeypatch.context() as patch:
        patch.setattr(due, "lock_due", meanwhile)
        await replica.work()
    before = (await collider.statuses())["queued"]
    collider.clock.advance(0.5)
    await replica.work()
    assert (await collider.statuses())["queued"] < before
