"""The ops port: is the process alive, may it get work, how is it doing; and a service's pages."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from shared.bus import BrokerAway
from shared.database import PASSING
from shared.http import Problem, problems

Check = Callable[[], Awaitable[None]]
Page = Callable[[web.Request], Awaitable[web.StreamResponse]]

CHECK_S = 4.0
# Whoever reads pages must never take the connections that the work needs: one at a time.
PAGE_S = 10.0


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
        self.pages: dict[str, Page] = {}
        """The service's own, by path."""
        self._one_page = asyncio.Semaphore(1)

    async def faults(self) -> dict[str, str]:
        """Why this replica is not ready, by check; empty when it is."""
        if self.stopping:
            return {"runtime": "stopping"}
        if not self.started:
            return {"runtime": "starting"}
        found = await asyncio.gather(*(_fault(check) for check in self.checks.values()))
        return {name: fault for name, fault in zip(self.checks, found, strict=True) if fault}

    def app(self) -> web.Application:
        """`/livez`, `/readyz`, `/metrics`, and the service's pages."""
        app = web.Application(middlewares=[problems])
        app.router.add_get("/livez", self._live)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", _metrics)
        # The port is open before the service is wired, and routes cannot be added after that.
        app.router.add_get("/{page:.*}", self._page)
        return app

    async def _live(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _ready(self, request: web.Request) -> web.Response:
        faults = await self.faults()
        if faults:
            return web.json_response({"status": "not ready", "faults": faults}, status=503)
        return web.json_response({"status": "ready"})

    async def _page(self, request: web.Request) -> web.StreamResponse:
        page = self.pages.get(request.path)
        if page is None:
            raise Problem(404, "There is no such page", detail=" ".join(sorted(self.pages)))
        async with asyncio.timeout(PAGE_S), self._one_page:
            return await page(request)


async def _metrics(request: web.Request) -> web.Response:
    """In a thread: thousands of buckets take longer to write out than a call may wait."""
    encode, content_type = choose_encoder(",".join(request.headers.getall(hdrs.ACCEPT, [])))
    names = request.query.getall("name[]", [])
    shown = REGISTRY.restricted_registry(names) if names else REGISTRY
    body = await asyncio.to_thread(encode, shown)
    response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})
    response.enable_compression()
    return response
