"""How many segments a text takes: what the carriers count, bill and limit.

Providers count slightly differently (smart encoding swaps curly quotes and the like), so the number
here is what is charged before sending; the count in the receipt is what is settled.
"""

import re
from dataclasses import dataclass
from typing import Literal

Channel = Literal["sms", "mms"]
Encoding = Literal["gsm7", "ucs2"]

_ESCAPE = "\x1b"
_GSM7_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_EXTENDED = "^{}\\[~]|€\f"

# The escape itself is in neither class: a text that holds one cannot be sent as GSM-7, where it
# would change the character that follows it.
_NOT_BASIC = re.compile(f"[^{re.escape(_GSM7_BASIC)}]")
_NOT_GSM7 = re.compile(f"[^{re.escape(_GSM7_BASIC + _GSM7_EXTENDED)}]")
_AS_SEPTETS = str.maketrans({char: _ESCAPE + char for char in _GSM7_EXTENDED})

_GSM7_ALONE, _GSM7_JOINED = 160, 153
_UCS2_ALONE, _UCS2_JOINED = 70, 67


@dataclass(frozen=True, slots=True)
class Segments:
    """What one SMS text takes.

    `units` are septets in GSM-7 (an extension character is 2) and UTF-16 code units in UCS-2.
    """

    encoding: Encoding
    segments: int
    units: int

    def __post_init__(self) -> None:
        if self.segments < 1:
            raise ValueError(f"a text takes at least 1 segment, not {self.segments}")
        if self.units < 0:
            raise ValueError(f"a text cannot take {self.units} units")


def count(text: str) -> Segments:
    """Count the segments of a text that goes as SMS.

    The empty text takes 1 segment: it would still be one message on the air. A lone surrogate
    counts as one UTF-16 unit here; whether such a text is taken at all is not this rule's business.
    """
    if _NOT_BASIC.search(text) is None:
        units = len(text)
        segments = 1 if units <= _GSM7_ALONE else -(-units // _GSM7_JOINED)
        return Segments("gsm7", segments, units)
    if _NOT_GSM7.search(text) is None:
        septets = text.translate(_AS_SEPTETS)
        return Segments("gsm7", _septet_segments(septets), len(septets))
    code_units = text.encode("utf-16-be", "surrogatepass")
    return Segments("ucs2", _code_unit_segments(code_units), len(code_units) // 2)


def not_gsm7(text: str) -> list[str]:
    """The characters that keep a text from going as GSM-7, each once, in order: none if it does.

    One curly quote, and the whole text goes as UCS-2, at less than half as much a segment.
    """
    return list(dict.fromkeys(_NOT_GSM7.findall(text)))


def segments_of(channel: Channel, text: str) -> int:
    """The segments that a message is charged with: its text's for an SMS, 1 for an MMS.

    Raises ValueError for any other channel.
    """
    if channel == "sms":
        return count(text).segments
    if channel == "mms":
        return 1
    raise ValueError(f"the channel is sms or mms, not {channel!r}")


def _septet_segments(septets: str) -> int:
    """Cut at 153 septets, or at 152 where the 153rd is an escape: its pair is not split."""
    if len(septets) <= _GSM7_ALONE:
        return 1
    segments, start = 0, 0
    while start < len(septets):
        last = start + _GSM7_JOINED - 1
        start = last if septets[last : last + 1] == _ESCAPE else last + 1
        segments += 1
    return segments


def _code_unit_segments(code_units: bytes) -> int:
    """Cut at 67 UTF-16 units, or at 66 where the cut would split a surrogate pair."""
    units = len(code_units) // 2
    if units <= _UCS2_ALONE:
        return 1
    segments, start = 0, 0
    while start < units:
        start += _UCS2_JOINED
        if start < units and _is_pair(code_units, start - 1):
            start -= 1
        segments += 1
    return segments


def _is_pair(code_units: bytes, at: int) -> bool:
    """Whether the units `at` and `at + 1` are a high and a low surrogate."""
    return code_units[2 * at] & 0xFC == 0xD8 and code_units[2 * at + 2] & 0xFC == 0xDC
