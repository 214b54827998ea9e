"""Restarts between any two steps, purchases that land late, and what an admin is told of that."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.provisioner.domain import Absent, Ordered, Refused, Unclear
from services.provisioner.providers import Fault
from services.provisioner.providers.telnyx import Telnyx
from services.provisioner.store import numbers
from services.provisioner.worker import Provisioner
from services.sandbox.behaviour import ConfirmationDelays
from services.sandbox.behaviour import Fault as Script
from tests.provisioner_bench import Bench, answer_to, open_bench
from tests.unit.test_provisioner_steps import buying, launch


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        yield one


# --- restarts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_done", [True, False], ids=["after the call", "before the call"])
async def test_a_restart_at_every_step_loses_no_step_and_does_none_twice(
    bench: Bench, is_done: bool
) -> None:
    """Each act is first begun by a worker that dies with it, and then by another."""
    await bench.hear(bench.use_case(), bench.launch())
    worker = Provisioner(
        bench.database, bench.provider, bench.patience, lease_s=0.2, profile_id="profile"
    )
    died_in: set[str] = set()
    async with asyncio.timeout(60):
        while not await bench.told("NumberProvisioned"):
            for order, act in await worker._claim("dead"):
                if type(act).__name__ in died_in:
                    await worker._record(order, act, await answer_to(worker, act), "dead")
                    continue
                died_in.add(type(act).__name__)
                if is_done:
                    await answer_to(worker, act)
            await asyncio.sleep(0.05)
    assert died_in >= {"TakePlace", "Search", "Buy", "LookUp", "SetProfile", "Attach"}
    (event,) = await bench.told("NumberProvisioned")
    assert event["outcome"] == "complete"
    assert bench.bought == bench.on_use_case == [event["number"]]
    assert len(await bench.told("NumberPurchased")) == 1
    assert len(await bench.told("CarrierAnswered")) == 3
    assert len(bench.sandbox.world.numbers.orders(None, None)) == 1


# --- numbers that turn up late -------------------------------------------------------------------


class Late(Telnyx):
    """Its first purchase is lost on the way, and lands when nobody waits for it any more."""

    lost: tuple[str, str, str | None] | None = None

    async def buy(
        self, number: str, reference: str, messaging_profile_id: str | None
    ) -> Ordered | Fault:
        if self.lost is None:
            self.lost = (number, reference, messaging_profile_id)
            return Unclear("reset")
        if number == self.lost[0]:
            return Refused("422 not available")
        return await super().buy(number, reference, messaging_profile_id)

    async def land(self) -> None:
        assert self.lost is not None
        assert isinstance(await super().buy(*self.lost), Ordered)


async def test_a_purchase_that_lands_after_another_number_was_bought_is_given_back(
    bench: Bench,
) -> None:
    bench.rest(2)
    provider = Late(bench.provider._session, str(bench.provider._url), bench.provider._key)
    await bench.hear(bench.use_case(), bench.launch())
    (event,) = await bench.until_settled(bench.worker(provider))
    assert event["outcome"] == "complete"
    assert provider.lost is not None
    spare = provider.lost[0]
    assert event["number"] != spare
    assert (await bench.number(spare))["step"] == "seek"
    await provider.land()

    async def has_landed() -> bool:
        return sorted(bench.bought) == sorted([event["number"], spare])

    await bench.work_until(has_landed, bench.worker())
    (released,) = await bench.until_given_back()
    assert released["number"] == spare
    assert bench.bought == bench.on_use_case == [event["number"]]


async def test_a_number_that_another_order_has_bought_meanwhile_is_not_looked_for(
    bench: Bench,
) -> None:
    await bench.hear(bench.use_case())
    number = await bench.complete()
    before = await bench.number(number)
    lost = buying(launch=launch(org_id=bench.org_id), number=number, ask="gone")
    async with bench.database.transaction() as tx:
        await numbers.seek(tx.sql, lost, await tx.now())
    assert await bench.number(number) == before


async def test_what_a_search_finds_out_too_late_leaves_the_number_to_who_bought_it(
    bench: Bench,
) -> None:
    bench.rest(0)
    about = launch(org_id=bench.org_id)
    lost = buying(launch=about, ask="gone")
    releaser = bench.releaser()
    async with bench.database.transaction() as tx:
        now = await tx.now()
        await numbers.seek(tx.sql, lost, now)
    ((number, act),) = await releaser._claim("slow")
    async with bench.database.transaction() as tx:
        await numbers.book(tx.sql, buying(order_id="o2", launch=about, purchased_at=now))
    assert await releaser._record(number, act, Absent(), "slow") is False
    row = await bench.number(number.number)
    assert (row["step"], row["order_id"], row["due_at"]) == ("held", "o2", None)


# --- what the admin is told meanwhile ------------------------------------------------------------


async def test_a_provider_that_is_down_is_told_of_once_and_the_campaign_completes_after_it(
    bench: Bench,
) -> None:
    bench.behave(answers=(Script(call="search", kind="http", status=503, times=8),))
    await bench.hear(bench.use_case(), bench.launch())
    (event,) = await bench.until_settled()
    assert event["outcome"] == "complete"
    (delay,) = await bench.told("ProvisioningDelayed")
    assert delay["campaign_id"] == "spring"
    assert delay["waits_for"] == ("the number provider: it does not say which numbers are for sale")


async def test_another_cause_is_told_of_again(bench: Bench) -> None:
    bench.behave(
        answers=(
            Script(call="search", kind="hang", hang_s=1, times=4),
            Script(call="attach", kind="garbled", times=4),
        )
    )
    await bench.hear(bench.use_case(), bench.launch())
    await bench.until_settled()
    assert [one["waits_for"].split(":")[1] for one in await bench.told("ProvisioningDelayed")] == [
        " it does not say which numbers are for sale",
        " it has not put the number on the use case yet",
        " they have not all confirmed the number yet",
    ]


async def test_an_answer_that_is_lost_now_and_then_is_no_delay(bench: Bench) -> None:
    bench.behave(answers=(Script(call="search", kind="reset", times=2),))
    await bench.hear(bench.use_case(), bench.launch())
    await bench.until_settled()
    assert await bench.told("ProvisioningDelayed") == []


async def test_a_use_case_that_is_not_registered_is_told_of_once(bench: Bench) -> None:
    await bench.hear(bench.launch())
    await bench.pass_time(0.5)
    (delay,) = await bench.told("ProvisioningDelayed")
    assert delay["waits_for"] == "its use case: it is not registered yet"
    await bench.hear(bench.use_case())
    assert (await bench.outcome("spring"))["outcome"] == "complete"
    assert len(await bench.told("ProvisioningDelayed")) == 1


async def test_a_place_that_is_still_taken_is_told_of_once(bench: Bench) -> None:
    bench.numbers_most = 1
    bench.behave(unassignment_delay_s=1)
    await bench.hear(bench.use_case())
    await bench.complete("old")
    await bench.hear(bench.archive("old"), bench.launch("next"))
    assert (await bench.outcome("next"))["outcome"] == "complete"
    (delay,) = await bench.told("ProvisioningDelayed")
    assert delay["waits_for"].startswith("a place on its use case: ")


async def test_carriers_that_take_their_time_are_no_delay(bench: Bench) -> None:
    bench.behave(confirmation_delay_s=ConfirmationDelays(att=60, tmobile=60, verizon=60))
    bench.patience = replace(bench.patience, fast_s=0.2)
    await bench.hear(bench.use_case(), bench.launch())
    await bench.pass_time(1)
    assert (await bench.order())["step"] == "confirm"
    assert await bench.told("ProvisioningDelayed") == []
