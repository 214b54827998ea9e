"""Whose fault it is when an event cannot be recorded: the server's is held, the event's buried."""

from collections.abc import AsyncIterator, Sequence

import pytest

from shared.consumer import record
from shared.database import PASSING, Database, Transaction
from shared.envelope import Received
from shared.events import LimitsChanged
from shared.ids import new_id
from shared.migrate import migrate

LIMITS = LimitsChanged.model_validate(
    {
        "org_id": "acme", "carrier": "att", "version": 1, "sms_per_minute": 60,
        "sms_unit": "segment", "mms_per_minute": None, "segments_per_day": None,
    }
)  # fmt: skip


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    schema = f"record_{new_id().replace('-', '_')}"
    await migrate(database_url, schema)
    database = await Database.open(database_url, schema)
    yield database
    await database.close()


async def _record(database: Database, code: str) -> list[str]:
    """Record an event of which the server says this; the reasons of the dead letters after it."""

    async def fail(tx: Transaction, events: Sequence[LimitsChanged]) -> None:
        await tx.sql.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")

    try:
        await record(database, "queue", {LimitsChanged: fail}, [Received("key", LIMITS, {})])
    finally:
        async with database.connection() as connection:
            rows = await connection.fetch("SELECT reason FROM outbox WHERE dead")
    return [row["reason"] for row in rows]


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("08006", "connection failure"),
        ("25006", "read only: it is a standby now"),
        ("40P01", "deadlock"),
        ("53100", "disk full"),
        ("57014", "statement timeout"),
        ("57P01", "shutdown"),
        ("57P03", "still starting"),
        ("58030", "I/O error"),
    ],
)
async def test_a_fault_of_the_server_buries_no_event(
    database: Database, code: str, what: str
) -> None:
    with pytest.raises(PASSING):
        await _record(database, code)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM outbox") == 0
        assert await connection.fetchval("SELECT count(*) FROM heard") == 0


@pytest.mark.parametrize("code", ["22003", "23514", "54000"])
async def test_a_fault_of_the_event_buries_it_with_its_reason(
    database: Database, code: str
) -> None:
    assert len(await _record(database, code)) == 1
