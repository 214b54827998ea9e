"""What only our own machines can reach is not posted to, as seen at the moment of connecting."""

import asyncio
import gzip
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

import pytest
from aiohttp import web

from services.notifier.posts import Answer, NoAnswer
from services.notifier.webhooks import LOOK_UPS_MOST, Webhooks
from shared.migrate import migrate
from tests.posting import MIGRATIONS, Bench, bench_on, receiver


class Names:
    """A name server: each question takes the next answer, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            (
                socket.AF_INET6 if ":" in ip else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (ip, port),
            )
            for ip in found
        ]


@asynccontextmanager
async def listener() -> AsyncIterator[tuple[int, list[str]]]:
    """A port of this machine, and who has connected to it."""
    came: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(str(writer.get_extra_info("peername")))
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], came
    finally:
        server.close()


async def post(url: str, *, private_allowed: bool = False, **other: Any) -> Answer | NoAnswer:
    async with Webhooks(private_allowed=private_allowed, **other) as webhooks:
        return await webhooks.post(url, {}, b"{}")


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1", "not of the open internet (loopback)"),
        ("[::1]", "not of the open internet (loopback)"),
        ("[::ffff:127.0.0.1]", "not of the open internet (loopback)"),
        ("[::ffff:7f00:1]", "not of the open internet (loopback)"),
        ("[64:ff9b::7f00:1]", "not of the open internet (loopback)"),
        ("0.0.0.0", "not of the open internet (unspecified)"),
        ("169.254.169.254", "not of the open internet (link-local)"),
        ("localhost", "not of the open internet (loopback)"),
        ("0x7f.1", "not of the open internet (loopback)"),
        ("0x7f000001", "not of the open internet (loopback)"),
        ("2130706433", "the host is neither a name nor an IP address in its plain form"),
        ("127.1", "the host is neither a name nor an IP address in its plain form"),
        ("017700000001", "the host is neither a name nor an IP address in its plain form"),
        ("127.0.0.1.", "the host is neither a name nor an IP address in its plain form"),
        ("ex..org", "the host was not found: the host is no name"),
        ("a" * 64 + ".org", "the host was not found: the host is no name"),
    ],
)
async def test_a_private_address_is_refused_however_it_is_spelled(host: str, why: str) -> None:
    async with listener() as (port, came):
        said = await post(f"https://{host}:{port}/?token=secret")
    assert isinstance(said, NoAnswer)
    assert why in said.reason
    assert came == []


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["8.8.8.8", "::1"]],
)
async def test_every_address_of_a_name_has_to_be_a_good_one(answers: list[str]) -> None:
    names = Names(answers)
    async with listener() as (port, came):
        said = await post(f"https://hooks.example.org:{port}/", look_up=names)
    assert isinstance(said, NoAnswer)
    assert "nothing is posted there" in said.reason
    assert came == []


async def test_a_name_is_looked_up_once_for_each_post_so_that_no_other_answer_is_used() -> None:
    async with receiver() as theirs:
        port = theirs.url.split(":")[2].split("/")[0]
        names = Names(["127.0.0.1"], ["127.0.0.9"])
        async with Webhooks(private_allowed=True, look_up=names) as webhooks:
            url = f"http://hooks.example.org:{port}/"
            assert await webhooks.post(url, {}, b"{}") == Answer(200)
            assert names.asked == ["hooks.example.org"]
            # Asked afresh for the next one: it has moved to where nobody listens.
            said = await webhooks.post(url, {}, b"{}")
    assert isinstance(said, NoAnswer)
    assert said.reason.startswith("no connection: ")
    assert names.asked == ["hooks.example.org"] * 2


async def test_why_there_is_no_connection_is_said_without_the_address_that_was_tried() -> None:
    names = Names(["127.0.0.8", "127.0.0.9"])
    said = await post("http://hooks.example.org:9/", private_allowed=True, look_up=names)
    assert said == NoAnswer("no connection: Connection refused")


async def test_a_host_that_hangs_up_instead_of_its_part_of_tls_is_told_of_in_words() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        said = await post(f"https://127.0.0.1:{port}/", private_allowed=True)
    assert said == NoAnswer("no connection: the host hung up")


async def test_the_proxy_of_the_environment_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listener() as (port, came), receiver() as theirs:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert await post(theirs.url, private_allowed=True) == Answer(200)
    assert came == []


async def test_nothing_of_an_answer_is_unpacked_or_brought_along_to_the_next_post() -> None:
    async def gives(request: web.Request) -> web.StreamResponse:
        answer = web.Response(body=gzip.compress(b"unpacked"), headers={"Content-Encoding": "gzip"})
        answer.set_cookie("who", "you")
        return answer

    def here(host: str, port: int, *_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with (
        receiver(gives) as theirs,
        Webhooks(private_allowed=True, look_up=here) as webhooks,
    ):
        url = theirs.url.replace("127.0.0.1", "hooks.example.org")
        said = await webhooks.post(url, {}, b"{}")
        assert isinstance(said, Answer)
        assert "unpacked" not in said.words
        await webhooks.post(url, {}, b"{}")
    assert "cookie" not in theirs.got[1].headers


async def test_only_https_is_spoken_on_the_open_internet() -> None:
    said = await post("http://8.8.8.8/")
    assert said == NoAnswer("the address must start with https://")


async def test_a_receiver_that_speaks_no_tls_is_told_so() -> None:
    async with receiver() as theirs:
        said = await post(theirs.url.replace("http:", "https:"), private_allowed=True)
    assert isinstance(said, NoAnswer)
    assert said.reason.startswith("no TLS")
    assert theirs.got == []


async def test_a_name_server_that_hangs_ends_with_the_time_for_connecting() -> None:
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hangs(*_: Any) -> list[tuple[Any, ...]]:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(10)
        return []

    try:
        said = await post("https://hooks.example.org/", look_up=hangs, total_s=0.3)
    finally:
        gate.set()
    assert said == NoAnswer("no answer within 0.3 s")


async def test_a_name_that_nobody_answers_for_holds_up_no_other_however_often_it_is_asked_for() -> (
    None
):
    gate, asked = Event(), []

    def look_up(host: str, port: int, *_: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        if host == "hangs.example.org":
            gate.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with (
        receiver() as theirs,
        Webhooks(private_allowed=True, look_up=look_up, total_s=0.5) as webhooks,
    ):
        try:
            said = await asyncio.gather(
                *(webhooks.post("http://hangs.example.org/", {}, b"{}") for _ in range(300))
            )
            assert set(said) == {NoAnswer("no answer within 0.5 s")}
            url = theirs.url.replace("127.0.0.1", "hooks.example.org")
            assert await webhooks.post(url, {}, b"{}") == Answer(200)
            assert asked == ["hangs.example.org", "hooks.example.org"]
        finally:
            gate.set()


async def test_names_that_nobody_answers_for_are_looked_up_a_bounded_number_at_once() -> None:
    gate = Event()

    def hangs(*_: Any) -> list[tuple[Any, ...]]:
        gate.wait(10)
        raise OSError(None, "the gate is open")

    async with Webhooks(private_allowed=True, look_up=hangs, total_s=3) as webhooks:
        posts = [
            asyncio.create_task(webhooks.post(f"http://h{index}.example.org/", {}, b"{}"))
            for index in range(LOOK_UPS_MOST + 1)
        ]
        done, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
        words = "the host was not found: too many names are being looked up"
        assert [one.result() for one in done] == [NoAnswer(words)]
        gate.set()
        words = "the host was not found: the gate is open"
        assert {await one for one in posts if one not in done} == {NoAnswer(words)}
        # And there is room again.
        assert await webhooks.post("http://h.example.org/", {}, b"{}") == NoAnswer(words)


def test_the_end_of_the_process_waits_for_no_name_server() -> None:
    program = """
import asyncio, time
from services.notifier.webhooks import LOOK_UPS_MOST, Webhooks

async def post():
    hangs = lambda *_: time.sleep(60)
    async with Webhooks(private_allowed=True, look_up=hangs, total_s=0.2) as webhooks:
        print(await webhooks.post("http://hangs.example.org/", {}, b""))

asyncio.run(post())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert ended.stdout == "NoAnswer(reason='no answer within 0.2 s')\n"
    assert ended.stderr == ""


async def test_a_refusal_is_recorded_in_words_and_tried_again(database_url: str) -> None:
    await migrate(database_url, "notifier", MIGRATIONS)
    async with bench_on(database_url) as bench, listener() as (port, came):
        await bench.hear(bench.settings(f"https://127.0.0.1:{port}/x"), bench.provisioned())
        await bench.post(private_allowed=False)
        words = "the host's address is not of the open internet (loopback): nothing is posted there"
        assert await bench.posts() == [("provisioning complete", "due", words)]
        assert came == []
        await _opened(bench)


async def _opened(bench: Bench) -> None:
    """An operator who allows private addresses gets what was refused until then."""
    async with receiver() as theirs:
        await bench.hear(bench.settings(theirs.url, 2))
        await bench.post(private_allowed=False)
        assert theirs.got == []
        bench.clock.advance(60)
        await bench.post(private_allowed=True)
        assert len(theirs.got) == 1
