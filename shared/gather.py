"""Many small requests, one transaction: what comes within a few milliseconds is recorded together.

A commit of its own for each webhook would cost a thousand of them a second more than all the rest.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from shared.database import PASSING, Database, Transaction

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MOST = 500
WITHIN_S = 0.01
# While the database hangs, requests must not pile up: who asks is told to ask again.
ANSWER_S = 8.0


class Gather(Generic[Item, Answer]):
    """A worker that records items in batches and gives each its answer."""

    def __init__(
        self,
        database: Database,
        record: Callable[[Transaction, Sequence[Item]], Awaitable[Sequence[Answer]]],
    ) -> None:
        self._database = database
        self._record = record
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self.wake = asyncio.Event()

    async def submit(self, item: Item) -> Answer:
        """Wait until the item is recorded. Raises what recording it raised, TimeoutError when that
        takes too long; it may have been recorded then."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        self.wake.set()
        return await asyncio.wait_for(answer, ANSWER_S)

    async def step(self) -> bool:
        """Record what waits; whether there is more."""
        if not self._waiting:
            return False
        await asyncio.sleep(WITHIN_S)
        batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        # Who has given up will ask again.
        if batch := [(item, answer) for item, answer in batch if not answer.done()]:
            await self._settle(batch)
        return bool(self._waiting)

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        """One transaction; when an item breaks it, each has its own, so that one bad item does
        not take the others with it."""
        try:
            async with self._database.transaction() as tx:
                answers = await self._record(tx, [item for item, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, PASSING):
                for one in batch:
                    await self._settle([one])
                return
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for (_, answer), value in zip(batch, answers, strict=True):
                if not answer.done():
                    answer.set_result(value)
