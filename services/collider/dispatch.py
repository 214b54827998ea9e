"""The way of a claimed message to the provider and back: mark as calling, call, record.

One transaction writes down the last results and the next intents; only then are those called, many
at once. A slow answer holds up nobody: results are recorded as they come.
"""

import asyncio
import collections
import time
from typing import Self

import structlog
from prometheus_client import Counter, Histogram

from services.collider import outcomes
from services.collider.domain import Outbound, Outcome
from services.collider.outcomes import attempt_key
from services.collider.providers import MessageProvider
from services.collider.store import results
from services.collider.store.results import AttemptKey
from shared.database import PASSING, Database
from shared.rules.meters import SPREAD_S

BATCH_MOST = 500
# The part of the hands that one organization may fill: where its calls hang, the others go on.
SHARE_MOST = 0.25
# On a machine that is too busy, claims come too late, and putting them back makes it busier still:
# it takes less at once then, down to this, until calls start in time again.
HANDS_LEAST = 64
IN_TIME_LEAST = 0.75
# After this a call has certainly ended: without a result its replica has died.
CALL_LEASE_BEYOND_TIMEOUT_S = 5.0

NOT_STARTED = Outcome("not taken", reason="its call did not start in time")
ACCOUNT_RESTS = Outcome("not taken", reason="the provider's account rests")

CALLS = Counter("sluice_calls_total", "Calls to the provider", ["verdict"])
# Room that was paid for and not used: the database is too far away, or the machine too busy.
LATE = Counter("sluice_calls_late_total", "Claims whose call did not start in time")
CALL_S = Histogram("sluice_call_seconds", "From the start of a call to its answer")

log = structlog.get_logger(__name__)


class Dispatcher:
    """A worker, and what is in its hands: at most `calls_most` messages."""

    def __init__(
        self, database: Database, provider: MessageProvider, *, calls_most: int, timeout_s: float
    ) -> None:
        self._database = database
        self._provider = provider
        self._calls_most = calls_most
        self._hands = calls_most
        self._in_hand: collections.Counter[str] = collections.Counter()
        self._quiet_until_s = 0.0
        self._lease_s = timeout_s + CALL_LEASE_BEYOND_TIMEOUT_S
        self._claimed: list[tuple[Outbound, float]] = []
        self._outcomes: list[tuple[Outbound, Outcome]] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._awaited = False
        self.freed = asyncio.Event()
        """Set when there are hands again for who waits for them."""
        self.wake = asyncio.Event()
        """Set when there is something to write down."""

    @property
    def provider_name(self) -> str:
        """Whose account is called."""
        return self._provider.name

    @property
    def free(self) -> int:
        """How many messages more may be taken."""
        return self._hands - self._in_hand.total()

    def free_for(self, org_id: str) -> int:
        """How many messages more of one organization may be taken."""
        return min(self.free, self._share - self._in_hand[org_id])

    @property
    def _share(self) -> int:
        return max(1, int(self._hands * SHARE_MOST))

    @property
    def crowding(self) -> list[str]:
        """Organizations that have their full share of the hands."""
        return [org_id for org_id, count in self._in_hand.items() if count >= self._share]

    def wait_for_hands(self) -> None:
        """Have `freed` set when half of the hands are free."""
        self._awaited = True

    def slow_down(self) -> bool:
        """Take half as much at once from here on, since calls do not start in time; whether there
        was anything to halve."""
        before, self._hands = self._hands, max(min(HANDS_LEAST, self._hands), self._hands // 2)
        return self._hands < before

    @property
    def busy(self) -> bool:
        """Whether calls are under way."""
        return bool(self._calls)

    def take(self, texts: list[Outbound], claimed_s: float) -> None:
        """Hand over claimed messages; `claimed_s` is the monotonic time just before the claim."""
        if texts:
            self._in_hand.update(text.org_id for text in texts)
            self._claimed += [(text, claimed_s) for text in texts]
            self.wake.set()

    async def step(self) -> bool:
        """Write down what came of calls and which are next, then start those; whether there may
        be more."""
        done, self._outcomes = self._outcomes[:BATCH_MOST], self._outcomes[BATCH_MOST:]
        next_, self._claimed = self._claimed[:BATCH_MOST], self._claimed[BATCH_MOST:]
        if not done and not next_:
            return False
        try:
            mine = await self._write(done, next_)
        except PASSING:
            # Perhaps it was committed, perhaps not. What came of calls is written again, and what
            # was to be called never is: put back, whether it says `claimed` by now or `calling`.
            self._outcomes = done + [(text, NOT_STARTED) for text, _ in next_] + self._outcomes
            raise
        self._in_hand -= collections.Counter(text.org_id for text, _ in done)
        if self._awaited and 2 * self.free >= self._hands:
            self._awaited = False
            self.freed.set()
        if len(mine) < IN_TIME_LEAST * len(next_):
            self.slow_down()
        elif mine:
            self._hands = min(self._calls_most, self._hands + max(len(mine), HANDS_LEAST // 4))
        for text, claimed_s in next_:
            if attempt_key(text) in mine:
                call = asyncio.create_task(self._call(text, claimed_s))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
            else:
                LATE.inc()
                self._outcomes.append((text, NOT_STARTED))
        return bool(self._outcomes or self._claimed)

    async def _write(
        self, done: list[tuple[Outbound, Outcome]], next_: list[tuple[Outbound, float]]
    ) -> set[AttemptKey]:
        """One transaction for the last results and the next intents; which may be called.

        When a result cannot be written, each has a transaction of its own, and that one is left
        to its lease: nobody knows what came of it.
        """
        keys = [attempt_key(text) for text, _ in next_]
        try:
            async with self._database.transaction() as tx:
                await outcomes.record_outcomes(tx, self._provider.name, done)
                return await results.mark_calling(tx, keys, lease_s=self._lease_s)
        except PASSING:
            raise
        except Exception:
            if len(done) > 1:
                for one in done:
                    await self._write([one], [])
                return await self._write([], next_)
            texts = [(text.org_id, text.carrier, text.message_id) for text, _ in done]
            log.exception("result not recorded", texts=texts)
            return set()

    async def _call(self, text: Outbound, claimed_s: float) -> None:
        # A replica that was frozen in between is a zombie: its lease has run out, the message may
        # have been declared unclear, and the minute it was claimed for is over.
        now_s = time.monotonic()
        if now_s - claimed_s > SPREAD_S:
            LATE.inc()
            outcome = NOT_STARTED
        elif now_s < self._quiet_until_s:
            outcome = ACCOUNT_RESTS
        else:
            with CALL_S.time():
                outcome = await self._provider.send(text)
            # What was claimed before this answer would only be refused as well.
            self._quiet_until_s = max(self._quiet_until_s, now_s + outcome.pause_s)
        CALLS.labels(outcome.verdict).inc()
        if outcome.verdict not in ("accepted", "not taken"):
            log.info(
                "call failed",
                org_id=text.org_id,
                carrier=text.carrier,
                message_id=text.message_id,
                attempt=text.attempt,
                verdict=outcome.verdict,
                code=outcome.code,
                reason=outcome.reason,
            )
        self._outcomes.append((text, outcome))
        self.wake.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Call nothing more, wait for the calls under way, write down what came of them."""
        self._outcomes += [(text, NOT_STARTED) for text, _ in self._claimed]
        self._claimed = []
        while self._calls or self._outcomes:
            # As they come: should the time run out, what is known by then is written down.
            while await self.step():
                pass
            if self._calls:
                await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)
