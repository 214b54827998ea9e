"""E-mails handed to real SMTP servers on this machine, by a notifier on a real database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy.local.ports import free_port
from services.notifier import worker
from services.notifier.domain import Delivery, NotTaken
from services.notifier.letters import Letter, Writer
from services.notifier.smtp import MailServer
from services.notifier.store import deliveries
from shared.database import Transaction
from tests.mail_room import (
    Bench,
    Inbox,
    mail_bench,
    mail_server,
    scripted,
    up_to,
)


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with mail_bench(database_url) as bench:
        yield bench


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
    assert inbox.subjects == ["Provisioning Complete: Spring drive"]
    assert await bench.states() == [("spring", "sent")]


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


async def test_before_the_server_gets_the_content_it_is_written_down_that_it_may_have_it(
    bench: Bench,
) -> None:
    seen: list[tuple[str, str]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await up_to(reader, writer, b"DATA")
        seen.extend(await bench.states())
        writer.write(b"354 go on\r\n")
        await reader.readexactly(1)
        seen.extend(await bench.states())
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 taken\r\n")
        await reader.read()

    await bench.hear(bench.event())
    async with scripted(talk) as port:
        mailer = bench.mailer(port)
        await mailer.step()
        await mailer.aclose()
    assert seen == [("spring", "due"), ("spring", "sending")]
    assert await bench.states() == [("spring", "sent")]


async def test_a_result_that_comes_after_the_lease_changes_nothing(bench: Bench) -> None:
    inbox = Inbox()
    await bench.hear(bench.event())
    async with mail_server(inbox) as port:
        asleep = bench.mailer(port)
        ((delivery,), _) = await asleep._claim("asleep")
        bench.clock.advance(31)
        await bench.mailer(port).step()
        await asleep._record([delivery], NotTaken("421 busy"), "asleep")
        bench.clock.advance(3600)
        await bench.mailer(port).step()
    assert await bench.states() == [("spring", "sent")]
    assert len(inbox.letters) == 1


async def test_a_notifier_that_dies_while_sending_leaves_it_unclear(bench: Bench) -> None:
    inbox = Inbox()
    await bench.hear(bench.event())
    async with mail_server(inbox) as port:
        mailer = bench.mailer(port)
        ((delivery,), _) = await mailer._claim("dies")
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
        ((delivery,), _) = await slow._claim("slow")
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
    ids = [str(message["Message-ID"]) for message in inbox.messages]
    assert len(ids) == len(set(ids)) == 30


async def test_what_one_notifier_is_claiming_is_passed_over_by_another(bench: Bench) -> None:
    await bench.hear(bench.event())

    async def claimed(tx: Transaction) -> list[Delivery]:
        return await deliveries.lease_due(
            tx.sql, channel="email", now=bench.clock.at, lease="mine", lease_s=9, most=9
        )

    async with bench.database.transaction() as one, bench.database.transaction() as other:
        assert len(await claimed(one)) == 1
        assert await claimed(other) == []


async def test_lines_that_start_with_a_dot_arrive_as_they_are() -> None:
    inbox = Inbox()
    content = b"Subject: dots\r\n\r\n.\r\n..two\r\n.one\r\n"
    async with mail_server(inbox) as port:
        server = MailServer("127.0.0.1", port, "none", None, None, "example.com", 1.0)
        letter = Letter("s@example.com", "ada@example.org", content)
        conversation = await server.connect()
        assert await conversation.offer(letter) is None
        await conversation.hand_over(letter)
        await conversation.leave()
    assert inbox.letters[0].content == content


async def test_an_answer_is_recorded_as_soon_as_the_database_is_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, put = 3, deliveries.put

    async def late(*args: Any) -> list[Delivery]:
        nonlocal away
        away -= 1
        if away >= 0:
            raise ConnectionResetError
        return await put(*args)

    monkeypatch.setattr(worker, "RECORD_AGAIN_S", 0.01)
    inbox = Inbox({"DATA": ["451 come back later"]})
    await bench.hear(bench.event())
    async with mail_server(inbox) as port:
        mailer = bench.mailer(port)
        monkeypatch.setattr(deliveries, "put", late)
        await mailer.step()
        assert await bench.states() == [("spring", "due")]
        bench.clock.advance(60)
        await mailer.step()
    assert len(inbox.letters) == 1


async def test_a_letter_that_we_cannot_write_is_shown_and_given_up_in_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    writer = Writer("s@example.com")
    monkeypatch.setattr(writer, "write", broken)
    await bench.hear(bench.event())
    async with mail_server(Inbox()) as port:
        mailer = bench.mailer(port, writer=writer)
        await mailer.step()
        assert await bench.errors() == ["it could not be written: RuntimeError"]
        for _ in range(4):
            bench.clock.advance(86_400)
            await mailer.step()
    assert await bench.states() == [("spring", "expired")]
