"""Contacts out of the bytes of a CSV file."""

import csv
import io
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.campaign.contact_rows import (
    LINE_MOST_BYTES,
    BadRow,
    Columns,
    Contact,
    Record,
    Records,
    carrier_named,
    e164,
)
from services.campaign.domain import Refused


def read(*chunks: bytes) -> list[Record]:
    records = Records()
    found = [record for chunk in chunks for record in records.feed(chunk)]
    return [*found, *records.finish()]


def rows(table: str) -> list[Contact | BadRow]:
    header, *others = read(table.encode())
    columns = Columns.read(header)
    return [columns.contact(record) for record in others]


@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1), min_size=1
        ).filter(lambda cells: any(cell.strip() for cell in cells)),
        max_size=5,
    ),
    st.integers(1, 7),
)
def test_a_file_cut_anywhere_reads_as_the_whole(table: list[list[str]], size: int) -> None:
    written = io.StringIO()
    csv.writer(written).writerows(table)
    whole = written.getvalue().encode()
    chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
    if any(cell.count("\n") > 15 for cells in table for cell in cells):
        return
    # A byte order mark at the front is the file's, not the first cell's.
    if table:
        table[0][0] = table[0][0].removeprefix("\ufeff")
    assert [list(record.cells) for record in read(*chunks)] == table


def test_a_bad_row_says_its_line_and_its_column() -> None:
    found = rows("phone,first_name\n(202) 555-0123,Al\n12,Bo\n\n202-555-0124,Cy,extra\n,Di\n")
    assert isinstance(found[0], Contact)
    assert found[0].phone == "+12025550123"
    assert found[1:] == [
        BadRow(3, "phone", "not a valid phone number"),
        BadRow(5, "", "more cells than the header has columns"),
        BadRow(6, "phone", "not a valid phone number"),
    ]


def test_a_quotation_mark_that_is_not_closed_spoils_its_own_line_only() -> None:
    lines = [f"+1303200{line:04d},Al" for line in range(60)]
    lines[10] = '+13032000010,"Al'
    found = rows("\n".join(["phone,first_name", *lines]))
    assert [row for row in found if isinstance(row, BadRow)] == [
        BadRow(12, "", "a quotation mark is not closed")
    ]
    assert len(found) == 60


def test_a_row_that_is_not_utf8_is_a_bad_row() -> None:
    header, bad, good = read(b"phone,first_name\n+13032000001,Jos\xe9\n+13032000002,Al")
    columns = Columns.read(header)
    assert isinstance(columns.contact(good), Contact)
    found = columns.contact(bad)
    assert isinstance(found, BadRow)
    assert (found.line, "UTF-8" in found.reason) == (2, True)


def test_a_nul_is_a_bad_row() -> None:
    (found,) = rows("phone,first_name\n+13032000001,A\0l")
    assert found == BadRow(2, "", "holds a NUL character")


def test_a_cell_may_hold_lines_and_a_file_may_come_from_windows() -> None:
    (found,) = rows('\ufeffphone,note\r\n+13032000001,"two\r\nlines"\r\n')
    assert isinstance(found, Contact)
    assert found.fields == {"note": "two\r\nlines"}


@pytest.mark.parametrize(
    ("header", "field"),
    [("first_name,last_name", "phone"), ("phone,Town,town", "town"), ("a;b", "phone")],
)
def test_a_header_that_cannot_be_read_names_what_is_missing(header: str, field: str) -> None:
    with pytest.raises(Refused) as refused:
        rows(header)
    assert refused.value.field == field


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    taken: list[bytes] = []

    def chunks() -> Iterable[bytes]:
        for chunk in (b"phone\n", *[b"x" * 1000] * 100):
            taken.append(chunk)
            yield chunk

    with pytest.raises(Refused):
        read_as_it_comes(chunks())
    assert len(b"".join(taken)) <= LINE_MOST_BYTES + 2000


def read_as_it_comes(chunks: Iterable[bytes]) -> None:
    records = Records()
    for chunk in chunks:
        list(records.feed(chunk))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2025550123", "+12025550123"),
        ("+1 (202) 555-0123", "+12025550123"),
        ("1.202.555.0123", "+12025550123"),
        ("+44 20 7946 0958", "+442079460958"),
        ("5550123", None),
        ("+1 111 555 0123", None),
        ("call me", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, number: str | None) -> None:
    assert e164(text) == number


@pytest.mark.parametrize(
    ("text", "carrier"),
    [
        ("AT&T Wireless", "att"),
        ("att", "att"),
        ("T-Mobile USA, Inc.", "tmobile"),
        ("Verizon Wireless", "verizon"),
        ("US Cellular", "other"),
        ("", None),
        ("unknown", None),
    ],
)
def test_carriers_are_known_by_the_names_that_look_ups_give_them(
    text: str, carrier: str | None
) -> None:
    assert carrier_named(text) == carrier
