"""How many segments a text costs: the sandbox's own count, written from the carrier facts.

It is an oracle beside the platform's rule, so it shares no code with it. The count walks the
text as a phone network would cut it, part by part, and never splits an escape pair (GSM-7
extension characters) or a surrogate pair (UCS-2).
"""

from __future__ import annotations

from typing import Literal

Encoding = Literal["GSM-7", "UCS-2"]

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")

_GSM_SINGLE, _GSM_PART = 160, 153
_UCS_SINGLE, _UCS_PART = 70, 67


def encoding_of(text: str) -> Encoding:
    """GSM-7 if every character fits, else UCS-2 for the whole text."""
    return "GSM-7" if all(c in _BASIC or c in _EXTENDED for c in text) else "UCS-2"


def count_segments(text: str) -> int:
    """Segments of an SMS, at least 1."""
    if encoding_of(text) == "GSM-7":
        return _parts(
            [2 if character in _EXTENDED else 1 for character in text], _GSM_SINGLE, _GSM_PART
        )
    return _parts(
        [2 if ord(character) > 0xFFFF else 1 for character in text], _UCS_SINGLE, _UCS_PART
    )


def _parts(widths: list[int], single: int, part: int) -> int:
    """Cut characters of these widths: one part of `single`, or parts of `part` each."""
    if sum(widths) <= single:
        return 1
    parts, used = 1, 0
    for width in widths:
        if used + width > part:
            parts, used = parts + 1, 0
        used += width
    return parts
