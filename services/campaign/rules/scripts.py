"""Scripts with {fields}: which they name, and what they read like for one contact."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from services.campaign.domain import Refused

# Doubled braces are braces; what stands between single ones is a field.
_PART = re.compile(r"(\{\{|\}\})|\{([^{}]*)\}|([{}])")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,59}")


def field_name(heading: str) -> str:
    """The name by which a script calls a column: "First Name" is {first_name}."""
    return re.sub(r"[^a-z0-9]+", "_", heading.strip().lower()).strip("_")[:60]


def fields_of(script: str, *, field: str = "script") -> list[str]:
    """The fields that a script names, in order. Raises Refused when a brace stands alone."""
    return list(_fields_in(script, field))


def _fields_in(script: str, field: str) -> Iterator[str]:
    for part in _PART.finditer(script):
        if part[3] is not None:
            raise Refused(
                "invalid",
                f"a lone {part[3]} at character {part.start() + 1}: fields look like "
                "{first_name}, and {{ is a brace",
                field=field,
            )
        if part[1] is None:
            yield part[2]


def check(script: str, known: Collection[str], *, field: str = "script") -> None:
    """Raise Refused with the name of the first field that the contacts do not have.

    `field`: what the script is called in the request.
    """
    for name in fields_of(script, field=field):
        if _NAME.fullmatch(name) is None or name not in known:
            raise Refused(
                "invalid",
                f"unknown field {{{name}}}; the contacts have {', '.join(sorted(known))}",
                field=field,
            )


def values(
    first_name: str, last_name: str, phone: str, fields: Mapping[str, str]
) -> dict[str, str]:
    """What a script may name of a contact; `fields`: the columns that are their file's own."""
    return {"first_name": first_name, "last_name": last_name, "phone": phone, **fields}


def values_of(row: Any) -> dict[str, str]:
    """The same out of a row; of one who is in no list it is a number alone."""
    return values(
        row["first_name"] or "", row["last_name"] or "", row["phone"], row["fields"] or {}
    )


def render(script: str, values: Mapping[str, str]) -> str:
    """The text for one contact; a field that the contact leaves empty is left out."""

    def put(part: re.Match[str]) -> str:
        if part[1] is not None:
            return part[1][0]
        return values.get(part[2] or "", "")

    return re.sub(r" {2,}", " ", _PART.sub(put, script)).strip()
