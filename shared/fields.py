"""The kinds of values that events, and requests that lead to them, are made of."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from shared.rules.hours import Hours, civil_day, clock_text, parse_clock


def _without_nul(text: str) -> str:
    # PostgreSQL cannot store U+0000; refused here, where the sender can be told which field it was.
    if "\x00" in text:
        raise ValueError("must not hold a NUL character")
    return text


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie in the years 1 to 9999 in UTC") from None


Id = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,64}$")]
Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
NAME_MOST = 200
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=NAME_MOST), AfterValidator(_without_nul)
]
# The longest text that the providers take: ten segments and a little.
TEXT_MOST = 1600
Body = Annotated[str, StringConstraints(max_length=TEXT_MOST), AfterValidator(_without_nul)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[\x21-\x7e]{1,2000}$")]
Instant = Annotated[AwareDatetime, AfterValidator(_utc)]
AreaCode = Annotated[str, StringConstraints(pattern=r"^[2-9][0-9]{2}$")]


def _read_clocks(hours: Any) -> Any:
    if not isinstance(hours, dict):
        return hours
    clocks = {
        name: parse_clock(hours[name])
        for name in ("opens", "closes")
        if isinstance(hours.get(name), str)
    }
    return {**hours, **clocks}


def _write_clocks(hours: Hours) -> dict[str, str]:
    return {
        "opens": clock_text(hours.opens),
        "closes": clock_text(hours.closes),
        "time_zone": hours.time_zone,
    }


_CLOCK_SCHEMA = {"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}$"}
OpenHours = Annotated[
    Hours,
    BeforeValidator(_read_clocks),
    PlainSerializer(_write_clocks),
    WithJsonSchema(
        {
            "title": "Hours",
            "description": "Times of day in the campaign's own zone; closes is exclusive, 24:00 "
            "is the end of the day.",
            "type": "object",
            "properties": {
                "opens": _CLOCK_SCHEMA,
                "closes": _CLOCK_SCHEMA,
                "time_zone": {"type": "string"},
            },
            "required": ["opens", "closes", "time_zone"],
        }
    ),
]


def _zone(name: str) -> str:
    # Raises for a zone that nobody could compute a day in.
    civil_day(name, datetime(2000, 1, 1, tzinfo=UTC))
    return name


Zone = Annotated[str, AfterValidator(_zone)]
# What fits the columns that it will stand in.
Cap = Annotated[int, Field(ge=0, le=2**31 - 1)]
Revision = Annotated[int, Field(ge=1, le=2**31 - 1)]
Carrier = Literal["att", "tmobile", "verizon", "other"]
Kind = Literal["initial", "reply"]
Channel = Literal["sms", "mms"]
