"""The running sandbox: the world, the clock that moves it, and the courier that posts for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime

from services.sandbox.behaviour import Behaviour
from services.sandbox.clock import Clock
from services.sandbox.webhooks import Courier, Signer
from services.sandbox.world import World

TICK_S = 0.005
"""The pump's shortest rest: at a thousand sends a second it moves several timers at once."""


class Sandbox:
    """One provider account with its carriers. Start and stop it in a running event loop."""

    def __init__(self, behaviour: Behaviour, seed: str, api_key: str = "") -> None:
        self.clock = Clock()
        self.signer = Signer(seed)
        self.world = World(behaviour, seed)
        self.courier = Courier(self.signer, behaviour.webhook_retry_s)
        self.api_key = api_key
        self._woken = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    def now(self) -> datetime:
        """The present, with everything that was due by now already done."""
        at = self.clock.now()
        self.world.advance(at)
        self._woken.set()
        return at

    def behave(self, behaviour: Behaviour) -> None:
        """Replace the behaviour from now on."""
        self.now()
        self.world.behave(behaviour)
        self.courier.retry_s = behaviour.webhook_retry_s

    @property
    def is_running(self) -> bool:
        return self._pump is not None and not self._pump.done()

    async def start(self) -> None:
        await self.courier.start()
        self._pump = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump
        await self.courier.stop()

    async def _run(self) -> None:
        while True:
            # Cleared first: what a request leaves from here on wakes the next round.
            self._woken.clear()
            self.world.advance(self.clock.now())
            self.courier.post(self.world.take_webhooks())
            await asyncio.sleep(TICK_S)
            due_at = self.world.next_due_at
            rest_s = None if due_at is None else (due_at - self.clock.now()).total_seconds()
            if rest_s is None or rest_s > 0:
                # Not wait_for: before Python 3.12 it swallows a stop that comes with a wake-up.
                with suppress(TimeoutError):
                    async with asyncio.timeout(rest_s):
                        await self._woken.wait()
