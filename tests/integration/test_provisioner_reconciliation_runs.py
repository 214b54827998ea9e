"""Runs of the reconciliation: when, by whom, what of a fault; and mends that come late or twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.provisioner.domain import NotTaken, Unclear
from services.provisioner.providers import Fault
from services.provisioner.providers.telnyx_lists import TelnyxLists
from services.provisioner.reconciler import DIFFERENCES, RECONCILED, Overtaken, Report
from services.provisioner.rules.listed import ListedAttachment, ListedNumber, Page
from services.provisioner.rules.reconcile import Difference
from services.provisioner.store import mends
from services.provisioner.store.keys import Key
from services.sandbox.behaviour import Fault as Script
from services.sandbox.service import Sandbox
from shared.events import UseCaseRegistered
from tests.provisioner_bench import Bench
from tests.reconciliation_bench import (
    attach_elsewhere,
    buy_elsewhere,
    found,
    last_run,
    let_settle,
    open_books,
    reconciler,
    run,
)


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_books(database_url) as one:
        yield one


# --- runs ----------------------------------------------------------------------------------------


class Counting(TelnyxLists):
    """Counts how often the first page of numbers is asked for."""

    begun = 0

    async def numbers(self, page: int) -> Page[ListedNumber] | Fault:
        self.begun += page == 1
        await asyncio.sleep(0.05)
        return await super().numbers(page)


async def test_of_two_replicas_one_does_the_run_and_none_does_it_again_within_the_hour(
    bench: Bench,
) -> None:
    buy_elsewhere(bench, None)
    let_settle(bench)
    provider = Counting(bench.provider)
    replicas = [reconciler(bench, provider) for _ in range(2)]
    await asyncio.gather(*(one.step() for one in replicas))
    await asyncio.gather(*(one.step() for one in replicas))
    assert provider.begun == 1
    let_settle(bench, 81)
    await asyncio.gather(*(one.step() for one in replicas))
    assert provider.begun == 2


async def test_a_run_that_died_is_taken_up_when_its_lease_is_over(bench: Bench) -> None:
    class Dying(TelnyxLists):
        async def attachments(self, page: int) -> Any:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        await reconciler(bench, Dying(bench.provider)).step()
    assert await reconciler(bench).run_now() is None
    let_settle(bench, 1)
    await reconciler(bench).step()
    assert (await last_run(bench))["ended_at"] is not None


async def test_a_replica_that_was_frozen_within_its_run_writes_nothing_after_it(
    bench: Bench,
) -> None:
    number = buy_elsewhere(bench, None)
    let_settle(bench)

    class Frozen(TelnyxLists):
        async def attachments(self, page: int) -> Page[ListedAttachment] | Fault:
            let_settle(bench, 21)
            bench.sandbox.world.numbers.release(bench.sandbox.world.numbers.owned()[0].id)
            await reconciler(bench).step()
            return await super().attachments(page)

    with pytest.raises(Overtaken):
        await reconciler(bench, Frozen(bench.provider)).run_now()
    assert number not in bench.bought
    assert await found(bench) == []
    assert (await last_run(bench))["numbers"] == 0


@pytest.mark.parametrize("kind", ["http", "reset", "garbled", "hang"])
async def test_a_provider_that_fails_within_a_list_ends_the_run_and_changes_nothing(
    bench: Bench, kind: Any
) -> None:
    number = await bench.complete()
    stranger = buy_elsewhere(bench, None)
    let_settle(bench)
    await run(bench)
    bench.sandbox.world.registry.drop(number)
    # A reset once is tried again by the client: nothing was asked for but to read.
    times = 2 if kind == "reset" else 1
    bench.behave(answers=(Script(call="attachment", kind=kind, hang_s=1, times=times),))
    fault = await reconciler(bench).run_now()
    assert isinstance(fault, Unclear)
    assert await found(bench) == [("stranger", stranger, False)]
    last = await last_run(bench)
    assert (last["tries"], last["error"], last["lease"]) == (1, fault.reason, None)
    assert last["due_at"] - last["begun_at"] < timedelta(minutes=1)
    await run(bench)
    assert [kind for kind, _, _ in await found(bench)] == ["stranger", "unattached"]
    assert (await last_run(bench))["tries"] == 0


async def test_a_provider_that_asks_for_patience_gets_it(bench: Bench) -> None:
    script = Script(call="phone_numbers", status=429, retry_after="500")
    bench.behave(answers=(script,))
    assert isinstance(await reconciler(bench).run_now(), NotTaken)
    last = await last_run(bench)
    assert last["due_at"] - last["begun_at"] > timedelta(seconds=499)


async def test_a_difference_is_mended_once_and_stays_listed_where_that_did_not_help(
    bench: Bench,
) -> None:
    bench.rest(0)
    number = await bench.complete()
    reference = f"{(await bench.order())['order_id']}-1"
    await bench.hear(bench.archive())
    await bench.until_given_back()
    for minutes in (20, 40, 60):
        buy_elsewhere(bench, reference, number)
        let_settle(bench, minutes)
        assert len((await run(bench)).mending) == (minutes == 20)
        await bench.pass_time(0.2)
        assert await found(bench) == [("not given back", number, True)]


async def test_a_dry_run_lists_and_writes_nothing(bench: Bench) -> None:
    number = await bench.complete()
    bench.sandbox.world.registry.drop(number)
    let_settle(bench)
    before = await last_run(bench)
    report = await reconciler(bench).look()
    assert isinstance(report, Report)
    assert [one.kind for one in report.differences] == ["unattached"]
    assert await found(bench) == []
    assert await last_run(bench) == before


async def test_more_numbers_than_fit_on_a_page_are_read_whole(bench: Bench) -> None:
    phones = [buy_elsewhere(bench, None, f"+1312555{index:04d}") for index in range(601)]
    let_settle(bench)
    report = await run(bench)
    assert report.numbers == 601
    assert {one.number for one in report.differences} == set(phones)
    assert len(await found(bench)) == 601


class Shrinking(TelnyxLists):
    """Numbers of the first page are given back as soon as it is read."""

    given_back = 0

    async def numbers(self, page: int) -> Page[ListedNumber] | Fault:
        answer = await super().numbers(page)
        while page == 1 and self.given_back < 60:
            numbers = self.sandbox.world.numbers
            numbers.release(numbers.owned()[self.given_back % 7].id)
            self.given_back += 1
        return answer

    sandbox: Sandbox


async def test_a_number_that_is_given_back_while_the_list_is_read_hides_no_other(
    bench: Bench,
) -> None:
    for index in range(601):
        buy_elsewhere(bench, None, f"+1312555{index:04d}")
    let_settle(bench)
    lists = Shrinking(bench.provider)
    lists.sandbox = bench.sandbox
    report = await reconciler(bench, lists).run_now()
    assert isinstance(report, Report)
    assert lists.given_back == 60
    assert {one.number for one in report.differences} >= set(bench.bought)
    assert len(bench.bought) == 541


async def test_metrics_show_what_was_found_and_when(bench: Bench) -> None:
    buy_elsewhere(bench, None)
    let_settle(bench)
    await run(bench)
    await reconciler(bench).show()
    assert DIFFERENCES.labels("stranger")._value.get() == 1
    assert DIFFERENCES.labels("missing")._value.get() == 0
    assert RECONCILED._value.get() == (await last_run(bench))["ended_at"].timestamp()


# --- mends ---------------------------------------------------------------------------------------


async def test_what_has_changed_since_it_was_seen_is_not_mended(bench: Bench) -> None:
    bench.rest(0)
    number = await bench.complete()
    reference = f"{(await bench.order())['order_id']}-1"
    bench.sandbox.world.registry.drop(number)
    let_settle(bench)
    seen = await reconciler(bench).look()
    assert isinstance(seen, Report)
    assert [one.mend for one in seen.differences] == ["attach"]
    await bench.hear(bench.archive())
    await bench.until_given_back()
    await mend(bench, mends.attach, seen.differences, of=set())

    buy_elsewhere(bench, reference, number)
    let_settle(bench, 40)
    seen = await reconciler(bench).look()
    assert isinstance(seen, Report)
    assert [one.mend for one in seen.differences] == ["return"]
    # Another organization's campaign has brought it along.
    await bench.hear(
        UseCaseRegistered(org_id="other", use_case_id="votes", provider_campaign_id="C2"),
        bench.launch("brought", org_id="other", number=number),
    )
    await mend(bench, mends.give_back, seen.differences, of=set())
    assert [one.kind for one in (await run(bench)).differences] == []
    assert (await bench.number(number))["step"] == "gone"


@pytest.mark.parametrize("by", ["a campaign that brought it along", "another organization"])
async def test_a_spare_number_that_somebody_has_taken_since_is_theirs(
    bench: Bench, by: str
) -> None:
    await bench.complete()
    spare = buy_elsewhere(bench, f"{(await bench.order())['order_id']}-1", "+12125550142")
    let_settle(bench)
    seen = await reconciler(bench).look()
    assert isinstance(seen, Report)
    assert [one.mend for one in seen.differences] == ["seek"]
    if by == "another organization":
        await hold_elsewhere(bench, spare)
    else:
        await bench.hear(bench.launch("brought", number=spare))
    await mend(bench, mends.seek, seen.differences, of=set())
    assert (await run(bench)).differences == []


async def test_a_number_that_was_taken_off_is_not_taken_off_by_what_was_seen_before(
    bench: Bench,
) -> None:
    number = await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_off(number)
    attach_elsewhere(bench, number, bench.provider_campaign_id)
    let_settle(bench)
    seen = await reconciler(bench).look()
    assert isinstance(seen, Report)
    await mend(bench, mends.detach, seen.differences, of={(bench.org_id, number)})
    await mend(bench, mends.detach, seen.differences, of=set())
    await bench.until_off(number)
    await mend(bench, mends.detach, seen.differences, of=set())


async def test_a_resting_number_that_a_follow_up_takes_back_is_left_to_it(bench: Bench) -> None:
    number = await bench.complete()
    await bench.hear(bench.archive())
    await bench.until_off(number)
    attach_elsewhere(bench, number, bench.provider_campaign_id)
    let_settle(bench)
    seen = await reconciler(bench).look()
    assert isinstance(seen, Report)
    assert [one.mend for one in seen.differences] == ["detach"]
    await bench.hear(bench.launch("followup", number=number))
    assert (await run(bench)).differences == []
    await mend(bench, mends.detach, seen.differences, of=set())

    async def is_taken_back() -> bool:
        return bool((await bench.number(number))["step"] == "held")

    await bench.work_until(is_taken_back)
    await mend(bench, mends.detach, seen.differences, of=set())
    assert bench.on_use_case == [number]


async def test_a_mend_that_comes_twice_or_from_two_replicas_is_one_mend(bench: Bench) -> None:
    number = await bench.complete()
    order_id = (await bench.order())["order_id"]
    spare = buy_elsewhere(bench, f"{order_id}-1", "+12125550142")
    bench.sandbox.world.registry.drop(number)
    let_settle(bench)
    seen = await reconciler(bench).look()
    assert isinstance(seen, Report)
    for work, what in ((mends.seek, "seek"), (mends.attach, "attach")):
        (one,) = [one for one in seen.differences if one.mend == what]
        twice = await asyncio.gather(*(mend(bench, work, [one]) for _ in range(2)))
        assert {(bench.org_id, one.number)} in twice
        row = await bench.number(one.number)
        await mend(bench, work, [one])
        assert (await bench.number(one.number))["step"] == row["step"]
    assert (await bench.number(spare))["step"] == "seek"
    assert (await bench.number(number))["step"] == "held"


async def given_back_and_there(bench: Bench) -> tuple[str, Report]:
    """A number that our rows say was given back, and what is seen of it: the provider has it."""
    bench.rest(0)
    number = await bench.complete()
    reference = f"{(await bench.order())['order_id']}-1"
    await bench.hear(bench.archive())
    await bench.until_given_back()
    buy_elsewhere(bench, reference, number)
    let_settle(bench)
    seen = await reconciler(bench).look()
    assert isinstance(seen, Report)
    return number, seen


async def test_a_number_that_is_given_back_again_is_not_asked_back_by_what_was_seen_before(
    bench: Bench,
) -> None:
    number, seen = await given_back_and_there(bench)
    await mend(bench, mends.give_back, seen.differences, of={(bench.org_id, number)})
    await bench.until_given_back(count=2)
    await mend(bench, mends.give_back, seen.differences, of=set())


async def test_a_number_that_another_organization_has_by_now_is_not_given_back_again(
    bench: Bench,
) -> None:
    number, seen = await given_back_and_there(bench)
    assert [one.mend for one in seen.differences] == ["return"]
    await hold_elsewhere(bench, number)
    await mend(bench, mends.give_back, seen.differences, of=set())


async def hold_elsewhere(bench: Bench, number: str) -> None:
    async with bench.database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO numbers (org_id, number, use_case_id, order_id, purchased_at, on_since,
                step, step_since)
            VALUES ('other', $1, 'votes', 'theirs', now(), now(), 'held', now())
            """,
            number,
        )


async def mend(
    bench: Bench,
    work: Callable[[Any, Sequence[Difference], datetime], Awaitable[set[Key]]],
    seen: Sequence[Difference],
    of: set[Key] | None = None,
) -> set[Key]:
    async with bench.database.transaction() as tx:
        mended = await work(tx.sql, seen, await tx.now())
    assert of is None or mended == of
    return mended
