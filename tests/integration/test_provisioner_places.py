"""Forty-nine numbers a use case: counted before anything is bought, at any number of replicas."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.provisioner.rules.reasons import no_place
from services.sandbox.behaviour import ConfirmationDelays
from services.sandbox.behaviour import Fault as Script
from tests.provisioner_bench import Bench, open_bench


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        yield one


async def fill(bench: Bench, count: int = 49) -> list[str]:
    """So many campaigns, all complete; their numbers, in the campaigns' order."""
    await bench.hear(bench.use_case(), *(bench.launch(f"c{index}") for index in range(count)))
    events = await bench.until_settled(*(bench.worker() for _ in range(3)), count=count)
    number = {event["campaign_id"]: event["number"] for event in events}
    assert {event["outcome"] for event in events} == {"complete"}
    return [number[f"c{index}"] for index in range(count)]


async def test_the_fiftieth_number_of_a_use_case_fails_at_once_with_the_advice_to_archive(
    bench: Bench,
) -> None:
    await fill(bench)
    await bench.hear(bench.launch("fiftieth"))
    event = await bench.outcome("fiftieth")
    assert (event["outcome"], event["number"]) == ("failed", None)
    assert event["took_s"] < 5
    assert event["reason"] == no_place(49)
    assert "Archive a few old campaigns, then clone this one." in event["reason"]
    assert len(bench.bought) == len(bench.on_use_case) == 49
    assert bench.verdict()["ok"] is True


async def test_archive_and_clone_work_on_the_same_afternoon_with_49_numbers(bench: Bench) -> None:
    numbers = await fill(bench)
    bench.behave(unassignment_delay_s=0.5)
    await bench.hear(bench.archive("c7"))
    await bench.hear(bench.launch("clone"))
    event = await bench.outcome("clone")
    assert event["outcome"] == "complete"
    assert event["number"] not in numbers
    held = set(bench.on_use_case)
    assert held == {*numbers, event["number"]} - {numbers[7]}
    # The old number still takes its last answers; it is only off the use case.
    assert numbers[7] in bench.bought
    (line,) = bench.verdict()["use_cases"]
    assert (line["numbers"], line["peak"], line["over"]) == (49, 49, False)


async def test_500_launches_at_once_never_put_a_fiftieth_number_on_a_use_case(bench: Bench) -> None:
    bench.behave(
        answers=(
            Script(call="order", kind="reset", times=3, skip=2),
            Script(call="attach", kind="http", status=500, times=3, skip=2, taken=True),
        )
    )
    launches = [bench.launch(f"c{index}") for index in range(500)]
    await bench.hear(bench.use_case(), *launches[:100])
    replicas = [bench.worker() for _ in range(4)]

    async def hear_the_rest() -> None:
        for first in range(100, 500, 100):
            await bench.hear(*launches[first : first + 100])

    rest = asyncio.create_task(hear_the_rest())
    events = await bench.until_settled(*replicas, count=500, within_s=120)
    await rest
    complete = [event for event in events if event["outcome"] == "complete"]
    assert len(complete) == 49
    assert {event["reason"] for event in events if event["outcome"] == "failed"} == {no_place(49)}
    assert sorted(bench.bought) == sorted(event["number"] for event in complete)
    assert len({event["campaign_id"] for event in events}) == len(events) == 500
    assert bench.verdict()["ok"] is True
    assert bench.verdict()["use_cases"][0]["peak"] == 49


async def test_a_number_that_is_still_pending_counts_too(bench: Bench) -> None:
    bench.numbers_most = 2
    bench.behave(confirmation_delay_s=ConfirmationDelays(att=60, tmobile=60, verizon=60))
    await bench.hear(bench.use_case(), *(bench.launch(f"c{index}") for index in range(3)))
    (event,) = await bench.until_settled()
    assert (event["outcome"], event["reason"]) == ("failed", no_place(2))


async def test_another_use_case_has_places_of_its_own(bench: Bench) -> None:
    bench.numbers_most = 1
    await bench.hear(bench.use_case(), bench.launch("one"))
    await bench.outcome("one")
    surveys = bench.use_case().model_copy(
        update={"use_case_id": "surveys", "provider_campaign_id": f"S-{bench.org_id[-8:]}"}
    )
    await bench.hear(surveys, bench.launch("two", use_case_id="surveys"))
    assert (await bench.outcome("two"))["outcome"] == "complete"


async def test_a_campaign_that_found_no_number_gives_its_place_back(bench: Bench) -> None:
    bench.numbers_most = 1
    bench.behave(sold_out_area_codes=("808",))
    await bench.hear(bench.use_case(), bench.launch("sold-out", area_codes=("808",)))
    assert (await bench.outcome("sold-out"))["outcome"] == "failed"
    bench.behave()
    await bench.hear(bench.launch("next"))
    assert (await bench.outcome("next"))["outcome"] == "complete"


@pytest.mark.parametrize("status", [429, 422])
async def test_a_place_is_not_kept_for_an_attachment_that_the_provider_clearly_did_not_take(
    bench: Bench, status: int
) -> None:
    bench.numbers_most = 1
    bench.patience = replace(bench.patience, look_up_s=25)
    bench.behave(answers=(Script(call="attach", kind="http", status=status, times=2),))
    await bench.hear(bench.use_case())
    await bench.complete("old")
    await bench.hear(bench.archive("old"), bench.launch("clone"))
    event = await bench.outcome("clone")
    assert (event["outcome"], event["took_s"] < 15) == ("complete", True)


async def test_a_campaign_waits_for_a_place_that_is_on_its_way_and_no_longer(bench: Bench) -> None:
    bench.numbers_most = 1
    bench.behave(unassignment_delay_s=1, numbers_per_campaign=1)
    await bench.hear(bench.use_case(), bench.launch("old"))
    await bench.outcome("old")
    await bench.hear(bench.archive("old"), bench.launch("a"), bench.launch("b"))
    await bench.worker().step()
    assert (await bench.order("a"))["step"] == "place"
    assert (await bench.order("a"))["error"] == "waits for a place on its use case"
    a, b = await bench.outcome("a"), await bench.outcome("b")
    assert sorted([a["outcome"], b["outcome"]]) == ["complete", "failed"]
    assert bench.verdict()["ok"] is True


async def test_who_waits_for_a_place_is_woken_when_it_is_free(bench: Bench) -> None:
    bench.numbers_most = 1
    await bench.hear(bench.use_case())
    await bench.complete("old")
    await bench.hear(bench.archive("old"), bench.launch("next"))
    slow = bench.worker()
    slow._patience = replace(bench.patience, poll_s=60)
    await slow.step()
    waiting = await bench.order("next")
    assert waiting["step"] == "place"
    assert (waiting["due_at"] - waiting["step_since"]).total_seconds() > 50
    assert (await bench.outcome("next"))["outcome"] == "complete"
