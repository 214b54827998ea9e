"""Events that wait to be published, written in the transaction that made them true.

A row holds up to 500 events of one type, in JSON form already, so that a batch of a thousand
results costs a few rows, and the relay only joins texts.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncpg.pool import PoolConnectionProxy

from shared import envelope
from shared.envelope import Unreadable
from shared.events import Event
from shared.ids import new_id


@dataclass(frozen=True, slots=True)
class Told:
    """An event that is to be published; without an id it gets a fresh one."""

    event: Event
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the outbox. `dead`: for the dead letters of the queue that `topic` names."""

    position: int
    topic: str
    count: int
    body: bytes
    dead: bool
    reason: str
    field: str


async def write(
    connection: PoolConnectionProxy, schema: str, told: Sequence[Told], at: datetime
) -> None:
    """Write events, grouped by type."""
    by_type: dict[str, list[str]] = defaultdict(list)
    for item in told:
        text = envelope.write(
            item.event, event_id=item.event_id or new_id(), source=f"sluice/{schema}", at=at
        )
        by_type[type(item.event).__name__].append(text)
    rows = [
        (topic, len(chunk), ",".join(chunk).encode())
        for topic, texts in by_type.items()
        for chunk in _chunks(texts)
    ]
    await connection.execute(
        """
        INSERT INTO outbox (topic, count, body)
        SELECT * FROM unnest($1::text[], $2::int[], $3::bytea[])
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


def _chunks(texts: list[str]) -> list[list[str]]:
    most = envelope.BATCH_MOST
    return [texts[start : start + most] for start in range(0, len(texts), most)]


async def write_dead(
    connection: PoolConnectionProxy, queue: str, faults: Sequence[Unreadable]
) -> None:
    """Write dead letters of a queue, each with its reason."""
    await connection.execute(
        """
        INSERT INTO outbox (topic, count, body, dead, reason, field)
        SELECT $1, 1, body, true, reason, field
        FROM unnest($2::bytea[], $3::text[], $4::text[]) AS fault (body, reason, field)
        """,
        queue,
        [envelope.raw_bytes(fault.raw) for fault in faults],
        [fault.reason.replace("\x00", "") for fault in faults],
        [fault.field.replace("\x00", "") for fault in faults],
    )


async def lease(connection: PoolConnectionProxy, *, most: int, lease_s: float) -> list[Waiting]:
    """Take up to `most` rows, oldest first, for `lease_s` seconds."""
    rows = await connection.fetch(
        """
        UPDATE outbox SET leased_until = clock_timestamp() + make_interval(secs => $2)
        WHERE position IN (
            SELECT position FROM outbox
            WHERE leased_until IS NULL OR leased_until < clock_timestamp()
            ORDER BY position LIMIT $1 FOR UPDATE SKIP LOCKED)
        RETURNING position, topic, count, body, dead, reason, field
        """,
        most,
        lease_s,
    )
    return sorted((Waiting(**row) for row in rows), key=lambda row: row.position)


async def delete(connection: PoolConnectionProxy, positions: Sequence[int]) -> None:
    """Forget rows that the broker has confirmed."""
    await connection.execute("DELETE FROM outbox WHERE position = ANY($1::bigint[])", positions)


async def postpone(
    connection: PoolConnectionProxy, positions: Sequence[int], *, delay_s: float
) -> None:
    """Give back rows that the broker did not take, to be tried again after `delay_s` seconds."""
    await connection.execute(
        """
        UPDATE outbox SET leased_until = clock_timestamp() + make_interval(secs => $2)
        WHERE position = ANY($1::bigint[])
        """,
        positions,
        delay_s,
    )


async def waiting(connection: PoolConnectionProxy, *, rows_most: int) -> int:
    """How many events wait to be published; counted in so many rows at most."""
    count = await connection.fetchval(
        """
        SELECT coalesce(sum(count), 0) FROM (SELECT count FROM outbox LIMIT $1) AS waiting
        """,
        rows_most,
    )
    assert isinstance(count, int)
    return count
