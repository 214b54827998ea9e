"""A replica's way to the number provider, on which everything can happen to a call."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeVar, get_args

from services.provisioner.domain import (
    Absent,
    CarriersSaid,
    Done,
    Found,
    NotTaken,
    Ordered,
    Refused,
    Unclear,
)
from services.provisioner.providers import Fault, NumberProvider
from shared.clock import ManualClock

Fate = Literal[
    "answered",
    "lost",  # it is done, and the answer does not come back
    "never arrived",
    "busy",
    "refused",
    # Nobody hears of it; it is done some time later.
    "lands soon",
    "lands late",
    "lands very late",
    "dies before",  # the replica, as far as this row goes
    "dies after",
    "hangs",  # it is done, and its answer comes when somebody lets go
]
FATES: tuple[Fate, ...] = get_args(Fate)

LATE_S: dict[Fate, float] = {"lands soon": 90, "lands late": 135, "lands very late": 700}
"""The first is within the time for which a purchase is looked for, the others are beyond it."""

Answer = TypeVar("Answer")


class Died(Exception):
    """What the replica had in its hands is lost."""


@dataclass
class Late:
    """A request that is under way still."""

    at: datetime
    make: Callable[[], Awaitable[object]]


class Under:
    """Requests that land later, of all replicas."""

    def __init__(self) -> None:
        self.way: list[Late] = []
        self.too_late: list[str] = []
        """References of purchases that land when nobody waits for them any more: they may end up
        beside another one."""

    @property
    def next_at(self) -> datetime | None:
        """When the next one lands."""
        return min((one.at for one in self.way), default=None)

    async def land(self, now: datetime) -> None:
        """Let those land that are due by now, in their order."""
        due = sorted((one for one in self.way if one.at <= now), key=lambda one: one.at)
        self.way = [one for one in self.way if one.at > now]
        for one in due:
            await one.make()


class Line:
    """A `NumberProvider` in front of another. `fates` are those of its next calls, in order; when
    there are none left, calls are answered."""

    def __init__(self, provider: NumberProvider, under: Under, clock: ManualClock) -> None:
        self._provider = provider
        self._under = under
        self._clock = clock
        self.fates: deque[Fate] = deque()
        self._held: list[asyncio.Future[None]] = []
        self.holds = asyncio.Event()

    async def search(
        self, *, area_code: str | None = None, state: str | None = None
    ) -> Found | Fault:
        return await self._call(lambda: self._provider.search(area_code=area_code, state=state))

    async def buy(
        self, number: str, reference: str, messaging_profile_id: str | None
    ) -> Ordered | Fault:
        if self.fates and LATE_S.get(self.fates[0], 0) > LATE_S["lands soon"]:
            self._under.too_late.append(reference)
        return await self._call(
            lambda: self._provider.buy(number, reference, messaging_profile_id),
            may_be_late=True,
        )

    async def look_up(self, reference: str) -> Ordered | Absent | Fault:
        return await self._call(lambda: self._provider.look_up(reference))

    async def see_order(self, provider_order_id: str) -> Ordered | Absent | Fault:
        return await self._call(lambda: self._provider.see_order(provider_order_id))

    async def set_profile(self, number: str, messaging_profile_id: str) -> Done | Absent | Fault:
        return await self._call(lambda: self._provider.set_profile(number, messaging_profile_id))

    async def attach(self, number: str, provider_campaign_id: str) -> Done | Fault:
        return await self._call(lambda: self._provider.attach(number, provider_campaign_id))

    async def detach(self, number: str) -> Done | Absent | Fault:
        return await self._call(lambda: self._provider.detach(number))

    async def give_back(self, number: str) -> Done | Absent | Fault:
        return await self._call(lambda: self._provider.give_back(number), may_be_late=True)

    async def ask_carriers(self, number: str) -> CarriersSaid | Absent | Fault:
        return await self._call(lambda: self._provider.ask_carriers(number))

    async def _call(
        self, make: Callable[[], Awaitable[Answer]], *, may_be_late: bool = False
    ) -> Answer | Fault:
        fate = self.fates.popleft() if self.fates else "answered"
        if fate in LATE_S and not may_be_late:
            fate = "lands soon"
        match fate:
            case "never arrived":
                return Unclear("the line was cut")
            case "busy":
                return NotTaken("429", 5.0)
            case "refused":
                return Refused("422")
            case "lands soon" | "lands late" | "lands very late":
                at = self._clock.at + timedelta(seconds=LATE_S[fate])
                self._under.way.append(Late(at, make))
                return Unclear("no answer in time")
            case "dies before":
                raise Died
        answer = await make()
        if fate == "lost":
            return Unclear("the line was cut")
        if fate == "dies after":
            raise Died
        if fate == "hangs":
            await self._hold()
        return answer

    async def _hold(self) -> None:
        call: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append(call)
        self.holds.set()
        await call

    def let_go(self) -> None:
        """Let the calls that hang have their answers."""
        for call in self._held:
            if not call.done():
                call.set_result(None)
        self._held.clear()
        self.holds.clear()
