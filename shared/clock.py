"""The one clock that decides: the database's.

Replicas' own clocks may be minutes off, so nothing in Sluice asks them what time it is.
Tests put a ManualClock in its place and turn days in seconds, on a real database.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from asyncpg.pool import PoolConnectionProxy


class Clock(Protocol):
    """Says what time it is, as aware UTC."""

    async def now(self, connection: PoolConnectionProxy) -> datetime:
        """The time of this call; not of the transaction's begin, which a lock may have delayed."""
        ...


class DatabaseClock:
    """PostgreSQL's clock_timestamp()."""

    async def now(self, connection: PoolConnectionProxy) -> datetime:
        at = await connection.fetchval("SELECT clock_timestamp()")
        assert isinstance(at, datetime)
        return at


@dataclass
class ManualClock:
    """A clock that a test turns by hand."""

    at: datetime

    async def now(self, connection: PoolConnectionProxy) -> datetime:
        return self.at

    def advance(self, seconds: float) -> datetime:
        """Turn the clock on by so many seconds."""
        self.at += timedelta(seconds=seconds)
        return self.at
