"""A contact list from a file that comes in piece by piece: bounded memory, no long transaction."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta

from services.campaign.domain import Refused
from services.campaign.rules.contact_rows import BadRow, Columns, Contact
from services.campaign.rules.csv_records import Encoding, Record, Records
from services.campaign.store import uploads as store
from shared.database import Transaction
from shared.rules.segments import count

CLEARED_MOST = 5_000
# Characters of one unit each.
_PLAIN = re.compile(r"[ -Z_a-z\r\n]*")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read. `mapping`: the headings of columns that bear another name.

    More than `most` contacts, or as many rows that are left out, are refused.
    """

    name: str
    most: int
    mapping: Mapping[str, str] = field(default_factory=dict)
    encoding: Encoding = "utf-8"


class _Longest:
    """Of each field the value that costs most in a text."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._costs: dict[str, tuple[bool, int]] = {}

    def add(self, contact: Contact) -> None:
        for name, value in contact.values().items():
            cost = _cost(value)
            if cost > self._costs.get(name, (False, 0)):
                self.values[name], self._costs[name] = value, cost


def _cost(value: str) -> tuple[bool, int]:
    """What a value costs in a text: one beyond GSM-7 makes all of it dearer."""
    if _PLAIN.fullmatch(value):
        # Nearly all are, and counting takes longer than anything else here but the number.
        return False, len(value)
    size = count(value)
    return size.encoding == "ucs2", size.units


class Upload:
    """One file on its way in."""

    def __init__(
        self,
        transaction: Callable[[], AbstractAsyncContextManager[Transaction]],
        org_id: str,
        contact_list_id: str,
        reading: Reading,
        *,
        dead_after: timedelta = timedelta(minutes=1),
        at_end: Callable[[Transaction], Awaitable[None]] | None = None,
    ) -> None:
        """`dead_after`: how long an earlier try of the same upload may have stood still; `at_end`:
        what is to be done when all has come in, in the same transaction."""
        self._transaction = transaction
        self._org_id = org_id
        self._contact_list_id = contact_list_id
        self._reading = reading
        self._dead_after = dead_after
        self._at_end = at_end
        self._records = Records(reading.encoding)
        self._columns: Columns | None = None
        self._taken = store.Taken()
        self._bad_row_count = 0
        self._longest = _Longest()
        self._hash = hashlib.sha256(repr(reading).encode())

    async def run(self, chunks: AsyncIterator[bytes]) -> bool:
        """Read all of it; False when it had come in before, by the same request.

        Raises Refused, and leaves nothing, when it cannot be read, when another request made this
        list, or while one is making it.
        """
        async with self._transaction() as tx:
            now = await tx.now()
            begun = await store.begin(
                tx,
                self._org_id,
                self._contact_list_id,
                name=self._reading.name,
                at=now,
                dead_before=now - self._dead_after,
            )
        if begun.ready:
            await self._compare(chunks, begun.fingerprint)
            return False
        try:
            await self._clear(begun)
            async for chunk in chunks:
                await self._store(begun, *await asyncio.to_thread(self._read, chunk))
            await self._store(begun, *await asyncio.to_thread(self._read, None))
            await self._finish(begun)
        except Exception:
            # Where even this fails, the worker clears away what is left.
            await self._give_up(begun)
            raise
        return True

    async def _compare(self, chunks: AsyncIterator[bytes], fingerprint: bytes | None) -> None:
        async for chunk in chunks:
            self._hash.update(chunk)
        if self._hash.digest() != fingerprint:
            raise Refused(
                "invalid",
                "a key stands for one request: take a fresh one for another file",
                field="Idempotency-Key",
            )

    def _read(self, chunk: bytes | None) -> tuple[list[Contact], list[BadRow]]:
        """In a thread: a megabyte of numbers takes a third of a second to parse."""
        if chunk is not None:
            self._hash.update(chunk)
        records = self._records.finish() if chunk is None else self._records.feed(chunk)
        contacts: list[Contact] = []
        bad_rows: list[BadRow] = []
        for record in records:
            row = self._row(record)
            if isinstance(row, Contact):
                contacts.append(row)
                self._longest.add(row)
            elif row is not None:
                bad_rows.append(row)
        return contacts, bad_rows

    def _row(self, record: Record) -> Contact | BadRow | None:
        if self._columns is None:
            self._columns = Columns.read(record, self._reading.mapping)
            return None
        return self._columns.contact(record)

    async def _store(
        self, begun: store.Begun, contacts: list[Contact], bad_rows: list[BadRow]
    ) -> None:
        if not contacts and not bad_rows:
            return
        async with self._transaction() as tx:
            taken = await store.add(tx, begun, contacts, bad_rows, await tx.now())
        so_far = self._taken
        self._taken = store.Taken(
            so_far.contacts + taken.contacts,
            so_far.duplicates + taken.duplicates,
            so_far.opted_out + taken.opted_out,
        )
        self._bad_row_count += len(bad_rows)
        most = self._reading.most
        if self._taken.contacts > most:
            raise Refused("invalid", f"more than {most} contacts")
        if self._taken.duplicates + self._taken.opted_out + self._bad_row_count > most:
            raise Refused("invalid", f"more than {most} rows that would be left out")

    async def _finish(self, begun: store.Begun) -> None:
        if self._columns is None:
            raise Refused(
                "invalid", "the file is empty: its first line must name a column phone",
                field="phone",
            )  # fmt: skip
        async with self._transaction() as tx:
            await store.finish(
                tx,
                begun,
                self._taken,
                bad_row_count=self._bad_row_count,
                fields=self._columns.fields,
                longest=self._longest.values,
                fingerprint=self._hash.digest(),
            )
            if self._at_end is not None:
                await self._at_end(tx)

    async def _clear(self, begun: store.Begun) -> None:
        clear = False
        while not clear:
            async with self._transaction() as tx:
                clear = await store.clear(tx, begun, most=CLEARED_MOST)

    async def _give_up(self, begun: store.Begun) -> None:
        gone = False
        while not gone:
            async with self._transaction() as tx:
                gone = await store.give_up(tx, begun, most=CLEARED_MOST)
