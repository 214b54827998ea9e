"""Runs the sandbox: `python -m services.sandbox`."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal

import structlog
from aiohttp import web

from services.sandbox.api import build_app, build_ops_app
from services.sandbox.behaviour import Behaviour
from services.sandbox.service import Sandbox
from services.sandbox.settings import Settings


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = Settings()
    # A full collection over a long ledger stops the loop, and with it the judge's clock, for a
    # tenth of a second and more; the ledger has no cycles, so only the young are collected.
    gc.set_threshold(2_000, 20, 1_000_000)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    behaviour = Behaviour.model_validate_json(settings.sandbox_behaviour)
    sandbox = Sandbox(behaviour, settings.sandbox_seed, settings.telnyx_api_key)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    grace_s = settings.shutdown_grace_s
    api = web.AppRunner(build_app(sandbox), access_log=None, shutdown_timeout=grace_s)
    runners = [("api", api, settings.http_port)]
    if settings.ops_port is not None:
        runners.append(("ops", web.AppRunner(build_ops_app(sandbox)), settings.ops_port))
    log = structlog.get_logger("sandbox")
    for name, runner, port in runners:
        await runner.setup()
        await web.TCPSite(runner, settings.http_host, port).start()
        log.info("listening", serves=name, port=runner.addresses[0][1])
    await stopping.wait()
    for _, runner, _ in reversed(runners):
        await runner.cleanup()
    log.info("stopped")


if __name__ == "__main__":
    asyncio.run(main())
