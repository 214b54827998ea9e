"""What is bad goes to the dead letters, once, with its reason; what is good goes on."""

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aio_pika
import aiohttp
import asyncpg
import pytest

from deploy.local.platform import Platform
from services.sandbox.webhooks import Signer
from tests.engine import phone
from tests.other_system import (
    Json,
    OtherSystem,
    campaign_launched,
    limits_changed,
    message_queued,
    other_system,
)

NOW = datetime.now(UTC)
README = Path(__file__).parents[2] / "README.md"


class Edge:
    """A collider with its edges open to whoever comes."""

    def __init__(self, platform: Platform, other: OtherSystem, amqp_url: str, prefix: str) -> None:
        self.platform = platform
        self.other = other
        self._amqp_url = amqp_url
        self._prefix = prefix

    async def dead_letters(self, lane: str, count: int) -> list[tuple[bytes, str, str]]:
        """The dead letters of the collider's queue, as (body, reason, field); exactly so many."""
        found: list[tuple[bytes, str, str]] = []
        async with await aio_pika.connect(self._amqp_url) as connection:
            channel = await connection.channel()
            queue = await channel.get_queue(f"{self._prefix}.collider.{lane}.dead", ensure=False)
            until = time.monotonic() + 15
            while time.monotonic() < until and len(found) <= count:
                message = await queue.get(no_ack=True, fail=False)
                if message is not None:
                    headers = message.headers
                    found.append((message.body, str(headers["reason"]), str(headers["field"])))
                elif len(found) == count:
                    # Once, not again: leave a second one the time to come.
                    await asyncio.sleep(1)
                    until = min(until, time.monotonic() + 0.5)
                else:
                    await asyncio.sleep(0.1)
        assert len(found) == count, found
        return found


@pytest.fixture
async def edge(database_url: str, amqp_url: str, bus_prefix: str) -> AsyncIterator[Edge]:
    async with (
        Platform(
            database_url=database_url,
            amqp_url=amqp_url,
            bus_prefix=bus_prefix,
            services=("campaign", "collider"),
        ) as platform,
        other_system(amqp_url, bus_prefix) as other,
    ):
        yield Edge(platform, other, amqp_url, bus_prefix)


async def test_bad_events_are_buried_once_and_the_good_ones_go_on(
    edge: Edge, database_url: str
) -> None:
    other = edge.other
    texts = [message_queued(phone("att", index), NOW, carrier="att") for index in range(500)]
    texts[250] = {**texts[250], "text": "nul \x00"}
    await other.publish_batch("MessageQueued", texts)
    await other.publish_raw("MessageQueued", b'{"specversion": "1.0", ')
    unknown = {**other.event("MessageQueued", texts[0]), "type": "PigsFly"}
    await other.publish_raw("MessageQueued", json.dumps(unknown).encode())
    surrogate = message_queued(phone("att", 1), NOW, text="half \ud83d")
    await other.publish("MessageQueued", surrogate)
    limits = limits_changed("att", NOW)
    del limits["mms_per_minute"]
    await other.publish("LimitsChanged", limits)
    await other.publish("LimitsChanged", limits_changed("att", NOW, sms_per_minute=-1))

    letters = await edge.dead_letters("messages", 4)
    assert {field for _, _, field in letters} == {"data.text", "", "type"}
    reasons = "\n".join(reason for _, reason, _ in letters)
    for words in ("NUL", "not JSON", "unknown type PigsFly", "unicode"):
        assert words.casefold() in reasons.casefold()
    # The event itself is in the letter, as it came.
    assert any(json.loads(body)["data"] == texts[250] for body, _, _ in letters[:1])

    letters = await edge.dead_letters("facts", 2)
    assert [field for _, _, field in letters] == ["data.mms_per_minute", "data.sms_per_minute"]

    assert await _count(database_url, "messages") == 499
    assert await _count(database_url, "limits") == 0


async def test_the_readmes_ten_lines_publish_a_text(
    edge: Edge, database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    before = await _count(database_url, "messages")
    [program] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program.replace('"sluice"', repr(bus_prefix)),
        env={**os.environ, "SLUICE_AMQP_URL": amqp_url},
    )  # fmt: skip
    assert await asyncio.wait_for(process.wait(), 20) == 0
    async with asyncio.timeout(10):
        while await _count(database_url, "messages") == before:
            await asyncio.sleep(0.05)


async def test_a_webhook_that_is_not_the_providers_gets_401_and_writes_nothing(
    edge: Edge, database_url: str
) -> None:
    await edge.other.publish("CampaignLaunched", {
        **campaign_launched(opens_at=NOW, closes_in_s=600), "number": "+12125550100",
    })  # fmt: skip
    await _until_known(database_url)
    heard = await _count(database_url, "heard")
    text: Json = {
        "data": {
            "id": "event-1", "event_type": "message.received",
            "payload": {
                "id": "text-1", "from": {"phone_number": phone("att", 1)},
                "to": [{"phone_number": "+12125550100"}], "text": "STOP",
            },
        }
    }  # fmt: skip
    body = json.dumps(text).encode()
    right, wrong = Signer("sluice"), Signer("somebody else")
    now = int(time.time())
    url = f"{edge.platform.url('collider')}/webhooks/telnyx"
    async with aiohttp.ClientSession() as session:

        async def post(headers: dict[str, str], what: bytes = body) -> int:
            async with session.post(url, data=what, headers=headers) as answer:
                return answer.status

        assert await post({}) == 401
        assert await post(wrong.headers(body, now)) == 401
        assert await post(right.headers(body, now), body + b" ") == 401
        assert await post(right.headers(body, now - 301)) == 401
        assert await post(right.headers(body, now + 400)) == 401
        assert await _count(database_url, "opt_outs") == 0
        assert await _count(database_url, "heard") == heard
        assert not edge.other.heard["MessageReceived"]

        assert await post(right.headers(body, now)) == 204
        # The provider may well say it again.
        assert await post(right.headers(body, now)) == 204
    await edge.other.until(1, "ContactOptedOut", within_s=10)
    await edge.other.until(1, "MessageReceived", within_s=10)
    assert await _count(database_url, "opt_outs") == 1
    assert len(edge.other.heard["MessageReceived"]) == 1


async def _count(database_url: str, table: str) -> int:
    connection = await asyncpg.connect(database_url)
    try:
        count = await connection.fetchval(f"SELECT count(*) FROM collider.{table}")
    finally:
        await connection.close()
    assert isinstance(count, int)
    return count


async def _until_known(database_url: str) -> None:
    async with asyncio.timeout(10):
        while not await _count(database_url, "campaigns"):
            await asyncio.sleep(0.05)
