"""Colliders as real processes: two at once, and one that is killed in the middle of its calls."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from deploy.local.platform import Platform
from shared.fields import Carrier
from shared.ids import new_id
from tests.engine import phone
from tests.other_system import (
    Json,
    OtherSystem,
    campaign_launched,
    limits_changed,
    message_queued,
    other_system,
)

PER_MINUTE = 240


class Traffic:
    """Three organizations with one campaign each, on a platform of their own."""

    def __init__(
        self, platform: Platform, other: OtherSystem, sandbox: aiohttp.ClientSession
    ) -> None:
        self.platform = platform
        self.other = other
        self.sandbox = sandbox
        self.queued: list[Json] = []
        # The tests of this module share a database.
        self.orgs = [f"{name}-{new_id()}" for name in ("acme", "bolt", "cora")]

    async def tell(self, path: str, document: Json) -> None:
        async with self.sandbox.put(path, json=document) as answer:
            assert answer.status < 300, await answer.text()

    async def launch(self, *, carriers: tuple[Carrier, ...], per_minute: int) -> None:
        now = datetime.now(UTC)
        for index, org_id in enumerate(self.orgs):
            number = f"+1212555010{index}"
            use_case = f"C{org_id}"
            await self.tell(
                f"/sandbox/numbers/{number}",
                {"messaging_profile_id": "profile", "campaign_id": use_case},
            )
            for carrier in carriers:
                event = limits_changed(carrier, now, org_id=org_id, sms_per_minute=per_minute)
                await self.other.publish("LimitsChanged", event)
                await self.tell(
                    f"/sandbox/limits/{use_case}/{carrier}", {"sms_per_minute": per_minute}
                )
            launched = campaign_launched(opens_at=now, closes_in_s=3600, org_id=org_id)
            await self.other.publish("CampaignLaunched", {**launched, "number": number})

    async def queue(self, carrier: Carrier, count: int) -> None:
        now = datetime.now(UTC)
        for org_id in self.orgs:
            texts = [
                message_queued(phone(carrier, index), now, org_id=org_id, carrier=carrier)
                for index in range(count)
            ]
            self.queued += texts
            await self.other.publish_batch("MessageQueued", texts)

    async def verdict(self) -> Json:
        async with self.sandbox.get("/judge") as answer:
            verdict: Json = await answer.json()
        return verdict


@asynccontextmanager
async def traffic(
    database_url: str, amqp_url: str, prefix: str, **options: Any
) -> AsyncIterator[Traffic]:
    async with (
        Platform(
            database_url=database_url,
            amqp_url=amqp_url,
            bus_prefix=prefix,
            services=("campaign", "collider"),
            **options,
        ) as platform,
        other_system(amqp_url, prefix) as other,
        aiohttp.ClientSession(platform.url("sandbox")) as sandbox,
    ):
        yield Traffic(platform, other, sandbox)


@pytest.mark.timeout(180)
async def test_two_colliders_never_let_a_sliding_minute_exceed_its_limit(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    carriers: tuple[Carrier, ...] = ("att", "verizon")
    async with traffic(database_url, amqp_url, bus_prefix, replicas={"collider": 2}) as run:
        await run.launch(carriers=carriers, per_minute=PER_MINUTE)
        for carrier in carriers:
            await run.queue(carrier, 500)
        await asyncio.sleep(80)
        verdict = await run.verdict()

    assert verdict["ok"], verdict
    buckets = [line for line in verdict["buckets"] if line["seen"]]
    assert len(buckets) == len(run.orgs) * len(carriers)
    for line in buckets:
        assert line["peak_60s"] <= PER_MINUTE
        # And not by standing still: two share the buckets and use them all the same.
        assert line["peak_60s"] >= 0.97 * PER_MINUTE, line


@pytest.mark.timeout(180)
async def test_a_killed_collider_loses_nothing_and_sends_nothing_twice(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    # Slow answers, so that the kill surely finds calls under way and answers on their way back.
    behaviour = {"call_latency_ms": {"median": 150, "p99": 800}, "receipt_delay_s": 0.5}
    async with traffic(database_url, amqp_url, bus_prefix, behaviour=behaviour) as run:
        await run.launch(carriers=("att",), per_minute=1200)
        await run.queue("att", 300)
        for sent in (150, 450):
            await run.other.until(sent, "MessageSent", within_s=40)
            await run.platform.kill("collider", 0, signal.SIGKILL)
            await run.queue("att", 20)
            await run.platform.start_replica("collider")
        await _until_all_ended(run)
        verdict = await run.verdict()
        async with run.sandbox.get("/judge/messages", params={"limit": "2000"}) as answer:
            ledger = await answer.json()

    assert verdict["ok"], verdict
    assert verdict["doubles"]["count"] == 0
    queued = {text["message_id"] for text in run.queued}
    seen = {line["message_id"] for line in ledger["messages"]} & queued
    told = {kind: _ids(run, kind) for kind in ("MessageSent", "MessageUnclear", "MessageDelivered")}
    # Each came to an end once; what is unclear to the last was never at the provider.
    assert told["MessageSent"] | told["MessageUnclear"] == queued
    assert told["MessageDelivered"] == seen
    assert not _ids(run, "MessageFailed")


async def _until_all_ended(run: Traffic) -> None:
    """Every message was sent, or is unclear; and all receipts for what was sent are in."""
    async with asyncio.timeout(90):
        while True:
            ended = _ids(run, "MessageSent") | _ids(run, "MessageUnclear")
            if len(ended) == len(run.queued) and _ids(run, "MessageSent") <= _ids(
                run, "MessageDelivered"
            ):
                return
            await asyncio.sleep(0.2)


def _ids(run: Traffic, kind: str) -> set[str]:
    heard = run.other.heard[kind]
    return {event["message_id"] for event in heard if event["org_id"] in run.orgs}
