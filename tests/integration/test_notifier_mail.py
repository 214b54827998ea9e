"""The notifier on a real database, against real SMTP servers on this machine."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.notifier.handlers import HANDLERS
from services.notifier.letters import Letter, Writer
from services.notifier.smtp import MailServer
from services.notifier.worker import Mailer
from shared.clock import ManualClock
from shared.consumer import record
from shared.database import Database
from shared.envelope import Received
from shared.events import Carriers, CarrierState, NumberProvisioned, Person
from shared.ids import new_id
from shared.migrate import migrate
from shared.rules.hours import Window

MIGRATIONS = Path(__file__).parents[2] / "services" / "notifier" / "migrations"
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@dataclass
class Inbox:
    """Takes mail, or answers as it is told."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    letters: list[Envelope] = field(default_factory=list)

    def _answer(self, command: str) -> str:
        return self.answers[command].pop(0) if self.answers.get(command) else "250 OK"

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd looks for
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        answer = self._answer("RCPT")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd looks for
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
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

    def mailer(self, port: int, lease_s: float = 30) -> Mailer:
        server = MailServer("127.0.0.1", port, "none", None, None, "example.com", 1.0)
        return Mailer(self.database, server, Writer("Sluice <s@example.com>"), lease_s=lease_s)

    async def hear(self, *events: NumberProvisioned) -> None:
        read = [Received(f"test {new_id()}", event, {}) for event in events]
        await record(self.database, "test", HANDLERS, read)

    def event(self, campaign_id: str = "spring", **changes: Any) -> NumberProvisioned:
        yes = CarrierState(state="confirmed", at=NOW)
        told: dict[str, Any] = {
            "org_id": self.org_id,
            "campaign_id": campaign_id,
            "name": "Spring drive",
            "number": "+12125550123",
            "outcome": "complete",
            "carriers": Carriers(att=yes, tmobile=yes, verizon=yes),
            "launched_by": Person(name="Ada", email="ada@example.org"),
            "window": Window(NOW, NOW + timedelta(days=1)),
            "took_s": 12,
        }
        return NumberProvisioned(**{**told, **changes})

    async def states(self) -> list[tuple[str, str]]:
        """(campaign, state) of each delivery."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT campaign_id, state FROM deliveries JOIN notices USING (org_id, notice_id)
                WHERE org_id = $1 ORDER BY campaign_id, kind
                """,
                self.org_id,
            )
        return [(row["campaign_id"], row["state"]) for row in rows]


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    await migrate(database_url, "notifier", MIGRATIONS)
    clock = ManualClock(NOW)
    database = await Database.open(database_url, "notifier", size=4, clock=clock)
    async with database.connection() as connection:
        await connection.execute("TRUNCATE notices, deliveries, campaigns, heard")
    yield Bench(database, clock, new_id())
    await database.close()


@asynccontextmanager
async def mail_server(inbox: Inbox, port: int = 0) -> AsyncIterator[int]:
    """aiosmtpd, as its own thread."""
    controller = Controller(inbox, hostname="127.0.0.1", port=port or free_port())
    await asyncio.to_thread(controller.start)
    try:
        yield controller.port
    finally:
        await asyncio.to_thread(controller.stop)


def message_id(envelope: Envelope) -> str:
    assert isinstance(envelope.content, bytes)
    return str(message_from_bytes(envelope.content, policy=default)["Message-ID"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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


async def test_the_admin_gets_one_mail_however_often_the_event_comes(bench: Bench) -> None:
    inbox = Inbox()
    async with mail_server(inbox) as port:
        await bench.hear(bench.event(), bench.event())
        await bench.hear(bench.event(took_s=15))
        await bench.mailer(port).step()
        await bench.hear(bench.event())
        await bench.mailer(port).step()
    (envelope,) = inbox.letters
    assert envelope.rcpt_tos == ["ada@example.org"]
    assert envelope.mail_from == "s@example.com"
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content, policy=default)
    assert message["Subject"] == "Provisioning Complete: Spring drive"
    assert await bench.states() == [("spring", "sent")]


async def test_complete_after_failed_is_a_second_notice(bench: Bench) -> None:
    inbox = Inbox()
    async with mail_server(inbox) as port:
        await bench.hear(bench.event(outcome="failed", reason="No answer."))
        await bench.mailer(port).step()
        await bench.hear(bench.event())
        await bench.mailer(port).step()
    assert len(inbox.letters) == 2
    assert await bench.states() == [("spring", "sent"), ("spring", "sent")]


async def test_a_failure_that_is_told_after_completion_is_not_mailed_any_more(bench: Bench) -> None:
    inbox = Inbox()
    async with mail_server(inbox) as port:
        await bench.hear(bench.event(outcome="failed", reason="No answer."), bench.event())
        await bench.mailer(port).step()
    assert len(inbox.letters) == 1
    assert await bench.states() == [("spring", "sent"), ("spring", "overtaken")]


async def test_while_the_server_is_away_notices_wait_and_then_all_go_once(bench: Bench) -> None:
    port = free_port()
    mailer = bench.mailer(port)
    await bench.hear(*(bench.event(f"c{index:02}") for index in range(12)))
    for _ in range(5):
        while await mailer.step():
            pass
        bench.clock.advance(600)
    assert {state for _, state in await bench.states()} == {"due"}
    inbox = Inbox()
    async with mail_server(inbox, port):
        while await mailer.step():
            pass
    assert len(inbox.letters) == 12
    assert {state for _, state in await bench.states()} == {"sent"}


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
async def test_a_refusal_for_good_is_recorded_and_not_tried_again(
    bench: Bench, command: str
) -> None:
    inbox = Inbox({command: ["550 no such user"]})
    async with mail_server(inbox) as port:
        await bench.hear(bench.event("a"), bench.event("b"))
        await bench.mailer(port).step()
        bench.clock.advance(3600)
        await bench.mailer(port).step()
    assert len(inbox.letters) == 1
    assert sorted(state for _, state in await bench.states()) == ["refused", "sent"]


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
async def test_a_refusal_for_now_is_tried_again(bench: Bench, command: str) -> None:
    inbox = Inbox({command: ["451 greylisted", "452 full"]})
    async with mail_server(inbox) as port:
        await bench.hear(bench.event())
        for _ in range(3):
            await bench.mailer(port).step()
            bench.clock.advance(60)
    assert len(inbox.letters) == 1
    assert await bench.states() == [("spring", "sent")]


@pytest.mark.parametrize("last", [b"EHLO", b"MAIL", b"RCPT", b"DATA"])
async def test_a_line_that_drops_before_the_content_is_tried_again(
    bench: Bench, last: bytes
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await up_to(reader, writer, last)

    await bench.hear(bench.event())
    async with scripted(talk) as port:
        await bench.mailer(port).step()
    assert await bench.states() == [("spring", "due")]
    inbox = Inbox()
    async with mail_server(inbox) as port:
        bench.clock.advance(60)
        await bench.mailer(port).step()
    assert len(inbox.letters) == 1


@pytest.mark.parametrize("silent", [False, True])
async def test_a_lost_answer_to_the_content_is_unclear_and_never_sent_again(
    bench: Bench, silent: bool
) -> None:
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await up_to(reader, writer, b"DATA")
        writer.write(b"354 go on\r\n")
        seen.append(await reader.readuntil(b"\r\n.\r\n"))
        if silent:
            await reader.read()

    await bench.hear(bench.event())
    async with scripted(talk) as port:
        for _ in range(3):
            await bench.mailer(port).step()
            bench.clock.advance(3600)
    assert len(seen) == 1
    assert await bench.states() == [("spring", "unclear")]


async def test_a_notifier_that_dies_while_sending_leaves_it_unclear(bench: Bench) -> None:
    inbox = Inbox()
    await bench.hear(bench.event())
    async with mail_server(inbox) as port:
        mailer = bench.mailer(port)
        (delivery,) = await mailer._claim("dies")
        assert await mailer._intend(delivery, "dies")
        bench.clock.advance(31)
        await bench.mailer(port).step()
    assert inbox.letters == []
    assert await bench.states() == [("spring", "unclear")]


async def test_a_notifier_that_dies_before_sending_leaves_it_to_another(bench: Bench) -> None:
    inbox = Inbox()
    await bench.hear(bench.event())
    async with mail_server(inbox) as port:
        slow = bench.mailer(port)
        (delivery,) = await slow._claim("slow")
        bench.clock.advance(31)
        await bench.mailer(port).step()
        # It was only asleep, and finds that the letter is not its own any more.
        assert not await slow._intend(delivery, "slow")
    assert len(inbox.letters) == 1


async def test_two_notifiers_send_each_of_thirty_notices_once(bench: Bench) -> None:
    inbox = Inbox()
    await bench.hear(*(bench.event(f"c{index:02}") for index in range(30)))
    async with mail_server(inbox) as port:
        await asyncio.gather(*(bench.mailer(port).step() for _ in range(6)))
        while await bench.mailer(port).step():
            pass
    ids = [message_id(envelope) for envelope in inbox.letters]
    assert len(ids) == len(set(ids)) == 30


async def test_lines_that_start_with_a_dot_arrive_as_they_are() -> None:
    inbox = Inbox()
    content = b"Subject: dots\r\n\r\n.\r\n..two\r\n.one\r\n"
    async with mail_server(inbox) as port:
        server = MailServer("127.0.0.1", port, "none", None, None, "example.com", 1.0)
        letter = Letter("s@example.com", "ada@example.org", content)
        async with server.conversation() as conversation:
            assert await conversation.offer(letter) is None
            await conversation.hand_over(letter)
    assert inbox.letters[0].content == content
