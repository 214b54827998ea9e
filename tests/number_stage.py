"""What the provisioner's stories in virtual time share: the database, the sandbox behind the
adapter to it, a clock in the test's hand, and replicas that may be cut off, frozen or killed."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, get_args
from unittest import mock

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from services.provisioner import leased, releaser, worker
from services.provisioner.domain import Patience
from services.provisioner.providers.telnyx import Telnyx
from services.provisioner.providers.telnyx_lists import TelnyxLists
from services.provisioner.releaser import Releaser
from services.provisioner.worker import Provisioner
from services.sandbox import numbers as sandbox_numbers
from services.sandbox.api import build_app
from services.sandbox.behaviour import Behaviour, ConfirmationDelays
from services.sandbox.clock import Clock
from services.sandbox.service import Sandbox
from services.sandbox.world import World
from shared.clock import ManualClock
from shared.database import Database, Transaction
from shared.migrate import migrate
from tests.number_line import Fate, Line, Under
from tests.provisioner_bench import MIGRATIONS
from tests.replicas import Stopwatch

PLACES = 2
"""Of each use case."""
STOCK = 6
"""Numbers for sale in each area code: campaigns get in each other's way."""
START = datetime(2030, 1, 1, 12, tzinfo=UTC)
# Few looks, so that a story of some dozen steps gets beyond each of these times.
PATIENCE = Patience(poll_s=20, poll_most_s=300, look_up_s=120, limit_s=3600, rest_s=1200, fast_s=60)
LEASE_S = 60.0
QUICK: dict[str, Any] = {
    "order_delay_s": 3,
    "assignment_delay_s": 2,
    "confirmation_delay_s": ConfirmationDelays(att=4, tmobile=8, verizon=6),
    "unassignment_delay_s": 5,
    "numbers_per_campaign": PLACES,
}
TROUBLES: dict[str, dict[str, Any]] = {
    "none": {},
    "gone": {"orders_gone": 2},
    "slow orders": {"order_delay_s": 150},
    "slow carriers": {"confirmation_delay_s": ConfirmationDelays(att=30, tmobile=4000, verizon=5)},
    "refused": {"refusals": ({"carrier": "verizon", "next": True},)},
    "sold out": {"sold_out_area_codes": ("212",)},
    "cannot leave": {"unassignments_failing": 2},
    "slow leaving": {"unassignment_delay_s": 200},
    "documented": {"number_updates_name_carriers": False},
}


Commit = Literal["made", "unmade", "answer lost"]
Table = Literal["orders", "numbers"]
TABLES: tuple[Table, ...] = get_args(Table)
LOST: tuple[tuple[Commit, ...], ...] = (
    ("unmade",), ("answer lost",), ("made", "unmade"), ("made", "answer lost"),
)  # fmt: skip
"""Commits of a claim, and of what came of the call behind it."""
Result = TypeVar("Result")


class SandboxClock(Clock):
    """The sandbox goes by the test's clock."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.at


class QuietSandbox(Sandbox):
    """It moves when it is asked something, and posts nothing by itself."""

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass


class FickleDatabase(Database):
    """`commits`: what becomes of its next ones, in order; the others are made."""

    commits: deque[Commit]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        fate = self.commits.popleft() if self.commits else "made"
        async with super().transaction() as transaction:
            yield transaction
            if fate == "unmade":
                raise ConnectionResetError("the database went away before the commit")
        if fate == "answer lost":
            raise ConnectionResetError("the database went away after the commit")


class Stage:
    """What all stories share: an event loop, the database, the provider's address."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._loop = asyncio.new_event_loop()
        self._patches = ExitStack()
        self.clock = ManualClock(START)
        self.turns = 0
        """Counts what was drawn by dice, over all stories."""
        self.database: FickleDatabase

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run_until_complete(work)

    def __enter__(self) -> Self:
        self.run(self._open())
        watch = Stopwatch(self.clock)
        for module in (leased, worker, releaser):
            self._patches.enter_context(mock.patch.object(module, "time", watch))
        for module, name in ((worker, "ORDERS_MOST"), (releaser, "NUMBERS_MOST")):
            # One row a step: the fate that is drawn is that row's.
            self._patches.enter_context(mock.patch.object(module, name, 1))
        self._patches.enter_context(mock.patch.object(sandbox_numbers, "STOCK", STOCK))
        return self

    async def _open(self) -> None:
        await migrate(self._url, "provisioner", MIGRATIONS)
        database = await FickleDatabase.open(self._url, "provisioner", size=8, clock=self.clock)
        assert isinstance(database, FickleDatabase)
        database.commits = deque()
        self.database = database
        self.sandbox = QuietSandbox(Behaviour(), "seed", "key")
        self.sandbox.clock = SandboxClock(self.clock)
        self._runner = web.AppRunner(build_app(self.sandbox), access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        url, key = f"http://127.0.0.1:{port}/v2", SecretStr("key")
        self.provider = Telnyx(self._session, url, key)
        self.lists = TelnyxLists(self.provider)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.run(self._close())
        self._patches.close()
        self._loop.close()

    async def _close(self) -> None:
        await self._session.close()
        await self._runner.cleanup()
        await self.database.close()

    async def clear(self) -> None:
        """No rows, a provider that has nothing of ours, and the same time again."""
        self.clock.at = START
        self.database.commits.clear()
        self.sandbox.world = World(Behaviour(**QUICK), "seed")
        async with self.database.connection() as connection:
            await connection.execute(
                """
                TRUNCATE use_cases, orders, confirmations, numbers, windows, campaigns, facts,
                    differences, webhooks_seen, outbox, heard;
                UPDATE reconciliations SET due_at = '-infinity', lease = NULL, tries = 0
                """
            )


class Replica:
    """One process of the provisioner, as far as it has anything in its hands."""

    def __init__(self, stage: Stage, under: Under) -> None:
        self.line = Line(stage.provider, under, stage.clock)
        self.orders = Provisioner(
            stage.database, self.line, PATIENCE, lease_s=LEASE_S, numbers_most=PLACES,
            profile_id="profile",
        )  # fmt: skip
        self.numbers = Releaser(stage.database, self.line, PATIENCE, lease_s=LEASE_S)
        self._hanging: list[asyncio.Task[bool]] = []

    async def step(self, table: Table, fate: Fate) -> bool:
        """One row's act; if its call hangs, that is where it is left."""
        self.line.fates.append(fate)
        worker = self.orders if table == "orders" else self.numbers
        work = asyncio.create_task(worker.step())
        holds = asyncio.create_task(self.line.holds.wait())
        await asyncio.wait({work, holds}, return_when=asyncio.FIRST_COMPLETED)
        holds.cancel()
        self.line.fates.clear()
        if work.done():
            return work.result()
        self.line.holds.clear()
        self._hanging.append(work)
        return True

    async def let_go(self) -> None:
        """Hear the answers to calls that hang, however late."""
        self.line.let_go()
        await asyncio.gather(*self._hanging, return_exceptions=True)
        self._hanging.clear()
