"""A notifier on a real database, and mail servers on this machine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.ports import free_port
from services.notifier import samples
from services.notifier.handlers import HANDLERS
from services.notifier.letters import Writer
from services.notifier.smtp import MailServer
from services.notifier.worker import Mailer
from shared.clock import ManualClock
from shared.consumer import record
from shared.database import Database
from shared.envelope import Received
from shared.events import (
    CampaignHeld,
    CampaignLaunched,
    Event,
    NoticeSettingsChanged,
    NumberProvisioned,
    WindowAtRisk,
    WindowChanged,
)
from shared.ids import new_id
from shared.migrate import migrate
from shared.rules.hours import Hours, Window

MIGRATIONS = Path(__file__).parents[1] / "services" / "notifier" / "migrations"
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOURS = Hours.parse("9:00", "21:00", "America/New_York")
ALL_KINDS = ("provisioning complete", "provisioning failed", "window at risk", "campaign held")


@dataclass
class Inbox:
    """Takes mail, or answers as it is told."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    letters: list[Envelope] = field(default_factory=list)
    connections: int = 0

    @property
    def messages(self) -> list[EmailMessage]:
        """What was taken, as mail programs read it."""
        read = []
        for envelope in self.letters:
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content, policy=default)
            assert isinstance(message, EmailMessage)
            read.append(message)
        return read

    @property
    def subjects(self) -> list[str]:
        return [str(message["Subject"]) for message in self.messages]

    def _answer(self, command: str) -> str:
        return self.answers[command].pop(0) if self.answers.get(command) else "250 OK"

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, name: str, answers: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = name
        return answers

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        answer = self._answer("MAIL")
        if answer.startswith("250"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        answer = self._answer("RCPT")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self._answer("DATA")
        if answer.startswith("250"):
            self.letters.append(envelope)
        return answer


@dataclass
class Bench:
    """One notifier, its database, and a clock that the test turns."""

    database: Database
    clock: ManualClock
    org_id: str
    mailers: list[Mailer] = field(default_factory=list)

    def mailer(self, port: int, lease_s: float = 30, writer: Writer | None = None) -> Mailer:
        server = MailServer("127.0.0.1", port, "none", None, None, "example.com", 1.0)
        writer = writer or Writer("Sluice <s@example.com>")
        self.mailers.append(Mailer(self.database, server, writer, lease_s=lease_s))
        return self.mailers[-1]

    async def hear(self, *events: Event) -> None:
        """As they come from the queue, in one batch."""
        read = [Received(f"test {new_id()}", event, {}) for event in events]
        await record(self.database, "test", HANDLERS, read)

    def event(self, campaign_id: str = "spring", **changes: Any) -> NumberProvisioned:
        told = {"org_id": self.org_id, "campaign_id": campaign_id}
        return samples.provisioned(**{**told, **changes})

    def failure(self, **changes: Any) -> NumberProvisioned:
        return samples.failed(**{"org_id": self.org_id, **changes})

    def risk(self, **changes: Any) -> WindowAtRisk:
        return samples.at_risk(**{"org_id": self.org_id, **changes})

    def hold(self, **changes: Any) -> CampaignHeld:
        return samples.held(**{"org_id": self.org_id, **changes})

    def launch(self, **changes: Any) -> CampaignLaunched:
        told = {
            "org_id": self.org_id,
            "campaign_id": "spring",
            "use_case_id": "vote",
            "name": "Spring drive",
            "launched_by": samples.ADMIN,
            "window": samples.CAMPAIGN.window,
            "hours": HOURS,
            "revision": 1,
        }
        return CampaignLaunched(**{**told, **changes})

    def edit(self, revision: int, window: Window, hours: Hours = HOURS) -> WindowChanged:
        return WindowChanged(
            org_id=self.org_id,
            campaign_id="spring",
            window=window,
            hours=hours,
            revision=revision,
        )

    def wishes(self, version: int, *notices: str, **said: str) -> NoticeSettingsChanged:
        """An admin's, by `email`; or the organization's, by `webhook_url`."""
        told = {"org_id": self.org_id, "version": version, "notices": notices}
        return NoticeSettingsChanged.model_validate({**told, **said})

    async def states(self) -> list[tuple[str, str]]:
        """(campaign, state) of each delivery."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT campaign_id, state FROM deliveries JOIN notices USING (org_id, notice_id)
                WHERE org_id = $1 ORDER BY campaign_id, kind, created_at, notice_id
                """,
                self.org_id,
            )
        return [(row["campaign_id"], row["state"]) for row in rows]

    async def errors(self) -> list[str | None]:
        """What was said last of each delivery."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT error FROM deliveries WHERE org_id = $1 ORDER BY notice_id", self.org_id
            )
        return [row["error"] for row in rows]


@asynccontextmanager
async def mail_bench(database_url: str, *, emptied: bool = True) -> AsyncIterator[Bench]:
    """With nothing noted yet, where it is to be emptied."""
    await migrate(database_url, "notifier", MIGRATIONS)
    clock = ManualClock(NOW)
    database = await Database.open(database_url, "notifier", size=4, clock=clock)
    if emptied:
        async with database.connection() as connection:
            await connection.execute(
                "TRUNCATE notices, deliveries, campaigns, admin_settings, heard"
            )
    bench = Bench(database, clock, new_id())
    yield bench
    for mailer in bench.mailers:
        await mailer.aclose()
    await database.close()


@asynccontextmanager
async def mail_server(inbox: Inbox, port: int = 0, **options: Any) -> AsyncIterator[int]:
    """aiosmtpd, as its own thread."""
    controller = Controller(inbox, hostname="127.0.0.1", port=port or free_port(), **options)
    await asyncio.to_thread(controller.start)
    try:
        yield controller.port
    finally:
        await asyncio.to_thread(controller.stop)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(talk: Talk) -> AsyncIterator[int]:
    """A server that says what the test wants said, and then drops the line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def up_to(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, last: bytes) -> None:
    """Greet, and say yes to every command up to and without `last`."""
    writer.write(b"220 hello\r\n")
    while not (line := await reader.readline()).startswith(last):
        assert line
        writer.write(b"250 yes\r\n")
