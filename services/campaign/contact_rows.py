"""From the bytes of a CSV file to contacts: records, the header, one row at a time.

A file is read as it comes in, so nothing here needs more of it than one record.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import phonenumbers

from services.campaign.domain import Carrier, Refused
from services.campaign.scripts import field_name

REGION = "US"
"""Numbers without a country's code are read as of this region."""

LINE_MOST_BYTES = 64 * 1024
RECORD_MOST_LINES = 20
COLUMNS_MOST = 50
VALUE_MOST = 500
OWN_FIELDS = ("first_name", "last_name", "phone")


@dataclass(frozen=True, slots=True)
class Record:
    """The cells that begin on a line, or what is wrong with them."""

    line: int
    cells: Sequence[str]
    fault: str = ""


class Records:
    """Cuts a file into records while it comes in. A quoted cell may hold line ends.

    A quotation mark that is never closed spoils its own line only: after RECORD_MOST_LINES the
    lines after it are read again as if it had not been there.
    """

    def __init__(self) -> None:
        self._tail = b""
        self._line = 0
        self._open: list[tuple[int, bytes]] = []

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """The records that this chunk completes. Raises Refused for a line without an end."""
        *lines, self._tail = (self._tail + chunk).split(b"\n")
        for line in lines:
            self._line += 1
            yield from self._take(self._line, line)
        self._check_length(self._line + 1, self._tail)

    def finish(self) -> Iterator[Record]:
        """What is left when the file ends, with or without a line end."""
        if self._tail:
            self._line += 1
            yield from self._take(self._line, self._tail)
        while self._open:
            yield from self._give_up()

    def _take(self, number: int, line: bytes) -> Iterator[Record]:
        self._check_length(number, line)
        self._open.append((number, line))
        if sum(part.count(b'"') for _, part in self._open) % 2 == 0:
            record, self._open = self._open, []
            found = _parse(record[0][0], b"\n".join(part for _, part in record))
            if found is not None:
                yield found
        elif len(self._open) >= RECORD_MOST_LINES:
            yield from self._give_up()

    def _give_up(self) -> Iterator[Record]:
        (number, _), *rest = self._open
        self._open = []
        yield Record(number, (), "a quotation mark is not closed")
        for again, line in rest:
            yield from self._take(again, line)

    @staticmethod
    def _check_length(number: int, line: bytes) -> None:
        if len(line) > LINE_MOST_BYTES:
            raise Refused("invalid", f"line {number} is longer than {LINE_MOST_BYTES} bytes")


def _parse(line: int, raw: bytes) -> Record | None:
    """One record; None for an empty line."""
    try:
        text = raw.removesuffix(b"\r").decode("utf-8-sig" if line == 1 else "utf-8")
        cells = next(csv.reader([text], strict=True), [])
    except UnicodeDecodeError:
        return Record(line, (), "not UTF-8: save the file as CSV UTF-8")
    except csv.Error as error:
        return Record(line, (), str(error))
    if "\x00" in text:
        return Record(line, (), "holds a NUL character")
    return Record(line, cells) if any(cell.strip() for cell in cells) else None


@dataclass(frozen=True, slots=True)
class Contact:
    """One row of a list. `fields`: the columns that are the file's own."""

    phone: str
    carrier: Carrier | None
    first_name: str
    last_name: str
    fields: dict[str, str]

    def values(self) -> dict[str, str]:
        """What a script may name."""
        return {
            "first_name": self.first_name,
            "last_name": self.last_name,
            "phone": self.phone,
            **self.fields,
        }


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is left out, and which of its columns is why."""

    line: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Columns:
    """The header, by the names that scripts use."""

    names: tuple[str, ...]

    @classmethod
    def read(cls, header: Record) -> "Columns":
        """Raises Refused when a file cannot be read with this header."""
        if header.fault:
            raise Refused("invalid", f"line {header.line}: {header.fault}", field="header")
        names = tuple(field_name(cell) for cell in header.cells)
        if "phone" not in names:
            raise Refused("invalid", "the first line must name a column phone", field="phone")
        if len(names) > COLUMNS_MOST:
            raise Refused("invalid", f"more than {COLUMNS_MOST} columns", field="header")
        for name in names:
            if names.count(name) > 1 and name:
                raise Refused("invalid", "there are two columns of this name", field=name)
        return cls(names)

    @property
    def fields(self) -> list[str]:
        """What a script may name."""
        own = [name for name in self.names if name and name not in (*OWN_FIELDS, "carrier")]
        return [*OWN_FIELDS, *own]

    def contact(self, record: Record) -> Contact | BadRow:
        """A row as a contact."""
        if record.fault:
            return BadRow(record.line, "", record.fault)
        if len(record.cells) > len(self.names):
            return BadRow(record.line, "", "more cells than the header has columns")
        cells = dict(zip(self.names, (cell.strip() for cell in record.cells), strict=False))
        for name, value in cells.items():
            if len(value) > VALUE_MOST:
                return BadRow(record.line, name, f"longer than {VALUE_MOST} characters")
        phone = e164(cells.get("phone", ""))
        if phone is None:
            return BadRow(record.line, "phone", "not a valid phone number")
        own = {name: cells.get(name, "") for name in self.fields if name not in OWN_FIELDS}
        return Contact(
            phone,
            carrier_named(cells.get("carrier", "")),
            cells.get("first_name", ""),
            cells.get("last_name", ""),
            own,
        )


def e164(text: str) -> str | None:
    """The number as "+12025550123"; None for what no phone has."""
    try:
        number = phonenumbers.parse(text[:40], REGION)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def carrier_named(text: str) -> Carrier | None:
    """The carrier by any of the names that look-ups give it ("AT&T Wireless"); None for none."""
    letters = "".join(letter for letter in text.lower() if letter.isalnum())
    if not letters or letters == "unknown":
        return None
    known: tuple[Carrier, ...] = ("att", "tmobile", "verizon")
    return next((carrier for carrier in known if letters.startswith(carrier)), "other")
