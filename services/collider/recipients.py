"""Recipients' carriers: looked up where nobody has told them, corrected by what receipts say.

A look-up is no fact about a text, so nothing is lost with one: its row in the line has a lease, and
whoever finds it due asks again. There are two lines: phones that texts wait for go first; those of
contact lists take what hands are left.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import structlog
from prometheus_client import Counter

from services.collider import carriers, intake, lists
from services.collider.carriers import LookUp, NotLookedUp
from services.collider.domain import Receipt
from services.collider.providers import CarrierLookUp
from services.collider.store import due, recipients, results
from services.collider.store import intake as intake_store
from services.collider.store.recipients import Asked, PhoneKey
from shared.database import PASSING, Database, Transaction
from shared.fields import Carrier

# Look-ups under way at once, of one replica: far more than their answers need to keep ahead of what
# an account may send a second, and few enough to leave the machine to the sending.
CALLS_MOST = 50
# Contact lists never fill all hands: a text that comes next has one at once.
LISTS_SHARE = 0.8
# The account's "too many" halves the hands for lists, and so many answers give one back: so that a
# million phones settle just below the account's own rate, and texts seldom meet its refusals.
ANSWERS_A_HAND = 500
RECORD_MOST = 200
TEXTS_MOST = 1000
# Longer than any look-up takes, by the adapter's time-out.
LEASE_S = 15.0

LOOK_UPS = Counter("sluice_look_ups_total", "Recipients looked up, by what came of it", ["outcome"])
CORRECTED = Counter("sluice_carriers_corrected_total", "Carriers that receipts put right")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Settled:
    """A phone that need not be asked for again; `is_news` when a look-up has just told."""

    asked: Asked
    carrier: Carrier
    is_news: bool = False


@dataclass(slots=True)
class _Line:
    """One of the two lines. A phone in it waits for `silence_most` while nobody is answered."""

    for_text: bool
    silence_most: timedelta
    after: str = ""
    """The organization that had the last turn."""


class LookUps:
    """A worker, and the look-ups under way. Any number of replicas may: each row has a lease.

    Without a provider, as look-ups cost money, all phones come back at once, unknown.
    """

    def __init__(
        self, database: Database, provider: CarrierLookUp | None, *, calls_most: int = CALLS_MOST
    ) -> None:
        self._database = database
        self._provider = provider
        self._calls_most = calls_most
        # Their 429 pauses look-ups, and no text.
        self._account = f"{provider.name} look-ups" if provider else ""
        self._calls: set[asyncio.Task[None]] = set()
        self._under_way: dict[str, list[Asked]] = {}
        """By phone: two organizations may have the same list, and one look-up is enough."""
        self._answers: list[tuple[Asked, LookUp]] = []
        self._settled: list[_Settled] = []
        self._texts = _Line(True, carriers.SILENCE_MOST)
        self._lists = _Line(False, carriers.LIST_SILENCE_MOST)
        self._hands_for_lists = LISTS_SHARE * calls_most
        self._silent_since: datetime | None = None
        """The database's time of the first of the failures since the last answer."""
        self.wake = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether look-ups are under way."""
        return bool(self._calls)

    async def step(self) -> bool:
        """Write down what was found, route the texts that waited for it, start the next look-ups;
        whether there may be more."""
        if self._answers or self._settled:
            await self._write()
        async with self._database.transaction() as tx:
            taken = await self._take(tx)
        for asked in taken:
            self._call(asked)
        return bool(self._answers or self._settled)

    async def _take(self, tx: Transaction) -> list[Asked]:
        """Take phones from both lines; those to call for."""
        await self._give_up(tx)
        paused_until = await due.paused_until(tx, self._account)
        is_paused = paused_until is not None and await tx.now() < paused_until
        if self._provider is None or is_paused:
            return []
        free = self._calls_most - len(self._under_way)
        calls = await self._take_from(tx, self._texts, free)
        listed = sum(not those[0].for_text for those in self._under_way.values())
        hands = max(1, int(self._hands_for_lists)) - listed
        return calls + await self._take_from(tx, self._lists, min(hands, free - len(calls)))

    async def _take_from(self, tx: Transaction, line: _Line, hands: int) -> list[Asked]:
        calls = []
        for asked in await self._next(tx, line, most=hands, asked_by=await tx.now()):
            if asked.carrier is not None or not asked.is_wanted:
                self._settled.append(_Settled(asked, asked.carrier or "other"))
            else:
                calls.append(asked)
        return calls

    async def _give_up(self, tx: Transaction) -> None:
        """Let phones go that have waited long enough while nobody was answered."""
        now = await tx.now()
        for line in (self._texts, self._lists):
            by = now - line.silence_most if self._provider else now
            if self._provider and (self._silent_since is None or self._silent_since > by):
                continue
            for asked in await self._next(tx, line, most=self._calls_most, asked_by=by):
                if asked.carrier is None and asked.is_wanted:
                    LOOK_UPS.labels("given up").inc()
                self._settled.append(_Settled(asked, asked.carrier or "other"))

    async def _next(
        self, tx: Transaction, line: _Line, *, most: int, asked_by: datetime
    ) -> list[Asked]:
        """Take phones from a line, organization by organization."""
        if most < 1:
            return []
        turn = await recipients.organizations(
            tx, for_text=line.for_text, after=line.after, most=most
        )
        line.after = turn[-1] if len(turn) == most else ""
        if not turn:
            return []
        each = max(1, most // len(turn))
        return await recipients.take(
            tx, turn, for_text=line.for_text, each=each, asked_by=asked_by, lease_s=LEASE_S
        )

    def _call(self, asked: Asked) -> None:
        """Look a phone up, unless that is under way."""
        waiting = self._under_way.setdefault(asked.phone, [])
        waiting.append(asked)
        if len(waiting) == 1:
            call = asyncio.create_task(self._look_up(asked.phone))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _look_up(self, phone: str) -> None:
        assert self._provider is not None, "without one nothing is called"
        answer = await self._provider.look_up(phone)
        self._answers += [(asked, answer) for asked in self._under_way.pop(phone)]
        self.wake.set()

    async def _write(self) -> None:
        answers, self._answers = self._answers[:RECORD_MOST], self._answers[RECORD_MOST:]
        settled, self._settled = self._settled[:RECORD_MOST], self._settled[RECORD_MOST:]
        try:
            await self._write_all(answers, settled)
        except PASSING:
            self._answers = answers + self._answers
            self._settled = settled + self._settled
            raise

    async def _write_all(
        self, answers: list[tuple[Asked, LookUp]], settled: list[_Settled]
    ) -> None:
        """One transaction; when something in it breaks it, each phone has its own, and that one is
        left to its lease."""
        try:
            async with self._database.transaction() as tx:
                await self._record(tx, answers, settled)
        except PASSING:
            raise
        except Exception:
            if len(answers) + len(settled) < 2:
                log.exception("look-up not recorded")
                return
            for answer in answers:
                await self._write_all([answer], [])
            for one in settled:
                await self._write_all([], [one])

    async def _record(
        self, tx: Transaction, answers: list[tuple[Asked, LookUp]], settled: list[_Settled]
    ) -> None:
        now = await tx.now()
        found = list(settled)
        again = []
        pause_s = 0.0
        for asked, answer in answers:
            if not isinstance(answer, NotLookedUp):
                found.append(_Settled(asked, answer.carrier or "other", is_news=True))
                continue
            pause_s = max(pause_s, answer.pause_s)
            # A refusal to all says nothing about the phone, and is no try of its own.
            wait = timedelta() if answer.pause_s else carriers.again_after(asked.tries)
            if wait is None:
                found.append(_Settled(asked, "other"))
            else:
                tries = asked.tries - 1 if answer.pause_s else asked.tries
                again.append((*asked.key, now + wait, tries))
        for_lists = await recipients.lock(
            tx, {one.asked.key for one in found} | {row[:2] for row in again}
        )
        await recipients.learn(tx, {one.asked.phone: one.carrier for one in found if one.is_news})
        await recipients.put_off(tx, again)
        await _route(tx, found, for_lists)
        if pause_s:
            await results.pause_provider(tx, self._account, now + timedelta(seconds=pause_s))
        self._note(answers, now)

    def _note(self, answers: Sequence[tuple[Asked, LookUp]], now: datetime) -> None:
        """Count, and remember since when nobody was answered."""
        for asked, answer in answers:
            if isinstance(answer, NotLookedUp):
                self._silent_since = self._silent_since or now
                gives_up = not answer.pause_s and carriers.again_after(asked.tries) is None
                LOOK_UPS.labels("given up" if gives_up else "failed").inc()
                log.info("look-up failed", reason=answer.reason, tries=asked.tries)
        if any(not isinstance(answer, NotLookedUp) for _, answer in answers):
            self._silent_since = None
        for _, answer in answers:
            if not isinstance(answer, NotLookedUp):
                LOOK_UPS.labels("named" if answer.carrier else "unnamed").inc()
        if any(isinstance(answer, NotLookedUp) and answer.pause_s for _, answer in answers):
            self._hands_for_lists = max(1.0, self._hands_for_lists / 2)
        else:
            most = LISTS_SHARE * self._calls_most
            more = self._hands_for_lists + len(answers) / ANSWERS_A_HAND
            self._hands_for_lists = min(most, more)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Whatever is under way is asked for again when its lease runs out."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)


async def _route(
    tx: Transaction, found: Sequence[_Settled], for_lists: Collection[PhoneKey]
) -> None:
    """Tell the lists that asked, and put texts that waited into their lanes, as many as one
    transaction should; the rest, and what another transaction has in its hands, keeps its phone in
    the line."""
    if not found:
        return
    # A receipt may have come while the look-up was under way.
    known = await recipients.known_carriers(tx, {one.asked.phone for one in found})
    by_key = {
        one.asked.key: carriers.carrier_of(one.carrier, known.get(one.asked.phone)) or one.carrier
        for one in found
    }
    lists.tell(tx, {key: carrier for key, carrier in by_key.items() if key in for_lists})
    texts = await recipients.lock_waiting(tx, by_key, most=TEXTS_MOST)
    if texts:
        places = await intake.place(tx, texts)
        await intake_store.settle(tx, texts, places)
        await intake.tell_failed(tx, texts, places)
    await recipients.leave(tx, by_key.keys())


async def correct(tx: Transaction, receipts: Sequence[Receipt]) -> None:
    """Remember the carriers that receipts name, where we went by another.

    It holds for texts that come from now on. What is queued for the phone stays in its old lane:
    it may be anywhere on its way, has been told to cost what it costs there, and its own receipt
    will only say the same again.
    """
    CORRECTED.inc(await recipients.correct(tx, receipts))
