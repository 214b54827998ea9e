"""From the bytes of a CSV file to its records, whatever program wrote it.

A file is read as it comes in, so nothing here needs more of it than one record.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from services.campaign.domain import Refused

LINE_MOST_BYTES = 64 * 1024
RECORD_MOST_LINES = 20

Encoding = Literal["utf-8", "windows-1252"]

NOT_UTF8 = "not UTF-8: save the file as CSV UTF-8, or say ?encoding=windows-1252"
NOT_CLOSED = "a quotation mark is not closed"

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# What other files begin with, by which people mistake them for a table.
_NOT_CSV = {
    b"PK\x03\x04": "this is an Excel workbook or another archive: save it as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "this is an old Excel workbook: save it as CSV UTF-8",
    b"\x1f\x8b": "this is a compressed file: send it unpacked",
    b"%PDF": "this is a PDF: send a CSV file",
}
_FIRST_BYTES = max(len(start) for start in _NOT_CSV)
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Record:
    """The cells that begin on a line, or what is wrong with them."""

    line: int
    cells: Sequence[str]
    fault: str = ""


class Utf8:
    """A file's bytes as UTF-8. UTF-16, as Excel's "Unicode text", is known by its first bytes."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._head = b""
        self._begun = False
        self._decoder: codecs.IncrementalDecoder | None = None

    def feed(self, chunk: bytes, *, last: bool = False) -> bytes:
        """The next bytes. Raises Refused for what is no table at all."""
        if not self._begun:
            self._head += chunk
            if len(self._head) < _FIRST_BYTES and not last:
                return b""
            chunk, self._begun = self._head, True
            self._decoder = self._decoder_for(chunk)
        if self._decoder is None:
            return chunk
        # A byte that stands for nothing in windows-1252 stays as it is, and spoils its row alone.
        return self._decoder.decode(chunk, last).encode("utf-8", "surrogateescape")

    def _decoder_for(self, head: bytes) -> codecs.IncrementalDecoder | None:
        for start, reason in _NOT_CSV.items():
            if head.startswith(start):
                raise Refused("invalid", reason, field="header")
        if head.startswith(_UTF16):
            return codecs.getincrementaldecoder("utf-16")("replace")
        if self._encoding == "utf-8" or head.startswith(codecs.BOM_UTF8):
            return None
        return codecs.getincrementaldecoder("cp1252")("surrogateescape")


class Records:
    """Cuts a file into records while it comes in. A quoted cell may hold line ends.

    The first record tells what stands between cells: commas, semicolons or tabs. A quotation mark
    that is never closed spoils its own line only, if that: an inch mark is none. After
    RECORD_MOST_LINES, or where several lines make no record, those after the first are read again
    as if it had not been there.
    """

    def __init__(self, encoding: Encoding = "utf-8") -> None:
        self._utf8 = Utf8(encoding)
        self._tail = b""
        self._line = 0
        self._open: list[tuple[int, bytes]] = []
        self._delimiter = ""

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """The records that this chunk completes. Raises Refused for a line without an end."""
        *lines, self._tail = (self._tail + self._utf8.feed(chunk)).split(b"\n")
        for line in lines:
            self._line += 1
            yield from self._take(self._line, line)
        self._check_length(self._line + 1, self._tail)

    def finish(self) -> Iterator[Record]:
        """What is left when the file ends, with or without a line end."""
        *lines, self._tail = (self._tail + self._utf8.feed(b"", last=True)).split(b"\n")
        for line in [*lines, self._tail] if self._tail else lines:
            self._line += 1
            yield from self._take(self._line, line)
        while self._open:
            yield from self._give_up()

    def _take(self, number: int, line: bytes) -> Iterator[Record]:
        self._check_length(number, line)
        self._open.append((number, line))
        if sum(part.count(b'"') for _, part in self._open) % 2 == 0:
            found = self._parse(self._open[0][0], b"\n".join(part for _, part in self._open))
            if found is not None and found.fault and len(self._open) > 1:
                yield from self._give_up()
                return
            self._open = []
            if found is not None:
                yield found
        elif len(self._open) >= RECORD_MOST_LINES:
            yield from self._give_up()

    def _give_up(self) -> Iterator[Record]:
        (number, first), *rest = self._open
        self._open = []
        found = self._parse(number, first)
        if found is not None:
            yield found
        for again, line in rest:
            yield from self._take(again, line)

    def _parse(self, line: int, raw: bytes) -> Record | None:
        """One record; None for an empty line."""
        try:
            text = raw.removesuffix(b"\r").decode("utf-8-sig" if line == 1 else "utf-8")
            if not self._delimiter and text:
                self._delimiter = _delimiter_in(text)
            cells = next(csv.reader([text], strict=True, delimiter=self._delimiter or ","), [])
        except UnicodeDecodeError:
            return Record(line, (), NOT_UTF8)
        except csv.Error as error:
            return Record(line, (), NOT_CLOSED if raw.count(b'"') % 2 else str(error))
        if "\x00" in text:
            return Record(line, (), "holds a NUL character")
        return Record(line, cells) if any(cell.strip() for cell in cells) else None

    @staticmethod
    def _check_length(number: int, line: bytes) -> None:
        if len(line) > LINE_MOST_BYTES:
            raise Refused("invalid", f"line {number} is longer than {LINE_MOST_BYTES} bytes")


def _delimiter_in(header: str) -> str:
    """What stands most often between cells; of equals the comma."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(_DELIMITERS, key=bare.count)
