"""On what was measured: without it a figure says nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import aio_pika
import asyncpg

from deploy.local.servers import PrivateServers
from deploy.local.state import ROOT


async def machine(servers: PrivateServers) -> dict[str, object]:
    """Cores, memory, versions, commit and date."""
    postgres = await asyncpg.connect(servers.database_url, timeout=10)
    try:
        settings = {
            name: await postgres.fetchval("SELECT current_setting($1)", name)
            for name in ("server_version", "fsync", "synchronous_commit", "shared_buffers")
        }
    finally:
        await postgres.close(timeout=10)
    async with await aio_pika.connect(servers.amqp_url, timeout=10) as connection:
        assert connection.transport is not None
        broker = connection.transport.connection.server_properties
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "cpu": _cpu(),
        "memory_gb": _memory_gb(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "postgresql": settings,
        "rabbitmq": _text(broker.get("version")),
        "erlang": _text(broker.get("platform")),
        "private_servers": servers.run is not None,
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "changed_since": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_before": list(os.getloadavg()),
    }


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _memory_gb() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
