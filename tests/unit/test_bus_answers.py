"""What the bus makes of the ways in which aio_pika tells that a connection broke."""

import asyncio

import pytest
from aio_pika.exceptions import ChannelClosed, DeliveryError
from pamqp.commands import Basic

from shared.bus import BrokerAway, asked


class Nameless(Exception):
    """As good as the bare Exception that aio_pika raises at times."""


@pytest.mark.parametrize(
    "error",
    [Nameless(), StopAsyncIteration(), asyncio.CancelledError(), ChannelClosed(320, "shutdown")],
)
async def test_whatever_a_breaking_connection_raises_is_a_broker_that_is_away(
    error: BaseException,
) -> None:
    async def break_off() -> None:
        raise error

    with pytest.raises(BrokerAway):
        await asked(break_off(), 5)


async def test_a_refused_publish_is_not_a_broker_that_is_away() -> None:
    async def refuse() -> None:
        raise DeliveryError(None, Basic.Nack())

    with pytest.raises(DeliveryError):
        await asked(refuse(), 5)


async def test_a_wait_ends_in_time_even_when_what_is_waited_for_cannot_be_cancelled() -> None:
    released = asyncio.Event()

    async def deaf() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    async with asyncio.timeout(2):
        with pytest.raises(BrokerAway):
            await asked(deaf(), 0.05)
    released.set()


async def test_who_is_stopped_while_waiting_is_not_told_that_the_broker_is_away() -> None:
    waiting = asyncio.create_task(asked(asyncio.sleep(60), 60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
