"""The notifier's connection to the mail server: kept, replaced, and whose fault it is."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.mail_room import Bench, Inbox, mail_bench, mail_server, scripted, up_to


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with mail_bench(database_url) as bench:
        yield bench


# --- one connection for many letters ------------------------------------------------------------


async def test_a_connection_is_kept_from_one_step_to_the_next(bench: Bench) -> None:
    inbox = Inbox()
    async with mail_server(inbox) as port:
        mailer = bench.mailer(port)
        for campaign_id in ("a", "b", "c"):
            await bench.hear(bench.event(campaign_id))
            await mailer.step()
        assert (len(inbox.letters), inbox.connections) == (3, 1)
        await mailer.aclose()


async def test_a_connection_that_the_server_has_closed_meanwhile_is_replaced(bench: Bench) -> None:
    inbox = Inbox()
    async with mail_server(inbox, timeout=0.2) as port:
        mailer = bench.mailer(port)
        await bench.hear(bench.event("a"))
        await mailer.step()
        await asyncio.sleep(0.5)
        await bench.hear(bench.event("b"))
        await mailer.step()
        assert (len(inbox.letters), inbox.connections) == (2, 2)
        await mailer.aclose()


async def test_a_connection_that_does_not_answer_any_more_is_replaced(bench: Bench) -> None:
    came = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        await up_to(reader, writer, b"DATA")
        writer.write(b"354 go on\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 taken\r\n")
        # Neither an answer nor a farewell from here on, as from behind a firewall that forgets.
        while await reader.read(1000):
            pass

    async with scripted(talk) as port:
        mailer = bench.mailer(port)
        for campaign_id in ("a", "b"):
            await bench.hear(bench.event(campaign_id))
            await mailer.step()
        await mailer.aclose()
    assert came == 2
    assert [state for _, state in await bench.states()] == ["sent", "sent"]


async def test_a_connection_is_not_kept_for_long_where_nothing_is_sent(bench: Bench) -> None:
    inbox = Inbox()
    async with mail_server(inbox) as port:
        mailer = bench.mailer(port)
        mailer._line._keep_s = 0.0
        await bench.hear(bench.event("a"))
        await mailer.step()
        await mailer.step()
        await bench.hear(bench.event("b"))
        await mailer.step()
        assert (len(inbox.letters), inbox.connections) == (2, 2)
        await mailer.aclose()


async def test_what_was_half_offered_does_not_reach_the_next_recipient(bench: Bench) -> None:
    inbox = Inbox({"RCPT": ["250 OK", "550 no such user"]})
    async with mail_server(inbox) as port:
        mailer = bench.mailer(port)
        for campaign_id in ("a", "b", "c"):
            await bench.hear(bench.event(campaign_id))
            await mailer.step()
        await mailer.aclose()
    assert [letter.rcpt_tos for letter in inbox.letters] == [["ada@example.org"]] * 2
    assert inbox.connections == 1
    assert [state for _, state in await bench.states()] == ["sent", "refused", "sent"]


# --- whose fault it is ---------------------------------------------------------------------------


async def talked_to(bench: Bench, greeting: bytes, answers: dict[bytes, bytes]) -> None:
    """One try with a server that answers so, and yes to everything else."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting + b"\r\n")
        while line := await reader.readline():
            writer.write(answers.get(line[:4].strip().upper(), b"250 yes") + b"\r\n")

    async with scripted(talk) as port:
        mailer = bench.mailer(port)
        await mailer.step()
        await mailer.aclose()


@pytest.mark.parametrize("greeting", [b"554 not you", b"421 too many of you", b"nonsense"])
async def test_a_server_that_will_not_talk_to_us_is_no_letters_fault(
    bench: Bench, greeting: bytes
) -> None:
    await bench.hear(bench.event())
    await talked_to(bench, greeting, {})
    assert await bench.states() == [("spring", "due")]


async def test_a_server_that_greets_and_leaves_is_left_alone_for_a_while(bench: Bench) -> None:
    came = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        writer.write(b"220 hello\r\n")
        await writer.drain()
        writer.close()

    await bench.hear(bench.event("a"), bench.event("b"))
    async with scripted(talk) as port, asyncio.timeout(5):
        await bench.mailer(port).step()
    # Each letter has asked for a line of its own at the most.
    assert came <= 2
    assert await bench.states() == [("a", "due"), ("b", "due")]
    assert all(await bench.errors())


@pytest.mark.parametrize(
    ("command", "answer", "state"),
    [
        (b"MAIL", b"550 not this sender", "due"),
        (b"MAIL", b"530 log in first", "due"),
        (b"MAIL", b"421 closing", "due"),
        (b"RCPT", b"530 log in first", "due"),
        (b"RCPT", b"421 closing", "due"),
        (b"RCPT", b"553 bad address", "refused"),
        (b"DATA", b"421 closing", "due"),
        (b"DATA", b"554 no valid recipients", "refused"),
    ],
)
async def test_a_refusal_ends_a_letter_only_where_it_is_about_the_letter(
    bench: Bench, command: bytes, answer: bytes, state: str
) -> None:
    await bench.hear(bench.event())
    await talked_to(bench, b"220 hello", {command: answer})
    assert await bench.states() == [("spring", state)]
