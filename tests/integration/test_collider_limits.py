"""Limits in any combination, and edited while texts are claimed and under way: in virtual time."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sandbox.domain import Submission, Unit
from shared.clock import ManualClock
from shared.events import MessageSent
from shared.fields import Carrier
from shared.rules.meters import Meter
from tests.books import Said, imbalances
from tests.engine import EVENING, MORNING, Engine, empty
from tests.replicas import virtual_time
from tests.world_at_odds import Stage


@pytest.fixture(scope="module")
def stage(database_url: str) -> Iterator[Stage]:
    with Stage(database_url) as one:
        yield one


# --- any combination -------------------------------------------------------------------------

caps = st.fixed_dictionaries(
    {
        "sms_per_minute": st.sampled_from((None, 0, 1, 3, 40, 1000)),
        "sms_unit": st.sampled_from(("segment", "message")),
        "mms_per_minute": st.sampled_from((None, 0, 1, 40)),
        "segments_per_day": st.sampled_from((None, 0, 1, 5, 60)),
    }
)
batches = st.lists(
    st.tuples(st.booleans(), st.sampled_from((1, 2, 10)), st.sampled_from((1, 4, 30))),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40, derandomize=True)
@given(organization=caps, own=st.none() | caps, texts=batches)
def test_all_limits_that_apply_are_charged_together_or_none(
    stage: Stage,
    organization: dict[str, Any],
    own: dict[str, Any] | None,
    texts: list[tuple[bool, int, int]],
) -> None:
    stage.run(_charge_together(stage, organization, own, texts))


async def _charge_together(
    stage: Stage,
    organization: dict[str, Any],
    own: dict[str, Any] | None,
    texts: list[tuple[bool, int, int]],
) -> None:
    stage.database.clock = clock = ManualClock(MORNING)
    await empty(stage.database)
    with virtual_time(clock):
        collider = Engine(stage.database, clock)
        await collider.limit("att", **organization)
        if own is not None:
            await collider.limit("att", use_case_id="use-case", **own)
        await collider.launch(opens_at=MORNING, closes_at=EVENING)
        for is_mms, segments, count in texts:
            await collider.hear(*_batch(collider, count, is_mms=is_mms, segments=segments))
        # One claim, so that nothing has leaked out yet.
        await collider.replicas[0].work()
        scopes = {"": organization} | ({} if own is None else {"use-case": own})
        for (scope, channel), meter in (await _meters(collider)).items():
            assert _level(meter, clock.at) == _cost(collider, channel, scopes[scope])
        assert await imbalances(collider, Said()) == []
        # And all the rest is as it should be later too.
        await collider.run(5)
        verdict = collider.world.judge.verdict()
        assert verdict["ok"], verdict
        assert await imbalances(collider, Said()) == []


def _batch(collider: Engine, count: int, *, is_mms: bool, segments: int) -> list[Any]:
    media = ("https://example.org/poster.png",) if is_mms else ()
    return collider.texts(
        "att", count, text="Will you vote? " * 10 * segments,
        channel="mms" if is_mms else "sms", media_urls=media,
    )  # fmt: skip


async def _meters(collider: Engine) -> dict[tuple[str, str], Meter]:
    async with collider.database.connection() as connection:
        rows = await connection.fetch("SELECT meters FROM standings")
    found = {}
    for row in rows:
        for scope, channel, per_minute, largest, largest_at, dry_at in row["meters"]:
            times = datetime.fromisoformat(largest_at), datetime.fromisoformat(dry_at)
            found[scope, channel] = Meter(per_minute, largest, *times)
    return found


def _level(meter: Meter, now: datetime) -> int:
    """What was poured into a meter that was empty: besides what was filled up as room was made."""
    return 0 if meter.per_minute == 0 else round(meter.level(now)) - (meter.largest - 1)


def _cost(collider: Engine, channel: str, told: dict[str, Any]) -> int:
    """What has arrived, by the sandbox's count, in this limit's unit."""
    unit: Unit = told["sms_unit"]
    arrived: list[Submission] = [one.text for one in collider.world.judge.page(0, 10_000)]
    return sum(one.cost(unit) for one in arrived if one.channel == channel)


# --- edited live -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"), [(600, 60), (60, 600), (600, 0), (0, 600), (600, None), (None, 60)]
)
@pytest.mark.parametrize("late_s", [0.0, 0.2])
async def test_a_limit_that_is_edited_amid_claims_holds_within_a_second(
    collider: Engine, before: int | None, after: int | None, late_s: float
) -> None:
    await collider.limit("att", version=2, sms_per_minute=before)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await _flow(collider, 20, late_s)
    # The edit comes while a claim is in hand.
    await collider.hear(*collider.texts("att", 5))
    await collider.claimer.step()
    await collider.limit("att", version=3, sms_per_minute=after)
    edited_at = collider.now
    await _flow(collider, 10 if after is None else 70, late_s)
    verdict = collider.world.judge.verdict()
    assert verdict["ok"], verdict
    in_force = [
        one
        for one in collider.world.judge.page(0, 10_000)
        if edited_at + timedelta(seconds=1) <= one.arrived_at < edited_at + timedelta(seconds=61)
    ]
    if after is None:
        assert len(in_force) > 600
    elif after:
        # After a cut, what is in the meter has to leak out first; after a raise there is room.
        full = after * (0.97 if (before or 0) < after else 0)
        assert full <= len(in_force) <= after
    else:
        assert not in_force


async def _flow(collider: Engine, seconds: float, late_s: float) -> None:
    """A backlog that is never dry, dispatched late."""
    until = collider.now + timedelta(seconds=seconds)
    while collider.now < until:
        waiting = (await collider.statuses()).get("queued", 0)
        if waiting < 40:
            await collider.hear(*collider.texts("att", 40))
        await collider.claimer.step()
        collider.clock.advance(late_s)
        await collider.replicas[0].dispatch()
        collider.clock.advance(0.25 - late_s)


# --- neighbours ------------------------------------------------------------------------------


async def test_a_great_backlog_of_one_organization_does_not_slow_anothers_hundred(
    collider: Engine,
) -> None:
    carriers: tuple[Carrier, ...] = ("att", "tmobile", "verizon", "other")
    for carrier in carriers:
        await collider.limit(carrier, version=2, sms_per_minute=240)
        await collider.limit(carrier, org_id="small", sms_per_minute=60)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.launch(
        opens_at=MORNING, closes_at=EVENING, org_id="small", use_case_id="small",
        campaign_id="small", number="+12125550109",
    )  # fmt: skip
    for carrier in carriers:
        await collider.hear(*collider.texts(carrier, 8_000))
    await collider.run(5)
    for carrier in carriers:
        texts = collider.texts(carrier, 100, org_id="small", campaign_id="small")
        await collider.hear(*texts)
    begun_at = collider.now
    await collider.run(105)
    sent: dict[str, list[datetime]] = defaultdict(list)
    for event in collider.told(MessageSent):
        if event.org_id == "small":
            sent[event.carrier].append(event.at)
    for carrier in carriers:
        assert len(sent[carrier]) == 100
        assert max(sent[carrier]) - begun_at < timedelta(seconds=99 * 60.5 / 60 + 1)
    assert collider.world.judge.verdict()["ok"]
