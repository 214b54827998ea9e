"""A database that was filled before numbers were given back."""

import shutil
from pathlib import Path

import asyncpg

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


async def test_a_number_that_was_bought_before_counts_and_is_given_back(
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
    await connection.close(timeout=10)
    async with open_bench(database_url) as bench:
        bench.org_id = "acme"
        bench.numbers_most = 1
        bench.rest(0)
        await bench.hear(bench.launch("summer"))
        assert (await bench.outcome("summer"))["outcome"] == "failed"
        await bench.hear(bench.archive("spring"))
        (event,) = await bench.until_given_back()
        assert event["number"] == "+12125550101"
        await bench.hear(bench.use_case())
        await bench.complete("autumn")
