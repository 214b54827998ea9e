"""Holds the provider's lists against our rows once in a while: claim, read page by page, record."""

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

import structlog
from prometheus_client import Gauge

from services.provisioner.domain import NotTaken, Unclear
from services.provisioner.facts import record_facts
from services.provisioner.leased import ACTS
from services.provisioner.providers import Fault, NumberLists
from services.provisioner.rules.listed import Item, ListedAttachment, ListedNumber, Page, next_page
from services.provisioner.rules.reconcile import KINDS, Difference, Mend, of_ours, of_unheld
from services.provisioner.store import books, mends
from services.provisioner.store import reconciliation as store
from services.provisioner.store.keys import Key
from services.provisioner.store.reconciliation import DifferenceKey, Run
from shared.database import Database, Transaction
from shared.ids import new_id

SETTLED_S = 600.0
"""What came a step further so lately is left to the next run; on top of the time for which a
purchase whose answer was lost is looked for."""
ROWS_A_STATEMENT = 500
PAGES_MOST = 5000
"""Of a list, read twice or not; an account has a few."""
RETRY_S, RETRY_MOST_S = 30.0, 1800.0

DIFFERENCES = Gauge(
    "sluice_number_differences", "Numbers that stand otherwise at the provider", ["kind"]
)
RECONCILED = Gauge(
    "sluice_reconciled_timestamp_seconds", "When a reconciliation came to its end last, Unix time"
)

Thing = TypeVar("Thing")

log = structlog.get_logger(__name__)


class Overtaken(Exception):
    """The lease ran out, and another replica has the run."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run, or a look, came to."""

    numbers: int
    """How many the provider has."""
    differences: Sequence[Difference]
    mending: frozenset[DifferenceKey]
    """Those that are on their way to be mended since this run."""
    is_dry: bool = False
    """It was a look: nothing was to be mended."""


class Reconciler:
    """A worker; any number of replicas may run it, and one at a time does."""

    def __init__(
        self,
        database: Database,
        provider: NumberLists,
        *,
        every_s: float,
        look_up_s: float,
        lease_s: float,
        profile_id: str | None = None,
    ) -> None:
        """`every_s`: from one run to the next. `look_up_s`: for which a purchase whose answer was
        lost is looked for. `lease_s`: longer than a call, or a chunk of rows, can take.
        `profile_id`: the messaging profile where a use case names none."""
        self._database = database
        self._provider = provider
        self._every_s = every_s
        self._settled = timedelta(seconds=look_up_s + SETTLED_S)
        self._lease = timedelta(seconds=lease_s)
        self._profile_id = profile_id

    async def step(self) -> bool:
        """Do the run if it is due; there is never more."""
        try:
            await self._run(early=False)
        except Overtaken:
            log.warning("lease ran out within the run")
        return False

    async def show(self) -> bool:
        """Take over what runs have found into this replica's metrics."""
        async with self._database.transaction() as tx:
            found, last = await store.counts(tx.sql), await store.last_run(tx.sql)
        for kind in KINDS:
            DIFFERENCES.labels(kind).set(found.get(kind, 0))
        if last["ended_at"] is not None:
            RECONCILED.set(last["ended_at"].timestamp())
        return False

    async def run_now(self) -> Report | Fault | None:
        """Do a run, due or not; None: somebody is at one. Raises Overtaken."""
        return await self._run(early=True)

    async def look(self) -> Report | Fault:
        """Find the differences, and write nothing."""
        async with self._database.transaction() as tx:
            begun_at = await tx.now()

        async def free() -> None:
            pass

        found = await self._find(begun_at, free)
        return found if isinstance(found, Fault) else Report(*found, frozenset(), is_dry=True)

    # --- a run -----------------------------------------------------------------------------------

    async def _run(self, *, early: bool) -> Report | Fault | None:
        lease = new_id()
        async with self._database.transaction() as tx:
            now = await tx.now()
            run = await store.take(
                tx.sql, now=now, lease=lease, until=now + self._lease, early=early
            )
        if run is None:
            return None

        async def keep() -> None:
            async with self._database.transaction() as tx:
                await self._hold(tx, lease)

        found = await self._find(run.begun_at, keep)
        if isinstance(found, Fault):
            await self._put_off(run, lease, found)
            return found
        numbers, differences = found
        mending: set[DifferenceKey] = set()
        for mend, some in _by_mend(differences):
            for chunk in _chunks(some):
                mending |= await self._record(chunk, mend, run, lease)
        await self._end(run, lease, numbers)
        log.info("reconciled", numbers=numbers, differences=len(differences), mending=len(mending))
        return Report(numbers, differences, frozenset(mending))

    async def _hold(self, tx: Transaction, lease: str) -> None:
        until = await tx.now() + self._lease
        if not await store.keep(tx.sql, lease=lease, until=until):
            raise Overtaken

    async def _record(
        self, found: Sequence[Difference], mend: Mend | None, run: Run, lease: str
    ) -> set[DifferenceKey]:
        """Write differences down, and have those mended that are new; these."""
        async with self._database.transaction() as tx:
            await self._hold(tx, lease)
            fresh = await store.put(tx.sql, found, run.begun_at)
            if mend is None or not fresh:
                return set()
            of_fresh = [one for one in found if _key(one) in fresh]
            mended = await _have_mended(tx, mend, of_fresh)
            keys = {_key(one) for one in of_fresh if (one.org_id, one.number) in mended}
            await store.mark_mended(tx.sql, keys, await tx.now())
        return keys

    async def _end(self, run: Run, lease: str, numbers: int) -> None:
        async with self._database.transaction() as tx:
            await self._hold(tx, lease)
            await store.forget_unseen(tx.sql, run.begun_at)
            now = await tx.now()
            due_at = run.begun_at + timedelta(seconds=self._every_s)
            await store.end(tx.sql, lease=lease, now=now, due_at=due_at, numbers=numbers)

    async def _put_off(self, run: Run, lease: str, fault: Fault) -> None:
        """A run is whole, or it counts for nothing: what it did not read would look as if it were
        gone."""
        delay_s = min(RETRY_MOST_S, self._every_s, RETRY_S * 2.0 ** min(run.tries, 16))
        delay_s *= 0.5 + random.random() / 2
        if isinstance(fault, NotTaken) and fault.after_s is not None:
            delay_s = max(delay_s, min(fault.after_s, RETRY_MOST_S))
        log.warning("provider", act="reconcile", answer=fault.reason, again_s=delay_s)
        async with self._database.transaction() as tx:
            due_at = await tx.now() + timedelta(seconds=delay_s)
            await store.fail(tx.sql, lease=lease, due_at=due_at, error=fault.reason)

    # --- what differs ----------------------------------------------------------------------------

    async def _find(
        self, begun_at: datetime, keep: Callable[[], Awaitable[None]]
    ) -> tuple[int, list[Difference]] | Fault:
        """How many numbers the provider has, and all differences. `keep`: called between calls."""
        listed = await _read(self._provider.numbers, "ListNumbers", keep)
        if not isinstance(listed, dict):
            return listed
        attached = await _read(self._provider.attachments, "ListAttachments", keep)
        if not isinstance(attached, dict):
            return attached
        settled_at = begun_at - self._settled
        found: list[Difference] = []
        held: set[str] = set()
        after: Key | None = ("", "")
        while after is not None:
            await keep()
            after = await self._of_ours(after, listed, attached, settled_at, found, held)
        others = [one for number, one in listed.items() if number not in held]
        for chunk in _chunks(others):
            await keep()
            found += await self._of_others(chunk, attached, settled_at)
        return len(listed), found

    async def _of_ours(
        self,
        after: Key,
        listed: dict[str, ListedNumber],
        attached: dict[str, ListedAttachment],
        settled_at: datetime,
        found: list[Difference],
        held: set[str],
    ) -> Key | None:
        """Look at the next rows of ours; the last one's key, if there may be more."""
        async with self._database.connection() as connection:
            rows = await books.ours_after(connection, after, ROWS_A_STATEMENT)
        for ours in rows:
            held.add(ours.number)
            wanted = ours.messaging_profile_id or self._profile_id
            found += of_ours(
                replace(ours, messaging_profile_id=wanted),
                listed.get(ours.number),
                attached.get(ours.number),
                settled_at=settled_at,
            )
        more = len(rows) == ROWS_A_STATEMENT
        return (rows[-1].org_id, rows[-1].number) if more else None

    async def _of_others(
        self,
        listed: Sequence[ListedNumber],
        attached: dict[str, ListedAttachment],
        settled_at: datetime,
    ) -> list[Difference]:
        on = [attached[one.number] for one in listed if one.number in attached]
        async with self._database.connection() as connection:
            known = await books.unheld(connection, listed, on)
        found = [
            of_unheld(one, attached.get(one.number), known[one.number], settled_at=settled_at)
            for one in listed
            if one.number in known
        ]
        return [one for one in found if one is not None]


async def _read(
    ask: Callable[[int], Awaitable[Page[Item] | Fault]],
    act: str,
    keep: Callable[[], Awaitable[None]],
) -> dict[str, Item] | Fault:
    """A whole list, by number."""
    found: dict[str, Item] = {}
    at, total = 1, None
    for _ in range(PAGES_MOST):
        await keep()
        page = await ask(at)
        ACTS.labels(act, type(page).__name__).inc()
        if isinstance(page, Fault):
            return page
        found.update((item.number, item) for item in page.items)
        after = next_page(at, page, total)
        if after is None:
            return found
        at, total = after, page.total
    return Unclear(f"the list has more than {PAGES_MOST} pages")


async def _have_mended(tx: Transaction, mend: Mend, found: Sequence[Difference]) -> set[Key]:
    """Make rows due; of those that were still as they had been."""
    now = await tx.now()
    match mend:
        case "attach":
            return await mends.attach(tx.sql, found, now)
        case "detach":
            return await mends.detach(tx.sql, found, now)
        case "return":
            return await mends.give_back(tx.sql, found, now)
        case "seek":
            return await mends.seek(tx.sql, found, now)
        case "record":
            await record_facts(tx, [fact for one in found for fact in one.facts])
            return {(one.org_id, one.number) for one in found}


def _by_mend(found: Iterable[Difference]) -> Iterator[tuple[Mend | None, list[Difference]]]:
    """Each kind of mend by itself: together they would lock numbers and orders crosswise."""
    by_mend: dict[Mend | None, list[Difference]] = defaultdict(list)
    for one in found:
        by_mend[one.mend].append(one)
    yield from by_mend.items()


def _chunks(things: Collection[Thing]) -> Iterator[list[Thing]]:
    left = iter(things)
    while chunk := list(islice(left, ROWS_A_STATEMENT)):
        yield chunk


def _key(one: Difference) -> DifferenceKey:
    return one.org_id, one.number, one.kind
