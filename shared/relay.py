"""From the outbox to the broker: lease, commit, publish, delete after the confirm."""

import asyncio
from itertools import groupby

from structlog import get_logger

from shared import envelope, outbox
from shared.bus import Outgoing, Publisher, Queue, Unroutable
from shared.database import Database
from shared.events import EVENTS
from shared.ids import new_id
from shared.metrics import OUTBOX, PUBLISHED, UNROUTABLE
from shared.outbox import Waiting

ROWS_MOST = 200
COUNT_MOST = 10_000
# A row whose lease runs out is published again, and its hearers drop the second copy by its ids:
# that is safe, only dear. So the lease is short, since what a killed replica had in its hands is
# told only after it.
LEASE_S = 10.0
RETRY_S = 1.0

log = get_logger(__name__)


class Relay:
    """A worker. Any number of replicas may relay the same outbox."""

    def __init__(self, database: Database, publisher: Publisher, queues: list[Queue]) -> None:
        self._database = database
        self._publisher = publisher
        self._queues = queues

    async def step(self) -> bool:
        """Publish what waits; whether there may be more. Raises when the broker is away."""
        if not self._publisher.is_open:
            await self._publisher.open(self._queues)
        async with self._database.connection() as connection:
            rows = await outbox.lease(connection, most=ROWS_MOST, lease_s=LEASE_S)
        if not rows:
            return False
        results = await asyncio.gather(
            *(self._publish(together) for together in _batches(rows)), return_exceptions=True
        )
        published = {
            row.position for result in results if isinstance(result, list) for row in result
        }
        kept = [row.position for row in rows if row.position not in published]
        async with self._database.connection() as connection:
            if published:
                await outbox.delete(connection, list(published))
            if kept:
                await outbox.postpone(connection, kept, delay_s=RETRY_S)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(rows) == ROWS_MOST

    async def show(self) -> bool:
        """Show as a metric how much waits."""
        async with self._database.connection() as connection:
            OUTBOX.set(await outbox.waiting(connection, rows_most=COUNT_MOST))
        return False

    async def _publish(self, rows: list[Waiting]) -> list[Waiting]:
        """Publish rows that make one message; those that need not wait any longer."""
        try:
            await self._publisher.publish(_message(rows))
        except Unroutable as error:
            # Nobody listens (yet). The rows stay, and are tried again a little later.
            UNROUTABLE.labels(rows[0].topic).inc()
            event = EVENTS.get(rows[0].topic)
            if event is not None and not event.kept and not rows[0].dead:
                return rows
            log.error("unroutable", topic=rows[0].topic, reason=str(error))
            return []
        PUBLISHED.labels(rows[0].topic).inc(sum(row.count for row in rows))
        return rows


def _batches(rows: list[Waiting]) -> list[list[Waiting]]:
    """Rows of one type together, up to what one batch may hold; dead letters each alone."""
    batches: list[list[Waiting]] = []
    by_topic = sorted(rows, key=lambda row: (row.dead, row.topic, row.position))
    for (dead, _), same in groupby(by_topic, key=lambda row: (row.dead, row.topic)):
        held = 0
        for row in same:
            if held == 0 or dead or held + row.count > envelope.BATCH_MOST:
                batches.append([])
                held = 0
            batches[-1].append(row)
            held += row.count
    return batches


def _message(rows: list[Waiting]) -> Outgoing:
    first = rows[0]
    if first.dead:
        headers = {"reason": first.reason, "field": first.field, "queue": first.topic}
        return Outgoing(first.topic, first.body, "application/json", new_id(), headers, dead=True)
    body = envelope.batch(row.body.decode() for row in rows)
    return Outgoing(first.topic, body, envelope.BATCH, new_id(), {})
