"""What carriers say, however it comes: recorded by number, weighed by its own time."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from services.provisioner.domain import Carrier, CarrierFact
from services.provisioner.facts import record_facts
from tests.provisioner_bench import Bench, open_bench


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
    att, tmobile = await kept(bench, number)
    assert att == ("att", "refused", late, ("no pool" * 99)[:200])
    assert tmobile == ("tmobile", "confirmed", late, "")
