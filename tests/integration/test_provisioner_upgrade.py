"""A database that was filled before numbers were given back."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from services.provisioner.domain import CarrierFact
from services.provisioner.facts import record_facts
from shared.migrate import migrate
from tests.provisioner_bench import MIGRATIONS, open_bench

OLD_ROWS = """
INSERT INTO use_cases VALUES ('acme', 'votes', 'C1', NULL);
INSERT INTO orders (org_id, order_id, campaign_id, use_case_id, name, launched_by_name,
    launched_by_email, area_codes, launched_at, step, step_since, tries, refusals, preference,
    candidates, number, purchase, ask, asked_at, purchased_at)
VALUES ('acme', 'o1', 'spring', 'votes', 'Spring', 'Ada', 'ada@example.org', '{212}', now(),
    'complete', now(), 0, 0, 0, '{}', '+12125550101', 1, 'asked', now() - interval '1 day', now());
INSERT INTO windows VALUES ('acme', 'spring', 1, now(), now() + interval '1 day');
INSERT INTO numbers VALUES ('acme', '+12125550101', 'votes', 'o1', now());
"""
OLD_FAILURE = """
UPDATE orders SET step = 'failed';
INSERT INTO confirmations VALUES ('acme', 'o1', 'att', 'confirmed', now(), NULL),
    ('acme', 'o1', 'tmobile', 'refused', now(), 'no pool'),
    ('acme', 'o1', 'verizon', 'confirmed', now(), NULL);
"""


async def test_numbers_that_were_bought_before_count_are_confirmed_late_and_given_back(
    database_url: str, tmp_path: Path
) -> None:
    old = tmp_path / "provisioner" / "migrations"
    old.mkdir(parents=True)
    shutil.copy(MIGRATIONS / "0001_orders.sql", old)
    await migrate(database_url, "provisioner", old)
    connection = await asyncpg.connect(
        database_url, server_settings={"search_path": "provisioner"}, timeout=10
    )
    await connection.execute(OLD_ROWS)
    await connection.execute(OLD_FAILURE)
    await connection.close(timeout=10)
    async with open_bench(database_url) as bench:
        bench.org_id = "acme"
        bench.numbers_most = 1
        bench.rest(0)
        late = CarrierFact("+12125550101", "tmobile", "confirmed", datetime.now(UTC))
        async with bench.database.transaction() as tx:
            await record_facts(tx, [late])
        event = await bench.outcome("spring")
        assert (event["outcome"], event["after_failure"]) == ("complete", True)
        await bench.hear(bench.launch("summer"))
        assert (await bench.outcome("summer"))["outcome"] == "failed"
        await bench.hear(bench.archive("spring"))
        (event,) = await bench.until_given_back()
        assert event["number"] == "+12125550101"
        await bench.hear(bench.use_case())
        await bench.complete("autumn")
