"""The services and the sandbox as separate processes on this machine.

Restarts nothing: whoever holds a Platform decides what dies and what comes back.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from deploy.local.children import (
    INTERRUPTS,
    Child,
    ChildDied,
    Run,
    clean_environment,
    raise_on_signals,
)
from deploy.local.mailbox import Mailbox
from deploy.local.ports import free_port
from deploy.local.progress import step
from deploy.local.state import ROOT, local_folder
from services.sandbox.webhooks import Signer

SANDBOX = "sandbox"
SERVICES = ("campaign", "provisioner", "collider", "notifier")

READY_WITHIN_S = 60.0
GRACE_S = 10.0
"""What each service gets to finish its work after SIGTERM, seconds."""

Result = TypeVar("Result")

_POLL_S = 0.1
_ENDING = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGABRT)


@dataclass
class Replica:
    """A place for one process of a service; its ports stay when it is started again."""

    service: str
    index: int
    http_port: int = field(default_factory=free_port)
    ops_port: int = field(default_factory=free_port)
    child: Child | None = None
    shall_live: bool = False

    @property
    def name(self) -> str:
        """As in its log's name: collider, collider-1, and so on."""
        return self.service if self.index == 0 else f"{self.service}-{self.index}"

    @property
    def is_alive(self) -> bool:
        return self.child is not None and self.child.is_alive()


def interruptible(work: Coroutine[Any, Any, Result]) -> Result:
    """Run asynchronous work so that the first Ctrl-C, SIGTERM or closed terminal unwinds it.

    Raises KeyboardInterrupt then, after the clean-up, which further signals do not break.
    """
    came: list[int] = []

    async def main() -> Result:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()

        def interrupt(number: int) -> None:
            came.append(number)
            if task and len(came) == 1:
                task.cancel()

        for number in INTERRUPTS:
            loop.add_signal_handler(number, interrupt, number)
        try:
            return await work
        except asyncio.CancelledError:
            if came:
                raise KeyboardInterrupt from None
            raise

    try:
        return asyncio.run(main())
    finally:
        raise_on_signals(once_more=not came)  # the loop has put back the system's own


class Platform:
    """An async context manager: everything up and ready in its block, every process gone after.

    A process that ends by itself ends the block with ChildDied, which names it and shows the end
    of its log; `check` asks for it where the block is not one task's (fixtures).

    services: those to start besides the sandbox.
    replicas: how many of a service, 1 where nothing is said.
    behaviour: the sandbox's first behaviour (services/sandbox/behaviour.py); seed: its seed.
    settings: more environment for a service, by the service's name.
    logs, mail: folders for <service>.log and for arrived mail as .eml files (mail: or nowhere).
    """

    def __init__(
        self,
        *,
        database_url: str,
        amqp_url: str,
        bus_prefix: str = "sluice",
        services: Sequence[str] = SERVICES,
        replicas: Mapping[str, int] | None = None,
        behaviour: Mapping[str, Any] | None = None,
        seed: str = "sluice",
        settings: Mapping[str, Mapping[str, str]] | None = None,
        logs: Path | None = None,
        mail: Path | None = None,
    ) -> None:
        self.mailbox = Mailbox(mail)
        self.logs = logs or local_folder() / "logs"
        self.death: ChildDied | None = None
        self.services = tuple(services)
        counts = {SANDBOX: 1, **dict.fromkeys(services, 1), **(replicas or {})}
        self._replicas = [Replica(name, i) for name, count in counts.items() for i in range(count)]
        self._settings = settings or {}
        self._shared = {
            "SLUICE_DATABASE_URL": database_url,
            "SLUICE_AMQP_URL": amqp_url,
            "SLUICE_BUS_PREFIX": bus_prefix,
            "SLUICE_SHUTDOWN_GRACE_S": str(GRACE_S),
            "SLUICE_TELNYX_URL": f"{self.url(SANDBOX)}/v2",
            "SLUICE_TELNYX_API_KEY": f"sandbox-{secrets.token_hex(8)}",
            "SLUICE_TELNYX_PUBLIC_KEY": Signer(seed).public_key,
            "SLUICE_SMTP_HOST": self.mailbox.host,
            "SLUICE_SMTP_PORT": str(self.mailbox.port),
            "SLUICE_MAIL_FROM": "sluice@example.com",
            "SLUICE_WEBHOOK_MASTER_KEY": secrets.token_urlsafe(32),
            # Who receives webhooks here stands on this machine, too.
            "SLUICE_WEBHOOKS_PRIVATE_ALLOWED": "true",
            "SLUICE_SANDBOX_SEED": seed,
            "SLUICE_SANDBOX_BEHAVIOUR": json.dumps(behaviour or {}),
        }
        self._stack = AsyncExitStack()
        self._task: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._run = stack.enter_context(Run.begin())
            await stack.enter_async_context(self.mailbox)
            timeout = aiohttp.ClientTimeout(total=5)
            self._session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
            stack.push_async_callback(self._stop)
            self.logs.mkdir(parents=True, exist_ok=True)
            for replica in self._replicas:
                self._log(replica).unlink(missing_ok=True)
                self._spawn(replica)
            names = ", ".join(replica.name for replica in self._replicas)
            with step(f"Starting {names}"):
                await self._until_all_ready()
            self._task = asyncio.current_task()
            watch = asyncio.create_task(self._watch(), name="watch over the processes")
            stack.callback(watch.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task = asyncio.current_task()
        if self.death and task is self._task and task is not None:
            if kind is None:
                # The watch's cancel is still on its way to us: take it here.
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
            task.uncancel()
        # It may have died since the watch last looked.
        self.death = self.death or self._find_death()
        await self._stack.aclose()
        if self.death is None:
            return
        if error is None or isinstance(error, asyncio.CancelledError):
            raise self.death from None
        error.add_note(str(self.death))

    def url(self, service: str, index: int = 0) -> str:
        """The base address of a service's own HTTP API (the sandbox's too)."""
        return f"http://127.0.0.1:{self._replica(service, index).http_port}"

    def ops_url(self, service: str, index: int = 0) -> str:
        """The base address of /livez, /readyz and /metrics."""
        return f"http://127.0.0.1:{self._replica(service, index).ops_port}"

    def process(self, service: str, index: int = 0) -> Child:
        """The process, for its id and its log; LookupError when it was never started."""
        child = self._replica(service, index).child
        if child is None:
            raise LookupError(f"{service} {index} was never started")
        return child

    def check(self) -> None:
        """Raise ChildDied when a process has ended by itself."""
        if self.death:
            raise self.death

    def environment(self, service: str, index: int = 0) -> dict[str, str]:
        """What the process is started with; also for running a service's own commands."""
        replica = self._replica(service, index)
        return {
            **clean_environment(),
            **self._shared,
            "SLUICE_HTTP_HOST": "127.0.0.1",
            "SLUICE_HTTP_PORT": str(replica.http_port),
            "SLUICE_OPS_PORT": str(replica.ops_port),
            # Receipts come back to the replica that sent, other things to the first one.
            "SLUICE_WEBHOOK_URL": self._webhook_url(replica),
            "SLUICE_PUBLIC_URL": f"http://127.0.0.1:{replica.http_port}",
            **self._campaign_link(),
            **self._settings.get(service, {}),
        }

    async def operator_token(self) -> str:
        """A new operator's token, by the campaign service's own command."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.campaign.operator_token",
            cwd=ROOT,
            env=self.environment("campaign"),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"services.campaign.operator_token ended with {process.returncode}")
        return output.decode().strip()

    async def kill(
        self, service: str, index: int = 0, number: signal.Signals = signal.SIGKILL
    ) -> None:
        """Send a signal; return when the process has ended, if that is what the signal is for."""
        replica = self._replica(service, index)
        child = self.process(service, index)
        if number in _ENDING:
            replica.shall_live = False
        child.process.send_signal(number)
        if number in _ENDING:
            await asyncio.to_thread(child.process.wait, GRACE_S + 10)

    async def start_replica(self, service: str) -> int:
        """Start one more process, in the place of a dead one if there is any; its index."""
        mine = [replica for replica in self._replicas if replica.service == service]
        replica = next((one for one in mine if not one.is_alive), None)
        if replica is None:
            replica = Replica(service, len(mine))
            self._replicas.append(replica)
        self._spawn(replica)
        await self._until_ready(replica)
        return replica.index

    def _replica(self, service: str, index: int) -> Replica:
        for replica in self._replicas:
            if (replica.service, replica.index) == (service, index):
                return replica
        raise LookupError(f"there is no {service} {index} on this platform")

    def _webhook_url(self, replica: Replica) -> str:
        colliders = [one for one in self._replicas if one.service == "collider"]
        receiver = replica if replica in colliders else next(iter(colliders), None)
        return f"http://127.0.0.1:{receiver.http_port}" if receiver else ""

    def _campaign_link(self) -> dict[str, str]:
        """Where the letters' links lead: to the campaign's details, as the API gives them."""
        if "campaign" not in self.services:
            return {}
        return {"SLUICE_CAMPAIGN_LINK": f"{self.url('campaign')}/api/v1/campaigns/{{campaign_id}}"}

    def _log(self, replica: Replica) -> Path:
        return self.logs / f"{replica.name}.log"

    def _spawn(self, replica: Replica) -> None:
        replica.child = self._run.spawn(
            replica.name,
            [sys.executable, "-m", f"services.{replica.service}"],
            env=self.environment(replica.service, replica.index),
            cwd=ROOT,
            log=self._log(replica),
        )
        replica.shall_live = True

    async def _until_all_ready(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for replica in self._replicas:
                    group.create_task(self._until_ready(replica))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _until_ready(self, replica: Replica) -> None:
        """Return when it says that it is ready; ChildDied when it ends or takes too long."""
        child = self.process(replica.service, replica.index)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_WITHIN_S
        address = f"{self.ops_url(replica.service, replica.index)}/readyz"
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.get(address) as response:
                    if response.status == 200:
                        return
            if not child.is_alive() or loop.time() > deadline:
                raise ChildDied(child)
            await asyncio.sleep(_POLL_S)

    async def _watch(self) -> None:
        """End the block when a process has ended though nobody asked it to."""
        while True:
            self.death = self._find_death()
            if self.death:
                break
            await asyncio.sleep(_POLL_S)
        if self._task:
            self._task.cancel()

    def _find_death(self) -> ChildDied | None:
        for replica in self._replicas:
            if replica.shall_live and replica.child and not replica.is_alive:
                return ChildDied(replica.child)
        return None

    async def _stop(self) -> None:
        """Services first: what they finish may need the provider and the mail server."""
        for is_sandbox in (False, True):
            children = [
                replica.child
                for replica in self._replicas
                if replica.is_alive and replica.child and (replica.service == SANDBOX) is is_sandbox
            ]
            if not children:
                continue
            with step(f"Stopping {', '.join(child.name for child in children)}"):
                await asyncio.to_thread(self._run.stop, children, GRACE_S + 5)
