"""A contact list from a file that comes in piece by piece: bounded memory, no long transaction."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from services.campaign.contact_rows import BadRow, Columns, Contact, Record, Records
from services.campaign.domain import Refused
from services.campaign.store import contacts as store
from shared.database import Transaction
from shared.ids import new_id
from shared.rules.segments import count

CLEARED_MOST = 5_000


@dataclass
class _Report:
    contacts: int = 0
    good_rows: int = 0
    bad_row_count: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)
    longest: dict[str, str] = field(default_factory=dict)

    def add(self, row: Contact | BadRow) -> None:
        if isinstance(row, BadRow):
            self.bad_row_count += 1
            if len(self.bad_rows) < store.BAD_ROWS_KEPT:
                self.bad_rows.append(row)
            return
        self.good_rows += 1
        for name, value in row.values().items():
            best = self.longest.get(name, "")
            if value and _cost(value) > _cost(best):
                self.longest[name] = value


def _cost(value: str) -> tuple[bool, int]:
    """What a value costs in a text: one beyond GSM-7 makes all of it dearer."""
    size = count(value)
    return size.encoding == "ucs2", size.units


class Upload:
    """One file on its way in."""

    def __init__(
        self,
        transaction: Callable[[], AbstractAsyncContextManager[Transaction]],
        org_id: str,
        contact_list_id: str,
        name: str,
        *,
        most: int,
    ) -> None:
        self._transaction = transaction
        self._org_id = org_id
        self._contact_list_id = contact_list_id
        self._name = name
        self._most = most
        self._records = Records()
        self._columns: Columns | None = None
        self._begun = False
        self._report = _Report()

    async def run(self, chunks: AsyncIterator[bytes]) -> None:
        """Read all of it. Raises Refused, and leaves nothing, when it cannot be read."""
        try:
            async for chunk in chunks:
                await self._store(await asyncio.to_thread(self._read, chunk))
            await self._store(await asyncio.to_thread(self._read, None))
            if self._columns is None:
                raise Refused("invalid", "the file is empty: its first line must name a column "
                              "phone", field="phone")  # fmt: skip
            await self._finish()
        except Exception:
            # Where even this fails, the worker clears away what is left.
            await self._give_up()
            raise

    def _read(self, chunk: bytes | None) -> list[Contact]:
        """In a thread: a megabyte of numbers takes a third of a second to parse."""
        records = self._records.finish() if chunk is None else self._records.feed(chunk)
        rows = [row for record in records if (row := self._row(record)) is not None]
        for row in rows:
            self._report.add(row)
        return [row for row in rows if isinstance(row, Contact)]

    def _row(self, record: Record) -> Contact | BadRow | None:
        if self._columns is None:
            self._columns = Columns.read(record)
            return None
        return self._columns.contact(record)

    async def _store(self, rows: list[Contact]) -> None:
        if self._columns is None or (self._begun and not rows):
            return
        async with self._transaction() as tx:
            if not self._begun:
                await store.begin(
                    tx,
                    self._org_id,
                    self._contact_list_id,
                    name=self._name,
                    fields=self._columns.fields,
                    at=await tx.now(),
                )
            self._report.contacts += await store.add(
                tx,
                self._org_id,
                self._contact_list_id,
                [(new_id(), row) for row in rows],
                await tx.now(),
            )
        self._begun = True
        if self._report.contacts > self._most:
            raise Refused("invalid", f"more than {self._most} contacts")

    async def _finish(self) -> None:
        report = self._report
        async with self._transaction() as tx:
            await store.finish(
                tx,
                self._org_id,
                self._contact_list_id,
                contacts=report.contacts,
                duplicates=report.good_rows - report.contacts,
                bad_rows=report.bad_rows,
                bad_row_count=report.bad_row_count,
                longest=report.longest,
            )

    async def _give_up(self) -> None:
        gone = False
        while not gone:
            async with self._transaction() as tx:
                gone = await store.give_up(
                    tx, self._org_id, self._contact_list_id, most=CLEARED_MOST
                )
