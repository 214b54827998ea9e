"""Webhooks must reach a receiver that is away for a while, and never hold up a send."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from deploy.local.ports import free_port
from services.sandbox.domain import Webhook
from services.sandbox.webhooks import Courier, Signer


class Receiver:
    """A receiver on a fixed port that can be away, refuse, or be slow."""

    def __init__(self) -> None:
        self.port = free_port()
        self.status, self.delay_s = 200, 0.0
        self.bodies: list[bytes] = []
        self._runner: web.AppRunner | None = None

    async def come(self) -> None:
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def leave(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        await asyncio.sleep(self.delay_s)
        return web.Response(status=self.status)

    def webhook(self, name: str) -> Webhook:
        return Webhook(f"http://127.0.0.1:{self.port}/", {"event_type": "test", "id": name})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    yield receiver
    await receiver.leave()


@pytest.fixture
async def courier() -> AsyncIterator[Courier]:
    courier = Courier(Signer("a seed"), retry_s=20)
    await courier.start()
    yield courier
    await courier.stop()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.01)


async def settled(courier: Courier, taken: int) -> None:
    await until(lambda: courier.counts["taken"] + courier.counts["given_up"] >= taken)


async def test_a_receiver_that_was_away_gets_everything_when_it_is_back(
    courier: Courier, receiver: Receiver
) -> None:
    courier.post(receiver.webhook(str(index)) for index in range(200))
    await until(lambda: courier.counts["retried"] >= 200 and courier.pending == 200)
    await receiver.come()
    await settled(courier, 200)
    assert courier.pending == 0
    got = [json.loads(body) for body in receiver.bodies]
    assert {event["data"]["id"] for event in got} == {str(index) for index in range(200)}
    assert all(event["meta"]["attempt"] > 1 for event in got)


async def test_an_answer_that_is_not_2xx_is_tried_again(
    courier: Courier, receiver: Receiver
) -> None:
    receiver.status = 500
    await receiver.come()
    courier.post([receiver.webhook("one")])
    await until(lambda: courier.counts["retried"] == 1)
    receiver.status = 200
    await settled(courier, 1)
    attempts = [json.loads(body)["meta"]["attempt"] for body in receiver.bodies]
    assert attempts == [1, 2]


async def test_after_a_bounded_time_an_event_is_given_up(
    courier: Courier, receiver: Receiver
) -> None:
    courier.retry_s = 0.5
    courier.post([receiver.webhook("one")])
    await settled(courier, 1)
    assert (courier.counts["given_up"], courier.pending) == (1, 0)


async def test_posting_never_waits_for_a_slow_receiver(
    courier: Courier, receiver: Receiver
) -> None:
    receiver.delay_s = 0.3
    await receiver.come()
    started = time.monotonic()
    courier.post(receiver.webhook(str(index)) for index in range(128))
    assert time.monotonic() - started < receiver.delay_s
    await settled(courier, 128)
    assert time.monotonic() - started < 5
