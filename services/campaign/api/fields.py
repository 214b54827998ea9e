"""What requests bring, field by field: nothing is guessed, and nothing silently changed in kind.

A number that came as a text, or true where a number belongs, is a slip of the caller's program:
taken silently it would be a limit that nobody meant.
"""

import re
import unicodedata
from datetime import time
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Strict, StringConstraints, WithJsonSchema

from shared.fields import Instant
from shared.rules.hours import END_OF_DAY, Hours

NOT_A_TIME = 'must be a time with its offset, such as "2026-10-20T09:00:00-04:00"'
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}.*")
# Controls, and the two characters besides them that end a line.
_NOT_IN_A_LINE = {"Cc", "Zl", "Zp"}


def _one_line(name: str) -> str:
    if any(unicodedata.category(char) in _NOT_IN_A_LINE for char in name):
        raise ValueError("must not hold line breaks or control characters")
    return name


def _time_text(value: Any) -> Any:
    # A bare number would be read as seconds since 1970, in a text as well.
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise ValueError(NOT_A_TIME)
    return value


def _midnight(value: Any) -> Any:
    if isinstance(value, str) and _DATE.fullmatch(value):
        return f"{value}T00:00:00Z"
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise ValueError("must be a date, such as 2026-10-20, or a time with its offset")
    return value


def _zone(name: str) -> str:
    return Hours(time.min, END_OF_DAY, name).time_zone


# A line break at either end is no slip: it is taken off with the spaces, before the checks.
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_one_line),
]
Time = Annotated[Instant, BeforeValidator(_time_text)]
DateOrTime = Annotated[
    Instant,
    BeforeValidator(_midnight),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date"},
                {"type": "string", "format": "date-time"},
            ]
        }
    ),
]
"""A date is its midnight in UTC."""
# The `next` of a list's page.
Cursor = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{0,200}$")]
# It stands in paths and queries as it is.
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Zone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_zone)]
