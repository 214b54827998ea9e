"""/livez and /readyz: the same for the sandbox, which has nothing to wait for but itself."""

from __future__ import annotations

from aiohttp import web

from services.sandbox.api.edge import SANDBOX, json_response


async def health(request: web.Request) -> web.Response:
    """200 while the pump that lets things happen is alive, else 503."""
    running = request.app[SANDBOX].is_running
    return json_response({"status": "ok" if running else "down"}, 200 if running else 503)


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_get("/livez", health)
    router.add_get("/readyz", health)
