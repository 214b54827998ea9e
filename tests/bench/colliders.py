"""Collider processes for a bench: started, waited for, killed and stopped by their process ids."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.local.children import Child, ChildDied, clean_environment
from deploy.local.ports import free_port
from deploy.local.state import ROOT, local_folder
from tests.bench.stand import Place, Stand

NOOP = "tests.bench.noop"
"""The collider with a provider within its process that takes everything."""
REAL = "services.collider"
"""The collider as it is; `settings` name its provider."""

READY_WITHIN_S = 60.0
GRACE_S = 10.0


@dataclass
class Replica:
    """One collider process."""

    child: Child
    http_port: int
    ops_port: int

    @property
    def pid(self) -> int:
        return self.child.process.pid


@dataclass
class Colliders:
    """The replicas of one place."""

    stand: Stand
    place: Place
    module: str
    settings: Mapping[str, str]
    replicas: list[Replica] = field(default_factory=list)

    async def start(self, count: int = 1) -> None:
        """Start so many more, and return when they are ready. Raises ChildDied."""
        fresh = [self._spawn() for _ in range(count)]
        await asyncio.gather(*(_until_ready(replica) for replica in fresh))

    async def kill(self, replica: Replica) -> None:
        """kill -9."""
        replica.child.process.kill()
        await self.stop(replica)

    async def stop(self, *replicas: Replica) -> None:
        """SIGTERM, and SIGKILL to those that are there after their grace."""
        children = [replica.child for replica in replicas]
        await asyncio.to_thread(self.stand.run.stop, children, GRACE_S + 5)
        self.replicas = [one for one in self.replicas if one not in replicas]

    def check(self) -> None:
        """Raise ChildDied when one has ended by itself."""
        for replica in self.replicas:
            if not replica.child.is_alive():
                raise ChildDied(replica.child)

    async def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this while all of them live. Raises ChildDied as soon as one ends by itself."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                self.check()
                await asyncio.wait([task], timeout=0.5)
            await task
        finally:
            task.cancel()

    def _spawn(self) -> Replica:
        http_port, ops_port = free_port(), free_port()
        name = f"collider-{len(self.replicas)}"
        logs = local_folder() / "logs"
        logs.mkdir(exist_ok=True)
        log = logs / f"bench-{name}.log"
        log.unlink(missing_ok=True)
        key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        child = self.stand.run.spawn(
            name,
            [sys.executable, "-m", self.module],
            env={
                **clean_environment(),
                "SLUICE_DATABASE_URL": self.place.database_url,
                "SLUICE_AMQP_URL": self.place.amqp_url,
                "SLUICE_BUS_PREFIX": self.place.bus_prefix,
                "SLUICE_HTTP_PORT": str(http_port),
                "SLUICE_OPS_PORT": str(ops_port),
                "SLUICE_SHUTDOWN_GRACE_S": str(GRACE_S),
                "SLUICE_WEBHOOK_URL": f"http://127.0.0.1:{http_port}",
                # No provider is behind these where `settings` name none.
                "SLUICE_TELNYX_URL": "http://127.0.0.1:9/v2",
                "SLUICE_TELNYX_API_KEY": "none",
                "SLUICE_TELNYX_PUBLIC_KEY": base64.b64encode(key).decode(),
                **self.settings,
            },
            cwd=ROOT,
            log=log,
        )
        self.replicas.append(Replica(child, http_port, ops_port))
        return self.replicas[-1]


@asynccontextmanager
async def colliders(
    stand: Stand,
    place: Place,
    count: int,
    *,
    module: str = NOOP,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Colliders]:
    """So many colliders, ready; all are stopped after the block.

    The first is ready before the others start: it makes the schema.
    """
    mine = Colliders(stand, place, module, settings or {})
    try:
        await mine.start()
        if count > 1:
            await mine.start(count - 1)
        yield mine
        mine.check()
    finally:
        await mine.stop(*mine.replicas)


async def _until_ready(replica: Replica) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_WITHIN_S
    address = f"http://127.0.0.1:{replica.ops_port}/readyz"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(address) as response:
                    if response.status == 200:
                        return
            if not replica.child.is_alive() or loop.time() > deadline:
                raise ChildDied(replica.child)
            await asyncio.sleep(0.05)
