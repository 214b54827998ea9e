"""`python -m services.campaign` as a process, with a real broker and a real database."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
import asyncpg

from tests.campaign_desk import NEW_YORK

ROOT = Path(__file__).parents[2]


async def operator_token(environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.campaign.operator_token",
        cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0
    (token,) = out.decode().splitlines()
    return token


@asynccontextmanager
async def service(environment: dict[str, str]) -> AsyncIterator[str]:
    """The base address of a service that runs; it has to stop in order at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.campaign",
        cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    logged: list[dict[str, Any]] = []
    try:
        while not logged or logged[-1]["event"] != "started":
            line = await asyncio.wait_for(process.stderr.readline(), 30)
            assert line, logged
            logged.append(json.loads(line))
        (address,) = logged[-1]["http"]
        reading = asyncio.create_task(process.stderr.read())
        yield f"http://127.0.0.1:{address[1]}/api/v1"
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
        left = (await reading).decode()
        assert "cut short" not in left
        assert "error" not in left, left
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_launch_is_published_and_what_is_published_shows(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    environment = {
        **os.environ,
        "SLUICE_DATABASE_URL": database_url,
        "SLUICE_AMQP_URL": amqp_url,
        "SLUICE_BUS_PREFIX": bus_prefix,
        "SLUICE_HTTP_PORT": "0",
        "SLUICE_OPS_PORT": "0",
    }
    token = await operator_token({"PATH": "", "SLUICE_DATABASE_URL": database_url})
    async with (
        service(environment) as base,
        aiohttp.ClientSession() as session,
        await aio_pika.connect(amqp_url, timeout=10) as connection,
    ):
        channel = await connection.channel()
        exchange = await channel.get_exchange(bus_prefix)
        queue = await channel.declare_queue(exclusive=True)
        for topic in ("UseCaseRegistered", "CampaignLaunched"):
            await queue.bind(exchange, topic)

        async def call(method: str, path: str, who: str, body: Any = None) -> Any:
            headers = {"Authorization": f"Bearer {who}"}
            data = body if isinstance(body, bytes) else json.dumps(body or {})
            async with session.request(method, base + path, data=data, headers=headers) as answer:
                assert answer.status < 300, await answer.text()
                return await answer.json()

        org_id = (await call("POST", "/organizations", token, {"name": "Acme"}))["organization_id"]
        own = f"/organizations/{org_id}"
        use_case = {"name": "x", "provider_campaign_id": "CXYZ"}
        use_case_id = (await call("POST", f"{own}/use-cases", token, use_case))["use_case_id"]
        ada = {"name": "Ada", "email": "ada@example.org", "role": "admin"}
        admin = (await call("POST", f"{own}/people", token, ada))["token"]
        table = b"phone,first_name\n+13032000001,Al\n"
        contacts = await call("POST", "/contact-lists?name=x", admin, table)
        plan = {
            "name": "Spring",
            "use_case_id": use_case_id,
            "contact_list_id": contacts["contact_list_id"],
            "script": "Hi {first_name}",
            "hours": NEW_YORK,
        }
        campaign_id = (await call("POST", "/campaigns", admin, plan))["campaign_id"]
        await call("POST", f"/campaigns/{campaign_id}/launch", admin)

        told = await published(queue, 2)
        assert told["UseCaseRegistered"]["provider_campaign_id"] == "CXYZ"
        launched = told["CampaignLaunched"]
        assert launched["campaign_id"] == campaign_id
        assert launched["launched_by"] == {"name": "Ada", "email": "ada@example.org"}
        assert launched["hours"] == {**NEW_YORK, "opens": "09:00"}

        await exchange.publish(
            aio_pika.Message(json.dumps(provisioned(launched)).encode()), "NumberProvisioned"
        )
        async with asyncio.timeout(20):
            while True:
                details = await call("GET", f"/campaigns/{campaign_id}", admin)
                if details["provisioning"]["flag"] == "Provisioning Complete":
                    break
                await asyncio.sleep(0.1)
        assert details["number"] == "+12125550100"


async def test_a_service_answers_as_the_lesser_role(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    environment = {
        **os.environ,
        "SLUICE_DATABASE_URL": database_url,
        "SLUICE_AMQP_URL": amqp_url,
        "SLUICE_BUS_PREFIX": bus_prefix,
    }
    token = await operator_token({"PATH": "", "SLUICE_DATABASE_URL": database_url})
    headers = {"Authorization": f"Bearer {token}"}
    async with service(environment) as base, aiohttp.ClientSession(headers=headers) as session:

        async def organizations() -> int:
            async with session.get(f"{base}/organizations") as answer:
                assert answer.status == 200
                return len((await answer.json())["items"])

        async with session.post(f"{base}/organizations", json={"name": "Acme"}) as answer:
            assert answer.status == 201
        before = await organizations()
        owner = await asyncpg.connect(database_url)
        try:
            # Nobody whom the policies do not bind would notice.
            await owner.execute("DROP POLICY listed ON campaign.organizations")
            assert (before > 0, await organizations()) == (True, 0)
        finally:
            await owner.close()


async def published(queue: aio_pika.abc.AbstractQueue, count: int) -> dict[str, Any]:
    """The data of so many events, by type."""
    told: dict[str, Any] = {}
    async with asyncio.timeout(20):
        while len(told) < count:
            message = await queue.get(no_ack=True, fail=False)
            if message is None:
                await asyncio.sleep(0.05)
                continue
            for event in json.loads(message.body):
                told[event["type"]] = event["data"]
    return told


def provisioned(launched: dict[str, Any]) -> dict[str, Any]:
    """NumberProvisioned, as a system that knows nothing of our classes writes it."""
    confirmed = {"state": "confirmed", "at": "2026-10-20T16:00:00Z"}
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "elsewhere",
        "type": "NumberProvisioned",
        "data": {
            **{name: launched[name] for name in ("org_id", "campaign_id", "name", "window")},
            "launched_by": launched["launched_by"],
            "number": "+12125550100",
            "outcome": "complete",
            "carriers": {"att": confirmed, "tmobile": confirmed, "verizon": confirmed},
            "took_s": 12.5,
        },
    }
