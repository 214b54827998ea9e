"""However many texts there are, a digest reads those of its own day and organization."""

import asyncio
import json
from datetime import date
from typing import Any

import asyncpg
import pytest

from services.campaign import operator_token
from services.campaign.rules.digests import day_of
from services.campaign.store import digests
from tests.plans import TEN_CAMPAIGNS, blocks_read

MANY = 200_000
A_DAY = 2_000
BLOCKS_MOST = 150
"""Of some 6,000 that the texts alone take; measured once with 1,000,000, and 100,000 of that day:
3,660 of 30,800."""

# Of a hundred days, half of them another organization's; one in ten has failed.
STOCK = """
INSERT INTO messages (org_id, campaign_id, message_id, kind, channel, phone, carrier, sender_id,
                      status, rank, status_at, queued_at, sent_at, code, reason, text)
    SELECT CASE WHEN n % 2 = 0 THEN 'acme' ELSE 'zenith' END, 'c' || n % 10,
           to_char(n, 'FM0000000'), 'initial', 'sms', '+1303' || to_char(n, 'FM0000000'), 'att',
           's' || n % 97, CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'delivered' END, 3, at, at, at,
           CASE WHEN n % 10 = 0 THEN '4000' || n / 10 % 3 END, 'why', repeat('x', 100)
    FROM generate_series(0, {many} - 1) AS n
    CROSS JOIN LATERAL (
        SELECT timestamptz '2026-10-01 07:00Z' + (n / {a_day}) * interval '1 day'
               + (n % {a_day}) * interval '40 s' AS at) AS sending;
"""


@pytest.fixture(scope="module")
def stocked_url(database_url: str) -> str:
    """A database with very many texts."""
    asyncio.run(_stock(database_url))
    return database_url


async def _stock(url: str) -> None:
    await operator_token.make(url)
    connection = await asyncpg.connect(url, command_timeout=300)
    try:
        await connection.execute("SET search_path = campaign")
        await connection.execute(TEN_CAMPAIGNS)
        await connection.execute(STOCK.format(many=MANY, a_day=A_DAY))
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


def scans(plan: Any) -> list[tuple[str, str]]:
    """How a plan reads which tables."""
    found = [(plan["Node Type"], plan["Relation Name"])] if "Relation Name" in plan else []
    for part in plan.get("Plans", ()):
        found += scans(part)
    return found


async def test_a_digest_reads_its_own_days_texts_alone(stocked_url: str) -> None:
    day = day_of("America/Los_Angeles", date(2026, 10, 20))
    blocks, found, plan = await blocks_read(
        stocked_url, "acme", lambda tx: digests.counts(tx, "acme", day), role=None
    )
    whole, *failures = found
    assert (whole["texts"], whole["undelivered"]) == (A_DAY // 2, A_DAY // 10)
    assert sum(row["texts"] for row in failures) == A_DAY // 10
    read = scans(json.loads(plan)[0]["Plan"])
    assert read
    assert all((how, table) != ("Seq Scan", "messages") for how, table in read), plan
    assert "messages_handed_over" in plan
    assert blocks <= BLOCKS_MOST, (blocks, plan)
