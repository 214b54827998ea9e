"""The sandbox's HTTP edge: provider (/v2), control (/sandbox), judge (/judge), health."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from services.sandbox.api import control, health, messages, numbers, verdict
from services.sandbox.api.edge import SANDBOX
from services.sandbox.service import Sandbox


def build_app(sandbox: Sandbox) -> web.Application:
    """The whole sandbox as one application, which starts and stops it."""
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app[SANDBOX] = sandbox
    for routes in (messages, numbers, control, verdict, health):
        routes.add_routes(app.router)
    app.cleanup_ctx.append(_running)
    return app


def build_ops_app(sandbox: Sandbox) -> web.Application:
    """Health alone, for a port of its own."""
    app = web.Application()
    app[SANDBOX] = sandbox
    health.add_routes(app.router)
    return app


async def _running(app: web.Application) -> AsyncIterator[None]:
    await app[SANDBOX].start()
    yield
    await app[SANDBOX].stop()
