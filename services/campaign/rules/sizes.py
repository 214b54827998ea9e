"""What a script takes: rendered at its longest, and as it typically is."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.campaign.domain import Channel
from shared.rules.segments import count, not_gsm7, segments_of


@dataclass(frozen=True, slots=True)
class Trap:
    """A character that makes a text go as UCS-2, of which a segment holds less than half as much.

    Many of them look like others, or like nothing: `code` and `name` are Unicode's.
    """

    character: str
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Size:
    """What one rendering takes, and why its encoding is what it is."""

    segments: int
    encoding: Literal["gsm7", "ucs2"]
    units: int
    traps: tuple[Trap, ...]


def size_of(channel: Channel, text: str) -> Size:
    """An MMS is one segment whatever its text; its encoding is shown all the same."""
    counted = count(text)
    return Size(
        segments_of(channel, text),
        counted.encoding,
        counted.units,
        tuple(_trap(character) for character in not_gsm7(text)),
    )


def _trap(character: str) -> Trap:
    name = unicodedata.name(character, "a control or private character")
    return Trap(character, f"U+{ord(character):04X}", name)


def typical(channel: Channel, texts: Sequence[str]) -> Size | None:
    """The size of the text in the middle: as many take more as take less. None of none."""
    if not texts:
        return None
    in_order = sorted(texts, key=lambda text: (segments_of(channel, text), count(text).units))
    return size_of(channel, in_order[(len(in_order) - 1) // 2])
