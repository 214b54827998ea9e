"""From a queue to the handlers: collect a batch, record it in one transaction, ack it at once.

A delivery is held only while it is being written down (milliseconds) or while the database is
away; what has to wait for room or for an hour waits as rows.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from shared import inbox
from shared.bus import BrokerAway, Queue, Subscription, readings, subscribe
from shared.database import PASSING, Database, Transaction
from shared.envelope import Received, Unreadable
from shared.events import Event
from shared.metrics import BURIED, HEARD

# A handler takes all events of its type in a batch, in their order.
Handler = Callable[[Transaction, Sequence[Any]], Awaitable[None]]
Handlers = Mapping[type[Event], Handler]

DELIVERIES_MOST = 50
# About a thousand texts: reading and writing down more at once holds up everything else that the
# replica does, above all calls, which have to start in time.
BATCH_MOST_BYTES = 512 * 1024
BATCH_WITHIN_S = 0.02
BACK_OFF_MOST_S = 5.0

log = structlog.get_logger(__name__)


class Consumer:
    """One queue of a service."""

    def __init__(
        self, database: Database, url: str, prefix: str, service: str, queue: Queue,
        handlers: Handlers,
    ) -> None:  # fmt: skip
        self._database = database
        self._url = url
        self._prefix = prefix
        self._service = service
        self._queue = queue
        self._handlers = handlers
        self._stopping = asyncio.Event()
        self._consuming = False
        self.name = f"consume {queue.name}"

    async def check(self) -> None:
        """Raise BrokerAway unless the broker delivers and the database takes."""
        if not self._consuming:
            raise BrokerAway("not consuming")

    def stop(self) -> None:
        """Finish the batch in hand, then end `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Consume until stopped; connect again whenever the broker was away."""
        back_off_s = 0.1
        while not self._stopping.is_set():
            try:
                async with subscribe(
                    self._url, self._prefix, self._queue,
                    name=self._service, prefetch=2 * DELIVERIES_MOST,
                ) as subscription:  # fmt: skip
                    self._consuming = True
                    back_off_s = 0.1
                    await self._consume(subscription)
            except BrokerAway as error:
                log.warning("broker away", queue=self._queue.name, error=repr(error))
                self._consuming = False
                await self._rest(back_off_s)
                back_off_s = min(2 * back_off_s, BACK_OFF_MOST_S)
        self._consuming = False

    async def _consume(self, subscription: Subscription) -> None:
        while not self._stopping.is_set():
            batch = await subscription.collect(
                most=DELIVERIES_MOST, most_bytes=BATCH_MOST_BYTES, within_s=BATCH_WITHIN_S
            )
            if not batch:
                await subscription.check()
                continue
            read: list[Received | Unreadable] = []
            for message in batch:
                read += readings(message)
                await asyncio.sleep(0)
            if not await self._hold_until_recorded(read):
                break
            await subscription.ack(batch)
        await subscription.stop()

    async def _hold_until_recorded(self, read: list[Received | Unreadable]) -> bool:
        """Hold the deliveries while the database is away: to requeue them would burn their
        delivery limit and send good messages to the dead letters. False when stopped meanwhile:
        then they go back, once."""
        back_off_s = 0.1
        while True:
            try:
                await record(self._database, self._queue.name, self._handlers, read)
            except PASSING as error:
                log.warning("database away", queue=self._queue.name, error=repr(error))
                self._consuming = False
                await self._rest(back_off_s)
                if self._stopping.is_set():
                    return False
                back_off_s = min(2 * back_off_s, BACK_OFF_MOST_S)
            else:
                self._consuming = True
                return True

    async def _rest(self, seconds: float) -> None:
        """Wait for the time or the stop, whichever is first."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


async def record(
    database: Database, queue: str, handlers: Handlers, read: Sequence[Received | Unreadable]
) -> None:
    """Handle what was read, each event once however often it comes, and bury what is bad.

    Raises one of PASSING when the database is away; then nothing, or a part that is known again
    by its ids, was recorded.
    """
    faults = [item for item in read if isinstance(item, Unreadable)]
    good: dict[str, Received] = {}
    for item in read:
        if isinstance(item, Received):
            if type(item.event) in handlers:
                good.setdefault(item.key, item)
            else:
                faults.append(Unreadable(item.raw, f"not heard by {queue}", "type"))
    if good:
        await _handle(database, queue, handlers, list(good.values()))
    # Last: what comes before it is known again when it is repeated, a dead letter is not.
    if faults:
        await _bury(database, queue, faults)


async def _handle(
    database: Database, queue: str, handlers: Handlers, batch: list[Received]
) -> None:
    """One transaction for the batch; when an event in it breaks that, halves, down to that one."""
    try:
        async with database.transaction() as transaction:
            keys = [item.key for item in batch if item.event.remembered]
            fresh = await inbox.unheard(transaction.sql, keys) if keys else set()
            by_type: dict[type[Event], list[Event]] = defaultdict(list)
            for item in batch:
                if item.key in fresh or not item.event.remembered:
                    by_type[type(item.event)].append(item.event)
            for event_type, handle in handlers.items():
                if event_type in by_type:
                    await handle(transaction, by_type[event_type])
    except PASSING:
        raise
    except Exception as error:
        if len(batch) > 1:
            middle = len(batch) // 2
            await _handle(database, queue, handlers, batch[:middle])
            await _handle(database, queue, handlers, batch[middle:])
            return
        with structlog.contextvars.bound_contextvars(**_named(batch[0].raw)):
            log.exception("event refused", queue=queue)
        reason = f"{type(error).__name__}: {error}"
        await _bury(database, queue, [Unreadable(batch[0].raw, reason)])
    else:
        for event_type, events in by_type.items():
            HEARD.labels(event_type.__name__).inc(len(events))


async def _bury(database: Database, queue: str, faults: list[Unreadable]) -> None:
    async with database.transaction() as transaction:
        await transaction.bury(queue, faults)
    BURIED.labels(queue).inc(len(faults))
    for fault in faults:
        with structlog.contextvars.bound_contextvars(**_named(fault.raw)):
            log.warning("buried", queue=queue, reason=fault.reason, field=fault.field)


def _named(raw: Any) -> dict[str, str]:
    """What an event says of itself, as far as it can be read: for the lines that are logged of
    it."""
    event = raw if isinstance(raw, dict) else {}
    data = event.get("data")
    ids = data if isinstance(data, dict) else {}
    said = {
        "event_id": event.get("id"),
        "event_type": event.get("type"),
        "org_id": ids.get("org_id"),
        "campaign_id": ids.get("campaign_id"),
        "message_id": ids.get("message_id"),
    }
    return {name: value[:64] for name, value in said.items() if isinstance(value, str)}
