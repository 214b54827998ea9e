"""A request's first fault, in words for the person who sent it."""

from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic import ValidationError

from services.campaign.api.fields import NOT_A_TIME, Cursor, Tag
from shared.fields import AreaCode, Id, Phone, Url


def _pattern(kind: Any) -> str:
    pattern: str = get_args(kind)[1].pattern
    return pattern


_SHAPES: Mapping[str, str] = {
    _pattern(Id): "must be an id: 1 to 64 ASCII characters without a space",
    _pattern(AreaCode): "must be an area code: three digits, the first of them 2 to 9",
    _pattern(Url): "must be an http or https address of at most 2000 ASCII characters",
    _pattern(Phone): "must be a phone number with + and the country's code, such as +13032000001",
    _pattern(Tag): "must be small letters, digits and hyphens, at most 40, no hyphen first",
    _pattern(Cursor): "must be the next of the page before",
}
# A library's words, said like ours.
_THEIRS = {
    "Value error, ": "",
    "value is not a valid email address: ": "not a valid e-mail address: ",
}

_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "extra_forbidden": lambda about: f"there is no such {about['kind']}",
    "missing": lambda about: "it is missing",
    "string_type": lambda about: "must be a text",
    "string_unicode": lambda about: "must be valid Unicode",
    "string_too_short": lambda about: "must not be blank",
    "string_too_long": lambda about: f"must be at most {about['max_length']} characters",
    "string_pattern_mismatch": lambda about: _SHAPES.get(about["pattern"], "has a wrong shape"),
    "int_type": lambda about: "must be a whole number",
    "int_parsing": lambda about: "must be a whole number",
    "int_parsing_size": lambda about: "must be a smaller number",
    "greater_than_equal": lambda about: f"must be at least {about['ge']}",
    "less_than_equal": lambda about: f"must be at most {about['le']}",
    "bool_type": lambda about: "must be true or false",
    "bool_parsing": lambda about: "must be true or false",
    "literal_error": lambda about: f"must be {about['expected']}",
    "tuple_type": lambda about: "must be a list",
    "too_short": lambda about: f"must hold at least {about['min_length']}",
    "too_long": lambda about: f"must hold at most {about['max_length']}",
    "model_type": lambda about: "must be an object",
    "model_attributes_type": lambda about: "must be an object",
    "timezone_aware": lambda about: NOT_A_TIME,
    "datetime_type": lambda about: NOT_A_TIME,
    "datetime_parsing": lambda about: NOT_A_TIME,
    "datetime_from_date_parsing": lambda about: NOT_A_TIME,
}


def first_fault(error: ValidationError, kind: str = "field") -> tuple[str, str]:
    """The field at fault, in dotted form, and what is wrong with it; `kind`: what to call it.

    A field that there is not comes first: the one that is missing is most often the same, spelled
    right.
    """
    faults = error.errors(include_url=False, include_input=False)
    fault = next((one for one in faults if one["type"] == "extra_forbidden"), faults[0])
    words = _WORDS.get(fault["type"])
    reason = _ours(fault["msg"]) if words is None else words({**fault.get("ctx", {}), "kind": kind})
    return ".".join(str(part) for part in fault["loc"]), reason


def _ours(reason: str) -> str:
    for theirs, ours in _THEIRS.items():
        if reason.startswith(theirs):
            return ours + reason.removeprefix(theirs)
    return reason
