"""What carriers say, however it comes: recorded by number, weighed by its own time."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from services.provisioner.domain import CARRIERS, Carrier, CarrierFact
from services.provisioner.facts import record_facts
from services.provisioner.page import OrderPage
from services.sandbox.behaviour import Fault as Script
from services.sandbox.behaviour import Refusal
from shared.health import Health
from tests.provisioner_bench import NEVER, Bench, open_bench


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        await one.hear(one.use_case())
        yield one


def fact(number: str, carrier: Carrier, **changes: Any) -> CarrierFact:
    told: dict[str, Any] = {"state": "confirmed", "at": datetime.now(UTC)}
    return CarrierFact(number=number, carrier=carrier, **{**told, **changes})


async def say(bench: Bench, *facts: CarrierFact) -> None:
    """As a webhook or the reconciliation does."""
    async with bench.database.transaction() as tx:
        await record_facts(tx, facts)


async def kept(bench: Bench, number: str) -> list[tuple[str, str, datetime, str]]:
    async with bench.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT carrier, state, at, reason FROM facts WHERE number = $1 ORDER BY carrier",
            number,
        )
    return [tuple(row) for row in rows]


async def test_a_fact_about_a_number_that_is_not_in_our_books_is_dropped(bench: Bench) -> None:
    await say(bench, fact("+12125559999", "att"))
    assert await kept(bench, "+12125559999") == []


async def test_of_a_carriers_words_the_last_by_the_providers_time_is_kept(bench: Bench) -> None:
    number = await bench.complete()
    early, late = datetime(2040, 1, 1, tzinfo=UTC), datetime(2040, 1, 2, tzinfo=UTC)
    await say(bench, fact(number, "att", state="refused", at=late, reason="no\x00 pool" * 99))
    await say(bench, fact(number, "att", at=early), fact(number, "att", at=early))
    await say(bench, fact(number, "tmobile", at=late, state="refused"),
              fact(number, "tmobile", at=late), fact(number, "tmobile", at=early))  # fmt: skip
    att, tmobile = [one for one in await kept(bench, number) if one[0] != "verizon"]
    assert att == ("att", "refused", late, ("no pool" * 99)[:200])
    assert tmobile == ("tmobile", "confirmed", late, "")


# --- what comes of them --------------------------------------------------------------------------


DEAF = (Script(call="attachment", kind="http", status=503, times=10_000),)
"""The provider does not say what the carriers answered, however often it is asked."""


async def ends(bench: Bench, campaign_id: str = "spring") -> list[tuple[str, bool]]:
    told = await bench.told("NumberProvisioned")
    return [(one["outcome"], one["after_failure"]) for one in told
            if one["campaign_id"] == campaign_id]  # fmt: skip


async def words(bench: Bench, campaign_id: str = "spring") -> dict[str, tuple[str, datetime]]:
    order = await bench.order(campaign_id)
    async with bench.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT carrier, state, at FROM confirmations WHERE org_id = $1 AND order_id = $2",
            bench.org_id,
            order["order_id"],
        )
    return {row["carrier"]: (row["state"], row["at"]) for row in rows}


async def test_what_carriers_say_is_weighed_without_asking_the_provider(bench: Bench) -> None:
    number = await bench.launch_silent(answers=DEAF)
    at = datetime.now(UTC)
    await say(bench, fact(number, "att", at=at), fact(number, "tmobile", at=at))
    await bench.pass_time(0.3)
    assert (await bench.order())["step"] == "confirm"
    assert [one["carrier"] for one in await bench.told("CarrierAnswered")] == ["att", "tmobile"]
    await say(bench, fact(number, "verizon", at=at))
    event = await bench.outcome("spring")
    assert event["outcome"] == "complete"
    assert await words(bench) == dict.fromkeys(CARRIERS, ("confirmed", at))


async def test_facts_that_come_again_tell_nobody_again(bench: Bench) -> None:
    number = await bench.launch_silent(answers=DEAF)
    facts = [fact(number, carrier) for carrier in CARRIERS]
    for _ in range(3):
        await say(bench, *facts, *facts)
        await bench.pass_time(0.1)
    assert len(await bench.told("CarrierAnswered")) == 3
    assert await ends(bench) == [("complete", False)]


async def test_a_word_that_is_said_again_later_is_of_the_later_time_and_is_weighed_once(
    bench: Bench,
) -> None:
    number = await bench.launch_silent()
    bench.patience = replace(bench.patience, poll_s=60)
    early = datetime.now(UTC)
    late = early + timedelta(seconds=1)
    await say(bench, fact(number, "att", at=early))
    await bench.pass_time(0.2)
    await say(bench, fact(number, "att", at=late))
    await bench.pass_time(0.2)
    assert (await words(bench))["att"] == ("confirmed", late)
    assert len(await bench.told("CarrierAnswered")) == 1
    assert (await bench.order())["due_at"] > datetime.now(UTC) + timedelta(seconds=50)
    await say(bench, fact(number, "att", state="refused", at=early + timedelta(milliseconds=500)))
    await bench.pass_time(0.2)
    assert (await words(bench))["att"] == ("confirmed", late)
    # What people are shown is since when it has said so.
    await say(bench, *(fact(number, carrier, at=late) for carrier in CARRIERS))
    shown = (await bench.outcome("spring"))["carriers"]
    assert datetime.fromisoformat(shown["att"]["at"]) == early
    assert datetime.fromisoformat(shown["tmobile"]["at"]) == late


async def test_a_fact_that_comes_before_the_attachments_answer_is_weighed_after_it(
    bench: Bench,
) -> None:
    bench.behave(confirmation_delay_s=NEVER, answers=DEAF)
    await bench.hear(bench.launch())
    await bench.until_at("attach")
    number = str((await bench.order())["number"])
    async with bench.answered():
        await say(bench, *(fact(number, carrier) for carrier in CARRIERS))
    assert (await bench.order())["due_at"] <= datetime.now(UTC)
    assert (await bench.outcome("spring"))["outcome"] == "complete"


async def test_a_fact_that_comes_while_the_provider_is_asked_is_not_slept_over(
    bench: Bench,
) -> None:
    number = await bench.launch_silent()
    bench.patience = replace(bench.patience, poll_s=60)
    async with bench.answered():
        await say(bench, *(fact(number, carrier) for carrier in CARRIERS))
    assert (await bench.outcome("spring"))["outcome"] == "complete"


async def test_a_change_that_nobody_explains_is_asked_for_again_where_that_was_just_done(
    bench: Bench,
) -> None:
    number = await bench.launch_silent()
    bench.patience = replace(bench.patience, poll_s=60)
    async with bench.answered():
        for carrier in CARRIERS:
            bench.sandbox.world.registry.speak(bench.sandbox.now(), number, carrier, "confirmed")
        async with bench.database.transaction() as tx:
            await record_facts(tx, [], changed=[number])
    assert (await bench.outcome("spring"))["outcome"] == "complete"


async def test_facts_of_an_earlier_time_on_the_use_case_or_about_another_do_not_count(
    bench: Bench,
) -> None:
    number = await bench.complete()
    earlier = datetime.now(UTC)
    await bench.hear(bench.archive())
    await bench.until_off(number)
    bench.behave(confirmation_delay_s=NEVER)
    await bench.hear(bench.launch("followup", number=number))
    await bench.until_at("confirm", "followup")
    late = [fact(number, carrier, at=earlier) for carrier in CARRIERS]
    other = [fact(number, carrier, provider_campaign_id="C-other") for carrier in CARRIERS]
    await say(bench, *late, *other)
    await bench.pass_time(0.3)
    assert await ends(bench, "followup") == []
    ours = [fact(number, one, provider_campaign_id=bench.provider_campaign_id) for one in CARRIERS]
    await say(bench, *ours)
    assert (await bench.outcome("followup"))["outcome"] == "complete"


async def test_words_of_an_earlier_time_do_not_count_where_the_providers_clock_is_ahead(
    bench: Bench,
) -> None:
    number = await bench.complete()
    ahead = datetime.now(UTC) + timedelta(minutes=2)
    await say(bench, *(fact(number, carrier, at=ahead) for carrier in CARRIERS))
    await bench.hear(bench.archive())
    await bench.until_off(number)
    bench.behave(confirmation_delay_s=NEVER)
    await bench.hear(bench.launch("followup", number=number))
    await bench.until_at("confirm", "followup")
    await bench.pass_time(0.3)
    assert await ends(bench, "followup") == []


async def test_a_carriers_word_holds_for_all_campaigns_on_its_number(bench: Bench) -> None:
    number = await bench.launch_silent(answers=DEAF)
    await bench.hear(bench.launch("followup", number=number))
    await say(bench, *(fact(number, carrier) for carrier in CARRIERS))
    assert (await bench.outcome("followup"))["outcome"] == "complete"
    assert (await bench.outcome("spring"))["outcome"] == "complete"


async def test_by_webhook_and_by_poll_in_any_order_the_words_are_the_same(bench: Bench) -> None:
    bench.behave(confirmation_delay_s=NEVER)
    for polled, order in (
        ("att", (0, 1, 2, 3)),
        ("tmobile", (3, 2, 1, 0)),
        ("verizon", (1, 3, 0, 2)),
    ):
        await bench.hear(bench.launch(polled))
        await bench.until_at("confirm", polled)
        number = str((await bench.order(polled))["number"])
        early = datetime.now(UTC)
        late = early + timedelta(milliseconds=1)
        facts = [
            fact(number, "att", state="refused", at=early, reason="no pool"),
            fact(number, "att", at=late),
            fact(number, "tmobile", at=late),
            fact(number, "verizon", state="refused", at=late),
        ]
        for one in (facts[place] for place in order):
            if (one.carrier, one.at) == (polled, late):
                # This one is shown to whoever asks, and told by no webhook.
                bench.sandbox.world.registry.speak(
                    bench.sandbox.now(), number, one.carrier, one.state
                )
            else:
                await say(bench, one, one)
            await bench.pass_time(0.1)

        async def all_is_known(campaign_id: str = polled) -> bool:
            known = {
                carrier: state for carrier, (state, _) in (await words(bench, campaign_id)).items()
            }
            return known == {"att": "confirmed", "tmobile": "confirmed", "verizon": "refused"}

        await bench.work_until(all_is_known)
        await bench.pass_time(0.2)
        assert await all_is_known()
        assert await ends(bench, polled) == [("failed", False)]


# --- after a failure, and after it was complete --------------------------------------------------


async def fail(bench: Bench) -> str:
    """A campaign that T-Mobile has refused; its number."""
    bench.behave(refusals=(Refusal(carrier="tmobile", next=True),))
    await bench.hear(bench.launch())
    event = await bench.outcome("spring")
    assert (event["outcome"], event["archived"]) == ("failed", False)
    return str(event["number"])


async def test_a_late_confirmation_after_a_failure_completes_it_with_a_second_notice(
    bench: Bench,
) -> None:
    number = await fail(bench)
    world = bench.sandbox.world
    world.registry.speak(bench.sandbox.now(), number, "tmobile", "confirmed")
    await bench.until_at("complete")
    assert await ends(bench) == [("failed", False), ("complete", True)]
    event = (await bench.told("NumberProvisioned"))[-1]
    assert {one["state"] for one in event["carriers"].values()} == {"confirmed"}
    answers = await bench.told("CarrierAnswered")
    assert [one["answer"] for one in answers if one["carrier"] == "tmobile"] == [
        "refused", "confirmed"]  # fmt: skip
    assert (await bench.order())["due_at"] is None
    # A follow-up finds it ready.
    assert await bench.complete("followup", number=number) == number


async def test_after_the_time_is_up_only_the_carriers_themselves_wake_a_failure(
    bench: Bench,
) -> None:
    number = await bench.launch_silent()
    bench.patience = replace(bench.patience, limit_s=0)
    await bench.until_at("failed")
    assert (await bench.order())["due_at"] is None
    await say(bench, fact(number, "att"))
    await bench.pass_time(0.2)
    assert [one["carrier"] for one in await bench.told("CarrierAnswered")] == ["att"]
    assert (await bench.order())["due_at"] is None
    await say(bench, fact(number, "tmobile"), fact(number, "verizon"))
    await bench.until_at("complete")
    assert await ends(bench) == [("failed", False), ("complete", True)]


async def test_a_failure_that_is_looked_at_holds_its_place_and_is_let_go_by_its_archive(
    bench: Bench,
) -> None:
    bench.numbers_most = 2
    number = await fail(bench)
    assert (await bench.order())["due_at"] is not None
    clone = await bench.complete("clone")
    await bench.hear(bench.launch("third"))
    assert (await bench.outcome("third"))["outcome"] == "failed"
    await bench.hear(bench.archive())
    await bench.until_off(number)
    assert bench.on_use_case == [clone]
    # What is said of it now helps nobody: its campaign is over.
    await say(bench, *(fact(number, carrier) for carrier in CARRIERS))
    await bench.pass_time(0.2)
    assert await ends(bench) == [("failed", False)]
    assert (await bench.order())["due_at"] is None


async def test_a_refusal_after_all_had_confirmed_is_told_and_takes_nothing_back(
    bench: Bench,
) -> None:
    number = await bench.complete()
    await say(bench, fact(number, "att", state="refused", reason="audit"))
    await bench.pass_time(0.2)
    last = (await bench.told("CarrierAnswered"))[-1]
    assert (last["carrier"], last["answer"], last["reason"]) == ("att", "refused", "audit")
    assert await ends(bench) == [("complete", False)]
    order = await bench.order()
    assert (order["step"], order["due_at"]) == ("complete", None)


async def test_something_that_has_changed_is_asked_about_at_once(bench: Bench) -> None:
    number = await bench.launch_silent()
    bench.patience = replace(bench.patience, poll_s=60)
    await bench.pass_time(0.2)
    for carrier in CARRIERS:
        bench.sandbox.world.registry.speak(bench.sandbox.now(), number, carrier, "confirmed")
    async with bench.database.transaction() as tx:
        await record_facts(tx, [], changed=[number])
    assert (await bench.outcome("spring"))["outcome"] == "complete"


async def test_the_page_shows_what_each_carrier_said_and_that_a_failure_is_looked_at(
    bench: Bench,
) -> None:
    await fail(bench)
    health = Health()
    health.pages["/orders"] = OrderPage(bench.database).show
    async with (
        TestClient(TestServer(health.app())) as client,
        client.get("/orders", params={"org_id": bench.org_id}) as answer,
    ):
        (line,) = (await answer.json())["orders"]
    assert (line["step"], line["carriers"]["att"]["state"]) == ("failed", "confirmed")
    assert "T-Mobile" in line["carriers"]["tmobile"]["reason"]
    assert line["next_at"] is not None
