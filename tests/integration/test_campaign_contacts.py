"""Contact lists, uploaded as CSV."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest

from services.campaign.domain import Refused
from services.campaign.uploads import Upload
from services.campaign.worker import clear_uploads
from shared.events import ContactOptedOut
from shared.ids import new_id
from tests.campaign_desk import NOON, Desk, desk

TABLE = b"""phone,First Name,last_name,carrier,ZIP Code
(303) 200-0001,Al,Ott,AT&T,80301
303-200-0002,Bo,,tmobile,80302
not a phone,Cy,,,
+13032000001,Al again,,,
303-200-0003,Jos\xe9,,,
303-200-0004,"De, Di",,Verizon Wireless,80304
"""


async def test_bad_rows_are_reported_by_line_and_the_others_go_in(office: Desk) -> None:
    acme = await office.organization()
    await office.hear(ContactOptedOut(org_id=acme.org_id, phone="+13032000002", opted_out_at=NOON))
    made = await office.send_file("/contact-lists?name=Boulder", acme.admin, TABLE)

    assert made.status == 201
    assert made.headers["Location"] == f"/api/v1/contact-lists/{made['contact_list_id']}"
    assert (made["contacts"], made["duplicates"], made["opted_out"]) == (3, 1, 1)
    assert made["fields"] == ["first_name", "last_name", "phone", "zip_code"]
    assert [(bad["line"], bad["field"]) for bad in made["bad_rows"]] == [(4, "phone"), (6, "")]
    assert made["carriers"] == {"att": 1, "tmobile": 1, "verizon": 1}
    again = await office.good("GET", f"/contact-lists/{made['contact_list_id']}", acme.admin)
    assert again.body == made.body
    lists = await office.good("GET", "/contact-lists", acme.admin)
    assert [one["name"] for one in lists["items"]] == ["Boulder"]
    draft = await acme.draft(
        contact_list_id=made["contact_list_id"], script="Hi {first_name} in {zip_code}"
    )
    assert (await acme.details(draft))["contacts"] == 3


async def test_the_report_counts_carriers_so_that_a_slip_in_their_column_shows(
    office: Desk,
) -> None:
    acme = await office.organization()
    table = b"phone,carrier\n+13032000001,att\n+13032000002,verzion\n+13032000003,\n"
    made = await office.send_file("/contact-lists?name=x", acme.admin, table)
    assert made["carriers"] == {"att": 1, "other": 1, "unknown": 1}


@pytest.mark.parametrize(
    ("table", "status", "field"),
    [
        (b"", 422, "phone"),
        (b"first_name\nAl\n", 422, "phone"),
        (b"\xff\xfep\0h\0o\0n\0e\0\n\0", 422, "header"),
        (b"phone\n+13032000001\n" + b"x" * 100_000, 422, None),
        (b"phone\n" + b"\n".join(b"+1303200%04d" % row for row in range(30)), 422, None),
    ],
)
async def test_a_file_that_cannot_be_read_leaves_nothing(
    database_url: str, table: bytes, status: int, field: str | None
) -> None:
    async with desk(database_url, contacts_most=20) as office:
        acme = await office.organization()
        lists, contacts = await office.rows("contact_lists"), await office.rows("contacts")
        reply = await office.send_file("/contact-lists?name=x", acme.admin, table)
        assert (reply.status, reply.body.get("field")) == (status, field), reply.body
        assert await office.rows("contact_lists") == lists
        assert await office.rows("contacts") == contacts


async def test_a_list_needs_a_name_and_a_file(office: Desk) -> None:
    acme = await office.organization()
    reply = await office.send_file("/contact-lists", acme.admin, TABLE)
    assert (reply.status, reply["field"]) == (422, "name")
    reply = await office.call("POST", "/contact-lists?name=x", acme.admin, phone="+13032000001")
    assert reply.status == 415


async def test_a_large_file_is_at_most_what_the_settings_say(database_url: str) -> None:
    async with desk(database_url, upload_most_mb=1) as office:
        acme = await office.organization()
        row = b"+13032000001," + b"x" * 400 + b"\n"
        table = b"phone,note\n" + row * 3000
        reply = await office.send_file("/contact-lists?name=x", acme.admin, table)
        assert reply.status == 413


async def test_a_list_that_is_still_coming_in_is_seen_by_nobody(office: Desk) -> None:
    acme = await office.organization()
    contact_list_id, more = new_id(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"phone\n+13032000001\n"
        await more.wait()
        yield b"+13032000002\n"

    upload = Upload(office.database.transaction, acme.org_id, contact_list_id, "slow", most=10)
    running = asyncio.create_task(upload.run(slowly()))
    while not await office.rows("contacts"):
        await asyncio.sleep(0.01)
    assert (await office.good("GET", "/contact-lists", acme.admin))["items"] == []
    path = f"/contact-lists/{contact_list_id}"
    assert (await office.call("GET", path, acme.admin)).status == 404
    more.set()
    await running
    assert (await office.good("GET", path, acme.admin))["contacts"] == 2


async def test_an_upload_that_died_is_cleared_away(office: Desk) -> None:
    acme = await office.organization()
    before = await office.rows("contacts")

    async def dying() -> AsyncIterator[bytes]:
        yield b"phone\n+13032000001\n"
        office.clock.advance(3600)
        while await clear_uploads(office.database):
            pass
        yield b"+13032000002\n"

    upload = Upload(office.database.transaction, acme.org_id, new_id(), "slow", most=10)
    with pytest.raises(Refused):
        await upload.run(dying())
    assert await office.rows("contacts") == before
    async with office.database.connection() as connection:
        assert not await connection.fetchval("SELECT count(*) FROM contact_lists WHERE NOT ready")


async def test_a_client_that_hangs_up_leaves_nothing(office: Desk) -> None:
    acme = await office.organization()

    async def half() -> AsyncIterator[bytes]:
        yield b"phone\n+13032000001\n"
        await asyncio.sleep(0.2)
        raise ConnectionResetError

    with pytest.raises((aiohttp.ClientError, ConnectionResetError)):
        await office.client.post(
            "/api/v1/contact-lists?name=x",
            data=half(),
            headers={"Authorization": f"Bearer {acme.admin}"},
        )
    office.clock.at += timedelta(hours=1)
    for _ in range(100):
        while await clear_uploads(office.database):
            pass
        async with office.database.connection() as connection:
            left = await connection.fetchval(
                "SELECT count(*) FROM contact_lists WHERE org_id = $1", acme.org_id
            )
        if not left:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("something is left of the upload")
