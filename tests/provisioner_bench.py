"""A provisioner on a real database, and a provider of its own over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from services.provisioner.domain import Act, Answer, Call, Done, Order, Patience
from services.provisioner.handlers import HANDLERS
from services.provisioner.providers.telnyx import Telnyx
from services.provisioner.releaser import Releaser
from services.provisioner.worker import Provisioner
from services.sandbox.api import build_app
from services.sandbox.behaviour import Behaviour, ConfirmationDelays
from services.sandbox.service import Sandbox
from shared.consumer import record
from shared.database import Database
from shared.envelope import Received
from shared.events import CampaignArchived, CampaignLaunched, Event, Person, UseCaseRegistered
from shared.ids import new_id
from shared.migrate import migrate
from shared.rules.hours import Hours, Window

MIGRATIONS = Path(__file__).parents[1] / "services" / "provisioner" / "migrations"
QUICK: dict[str, Any] = {
    "order_delay_s": 0.1,
    "confirmation_delay_s": ConfirmationDelays(att=0.1, tmobile=0.15, verizon=0.2),
}
NEVER = ConfirmationDelays(att=600, tmobile=600, verizon=600)
OPENS_AT = datetime(2030, 1, 1, 9, tzinfo=UTC)
PATIENCE = Patience(poll_s=0.05, poll_most_s=1, look_up_s=0.5, limit_s=3600, rest_s=3600)


@dataclass
class Bench:
    """One organization with a use case, its provisioner, its database and its provider."""

    database: Database
    sandbox: Sandbox
    provider: Telnyx
    org_id: str
    patience: Patience = PATIENCE
    numbers_most: int = 49
    keep_last: bool = False

    def worker(self, provider: Any = None) -> Provisioner:
        return Provisioner(
            self.database,
            provider or self.provider,
            self.patience,
            lease_s=1,
            numbers_most=self.numbers_most,
            profile_id="profile",
        )

    def releaser(self, provider: Any = None) -> Releaser:
        return Releaser(
            self.database,
            provider or self.provider,
            self.patience,
            lease_s=1,
            keep_last=self.keep_last,
        )

    def rest(self, rest_s: float) -> None:
        """Numbers that nobody is on are given back so long after the archive."""
        self.patience = replace(self.patience, rest_s=rest_s)

    def behave(self, **changes: Any) -> None:
        self.sandbox.behave(Behaviour(**{**QUICK, **changes}))

    async def hear(self, *events: Event) -> None:
        read = [Received(f"test {new_id()}", event, {}) for event in events]
        await record(self.database, "test", HANDLERS, read)

    async def work_until(
        self,
        is_so: Callable[[], Awaitable[object]],
        *workers: Provisioner | Releaser,
        within_s: float = 30,
    ) -> None:
        """Work until something is so."""
        at_work = workers or (self.worker(), self.releaser())
        async with asyncio.timeout(within_s):
            while not await is_so():
                await asyncio.gather(*(worker.step() for worker in at_work))
                await asyncio.sleep(0.02)

    async def taken_up(self, worker: Provisioner, lease: str) -> tuple[Order, Act]:
        """The one order that is due next, in this worker's hands; nobody else works meanwhile, who
        would put it off."""
        async with asyncio.timeout(30):
            while not (claimed := await worker._claim(lease)):
                await asyncio.sleep(0.02)
        (one,) = claimed
        return one

    @asynccontextmanager
    async def answered(self) -> AsyncIterator[None]:
        """The provider is asked for the one order that is due; what is done inside comes between
        its answer and our record of that."""
        worker = self.worker()
        order, act = await self.taken_up(worker, "slow")
        assert isinstance(act, Call)
        answer = await worker._answer(act)
        yield
        await worker._record(order, act, answer, "slow")

    async def until_settled(
        self, *workers: Provisioner | Releaser, count: int = 1, within_s: float = 30
    ) -> list[dict[str, Any]]:
        """Work until so many of this organization's orders have ended; their last events."""

        async def are_settled() -> bool:
            return len(await self.told("NumberProvisioned")) >= count

        await self.work_until(are_settled, *workers, within_s=within_s)
        return await self.told("NumberProvisioned")

    async def until_at(
        self, step: str, campaign_id: str = "spring", *workers: Provisioner | Releaser
    ) -> None:
        """Work until a campaign's order is at this step."""

        async def is_there() -> bool:
            return bool((await self.order(campaign_id))["step"] == step)

        await self.work_until(is_there, *workers)

    async def launch_silent(self, **behaviour: Any) -> str:
        """Launch a campaign whose number waits for carriers that do not speak by themselves; the
        number."""
        self.behave(confirmation_delay_s=NEVER, **behaviour)
        await self.hear(self.launch())
        await self.until_at("confirm")
        return str((await self.order())["number"])

    async def outcome(self, campaign_id: str) -> dict[str, Any]:
        """Work until this campaign's order has ended; its last event."""
        found: list[dict[str, Any]] = []

        async def is_settled() -> bool:
            ends = await self.told("NumberProvisioned")
            found[:] = [event for event in ends if event["campaign_id"] == campaign_id]
            return bool(found)

        await self.work_until(is_settled)
        (event,) = found
        return event

    async def lose_patience(self, answers: int) -> None:
        """Work until so many carriers have answered, and wait for the others no longer."""

        async def have_answered() -> bool:
            return len(await self.told("CarrierAnswered")) >= answers

        await self.work_until(have_answered)
        self.patience = replace(self.patience, limit_s=0)

    async def complete(self, campaign_id: str = "spring", **changes: Any) -> str:
        """Launch a campaign, and see all carriers confirm its number; the number."""
        await self.hear(self.launch(campaign_id, **changes))
        event = await self.outcome(campaign_id)
        assert event["outcome"] == "complete", event["reason"]
        return str(event["number"])

    async def pass_time(self, s: float) -> None:
        """Work for a while in which nothing is expected to happen."""
        async with asyncio.timeout(s + 20):
            for _ in range(max(1, int(s / 0.05))):
                await asyncio.gather(self.worker().step(), self.releaser().step())
                await asyncio.sleep(0.05)

    async def until_given_back(self, *workers: Releaser, count: int = 1) -> list[dict[str, Any]]:
        """Work until so many numbers were given back; their last events."""

        async def are_gone() -> bool:
            return len(await self.told("NumberReleased")) >= count

        await self.work_until(are_gone, self.worker(), *(workers or (self.releaser(),)))
        return await self.told("NumberReleased")

    async def until_off(self, *numbers: str) -> None:
        """Work until these numbers are on no use case, by our own books."""

        async def are_off() -> bool:
            return not [one for one in numbers if (await self.number(one))["off_at"] is None]

        await self.work_until(are_off)

    async def told(self, *topics: str) -> list[dict[str, Any]]:
        """Data of the events told for this organization, in their order."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT topic, body FROM outbox WHERE topic = ANY($1::text[]) ORDER BY position",
                topics,
            )
        events = [event for row in rows for event in json.loads(f"[{row['body'].decode()}]")]
        return [event["data"] for event in events if event["data"]["org_id"] == self.org_id]

    async def order(self, campaign_id: str = "spring") -> dict[str, Any]:
        return await self._row("orders", "campaign_id", campaign_id)

    async def number(self, number: str) -> dict[str, Any]:
        return await self._row("numbers", "number", number)

    async def _row(self, table: str, column: str, key: str) -> dict[str, Any]:
        async with self.database.connection() as connection:
            row = await connection.fetchrow(
                f"SELECT * FROM {table} WHERE org_id = $1 AND {column} = $2", self.org_id, key
            )
        assert row is not None
        return dict(row)

    @property
    def bought(self) -> list[str]:
        return [number.phone for number in self.sandbox.world.numbers.owned()]

    @property
    def on_use_case(self) -> list[str]:
        found = self.sandbox.world.registry.attachments(self.provider_campaign_id)
        return [attachment.phone for attachment in found]

    @property
    def provider_campaign_id(self) -> str:
        return f"C-{self.org_id[-8:]}"

    def verdict(self) -> Any:
        return self.sandbox.world.judge.verdict()

    def use_case(self) -> UseCaseRegistered:
        return UseCaseRegistered(
            org_id=self.org_id,
            use_case_id="votes",
            provider_campaign_id=self.provider_campaign_id,
        )

    def launch(self, campaign_id: str = "spring", **changes: Any) -> CampaignLaunched:
        told: dict[str, Any] = {
            "org_id": self.org_id,
            "campaign_id": campaign_id,
            "use_case_id": "votes",
            "name": "Spring drive",
            "launched_by": Person(name="Ada", email="ada@example.org"),
            "area_codes": ("212", "646"),
            "window": Window(OPENS_AT, OPENS_AT + timedelta(days=2)),
            "hours": Hours.parse("9:00", "21:00", "America/New_York"),
            "revision": 1,
        }
        return CampaignLaunched(**{**told, **changes})

    def archive(self, campaign_id: str = "spring") -> CampaignArchived:
        return CampaignArchived(
            org_id=self.org_id, campaign_id=campaign_id, archived_at=datetime.now(UTC)
        )


async def answer_to(worker: Provisioner, act: Act) -> Answer:
    """What the provider says to a worker's act; of some nobody is asked."""
    return await worker._answer(act) if isinstance(act, Call) else Done()


@asynccontextmanager
async def open_bench(database_url: str) -> AsyncIterator[Bench]:
    """A bench with an organization of its own."""
    await migrate(database_url, "provisioner", MIGRATIONS)
    database = await Database.open(database_url, "provisioner", size=5)
    sandbox = Sandbox(Behaviour(**QUICK), "seed", "key")
    runner = web.AppRunner(build_app(sandbox), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.5)) as session:
        provider = Telnyx(session, f"http://127.0.0.1:{port}/v2", SecretStr("key"))
        yield Bench(database, sandbox, provider, new_id())
    await runner.cleanup()
    await database.close()
