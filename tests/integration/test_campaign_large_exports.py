"""Exports of many texts: bounded memory, short statements, nothing open while a reader is slow."""

import asyncio
import csv
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import pytest

from services.campaign.api import exports as exporting
from services.campaign.store import exports
from tests.campaign_desk import Desk, Organization
from tests.integration.test_campaign_uploads import memory_mb

TEXTS = 200_000
GROWTH_MOST_MB = 48


@pytest.fixture
async def busy(office: Desk) -> tuple[Organization, str]:
    """A campaign with many texts, most of them queued one after the other."""
    acme = await office.organization()
    campaign_id = await acme.launch(contact_list_id=await acme.contacts(1))
    async with office.database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO messages (org_id, campaign_id, message_id, kind, channel, phone, status,
                                  rank, status_at, text, segments, queued_at)
            SELECT $1, $2, 'm' || lpad(n::text, 8, '0'), 'initial', 'sms', '+1303' || n,
                   CASE WHEN n % 10 = 0 THEN 'skipped' ELSE 'sent' END, 0, $3,
                   repeat('Will you vote? ', 25), 3,
                   CASE WHEN n % 10 <> 0 THEN $3::timestamptz + n * interval '100 ms' END
            FROM generate_series(1, $4::int) AS n
            """,
            acme.org_id,
            campaign_id,
            office.clock.at,
            TEXTS,
        )
        await connection.execute("ANALYZE messages")
    return acme, campaign_id


async def test_an_export_streams_in_bounded_memory_and_holds_nothing_open(
    office: Desk, busy: tuple[Organization, str]
) -> None:
    acme, campaign_id = busy
    for path, rows in (
        (f"/campaigns/{campaign_id}/messages.csv", TEXTS + 1),
        ("/messages.csv?from=2026-10-20", TEXTS * 9 // 10),
    ):
        # Once through, for what is allocated but once.
        await _read(office, acme, f"{path.partition('?')[0]}?to=2026-10-20T16:05:00Z")
        before, sizes = memory_mb(), list[float]()
        read, lines = await _read(office, acme, path, sizes)
        assert lines == rows + 1
        assert read > 1.5 * GROWTH_MOST_MB * 1e6
        assert max(sizes) - before < GROWTH_MOST_MB


async def _read(
    office: Desk, acme: Organization, path: str, sizes: list[float] | None = None
) -> tuple[int, int]:
    """How many bytes and lines; half-way the reader stops for a while."""
    read = lines = 0
    async with office.client.get(
        f"/api/v1{path}", headers={"Authorization": f"Bearer {acme.admin}"}
    ) as response:
        assert response.status == 200
        async for chunk in response.content.iter_chunked(64 * 1024):
            before, read = read, read + len(chunk)
            lines += chunk.count(b"\n")
            if sizes is not None:
                sizes.append(memory_mb())
                if before < 20_000_000 <= read:
                    await _until_nothing_is_open(office)
    return read, lines


async def _until_nothing_is_open(office: Desk) -> None:
    """The service goes on until all that lies between is full; then it waits with empty hands."""
    quiet = 0
    async with asyncio.timeout(10):
        while quiet < 5:
            await asyncio.sleep(0.1)
            quiet = 0 if await _open_transactions(office) else quiet + 1


async def _open_transactions(office: Desk) -> list[str]:
    async with office.database.connection() as connection:
        rows = await connection.fetch(
            """
            SELECT query FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
              AND xact_start IS NOT NULL AND backend_type = 'client backend'
            """
        )
    return [row["query"] for row in rows]


async def test_each_page_is_a_short_walk_along_an_index(
    office: Desk, busy: tuple[Organization, str]
) -> None:
    acme, campaign_id = busy
    async with office.database.connection() as connection:
        by_id = await connection.fetch(
            """
            EXPLAIN SELECT * FROM messages
            WHERE org_id = $1 AND campaign_id = $2 AND message_id > 'm00100000'
            ORDER BY message_id LIMIT 2000
            """,
            acme.org_id,
            campaign_id,
        )
        by_time = await connection.fetch(
            """
            EXPLAIN SELECT * FROM messages
            WHERE org_id = $1 AND campaign_id = $2
              AND (queued_at, message_id) > ('2026-10-20T17:00Z', '')
              AND queued_at < '2026-10-20T18:00Z'
            ORDER BY queued_at, message_id LIMIT 2000
            """,
            acme.org_id,
            campaign_id,
        )
    for plan, index in ((by_id, "messages_pkey"), (by_time, "messages_by_time")):
        told = "\n".join(row[0] for row in plan)
        assert f"using {index}" in told, told
        assert "Sort" not in told, told


async def test_a_text_is_in_the_file_once_whatever_becomes_of_it_meanwhile(
    office: Desk, busy: tuple[Organization, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, campaign_id = busy
    monkeypatch.setattr(exporting, "PAGE_ROWS", 50_000)
    of_campaign = exports.of_campaign

    async def while_it_changes(*asked: Any, **how: Any) -> AsyncIterator[Sequence[Any]]:
        async for rows in of_campaign(*asked, **how):
            yield rows
            async with office.database.transaction() as tx:
                await tx.sql.execute(
                    """
                    UPDATE messages SET queued_at = now(), status = 'queued'
                    WHERE queued_at IS NULL AND message_id IN (
                        SELECT message_id FROM messages WHERE queued_at IS NULL
                        ORDER BY random() LIMIT 2000)
                    """
                )

    monkeypatch.setattr(exports, "of_campaign", while_it_changes)
    export = await office.good("GET", f"/campaigns/{campaign_id}/messages.csv", acme.admin)
    ids = [row["message_id"] for row in csv.DictReader(export.body.splitlines())]
    assert len(ids) == len(set(ids)) == TEXTS + 1


async def test_a_file_that_broke_off_is_not_taken_for_a_whole_one(
    office: Desk, busy: tuple[Organization, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, campaign_id = busy
    of_campaign = exports.of_campaign

    async def until_it_breaks(*asked: Any, **how: Any) -> AsyncIterator[Sequence[Any]]:
        pages = 0
        async for rows in of_campaign(*asked, **how):
            yield rows
            pages += 1
            if pages == 3:
                raise ConnectionError("the database is away")

    monkeypatch.setattr(exports, "of_campaign", until_it_breaks)
    with pytest.raises(aiohttp.ClientPayloadError):
        await office.call("GET", f"/campaigns/{campaign_id}/messages.csv", acme.admin)
