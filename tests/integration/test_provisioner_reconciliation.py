"""Numbers at the provider and in our rows: each difference is listed, and mended where safe."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.provisioner.domain import CARRIERS, Attach
from services.sandbox.behaviour import ConfirmationDelays, Refusal
from services.sandbox.behaviour import Fault as Script
from tests.provisioner_bench import Bench
from tests.reconciliation_bench import (
    attach_elsewhere,
    buy_elsewhere,
    found,
    last_run,
    let_settle,
    open_books,
    run,
)


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_books(database_url) as one:
        yield one


# --- nothing differs -----------------------------------------------------------------------------


async def test_what_agrees_is_not_listed(bench: Bench) -> None:
    await bench.hear(*(bench.launch(f"c{index}") for index in range(3)))
    await bench.until_settled(count=3)
    let_settle(bench)
    report = await run(bench)
    assert (report.numbers, report.differences) == (3, [])
    last = await last_run(bench)
    assert (last["numbers"], last["tries"], last["error"], last["lease"]) == (3, 0, None, None)
    assert last["due_at"] - last["begun_at"] == timedelta(hours=1)
    assert last["ended_at"] >= last["begun_at"]


async def test_a_difference_that_is_gone_is_not_listed_any_more(bench: Bench) -> None:
    number = buy_elsewhere(bench, None)
    let_settle(bench)
    await run(bench)
    assert await found(bench) == [("stranger", number, False)]
    bench.sandbox.world.numbers.release(bench.sandbox.world.numbers.owned(number)[0].id)
    await run(bench)
    assert await found(bench) == []


async def test_what_is_young_or_under_way_is_left_to_the_next_run(bench: Bench) -> None:
    number = await bench.complete()
    bench.sandbox.world.registry.drop(number)
    buy_elsewhere(bench, f"{(await bench.order())['order_id']}-1")
    assert (await run(bench)).differences == []
    bench.behave(order_delay_s=3600)
    await bench.hear(bench.launch("waits"))
    await bench.pass_time(0.3)
    let_settle(bench)
    assert {one.kind for one in (await run(bench)).differences} == {"spare", "unattached"}


async def test_a_number_whose_purchase_was_not_answered_yet_is_its_orders(bench: Bench) -> None:
    await bench.hear(bench.launch())
    lost = Script(call="order", kind="reset")
    unknown = Script(call="order_status", kind="http", status=500, times=1000)
    bench.behave(order_delay_s=0, answers=(lost, unknown))

    async def is_looked_for() -> bool:
        return (await bench.order())["step"] == "order" and bool(bench.bought)

    await bench.work_until(is_looked_for)
    let_settle(bench)
    report = await run(bench)
    assert (report.numbers, report.differences) == (1, [])


async def test_a_number_that_waits_for_its_carriers_is_its_orders(bench: Bench) -> None:
    bench.behave(confirmation_delay_s=ConfirmationDelays(att=3600, tmobile=3600, verizon=3600))
    await bench.hear(bench.launch())
    await bench.until_at("confirm")
    bench.sandbox.world.registry.drop(bench.bought[0])
    let_settle(bench)
    assert (await run(bench)).differences == []


# --- each kind of difference ---------------------------------------------------------------------


async def test_a_number_that_we_hold_and_the_provider_has_not_is_listed_and_left_alone(
    bench: Bench,
) -> None:
    number = await bench.complete()
    before = await bench.number(number)
    bench.sandbox.world.numbers.release(bench.sandbox.world.numbers.owned()[0].id)
    bench.sandbox.world.registry.drop(number)
    let_settle(bench)
    await run(bench)
    assert await found(bench) == [("missing", number, False)]
    assert await bench.number(number) == before


async def test_a_stranger_is_listed_and_left_alone(bench: Bench) -> None:
    number = buy_elsewhere(bench, "somebody-elses")
    let_settle(bench)
    report = await run(bench)
    assert [(one.kind, one.org_id) for one in report.differences] == [("stranger", "")]
    await bench.pass_time(0.2)
    assert bench.bought == [number]


async def test_a_stranger_on_our_use_case_takes_a_place_that_we_do_not_count(bench: Bench) -> None:
    number = buy_elsewhere(bench, None)
    attach_elsewhere(bench, number, bench.provider_campaign_id)
    let_settle(bench)
    (one,) = (await run(bench)).differences
    assert (one.kind, one.org_id) == ("stranger on our use case", bench.org_id)
    assert bench.provider_campaign_id in one.said


async def test_a_spare_number_of_a_lost_answer_is_found_and_given_back(bench: Bench) -> None:
    number = await bench.complete()
    order_id = (await bench.order())["order_id"]
    spare = "+12125550142"
    bench.sandbox.world.numbers.order(
        datetime.now(UTC), bench.sandbox.world.behaviour, [spare], f"{order_id}-1", "profile"
    )
    await asyncio.sleep(0.2)
    let_settle(bench)
    bench.rest(0.1)
    await run(bench)
    assert await found(bench) == [("spare", spare, True)]
    await bench.until_given_back()
    assert bench.bought == bench.on_use_case == [number]
    let_settle(bench, 40)
    await run(bench)
    assert await found(bench) == []


async def test_a_number_that_is_given_back_by_our_rows_and_is_there_is_given_back_again(
    bench: Bench,
) -> None:
    bench.rest(0)
    number = await bench.complete()
    reference = f"{(await bench.order())['order_id']}-1"
    await bench.hear(bench.archive())
    await bench.until_given_back()
    buy_elsewhere(bench, reference, number)
    let_settle(bench)
    await run(bench)
    assert await found(bench) == [("not given back", number, True)]
    await bench.until_given_back(count=2)
    assert bench.bought == []
    assert (await bench.number(number))["step"] == "gone"


async def test_a_held_number_that_is_on_no_use_case_is_put_on_its_own_again(bench: Bench) -> None:
    number = await bench.complete()
    bench.sandbox.world.registry.drop(number)
    let_settle(bench)
    await run(bench)
    assert await found(bench) == [("unattached", number, True)]
    bench.behave(answers=(Script(call="attach", kind="http", status=500, times=2),))

    async def is_held_as_before() -> bool:
        return (await bench.number(number))["due_at"] is None

    await bench.work_until(is_held_as_before)
    assert bench.on_use_case == [number]
    row = await bench.number(number)
    assert (row["step"], row["astray_since"], row["error"]) == ("held", None, None)
    let_settle(bench, 40)
    assert (await run(bench)).differences == []


async def test_a_number_that_may_not_be_put_back_is_asked_for_once_and_stays_listed(
    bench: Bench,
) -> None:
    number = await bench.complete()
    bench.sandbox.world.registry.drop(number)
    let_settle(bench)
    bench.behave(answers=(Script(call="attach", kind="http", status=400),))
    for minutes in (20, 40):
        let_settle(bench, minutes)
        await run(bench)
        await bench.pass_time(0.3)
        assert await found(bench) == [("unattached", number, True)]
        assert (await bench.number(number))["due_at"] is None
    assert bench.on_use_case == []


async def test_a_number_that_its_carriers_never_confirmed_is_not_put_back(bench: Bench) -> None:
    bench.behave(refusals=(Refusal(carrier="tmobile", next=True),))
    await bench.hear(bench.launch())
    number = (await bench.outcome("spring"))["number"]
    bench.sandbox.world.registry.drop(number)
    let_settle(bench)
    (one,) = (await run(bench)).differences
    assert (one.kind, one.mend) == ("unattached", None)


async def test_a_request_to_put_a_number_back_that_nobody_heard_of_keeps_its_place_until_it_lands(
    bench: Bench,
) -> None:
    bench.patience = replace(bench.patience, look_up_s=2)
    number = await bench.complete()
    bench.sandbox.world.registry.drop(number)
    let_settle(bench)
    await run(bench)
    ((_, act),) = await bench.releaser()._claim("dead")
    assert act == Attach(number, bench.provider_campaign_id)
    # The next worker is answered; this one's request may still be on its way.
    await bench.hear(bench.archive())
    await bench.until_off(number)
    row = await bench.number(number)
    assert (row["off_at"] - row["attach_asked_at"]).total_seconds() >= 2
    assert bench.on_use_case == []


async def test_an_archive_that_comes_while_a_number_is_put_back_takes_it_off_again(
    bench: Bench,
) -> None:
    number = await bench.complete()
    bench.sandbox.world.registry.drop(number)
    let_settle(bench)
    await run(bench)
    await bench.hear(bench.archive())
    await bench.until_off(number)
    assert bench.on_use_case == []
    assert (await bench.number(number))["step"] == "rest"


async def test_a_number_on_another_use_case_than_ours_is_listed_and_left_alone(
    bench: Bench,
) -> None:
    number = await bench.complete()
    attach_elsewhere(bench, number, "C-OTHER")
    let_settle(bench)
    (one,) = (await run(bench)).differences
    assert (one.kind, one.mend) == ("misattached", None)
    assert "C-OTHER" in one.said
    await bench.pass_time(0.2)
    assert bench.on_use_case == []


async def test_a_number_that_rests_and_is_on_a_use_case_is_taken_off_it(bench: Bench) -> None:
    number = await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_off(number)
    attach_elsewhere(bench, number, bench.provider_campaign_id)
    let_settle(bench)
    await run(bench)
    assert await found(bench) == [("still attached", number, True)]
    assert (await bench.number(number))["off_at"] is None
    await bench.until_off(number)
    assert bench.on_use_case == []
    assert (await bench.number(number))["step"] == "rest"


async def test_a_confirmation_that_nobody_told_us_of_completes_a_failed_campaign_after_all(
    bench: Bench,
) -> None:
    delays = ConfirmationDelays(att=0.1, tmobile=3600, verizon=0.1)
    bench.behave(confirmation_delay_s=delays)
    await bench.hear(bench.launch())
    await bench.lose_patience(answers=2)
    event = await bench.outcome("spring")
    assert (event["outcome"], event["carriers"]["tmobile"]["state"]) == ("failed", "pending")
    # Polls are over by now. It confirms a little later, and no webhook comes.
    await bench.pass_time(0.2)
    (attachment,) = bench.sandbox.world.registry.attachments()
    attachment.mappings["tmobile"] = "ADDED"
    attachment.updated_at = said_at = datetime.now(UTC)
    let_settle(bench)
    await run(bench)
    assert await found(bench) == [("unheard", event["number"], True)]

    async def is_told() -> bool:
        return len(await bench.told("NumberProvisioned")) == 2

    await bench.work_until(is_told)
    _, late = await bench.told("NumberProvisioned")
    assert (late["outcome"], late["after_failure"]) == ("complete", True)
    assert datetime.fromisoformat(late["carriers"]["tmobile"]["at"]) == said_at
    let_settle(bench, 40)
    await run(bench)
    assert await found(bench) == []


@pytest.mark.parametrize("profile_id", [None, "another"])
async def test_a_number_on_another_messaging_profile_is_listed_and_left_alone(
    bench: Bench, profile_id: str | None
) -> None:
    await bench.complete()
    (there,) = bench.sandbox.world.numbers.owned()
    there.messaging_profile_id = profile_id
    let_settle(bench)
    (one,) = (await run(bench)).differences
    assert (one.kind, one.mend) == ("wrong profile", None)
    assert there.messaging_profile_id == profile_id


async def test_each_carriers_word_that_nobody_told_is_recorded_however_late_the_next_one_comes(
    bench: Bench,
) -> None:
    delays = ConfirmationDelays(att=3600, tmobile=3600, verizon=0.1)
    bench.behave(confirmation_delay_s=delays)
    await bench.hear(bench.launch())
    await bench.lose_patience(answers=1)
    await bench.outcome("spring")
    (attachment,) = bench.sandbox.world.registry.attachments()
    for carrier, minutes in zip(CARRIERS[:2], (20, 80), strict=True):
        attachment.mappings[carrier] = "ADDED"
        attachment.updated_at = datetime.now(UTC)
        let_settle(bench, minutes)
        await run(bench)
        await bench.pass_time(0.2)
    ends = [event["outcome"] for event in await bench.told("NumberProvisioned")]
    assert ends == ["failed", "complete"]
