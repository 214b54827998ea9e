"""Numbers at the provider and in our rows: each difference is listed, and mended where safe."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncpg.pool import PoolConnectionProxy

from services.provisioner.domain import NotTaken, Unclear
from services.provisioner.listed import ListedNumber, Page
from services.provisioner.providers import Fault, NumberLists
from services.provisioner.providers.telnyx_lists import TelnyxLists
from services.provisioner.reconcile import Difference
from services.provisioner.reconciler import DIFFERENCES, RECONCILED, Reconciler, Report
from services.provisioner.store import mends
from services.provisioner.store.keys import Key
from services.sandbox.behaviour import ConfirmationDelays, Refusal
from services.sandbox.behaviour import Fault as Script
from services.sandbox.service import Sandbox
from shared.clock import DatabaseClock
from shared.events import UseCaseRegistered
from tests.provisioner_bench import Bench, open_bench

STRANGER = "+13125550199"


@dataclass
class Later(DatabaseClock):
    """The database's clock, so many minutes on: the provider's stays behind."""

    minutes: float

    async def now(self, connection: PoolConnectionProxy) -> datetime:
        return await super().now(connection) + timedelta(minutes=self.minutes)


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        # Reconciliation is over all organizations.
        async with one.database.connection() as connection:
            await connection.execute(
                """
                TRUNCATE use_cases, orders, confirmations, numbers, campaigns, facts, differences;
                UPDATE reconciliations SET due_at = '-infinity', lease = NULL, tries = 0,
                    error = NULL, begun_at = NULL, ended_at = NULL
                """
            )
        await one.hear(one.use_case())
        yield one


def reconciler(bench: Bench, provider: NumberLists | None = None) -> Reconciler:
    return Reconciler(
        bench.database,
        provider or TelnyxLists(bench.provider),
        every_s=3600,
        look_up_s=bench.patience.look_up_s,
        lease_s=30,
        profile_id="profile",
    )


def let_settle(bench: Bench, minutes: float = 20) -> None:
    """Let so much time pass that what was done so far counts."""
    bench.database.clock = Later(minutes)


async def run(bench: Bench) -> Report:
    report = await reconciler(bench).run_now()
    assert isinstance(report, Report)
    return report


async def found(bench: Bench) -> list[tuple[str, str, bool]]:
    """Kind, number, and whether it is being mended, as the table has it."""
    async with bench.database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM differences ORDER BY kind, number")
    return [(row["kind"], row["number"], row["mended_at"] is not None) for row in rows]


async def last_run(bench: Bench) -> dict[str, Any]:
    async with bench.database.connection() as connection:
        row = await connection.fetchrow("SELECT * FROM reconciliations")
    assert row is not None
    return dict(row)


def buy_elsewhere(bench: Bench, reference: str | None, phone: str = STRANGER) -> str:
    """Put a number into the account behind our back."""
    bench.sandbox.world.numbers.own(datetime.now(UTC), phone, reference, "profile")
    return phone


def attach_elsewhere(bench: Bench, phone: str, campaign_id: str) -> None:
    bench.sandbox.world.registry.drop(phone)
    bench.sandbox.world.registry.attach_confirmed(datetime.now(UTC), phone, campaign_id)


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
    bench.patience = replace(bench.patience, limit_s=1)
    await bench.hear(bench.launch())
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
