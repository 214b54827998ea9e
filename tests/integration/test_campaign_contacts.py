"""Contact lists, uploaded as CSV."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest

from services.campaign.acts.uploads import Reading, Upload
from services.campaign.domain import Refused
from services.campaign.worker import clear_uploads
from shared.events import ContactOptedOut
from shared.ids import new_id
from tests.campaign_desk import NOON, Desk, desk

SLOW = Reading("slow", most=10)
TABLE = b"""phone,First Name,last_name,carrier,ZIP Code
(303) 200-0001,Al,Ott,AT&T,80301
303-200-0002,Bo,,tmobile,80302
not a phone,Cy,,,
+13032000001,Al again,,,
303-200-0003,Jos\xe9,,,
303-200-0004,"De, Di",,Verizon Wireless,80304
"""


async def test_what_is_left_out_is_reported_by_line_and_the_others_go_in(office: Desk) -> None:
    acme = await office.organization()
    await office.hear(ContactOptedOut(org_id=acme.org_id, phone="+13032000002", opted_out_at=NOON))
    made = await office.send_file("/contact-lists?name=Boulder", acme.admin, TABLE)

    assert made.status == 201
    assert made.headers["Location"] == f"/api/v1/contact-lists/{made['contact_list_id']}"
    assert (made["contacts"], made["duplicates"], made["opted_out"]) == (2, 1, 1)
    assert (made["bad_row_count"], made["opted_out_since"]) == (2, 0)
    assert made["fields"] == ["first_name", "last_name", "phone", "zip_code"]
    assert [(row["line"], row["what"], row["field"]) for row in made["rows_left_out"]] == [
        (3, "opted out", "phone"),
        (4, "bad", "phone"),
        (5, "duplicate", "phone"),
        (6, "bad", ""),
    ]
    assert made["rows_left_out"][2]["reason"] == "the number of line 2"
    assert made["carriers"] == {"att": 1, "verizon": 1}
    again = await office.good("GET", f"/contact-lists/{made['contact_list_id']}", acme.admin)
    assert again.body == made.body
    lists = await office.good("GET", "/contact-lists", acme.admin)
    assert [one["name"] for one in lists["items"]] == ["Boulder"]
    draft = await acme.draft(
        contact_list_id=made["contact_list_id"], script="Hi {first_name} in {zip_code}"
    )
    assert (await acme.details(draft))["contacts"] == 2


async def test_a_duplicate_names_its_first_line_however_far_behind_it_comes(office: Desk) -> None:
    acme = await office.organization()
    # Chunks of 128 kB: the first row has long been written when its number comes again.
    numbers = [f"+1303{200_0000 + row}" for row in range(20_000)]
    table = "\n".join(["phone", *numbers, numbers[0], numbers[-1], "x"]).encode()
    made = await office.send_file("/contact-lists?name=x", acme.admin, table)
    assert (made["contacts"], made["duplicates"], made["bad_row_count"]) == (20_000, 2, 1)
    assert [(row["line"], row["reason"]) for row in made["rows_left_out"]] == [
        (20_002, "the number of line 2"),
        (20_003, "the number of line 20001"),
        (20_004, "not a valid phone number"),
    ]


async def test_all_that_was_left_out_is_told_page_by_page_and_as_a_file(office: Desk) -> None:
    acme = await office.organization()
    # Longer than a page, and than the thousand that one answer could hold.
    table = "\n".join(["phone", *["12"] * 1200, "+13032000001", *["+13032000001"] * 1300])
    made = await office.send_file("/contact-lists?name=x", acme.admin, table.encode())
    assert (made["contacts"], made["bad_row_count"], made["duplicates"]) == (1, 1200, 1300)
    assert len(made["rows_left_out"]) == 20
    path = f"/contact-lists/{made['contact_list_id']}/rows-left-out"
    lines: list[int] = []
    after = "0"
    while after:
        page = await office.good("GET", f"{path}?limit=1000&after={after}", acme.admin)
        lines += [row["line"] for row in page["items"]]
        after = page["next"]
    assert lines == [line for line in range(2, 2503) if line != 1202]
    page = await office.good("GET", f"{path}?what=duplicate&limit=1", acme.admin)
    assert (page["items"][0]["line"], page["next"]) == (1203, "1203")
    file = await office.good("GET", f"{path}.csv", acme.admin)
    rows = list(csv.DictReader(io.StringIO(file.body, newline="")))
    assert [int(row["line"]) for row in rows] == lines
    assert rows[0] == {
        "line": "2", "what": "bad", "field": "phone", "reason": "not a valid phone number"
    }  # fmt: skip
    file = await office.good("GET", f"{path}.csv?what=opted%20out", acme.admin)
    assert file.body == "line,what,field,reason\r\n"
    reply = await office.call("GET", f"{path}?after=x", acme.admin)
    assert (reply.status, reply["field"]) == (422, "after")


async def test_who_opts_out_after_the_upload_is_counted_apart(office: Desk) -> None:
    acme = await office.organization()
    contact_list_id = await acme.contacts(3)
    await office.hear(ContactOptedOut(org_id=acme.org_id, phone="+13032000001", opted_out_at=NOON))
    shown = await office.good("GET", f"/contact-lists/{contact_list_id}", acme.admin)
    assert (shown["contacts"], shown["opted_out"], shown["opted_out_since"]) == (3, 0, 1)


async def test_columns_are_mapped_beside_the_file(office: Desk) -> None:
    acme = await office.organization()
    table = "Cell;Vorname;Netz\n303-200-0001;Jürgen;att\n".encode("cp1252")
    path = "/contact-lists?name=x&phone=cell&first_name=vorname&carrier=Netz&encoding=windows-1252"
    made = await office.send_file(path, acme.admin, table)
    assert (made["contacts"], made["carriers"]) == (1, {"att": 1})
    assert made["fields"] == ["first_name", "last_name", "phone"]
    lists = await office.rows("contact_lists")
    reply = await office.send_file("/contact-lists?name=x&phone=Handy", acme.admin, b"Cell\n1\n")
    assert (reply.status, reply["field"]) == (422, "phone")
    assert "Cell" in reply["detail"]
    assert await office.rows("contact_lists") == lists


async def test_a_carrier_that_no_word_names_is_unknown(office: Desk) -> None:
    acme = await office.organization()
    table = b"phone,carrier\n+13032000001,att\n+13032000002,verzion\n+13032000003,\n"
    table += b"+13032000004,other\n+13032000005,US Cellular\n"
    made = await office.send_file("/contact-lists?name=x", acme.admin, table)
    assert made["carriers"] == {"att": 1, "other": 2, "unknown": 2}


async def test_lists_are_paged_newest_first(office: Desk) -> None:
    acme = await office.organization()
    for name in ("a", "b", "c", "d", "e"):
        office.clock.advance(1)
        made = await office.send_file(
            f"/contact-lists?name={name}", acme.admin, TABLE, key=f"key-{name}"
        )
        assert made.status == 201
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await office.good("GET", f"/contact-lists?limit=2&after={after}", acme.admin)
        names += [one["name"] for one in page["items"]]
        after = page["next"]
    assert names == ["e", "d", "c", "b", "a"]


@pytest.mark.parametrize(
    ("table", "status", "field"),
    [
        (b"", 422, "phone"),
        (b"first_name\nAl\n", 422, "phone"),
        (b"phone,T\xe9l\n+13032000001,\n", 422, "header"),
        (b"phone\n+13032000001\n" + b"x" * 100_000, 422, None),
        (b"phone\n" + b"\n".join(b"+1303200%04d" % row for row in range(30)), 422, None),
        (b"phone\n" + b"no phone\n" * 30, 422, None),
        (b"PK\x03\x04 and so on", 422, "header"),
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

    upload = Upload(office.database.transaction, acme.org_id, contact_list_id, SLOW)
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

    upload = Upload(office.database.transaction, acme.org_id, new_id(), SLOW)
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
