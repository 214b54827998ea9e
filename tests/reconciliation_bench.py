"""A provisioner whose numbers are held against the provider's, long after all that was done."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncpg.pool import PoolConnectionProxy

from services.provisioner.providers import NumberLists
from services.provisioner.providers.telnyx_lists import TelnyxLists
from services.provisioner.reconciler import Reconciler, Report
from shared.clock import DatabaseClock
from tests.provisioner_bench import Bench, open_bench

STRANGER = "+13125550199"


@dataclass
class Later(DatabaseClock):
    """The database's clock, so many minutes on: the provider's stays behind."""

    minutes: float

    async def now(self, connection: PoolConnectionProxy) -> datetime:
        return await super().now(connection) + timedelta(minutes=self.minutes)


@asynccontextmanager
async def open_books(database_url: str) -> AsyncIterator[Bench]:
    """A bench on empty tables: reconciliation is over all organizations."""
    async with open_bench(database_url) as one:
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
