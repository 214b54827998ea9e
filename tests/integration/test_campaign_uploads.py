"""Uploads that are sent again, and uploads that are large."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.campaign.acts.uploads import Reading, Upload
from services.campaign.domain import Refused
from services.campaign.worker import clear_uploads
from tests.campaign_desk import Desk, desk

TABLE = b"phone,first_name\n+13032000001,Al\n+13032000002,Bo\n12,Cy\n"
ROWS = 200_000
ROW = b"+1%03d%03d%04d," + b"x" * 470 + b"\n"
AREA_CODES = (201, 202, 203, 205, 206, 207, 208, 209, 210, 212)
GROWTH_MOST_MB = 64


async def test_an_upload_that_is_sent_again_gives_the_same_list(office: Desk) -> None:
    acme = await office.organization()
    first = await office.send_file("/contact-lists?name=x", acme.admin, TABLE, key="one")
    assert first.status == 201
    contacts = await office.rows("contacts")
    again = await office.send_file("/contact-lists?name=x", acme.admin, TABLE, key="one")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert await office.rows("contacts") == contacts

    other = await office.send_file("/contact-lists?name=x", acme.admin, TABLE, key="two")
    assert other["contact_list_id"] != first["contact_list_id"]
    neighbour = await office.organization("Other")
    theirs = await office.send_file("/contact-lists?name=x", neighbour.admin, TABLE, key="one")
    assert theirs["contact_list_id"] not in (first["contact_list_id"], other["contact_list_id"])


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("/contact-lists?name=x", TABLE + b"+13032000003,Di\n"),
        ("/contact-lists?name=y", TABLE),
        ("/contact-lists?name=x&encoding=windows-1252", TABLE),
    ],
)
async def test_a_key_stands_for_one_file_and_what_is_said_beside_it(
    office: Desk, path: str, table: bytes
) -> None:
    acme = await office.organization()
    await office.send_file("/contact-lists?name=x", acme.admin, TABLE, key="one")
    reply = await office.send_file(path, acme.admin, table, key="one")
    assert (reply.status, reply["field"]) == (422, "Idempotency-Key")


async def test_of_two_uploads_at_once_with_one_key_the_second_is_told_so(office: Desk) -> None:
    acme = await office.organization()
    begun, more = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield TABLE
        begun.set()
        await more.wait()
        yield b"+13032000009,Zoe\n"

    running = asyncio.create_task(_upload(office, acme.admin, slowly()))
    await begun.wait()
    reply = await office.send_file("/contact-lists?name=x", acme.admin, TABLE, key="one")
    assert reply.status == 409
    more.set()
    assert await running == 201
    lists = await office.good("GET", "/contact-lists", acme.admin)
    assert [one["contacts"] for one in lists["items"]] == [3]


async def _upload(office: Desk, token: str, chunks: AsyncIterator[bytes]) -> int:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "one"}
    path = "/api/v1/contact-lists?name=x"
    async with office.client.post(path, data=chunks, headers=headers) as response:
        found: int = response.status
        return found


async def test_a_refused_file_may_be_sent_mended_with_its_key(office: Desk) -> None:
    acme = await office.organization()
    reply = await office.send_file("/contact-lists?name=x", acme.admin, b"town\nRome\n", key="one")
    assert reply.status == 422
    made = await office.send_file("/contact-lists?name=x", acme.admin, TABLE, key="one")
    assert (made.status, made["contacts"]) == (201, 2)


async def test_an_upload_that_broke_off_half_way_may_be_sent_again(office: Desk) -> None:
    acme = await office.organization()
    reading = Reading("x", most=100)
    died, revived = asyncio.Event(), asyncio.Event()

    async def dying() -> AsyncIterator[bytes]:
        yield TABLE
        died.set()
        await revived.wait()
        yield b"+13032000009,Ghost\n"

    def upload() -> Upload:
        return Upload(office.database.transaction, acme.org_id, "a-list", reading)

    first = asyncio.create_task(upload().run(dying()))
    await died.wait()
    with pytest.raises(Refused, match="under way"):
        await upload().run(_chunks(TABLE))
    office.clock.advance(61)
    # Taken for dead: what it has written is gone before the second one begins.
    assert await upload().run(_chunks(b"phone\n+13032000005\n"))
    revived.set()
    with pytest.raises(Refused, match="given up"):
        await first
    shown = await office.good("GET", "/contact-lists/a-list", acme.admin)
    assert (shown["contacts"], shown["bad_row_count"], shown["rows_left_out"]) == (1, 0, [])


async def test_an_upload_that_was_cleared_away_half_way_cannot_go_on(office: Desk) -> None:
    acme = await office.organization()
    lists = await office.rows("contact_lists")

    async def frozen() -> AsyncIterator[bytes]:
        yield TABLE
        office.clock.advance(3600)
        # One step of several: the list itself is still there when the upload wakes up.
        async with office.database.transaction() as tx:
            await tx.sql.execute("UPDATE contact_lists SET upload_id = '' WHERE NOT ready")
        yield b"+13032000009,Ghost\n"

    upload = Upload(office.database.transaction, acme.org_id, "b-list", Reading("x", most=100))
    with pytest.raises(Refused, match="given up"):
        await upload.run(frozen())
    while await clear_uploads(office.database):
        pass
    assert await office.rows("contact_lists") == lists


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_large_file_streams_in_bounded_memory(database_url: str) -> None:
    """A hundred megabytes go through a few."""
    sizes: list[float] = []

    async def table(rows: int, seen: list[float]) -> AsyncIterator[bytes]:
        yield b"phone,note\n"
        for start in range(0, rows, 200):
            seen.append(memory_mb())
            yield b"".join(
                ROW % (AREA_CODES[row % 10], 200 + row // 100_000, row % 100_000 // 10)
                for row in range(start, start + 200)
            )

    async with desk(database_url) as office:
        acme = await office.organization()
        # Once through, for what is loaded and allocated but once.
        await _stream(office, acme.admin, table(10_000, []))
        made = await _stream(office, acme.admin, table(ROWS, sizes))
        assert (made["contacts"], made["duplicates"], made["bad_row_count"]) == (ROWS, 0, 0)
    assert ROWS * len(ROW) > 1.5 * GROWTH_MOST_MB * 1e6
    assert max(sizes) - sizes[0] < GROWTH_MOST_MB


async def _stream(office: Desk, token: str, chunks: AsyncIterator[bytes]) -> Any:
    async with office.client.post(
        "/api/v1/contact-lists?name=x", data=chunks, headers={"Authorization": f"Bearer {token}"}
    ) as response:
        assert response.status == 201, await response.text()
        return await response.json()


def memory_mb() -> float:
    """What this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6
