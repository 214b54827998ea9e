"""Contacts out of the bytes of a CSV file."""

import csv
import io
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.campaign.domain import Refused
from services.campaign.rules.contact_rows import BadRow, Columns, Contact, carrier_of, e164
from services.campaign.rules.csv_records import LINE_MOST_BYTES, Encoding, Record, Records


def read(*chunks: bytes, encoding: Encoding = "utf-8") -> list[Record]:
    records = Records(encoding)
    found = [record for chunk in chunks for record in records.feed(chunk)]
    return [*found, *records.finish()]


def rows(
    table: str | bytes, mapping: Mapping[str, str] | None = None, *, encoding: Encoding = "utf-8"
) -> list[Contact | BadRow]:
    whole = table.encode() if isinstance(table, str) else table
    header, *others = read(whole, encoding=encoding)
    columns = Columns.read(header, mapping)
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
    # The first line tells what stands between cells, as a header does.
    table = [["phone", "name"], *table]
    written = io.StringIO()
    csv.writer(written).writerows(table)
    whole = written.getvalue().encode()
    chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
    if any(cell.count("\n") > 15 for cells in table for cell in cells):
        return
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


def test_two_quotation_marks_that_are_not_closed_swallow_no_row_between_them() -> None:
    lines = ["phone,note", '2025550101,"first', "2025550102,b", '2025550103,"third', "2025550104,d"]
    found = rows("\n".join(lines).encode())
    bad = [row for row in found if isinstance(row, BadRow)]
    assert bad == [BadRow(line, "", "a quotation mark is not closed") for line in (2, 4)]
    good = [row.phone for row in found if isinstance(row, Contact)]
    assert good == ["+12025550102", "+12025550104"]


def test_an_inch_mark_is_a_character_like_any_other() -> None:
    lines = [
        "phone,note",
        '2025550101,5" pipe',
        "2025550102,b",
        '2025550103,6" pipe',
        "2025550104,",
    ]
    found = [row for row in rows("\n".join(lines).encode()) if isinstance(row, Contact)]
    assert [row.fields["note"] for row in found] == ['5" pipe', "b", '6" pipe', ""]


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
        (" Other", "other"),
        ("verzion", None),
        ("", None),
        ("unknown", None),
    ],
)
def test_carriers_are_known_by_the_names_that_look_ups_give_them(
    text: str, carrier: str | None
) -> None:
    assert carrier_of(text) == carrier


TABLE = """Cell;Given name;Téléphone;note\r
303-200-0001;José;1;"a;b"\r
303-200-0002;Zoë;2;€5\r
"""


@pytest.mark.parametrize(
    ("whole", "encoding"),
    [
        (TABLE.encode(), "utf-8"),
        (TABLE.encode("utf-8-sig"), "utf-8"),
        (TABLE.encode("utf-8-sig"), "windows-1252"),
        (TABLE.encode("utf-16"), "utf-8"),
        (b"\xfe\xff" + TABLE.encode("utf-16-be"), "utf-8"),
        (TABLE.encode("cp1252"), "windows-1252"),
        (TABLE.replace(";", "\t").replace("a\tb", "a;b").encode("utf-16"), "utf-8"),
        (TABLE.replace(";", ",").replace("a,b", "a;b").encode(), "utf-8"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_table_from_excel_is_read_right_however_it_was_saved(
    whole: bytes, encoding: Encoding, size: int
) -> None:
    chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
    header, *others = read(*chunks, encoding=encoding)
    columns = Columns.read(header, {"phone": "cell", "first_name": "Given Name"})
    assert [columns.contact(record) for record in others] == [
        Contact(2, "+13032000001", None, "José", "", {"t_l_phone": "1", "note": "a;b"}),
        Contact(3, "+13032000002", None, "Zoë", "", {"t_l_phone": "2", "note": "€5"}),
    ]


def test_a_byte_that_stands_for_nothing_spoils_its_own_row() -> None:
    bad, good = rows(b"phone,note\n+13032000001,\x81\n+13032000002,\xe9", encoding="windows-1252")
    assert isinstance(bad, BadRow)
    assert "UTF-8" in bad.reason
    assert isinstance(good, Contact)
    assert good.fields == {"note": "é"}


@pytest.mark.parametrize(
    "start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b\x08", b"%PDF-1.7"]
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_is_no_table_at_all_is_refused_in_words(start: bytes, size: int) -> None:
    whole = start + b"phone\n"
    with pytest.raises(Refused) as refused:
        read(*(whole[at : at + size] for at in range(0, len(whole), size)))
    assert refused.value.field == "header"
    assert "this is a" in refused.value.reason


def test_columns_are_mapped_by_their_headings_in_any_case() -> None:
    table = "Mobile Phone,Phone,GIVEN  NAME,电话\n303-200-0001,home,Al,x\n"
    (found,) = rows(table, {"phone": "mobile phone", "first_name": "Given Name", "carrier": "电话"})
    # The column whose name was given to another one is nobody's.
    assert found == Contact(2, "+13032000001", None, "Al", "", {})


@pytest.mark.parametrize(
    ("mapping", "field"),
    [
        ({"phone": "Handy"}, "phone"),
        ({"phone": "Cell", "carrier": "Operator"}, "carrier"),
        ({"phone": "Cell", "last_name": "cell"}, "last_name"),
    ],
)
def test_a_mapping_to_a_column_that_is_not_there_says_which_are(
    mapping: dict[str, str], field: str
) -> None:
    with pytest.raises(Refused) as refused:
        rows("Cell,Town\n303-200-0001,Boulder\n", mapping)
    assert refused.value.field == field
    if field != "last_name":
        assert "Cell, Town" in refused.value.reason
