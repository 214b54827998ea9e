"""From the records of a CSV file to contacts: the header, then one row at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

from services.campaign.domain import Carrier, Refused
from services.campaign.rules import scripts
from services.campaign.rules.csv_records import Record
from services.campaign.rules.scripts import field_name
from shared.rules.carriers import carrier_named

REGION = "US"
"""Numbers without a country's code are read as of this region."""

COLUMNS_MOST = 50
VALUE_MOST = 500
OWN_FIELDS = ("first_name", "last_name", "phone")
MAPPED = ("phone", "first_name", "last_name", "carrier")
"""The columns that an upload may give another heading for."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One row of a list. `fields`: the columns that are the file's own."""

    line: int
    phone: str
    carrier: Carrier | None
    first_name: str
    last_name: str
    fields: dict[str, str]

    def values(self) -> dict[str, str]:
        """What a script may name."""
        return scripts.values(self.first_name, self.last_name, self.phone, self.fields)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is left out, and which of its columns is why."""

    line: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Columns:
    """The header, by the names that scripts use; a column without a name is nobody's."""

    names: tuple[str, ...]

    @classmethod
    def read(cls, header: Record, mapping: Mapping[str, str] | None = None) -> "Columns":
        """The columns; `mapping` gives the headings of those in MAPPED that bear another one.

        Raises Refused when a file cannot be read with this header.
        """
        if header.fault:
            raise Refused("invalid", f"line {header.line}: {header.fault}", field="header")
        names = _mapped(header.cells, mapping or {})
        if "phone" not in names:
            raise Refused(
                "invalid",
                "the first line must name a column phone, or say which one it is: "
                f"?phone=HEADING. It names {_listed(header.cells)}",
                field="phone",
            )
        if len(names) > COLUMNS_MOST:
            raise Refused("invalid", f"more than {COLUMNS_MOST} columns", field="header")
        for name in names:
            if names.count(name) > 1 and name:
                raise Refused("invalid", "there are two columns of this name", field=name)
        return cls(tuple(names))

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
            record.line,
            phone,
            carrier_of(cells.get("carrier", "")),
            cells.get("first_name", ""),
            cells.get("last_name", ""),
            own,
        )


def _mapped(headings: Sequence[str], mapping: Mapping[str, str]) -> list[str]:
    """The columns' names, where some were given. Raises Refused for a heading that is not there.

    A column whose own name was given to another one has none.
    """
    names = [field_name(heading) for heading in headings]
    places: dict[int, str] = {}
    for name, wanted in mapping.items():
        place = next((at for at, found in enumerate(headings) if _same(found, wanted)), None)
        if place is None:
            raise Refused(
                "invalid",
                f"the file has no column {wanted!r}: its first line names {_listed(headings)}",
                field=name,
            )
        if place in places:
            raise Refused("invalid", f"this column is {places[place]} already", field=name)
        places[place] = name
    free = ["" if name in mapping else name for name in names]
    return [places.get(place, name) for place, name in enumerate(free)]


def _same(heading: str, wanted: str) -> bool:
    if heading.strip().casefold() == wanted.strip().casefold():
        return True
    # What a script would call both; a heading of other letters than ours has no such name.
    return field_name(heading) == field_name(wanted) != ""


def _listed(headings: Sequence[str]) -> str:
    shown = ", ".join(heading.strip()[:40] for heading in headings[:COLUMNS_MOST])
    return shown or "none"


def e164(text: str) -> str | None:
    """The number as "+12025550123"; None for what no phone has."""
    try:
        number = phonenumbers.parse(text[:40], REGION)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=1024)
def carrier_of(word: str) -> Carrier | None:
    """The carrier that a cell means; None for a word that says nothing to us.

    A slip of the pen so is looked up, where taking it for `other` would hold its texts to the
    limits of the wrong carrier.
    """
    return "other" if word.strip().lower() == "other" else carrier_named(word)
