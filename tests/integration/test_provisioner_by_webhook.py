"""A number's confirmation by the provider's webhooks: alone, beside polling, and played at odds."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from services.provisioner.domain import Carrier
from services.sandbox.behaviour import Between, ConfirmationDelays
from services.sandbox.registry import Word
from tests.provisioner_bench import PATIENCE, Bench, open_bench
from tests.provisioner_edge import Edge, open_edge

SLOW = {"confirmation_delay_s": ConfirmationDelays(att=0.6, tmobile=0.8, verizon=1.0)}
SILENT = {"confirmation_delay_s": ConfirmationDelays(att=3600, tmobile=3600, verizon=3600)}
CARRIERS: tuple[Carrier, ...] = ("att", "tmobile", "verizon")


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    """Its use case's changes are posted to an edge."""
    async with open_bench(database_url) as one, open_edge(one.database) as edge:
        post_to(one, edge)
        await one.hear(one.use_case())
        yield one


def post_to(bench: Bench, edge: Edge) -> None:
    campaign = bench.sandbox.world.registry.campaign(bench.provider_campaign_id)
    campaign.webhook_url = edge.url


async def waits_for_carriers(bench: Bench) -> str:
    """Work until a number is on its use case, and nobody would ask its carriers for an hour."""
    await bench.hear(bench.launch())

    async def rests() -> bool:
        order = await bench.order()
        return bool((order["due_at"] - order["step_since"]).total_seconds() > 3000)

    await bench.until_at("confirm")
    bench.patience = replace(PATIENCE, poll_s=3600, poll_most_s=3600)
    await bench.work_until(rests)
    return str((await bench.order())["number"])


def say(bench: Bench, number: str, carrier: Carrier, word: Word, reason: str | None = None) -> None:
    at = bench.sandbox.now()
    bench.sandbox.world.registry.speak(at, number, carrier, word, reason=reason)
    bench.sandbox.now()


async def test_webhooks_alone_complete_a_campaign(bench: Bench) -> None:
    bench.behave(**SLOW)
    number = await waits_for_carriers(bench)
    (event,) = await bench.until_settled()
    assert (event["outcome"], event["number"]) == ("complete", number)
    told = {one["carrier"]: one["answered_at"] for one in await bench.told("CarrierAnswered")}
    said_at = bench.sandbox.world.registry.get(number).said_at
    assert {carrier: at[:23] for carrier, at in told.items()} == {
        str(carrier): at.isoformat()[:23] for carrier, at in said_at.items()
    }


async def test_webhooks_that_name_no_carrier_have_the_carriers_asked_at_once(bench: Bench) -> None:
    bench.behave(**SLOW, number_updates_name_carriers=False)
    await waits_for_carriers(bench)
    (event,) = await bench.until_settled()
    assert event["outcome"] == "complete"


async def test_a_carriers_refusal_by_webhook_fails_a_campaign_with_its_words(bench: Bench) -> None:
    bench.behave(**SILENT)
    number = await waits_for_carriers(bench)
    say(bench, number, "tmobile", "refused", "T-Mobile: too many numbers.")
    (event,) = await bench.until_settled()
    assert event["outcome"] == "failed"
    assert event["reason"] == "Refused by T-Mobile: too many numbers."


async def test_a_late_confirmation_by_webhook_completes_what_has_failed(bench: Bench) -> None:
    bench.behave(**SILENT)
    number = await waits_for_carriers(bench)
    say(bench, number, "att", "refused", "AT&T: not yet.")
    await bench.until_settled()
    for carrier in CARRIERS:
        say(bench, number, carrier, "confirmed")
    failed, complete = await bench.until_settled(count=2)
    assert (failed["outcome"], failed["after_failure"]) == ("failed", False)
    assert (complete["outcome"], complete["after_failure"]) == ("complete", True)


@pytest.mark.parametrize("polled", [False, True])
async def test_webhooks_that_come_twice_and_past_each_other_come_to_the_same(
    bench: Bench, polled: bool
) -> None:
    bench.behave(
        **SLOW,
        number_updates_duplicate_share=1,
        number_updates_late_share=0.7,
        number_updates_late_s=Between(min=0.1, max=1.5),
    )
    if polled:
        await bench.hear(bench.launch())
    else:
        await waits_for_carriers(bench)
    (event,) = await bench.until_settled()
    assert event["outcome"] == "complete"
    await bench.pass_time(2)
    assert await bench.told("NumberProvisioned") == [event]
    assert len(await bench.told("CarrierAnswered")) == 3


async def test_where_webhooks_are_lost_polling_finds_out(bench: Bench) -> None:
    bench.behave(**SLOW, number_updates_lost_share=1)
    await bench.hear(bench.launch())
    (event,) = await bench.until_settled()
    assert event["outcome"] == "complete"


async def test_the_webhook_of_a_number_that_is_taken_off_its_use_case_confirms_nobody(
    bench: Bench,
) -> None:
    number = await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_off(number)
    told: list[dict[str, Any]] = await bench.told("NumberProvisioned", "CarrierAnswered")
    await bench.pass_time(0.5)
    assert await bench.told("NumberProvisioned", "CarrierAnswered") == told
    assert len(told) == 4
