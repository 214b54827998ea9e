"""A notifier that posts, and receivers on this machine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

from services.notifier.handlers import HANDLERS
from services.notifier.poster import Poster
from services.notifier.webhooks import Webhooks
from shared import envelope
from shared.clock import ManualClock
from shared.consumer import record
from shared.database import Database
from shared.envelope import Received
from shared.events import (
    CarrierDeliverability,
    Carriers,
    CarrierState,
    DeliverabilityReported,
    Event,
    NoticeSettingsChanged,
    NumberProvisioned,
    Person,
    WebhookStateChanged,
)
from shared.ids import new_id
from shared.rules.hours import Window
from shared.rules.webhook_keys import shown, webhook_key

MIGRATIONS = Path(__file__).parents[1] / "services" / "notifier" / "migrations"
MASTER = b"the platform's own key, of 32 and more characters"
ALL_KINDS = (
    "provisioning complete",
    "provisioning failed",
    "window at risk",
    "campaign held",
    "daily digest",
)

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Got:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    content: bytes

    @property
    def notice_id(self) -> str:
        return self.headers["webhook-id"]

    def read(self, org_id: str, secret_version: int = 1) -> Any:
        """The body, by a verifier that is not ours. Raises if the signature is not right."""
        secret = shown(webhook_key(MASTER, org_id, secret_version))
        return Webhook(secret).verify(self.content, self.headers)


@dataclass
class Receiver:
    """An organization's server: gives its answers in order, and then 200."""

    answers: list[int | Answering] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append(Got(request.path_qs, headers, await request.read()))
        answer = self.answers.pop(0) if self.answers else 200
        return web.Response(status=answer) if isinstance(answer, int) else await answer(request)


@asynccontextmanager
async def receiver(*answers: int | Answering) -> AsyncIterator[Receiver]:
    """A receiver that listens on 127.0.0.1."""
    mine = Receiver(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", mine.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    mine.url = f"http://127.0.0.1:{runner.addresses[0][1]}/notices?token=secret%2F1"
    try:
        yield mine
    finally:
        await runner.cleanup()


@dataclass
class Bench:
    """One notifier, its database, and a clock that the test turns."""

    database: Database
    clock: ManualClock
    org_id: str = field(default_factory=new_id)

    async def hear(self, *events: Event) -> None:
        read = [Received(f"test {new_id()}", event, {}) for event in events]
        await record(self.database, "test", HANDLERS, read)

    async def post(self, *, private_allowed: bool = True, **other: Any) -> None:
        """Post what is due, and wait for what comes of it."""
        async with (
            Webhooks(private_allowed=private_allowed, **other) as webhooks,
            Poster(self.database, webhooks, MASTER) as poster,
        ):
            while await poster.step():
                pass

    def settings(self, url: str | None, version: int = 1, **changes: Any) -> NoticeSettingsChanged:
        told: dict[str, Any] = {
            "org_id": self.org_id,
            "version": version,
            "notices": ALL_KINDS,
            "webhook_url": url,
        }
        return NoticeSettingsChanged(**{**told, **changes})

    def provisioned(self, campaign_id: str = "spring", **changes: Any) -> NumberProvisioned:
        now = self.clock.at
        yes = CarrierState(state="confirmed", at=now)
        told: dict[str, Any] = {
            "org_id": self.org_id,
            "campaign_id": campaign_id,
            "name": "Spring drive “für alle”",
            "number": "+12125550123",
            "outcome": "complete",
            "carriers": Carriers(att=yes, tmobile=yes, verizon=yes),
            "launched_by": Person(name="Ada", email="ada@example.org"),
            "window": Window(now, now + timedelta(days=1)),
            "took_s": 12,
        }
        return NumberProvisioned(**{**told, **changes})

    def digest(self, report_id: str = "report") -> DeliverabilityReported:
        return DeliverabilityReported(
            org_id=self.org_id,
            report_id=report_id,
            day=date(2030, 1, 1),
            time_zone="America/New_York",
            carriers=(
                CarrierDeliverability(
                    carrier="att", sent=10, delivered=8, undelivered=1, unclear=1
                ),
            ),
            failures=(),
            reported_at=self.clock.at,
        )

    async def posts(self) -> list[tuple[str, str, str | None]]:
        """(kind, state, what was said last) of each of the organization's posts."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT kind, state, error FROM deliveries JOIN notices USING (org_id, notice_id)
                WHERE org_id = $1 AND channel = 'webhook' ORDER BY campaign_id, kind
                """,
                self.org_id,
            )
        return [(row["kind"], row["state"], row["error"]) for row in rows]

    async def told(self) -> list[WebhookStateChanged]:
        """What was told of how the organization's posts fare, oldest first."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT body FROM outbox WHERE topic = 'WebhookStateChanged' ORDER BY position"
            )
        read = envelope.read(b"[%s]" % b",".join(row["body"] for row in rows), envelope.BATCH, {})
        found = []
        for one in read:
            assert isinstance(one, Received)
            assert isinstance(one.event, WebhookStateChanged)
            found.append(one.event)
        return [event for event in found if event.org_id == self.org_id]

    async def states(self) -> list[str]:
        return [state for _, state, _ in await self.posts()]

    def organization(self) -> "Bench":
        """Another organization on the same notifier."""
        return Bench(self.database, self.clock)


@asynccontextmanager
async def bench_on(database_url: str) -> AsyncIterator[Bench]:
    """A bench on an empty schema. Its clock starts at the true time: verifiers go by that."""
    clock = ManualClock(datetime.now(UTC))
    database = await Database.open(database_url, "notifier", size=6, clock=clock)
    async with database.connection() as connection:
        await connection.execute(
            "TRUNCATE notices, deliveries, webhook_settings, admin_settings, campaigns, heard"
        )
    try:
        yield Bench(database, clock)
    finally:
        await database.close()


async def hang(request: web.Request) -> web.StreamResponse:
    """No answer while anybody waits for one."""
    await asyncio.sleep(60)
    return web.Response()
