"""Connections to PostgreSQL, and the one shape of a transaction.

The only module that makes pools. Every wait has an end (asyncpg's own defaults wait for ever).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from shared import outbox
from shared.clock import Clock, DatabaseClock
from shared.envelope import Unreadable
from shared.events import Event

ACQUIRE_S = 10.0
STATEMENT_S = 20.0
IDLE_IN_TRANSACTION_S = 5.0

# What passes by itself: the server is away or restarting, or two transactions stood in each
# other's way. Held and tried again; everything else is a fault of the data or of the code.
# InterfaceError is what asyncpg raises when a connection goes away in the middle of a transaction,
# InternalClientError when the server has said goodbye to an idle one ("another operation is in
# progress": it reads the farewell) and its end has not been noticed yet.
PASSING = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
)


class Transaction:
    """Rows and events that become true together.

    What is told here goes to the outbox in the same transaction, right before the commit.
    """

    def __init__(self, connection: PoolConnectionProxy, clock: Clock) -> None:
        self.sql = connection
        self._clock = clock
        self._now: datetime | None = None
        self.told: list[outbox.Told] = []
        self.buried = False

    async def now(self, *, afresh: bool = False) -> datetime:
        """The database's time when first asked in this transaction, or asked `afresh`: after a
        lock, which may have been waited for."""
        if self._now is None or afresh:
            self._now = await self._clock.now(self.sql)
        return self._now

    def tell(self, *events: Event, event_id: str | None = None) -> None:
        """Publish these once the transaction has committed.

        Give `event_id` for a fact that may be found more than once, so that hearers know it again.
        """
        self.told += [outbox.Told(event, event_id) for event in events]

    async def bury(self, queue: str, faults: list[Unreadable]) -> None:
        """Send what cannot be handled to the queue's dead letters, with its reason."""
        await outbox.write_dead(self.sql, queue, faults)
        self.buried = True


class Database:
    """One service's schema."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        schema: str,
        clock: Clock,
        told: asyncio.Event,
    ) -> None:
        self._pool = pool
        self.schema = schema
        self.clock = clock
        self.told = told
        """Set when a transaction left something in the outbox: a hint to the relay, no more."""

    @classmethod
    async def open(
        cls,
        url: str,
        schema: str,
        *,
        size: int = 8,
        clock: Clock | None = None,
        role: str | None = None,
        told: asyncio.Event | None = None,
    ) -> Self:
        """Open the pool. Raises what asyncpg raises when the server is not there.

        role: taken on by every connection, where it is to be a lesser one than the address's own.
        told: another pool's, whose relay publishes what is told through this one as well.
        """
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            command_timeout=STATEMENT_S + 5,
            timeout=ACQUIRE_S,
            init=_prepare,
            server_settings={
                "search_path": schema,
                "application_name": f"sluice {schema}",
                "statement_timeout": str(int(STATEMENT_S * 1000)),
                "lock_timeout": str(int(STATEMENT_S * 500)),
                # A frozen replica gives its locks back.
                "idle_in_transaction_session_timeout": str(int(IDLE_IN_TRANSACTION_S * 1000)),
                # Statements over unnest() are estimated high and run in milliseconds:
                # compiling them costs more than it saves.
                "jit": "off",
                # A plan made for ten texts reads the whole table when there are a million.
                # What people ask is found by keys: there plans may be kept, which let a third more
                # clicks through, and are made anew when a table is analyzed (statistics.py).
                "plan_cache_mode": "auto" if role else "force_custom_plan",
                "timezone": "UTC",
                # Not undone by the RESET ALL between two users of a connection.
                **({} if role is None else {"role": role}),
            },
        )
        return cls(pool, schema, clock or DatabaseClock(), told or asyncio.Event())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit at the end, roll back on any error; never call the outside in between."""
        async with (
            self._pool.acquire(timeout=ACQUIRE_S) as connection,
            connection.transaction(),
        ):
            transaction = Transaction(connection, self.clock)
            yield transaction
            if transaction.told:
                await outbox.write(
                    connection, self.schema, transaction.told, await transaction.now()
                )
        if transaction.told or transaction.buried:
            self.told.set()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[PoolConnectionProxy]:
        """A connection for reading, each statement by itself."""
        async with self._pool.acquire(timeout=ACQUIRE_S) as connection:
            yield connection

    async def check(self) -> None:
        """Ask the server something small. Raises when it does not answer in time."""
        async with self.connection() as connection:
            await connection.execute("SELECT 1", timeout=2)

    async def close(self, timeout_s: float = 5) -> None:
        """Close in order, or, when that takes too long, at once."""
        try:
            await asyncio.wait_for(self._pool.close(), timeout_s)
        except TimeoutError:
            self._pool.terminate()


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
    )


def columns(rows: Collection[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows of this width as the columns that unnest() takes."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
