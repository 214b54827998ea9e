"""`python -m services.sandbox` as a process of its own."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parents[2]


async def test_the_process_starts_behaves_as_told_and_stops_at_sigterm() -> None:
    environment = {
        **os.environ,
        "SLUICE_HTTP_PORT": "0",
        "SLUICE_OPS_PORT": "0",
        "SLUICE_SANDBOX_SEED": "a seed",
        "SLUICE_SANDBOX_BEHAVIOUR": '{"sold_out_area_codes": ["212"]}',
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.sandbox",
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            lines = [json.loads(await process.stdout.readline()) for _ in range(2)]
            ports = {line["serves"]: line["port"] for line in lines}
            for port in (ports["api"], ports["ops"]):
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    assert answer.status == 200
            base = f"http://127.0.0.1:{ports['api']}"
            async with session.get(f"{base}/sandbox/behaviour") as answer:
                assert (await answer.json())["sold_out_area_codes"] == ["212"]
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
