"""Replicas of the collider in virtual time, each of which may be slow, cut off or killed."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Literal, get_args
from unittest import mock

from services.collider import dispatch, worker
from services.collider.dispatch import Dispatcher
from services.collider.domain import ANSWER_LOST, Outbound, Outcome
from services.collider.lookout import Lookout
from services.collider.providers import telnyx
from services.collider.worker import Claimer
from services.sandbox.behaviour import Fault
from services.sandbox.domain import Refused
from services.sandbox.world import World
from shared.clock import ManualClock
from shared.database import Database, Transaction

TIMEOUT_S = 10

Fate = Literal[
    "answered", "lost", "never arrived", "busy", "rejected", "day refused", "hangs", "unconnected"
]
"""What becomes of a call. `hangs`: it arrives, and its answer waits for `let_go`; `unconnected`:
it never leaves, and nobody knows before `let_go`."""
FATES: tuple[Fate, ...] = get_args(Fate)

# What the ledger is told of calls that are not simply answered.
_FAULTS = {
    "lost": Fault(kind="reset"),
    "never arrived": Fault(kind="http", status=502, bare=True),
    "busy": Fault(kind="http", status=429),
    "rejected": Fault(kind="http", status=400),
    "day refused": Fault(kind="http", status=403),
}
_REFUSALS = {"rejected": "10015", "day refused": "40016"}


class Line:
    """A replica's way to the sandbox's provider, without HTTP; a call arrives when it is made.

    `fates` are those of its next calls, in order; when there are none left, calls are answered.
    """

    name = "telnyx"

    def __init__(self, world: World, clock: ManualClock) -> None:
        self._world = world
        self._clock = clock
        self.fates: deque[Fate] = deque()
        self._held: list[asyncio.Future[bool]] = []

    @property
    def held(self) -> int:
        """How many calls hang."""
        return sum(not call.done() for call in self._held)

    async def send(self, text: Outbound) -> Outcome:
        fate = self.fates.popleft() if self.fates else "answered"
        if fate == "unconnected":
            await self._hold()
            return Outcome("not taken", reason="no connection", pause_s=1.0)
        outcome = self._arrive(text, fate)
        if fate == "hangs" and not await self._hold():
            return Outcome("unclear", reason=f"{ANSWER_LOST} (TimeoutError)")
        return outcome

    def _arrive(self, text: Outbound, fate: Fate) -> Outcome:
        body = telnyx.request(text, "http://127.0.0.1")
        fault = _FAULTS.get(fate)
        try:
            message = self._world.send(self._clock.at, body, fault=fault)
        except Refused as refused:
            return _refused(refused.status, refused.code)
        if fault is None:
            assert message is not None
            return telnyx.outcome(200, {}, json.dumps({"data": message.payload()}).encode())
        if fate in _REFUSALS:
            return _refused(400, _REFUSALS[fate])
        if fate == "busy":
            return telnyx.outcome(429, {"Retry-After": "2"}, b"")
        return Outcome("unclear", reason=ANSWER_LOST)

    async def _hold(self) -> bool:
        call: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._held.append(call)
        return await call

    def let_go(self, *, answered: bool = True) -> None:
        """Let the call that has hung the longest have its answer, or lose it."""
        for call in self._held:
            if not call.done():
                call.set_result(answered)
                return

    def cut(self) -> None:
        """Nobody is left to hear what comes of calls under way."""
        for call in self._held:
            call.cancel()


def _refused(status: int, code: str) -> Outcome:
    errors = {"errors": [{"code": code, "title": "refused"}]}
    return telnyx.outcome(status, {}, json.dumps(errors).encode())


class Replica:
    """One process of the collider, as far as it has anything in its hands."""

    def __init__(
        self, database: Database, world: World, clock: ManualClock, *, calls_most: int
    ) -> None:
        self.line = Line(world, clock)
        self.dispatcher = Dispatcher(
            database, self.line, calls_most=calls_most, timeout_s=TIMEOUT_S
        )
        self.claimer = Claimer(database, self.dispatcher)

    async def dispatch(self) -> None:
        """Call what was claimed and write down what came of it, until only what hangs is left."""
        idle = 0
        while idle < 3:
            idle = 0 if await self.dispatcher.step() else idle + 1
            await asyncio.sleep(0)

    async def work(self) -> bool:
        """Claim once and dispatch; whether there was anything to claim."""
        found = await self.claimer.step()
        await self.dispatch()
        return found

    def die(self) -> None:
        """Forget everything, as kill -9 does."""
        self.line.cut()


class Stopwatch:
    """Takes the place of `time` in the workers: their durations pass with the test's clock, or a
    busy machine would make calls late that are not."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._started_s = clock.at.timestamp()

    def monotonic(self) -> float:
        # Not the difference of the two: within one zone that is the clocks' on the wall.
        return self._clock.at.timestamp() - self._started_s

    perf_counter = monotonic


@contextmanager
def virtual_time(clock: ManualClock) -> Iterator[None]:
    """Let the workers' stopwatches go by this clock."""
    watch = Stopwatch(clock)
    with ExitStack() as patches:
        for module in (dispatch, worker):
            patches.enter_context(mock.patch.object(module, "time", watch))
        lookout = partial(Lookout, watch.monotonic)
        patches.enter_context(mock.patch.object(worker, "Lookout", lookout))
        yield


class WeakDatabase(Database):
    """A database whose next commit fails on demand: `unmade`, or made with its `answer lost`."""

    next_commit: Literal["unmade", "answer lost"] | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        fate, self.next_commit = self.next_commit, None
        async with super().transaction() as transaction:
            yield transaction
            if fate == "unmade":
                raise ConnectionResetError("the database went away before the commit")
        if fate == "answer lost":
            raise ConnectionResetError("the database went away after the commit")
