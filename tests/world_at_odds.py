"""The world that the state machine plays in: two organizations with four campaigns, a few contacts,
up to three replicas on one database, the sandbox's provider and carriers, and a clock.

Each method is one thing that may happen. It happens to the engine, and is written down for the
ledgers that are compared with what the engine did.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from zoneinfo import ZoneInfo

from services.sandbox.domain import Webhook
from shared.clock import ManualClock
from shared.database import PASSING
from shared.fields import Carrier
from shared.migrate import migrate
from shared.rules.hours import next_midnight, open_interval
from tests.books import imbalances, losses
from tests.engine import MIGRATIONS, Engine, empty, phone
from tests.people_at_odds import CARRIERS, LOS_ANGELES, PLACES, People
from tests.replicas import Fate, Replica, WeakDatabase, virtual_time

Result = TypeVar("Result")

CODES = (
    "40018", "40011", "40016", "40014", "40019", "40010", "40002", "40300", "40001", None,
)  # fmt: skip
"""Too fast, the day used up, expired, not registered, spam, opted out, no mobile; all is well."""
STRIDES_S = (0.001, 0.05, 0.1, 0.24, 0.25, 0.26, 1, 3, 5.001, 11, 15.001, 61, 400, 3600, 43_200)
STARTS = (
    "2026-10-20 09:00:00", "2026-10-20 08:59:58", "2026-10-31 20:59:30", "2026-10-31 23:59:50",
    "2026-11-01 00:59:55", "2026-11-01 23:59:00", "2027-03-13 22:59:55", "2027-03-14 01:59:55",
)  # fmt: skip
"""By clocks in Los Angeles: at openings, closes and midnights, on days of change."""


class Stage:
    """What all stories share: an event loop and the database."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._loop = asyncio.new_event_loop()
        self.database: WeakDatabase

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run_until_complete(work)

    def __enter__(self) -> Self:
        self.run(migrate(self._url, "collider", MIGRATIONS))
        database = self.run(WeakDatabase.open(self._url, "collider"))
        assert isinstance(database, WeakDatabase)
        self.database = database
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.run(self.database.close())
        self._loop.close()


class WorldAtOdds:
    """See the module's text."""

    engine: Engine
    people: People

    def __init__(self, stage: Stage) -> None:
        self.database = stage.database
        self._looked_at = 0
        self._bag: list[Webhook] = []
        self._patches = ExitStack()

    @property
    def now(self) -> datetime:
        return self.engine.now

    async def begin(self, at: str, caps: Sequence[int | None]) -> None:
        """An empty schema, at this time of Los Angeles, and two replicas. Limits are told first,
        and of four campaigns one is to be launched later."""
        start = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(LOS_ANGELES))
        clock = ManualClock(start.astimezone(ZoneInfo("UTC")))
        self.database.clock = clock
        self.database.next_commit = None
        await empty(self.database)
        self._patches.enter_context(virtual_time(clock))
        self.engine = Engine(self.database, clock)
        self.people = People(self.engine)
        self.engine.start_replica(calls_most=40)
        buckets = [(org_id, carrier) for org_id in ("org-a", "org-b") for carrier in CARRIERS]
        for (org_id, carrier), cap in zip(buckets, caps, strict=True):
            day = None if cap is None else 40 * cap
            told = {"sms_per_minute": cap, "mms_per_minute": 30, "segments_per_day": day}
            await self.people.tell_limit(org_id, carrier, None, told)
        for place in PLACES[:3]:
            await self.people.launch(place)

    # --- time and workers --------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """The clock goes on, and all replicas are frozen meanwhile."""
        self.engine.clock.advance(seconds)

    def wait_for_a_border(self, before_s: float) -> None:
        """To just before the next close, window's end or midnight, or just after it."""
        borders = [next_midnight(LOS_ANGELES, self.now)]
        for window, hours in self.people.windows.values():
            borders += [open_interval(hours, self.now).closes_at, window.closes_at]
            borders.append(open_interval(hours, self.now).opens_at)
        ahead = [at - timedelta(seconds=before_s) for at in borders]
        later = [at for at in ahead if at > self.now]
        if later:
            self.engine.clock.at = min(later)

    async def go_on(self, seconds: float, every_s: float) -> None:
        """Everybody does their work for a while."""
        await self.engine.run(seconds, every_s=every_s)

    def replica(self, index: int) -> Replica:
        return self.engine.replicas[index % len(self.engine.replicas)]

    async def claim(self, index: int) -> None:
        await self.replica(index).claimer.step()

    async def dispatch(self, index: int, fates: Sequence[Fate]) -> None:
        replica = self.replica(index)
        replica.line.fates.extend(fates)
        await replica.dispatch()
        replica.line.fates.clear()

    async def all_at_once(self, fates: Sequence[Fate]) -> None:
        """Everybody works in the same moment, statement by statement between each other."""
        works: list[Callable[[], Awaitable[object]]] = [
            self.engine.upkeep.turn, self.engine.upkeep.close,
            self.engine.upkeep.reap, self.engine.upkeep.route,
        ]  # fmt: skip
        for replica in self.engine.replicas:
            replica.line.fates.extend(fates)
            works += [replica.work, replica.work]
        await asyncio.gather(*(_again(work) for work in works))
        for replica in self.engine.replicas:
            replica.line.fates.clear()

    # --- the provider and its carriers -------------------------------------------------------

    async def let_go(self, index: int, *, answered: bool) -> None:
        replica = self.replica(index)
        replica.line.let_go(answered=answered)
        await replica.dispatch()

    async def receipts(self, share: int, dice: int) -> None:
        """Some of the receipts that are under way come in: in any order, some of them twice."""
        self._fill_bag()
        rolls = random.Random(dice)
        rolls.shuffle(self._bag)
        most = (len(self._bag) * (share + 1) + 99) // 100
        come, self._bag = self._bag[:most], self._bag[most:]
        come += rolls.sample(come, len(come) // 3)
        try:
            await self.engine.receive(come)
        except PASSING:
            # The provider tries again.
            self._bag += come
            raise

    def _fill_bag(self) -> None:
        self.engine.world.advance(self.now)
        self._bag += self.engine.world.take_webhooks()

    def spoil(self, carrier: Carrier, index: int, code: str | None) -> None:
        """From now on every text to this phone comes to nothing, with this code."""
        self.engine.world.phones.spoil(phone(carrier, index), code)

    # --- misfortune --------------------------------------------------------------------------

    def crash(self, index: int, calls_most: int) -> None:
        """A replica forgets all that it had in its hands, and another starts; a third may come
        besides."""
        replicas = self.engine.replicas
        if index < len(replicas):
            replicas.pop(index).die()
        self.engine.start_replica(calls_most=calls_most)

    async def lose_a_commit(self, index: int, what: str, *, is_made: bool) -> None:
        replica = self.replica(index)
        self.database.next_commit = "answer lost" if is_made else "unmade"
        try:
            if what == "keep up":
                await self.engine.upkeep.reap()
            elif what == "receipts":
                await self.receipts(50, 1)
            else:
                step = replica.claimer.step if what == "claim" else replica.dispatcher.step
                await step()
        finally:
            self.database.next_commit = None

    # --- what may never be -------------------------------------------------------------------

    def faults(self) -> list[str]:
        """What the judge and the books of what was said have against the last arrivals."""
        fresh = self.engine.world.judge.page(self._looked_at, 10**9)
        self._looked_at += len(fresh)
        found = [fault for entry in fresh for fault in self.people.said.trespasses(entry)]
        verdict = self.engine.world.judge.verdict()
        if not verdict["ok"]:
            wrong = {key: verdict[key] for key in ("doubles", "outside_hours")}
            lines = [*cast(list[Any], verdict["buckets"]), *cast(list[Any], verdict["days"])]
            over = [line for line in lines if line["over"]]
            found.append(f"the judge: {over} {wrong}")
        return found

    async def come_to_rest(self) -> list[str]:
        """Let all troubles pass and days go by; what is wrong in the end."""
        try:
            await self._lift_troubles()
            self.engine.start_replica()
            for stride_s in (0.3, 1, 4, 15, 45, 65, 65, 120):
                await self._stride(stride_s)
            for _ in range(52):
                await self._stride(3600)
            return [
                *self.faults(),
                *await losses(self.engine, self.people.said),
                *await imbalances(self.engine, self.people.said),
            ][:5]
        finally:
            for replica in self.engine.replicas:
                replica.die()
            self._patches.close()

    async def _stride(self, seconds: float) -> None:
        self.engine.clock.advance(seconds)
        self._fill_bag()
        bag, self._bag = self._bag, []
        await self.engine.receive(bag)
        for _ in range(2):
            await self.engine.step()
        while await self.engine.upkeep.expire():
            pass

    async def _lift_troubles(self) -> None:
        for place in PLACES:
            await self.people.launch(place)
            for carrier in CARRIERS:
                await self.people.confirm(place, carrier)
            if self.people.said.held[place.key].turns:
                await self.people.provision(place)
            if self.people.said.paused[place.key].turns:
                await self.people.pause(place, on=False)
        for carrier in CARRIERS:
            for index in range(3):
                self.engine.world.phones.spoil(phone(carrier, index), None)
        for org_id, carrier, use_case_id in list(self.people.limits):
            await self.people.tell_limit(org_id, carrier, use_case_id, {})
        for replica in self.engine.replicas:
            while replica.line.held:
                replica.line.let_go()
                await replica.dispatch()


async def _again(work: Callable[[], Awaitable[object]]) -> None:
    """As the runtime does it: what only passes is tried again at the next turn."""
    try:
        await work()
    except PASSING:
        return
