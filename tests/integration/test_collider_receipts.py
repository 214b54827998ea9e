"""Answers and receipts in any order, and more than once, come out the same."""

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.collider.dispatch import Dispatcher
from services.collider.domain import Outbound, Outcome, Receipt
from services.collider.outcomes import record_outcomes, record_receipts
from services.collider.worker import Claimer
from shared.events import MessageDelivered, MessageFailed, MessageQueued, MessageSent
from tests.engine import EVENING, MORNING, NUMBER, Engine

# What the carrier says last, as (state, code), and what has to come of it.
FINALS = {
    ("delivered", None): "delivered",
    ("failed", "40002"): "failed",
    ("failed", "40300"): "failed",
    ("failed", "99999"): "failed",
    ("failed", "40011"): "queued",
    ("failed", "40016"): "queued",
    ("failed", "40010"): "queued",
    ("failed", "40014"): "queued",
}
FORGET = """
    DELETE FROM messages; DELETE FROM paces; DELETE FROM day_quotas; DELETE FROM registrations;
    DELETE FROM opt_outs; DELETE FROM standings; DELETE FROM wakes;
    UPDATE buckets SET paused_until = NULL; UPDATE lanes SET held_until = NULL
"""


class Silent:
    """A provider whose answers a test gives by itself."""

    name = "telnyx"

    async def send(self, text: Outbound) -> Outcome:
        return Outcome("unclear")


async def call(collider: Engine, *, attempt: int) -> MessageQueued:
    """One text, under way to the provider; attempts before this one expired there."""
    async with collider.database.connection() as connection:
        await connection.execute(FORGET)
    [text] = collider.texts("tmobile", 1)
    await collider.hear(text)
    await start_call(collider)
    for earlier in range(1, attempt):
        async with collider.database.transaction() as tx:
            common = ("org", text.message_id, earlier)
            its_id = f"its id {earlier}"
            await record_receipts(tx, [Receipt(*common, "sent", None, None, its_id)])
            await record_receipts(tx, [Receipt(*common, "failed", "40014", None, its_id)])
        collider.clock.advance(61)
        await start_call(collider)
    await collider.collect()
    collider.events.clear()
    return text


async def start_call(collider: Engine) -> None:
    dispatcher = Dispatcher(collider.database, Silent(), calls_most=10, timeout_s=10)
    await Claimer(collider.database, dispatcher).step()
    await dispatcher.step()
    assert await collider.statuses() == {"calling": 1}


async def happen(
    collider: Engine,
    text: MessageQueued,
    attempt: int,
    said: Sequence[str],
    final: tuple[str, str | None],
) -> None:
    """One thing in one transaction, but receipts that come together."""
    outbound = Outbound(
        "org", text.message_id, attempt, "tmobile", "sms", "initial", NUMBER, text.to, text.text,
        (), None, EVENING,
    )  # fmt: skip
    common = ("org", text.message_id, attempt)
    receipts = {
        "sent": Receipt(*common, "sent", None, None, "its id"),
        "unconfirmed": Receipt(*common, "unconfirmed", None, None, "its id"),
        "final": Receipt(
            *common,
            "delivered" if final[0] == "delivered" else "failed", final[1], "in words", "its id",
        ),
    }  # fmt: skip
    async with collider.database.transaction() as tx:
        if said[0] == "answer":
            await record_outcomes(tx, "telnyx", [(outbound, Outcome("accepted", "its id"))])
        elif said[0] == "no answer":
            await record_outcomes(tx, "telnyx", [(outbound, Outcome("unclear", reason="lost"))])
        elif said[0] != "lease lost":
            await record_receipts(tx, [receipts[name] for name in said])
    if said[0] == "lease lost":
        collider.clock.advance(16)
        await collider.upkeep.reap()


async def books(collider: Engine, *, attempts: int) -> int:
    """Segments that the day is still charged with, after so many attempts."""
    async with collider.database.connection() as connection:
        given_back = await connection.fetchval(
            "SELECT coalesce(sum(given_back), 0) FROM day_quotas WHERE use_case_id = ''"
        )
    assert isinstance(given_back, int)
    return attempts - given_back


happenings = st.one_of(
    st.sampled_from(["answer", "no answer", "lease lost"]).map(lambda one: [one]),
    st.lists(st.sampled_from(["sent", "unconfirmed", "final"]), min_size=1, max_size=3),
)


@settings(
    max_examples=60,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    before=st.lists(happenings, max_size=4),
    after=st.lists(happenings, max_size=4),
    final=st.sampled_from(sorted(FINALS, key=str)),
    attempt=st.sampled_from([1, 2]),
)
async def test_answers_and_receipts_come_out_the_same_in_any_order_and_number(
    collider: Engine,
    before: list[list[str]],
    after: list[list[str]],
    final: tuple[str, str | None],
    attempt: int,
) -> None:
    if not collider.world.numbers.by_phone(NUMBER):
        await collider.limit("tmobile", segments_per_day=1000)
        await collider.launch(opens_at=MORNING, closes_at=EVENING)
    text = await call(collider, attempt=attempt)
    # In whatever order: the final receipt comes at least once.
    for said in (*before, ["final"], *after):
        await happen(collider, text, attempt, said, final)
    await collider.collect()
    status = FINALS[final]
    assert await collider.statuses() == {status: 1}
    assert await books(collider, attempts=attempt) == (0 if status == "queued" else 1)
    told = {kind: len(collider.told(kind)) for kind in (MessageSent, MessageDelivered)}
    failed = collider.told(MessageFailed)
    assert told[MessageSent] <= 1
    assert told[MessageDelivered] == (status == "delivered")
    assert [event.code for event in failed] == ([final[1]] if status == "failed" else [])
    if status == "delivered":
        assert told[MessageSent] == 1


# --- the day of a daily cap ------------------------------------------------------------------


async def daily_cap(collider: Engine, *texts: MessageQueued) -> None:
    async with collider.database.transaction() as tx:
        await record_receipts(
            tx, [Receipt("org", one.message_id, 1, "failed", "40016", None, None) for one in texts]
        )


async def test_a_daily_cap_receipt_after_midnight_closes_the_day_that_is_over(
    collider: Engine,
) -> None:
    # 21:00 in Honolulu is midnight in Los Angeles, where T-Mobile counts its days.
    late = MORNING.replace(hour=23, minute=59, second=50)
    collider.clock.at = late
    await collider.limit("tmobile", segments_per_day=1000)
    await collider.launch(
        opens_at=MORNING, closes_at=late + timedelta(days=3), time_zone="Pacific/Honolulu",
        opens="09:00", closes="24:00",
    )  # fmt: skip
    [text] = collider.texts("tmobile", 1)
    await collider.hear(text)
    await collider.send()
    assert await collider.statuses() == {"sent": 1}
    collider.clock.advance(20)
    await daily_cap(collider, text)
    await collider.hear(*collider.texts("tmobile", 1))
    await collider.run(5)
    assert await collider.statuses() == {"delivered": 2}


async def test_a_daily_cap_receipt_closes_the_day_for_all_use_cases_where_nobody_told_a_cap(
    collider: Engine,
) -> None:
    await collider.limit("tmobile")
    await collider.launch(opens_at=MORNING, closes_at=EVENING + timedelta(days=1))
    await collider.launch(
        opens_at=MORNING, closes_at=EVENING + timedelta(days=1), campaign_id="another",
        use_case_id="another", number="+12125550101",
    )  # fmt: skip
    [text] = collider.texts("tmobile", 1)
    await collider.hear(text)
    await collider.send()
    await daily_cap(collider, text)
    await collider.hear(*collider.texts("tmobile", 1, campaign_id="another"))
    await collider.hear(*collider.texts("att", 1))
    await collider.run(14 * 3600, every_s=600)
    assert await collider.statuses() == {"queued": 2, "delivered": 1}
    await collider.run(12 * 3600, every_s=600)
    assert await collider.statuses() == {"delivered": 3}
