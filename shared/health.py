"""The ops port: is the process alive, may it get work, and how is it doing."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from shared.bus import BrokerAway
from shared.database import PASSING

Check = Callable[[], Awaitable[None]]

CHECK_S = 4.0


async def _fault(check: Check) -> str | None:
    """What a check complains of, or that it takes longer than whoever asks will wait."""
    try:
        await asyncio.wait_for(check(), CHECK_S)
    except (*PASSING, BrokerAway) as error:
        return repr(error)
    return None


class Health:
    """What the runtime knows about itself."""

    def __init__(self) -> None:
        self.started = False
        self.stopping = False
        self.checks: dict[str, Check] = {}

    async def faults(self) -> dict[str, str]:
        """Why this replica is not ready, by check; empty when it is."""
        if self.stopping:
            return {"runtime": "stopping"}
        if not self.started:
            return {"runtime": "starting"}
        found = await asyncio.gather(*(_fault(check) for check in self.checks.values()))
        return {name: fault for name, fault in zip(self.checks, found, strict=True) if fault}

    def app(self) -> web.Application:
        """`/livez`, `/readyz` and `/metrics`."""
        app = web.Application()
        app.router.add_get("/livez", self._live)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", make_aiohttp_handler())
        return app

    async def _live(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _ready(self, request: web.Request) -> web.Response:
        faults = await self.faults()
        if faults:
            return web.json_response({"status": "not ready", "faults": faults}, status=503)
        return web.json_response({"status": "ready"})
