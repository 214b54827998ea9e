"""Broker and database go away in the middle of traffic, and replicas in the middle of their work.

Whatever goes, all that was queued comes to its end exactly once, and the books balance.
"""

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import aiohttp
import asyncpg
import pytest

from deploy.local.platform import GRACE_S, SANDBOX, Platform
from deploy.local.postgres import POSTGRES
from deploy.local.rabbitmq import RABBITMQ
from deploy.local.servers import PrivateServers
from services.sandbox.webhooks import Signer
from shared.ids import new_id
from tests.engine import phone
from tests.flow.test_admin_in_control import until
from tests.link import Link
from tests.other_system import Json, campaign_launched, limits_changed, message_queued
from tests.patient_system import PatientSystem, depths, patient_system

SERVICES = ("campaign", "collider")
SEED = "servers away"
NUMBER = "+12125550100"
PER_MINUTE = 1500
# Slow answers, so that whatever goes away finds calls under way and answers on their way back.
BEHAVIOUR = {"call_latency_ms": {"median": 150, "p99": 800}, "receipt_delay_s": 0.5}


@pytest.fixture(scope="module")
def servers() -> Iterator[PrivateServers]:
    """Servers that nobody else uses: these tests kill them."""
    with PrivateServers(durable=True, alone=True) as pair:
        yield pair


class Story:
    """One organization's texts, from another system to the contacts and back."""

    def __init__(
        self,
        servers: PrivateServers,
        prefix: str,
        platform: Platform,
        other: PatientSystem,
        web: aiohttp.ClientSession,
    ) -> None:
        self.servers = servers
        self.platform = platform
        self.other = other
        self.web = web
        self.prefix = prefix
        self.org_id = f"acme-{new_id()}"
        self.queued: list[str] = []

    async def launch(self) -> None:
        now = datetime.now(UTC)
        profile = {"messaging_profile_id": "profile", "campaign_id": "gotv"}
        await self._tell_sandbox(f"/sandbox/numbers/{NUMBER}", profile)
        await self._tell_sandbox("/sandbox/limits/gotv/att", {"sms_per_minute": PER_MINUTE})
        limits = limits_changed("att", now, org_id=self.org_id, sms_per_minute=PER_MINUTE)
        await self.other.publish("LimitsChanged", limits)
        launched = campaign_launched(opens_at=now, closes_in_s=3600, org_id=self.org_id)
        await self.other.publish("CampaignLaunched", {**launched, "number": NUMBER})

    async def _tell_sandbox(self, path: str, document: Json) -> None:
        async with self.web.put(self.platform.url(SANDBOX) + path, json=document) as answer:
            assert answer.status < 300, await answer.text()

    async def queue(self, count: int) -> None:
        now = datetime.now(UTC)
        start = len(self.queued)
        texts = [
            message_queued(phone("att", start + index), now, org_id=self.org_id, carrier="att")
            for index in range(count)
        ]
        self.queued += [text["message_id"] for text in texts]
        await self.other.publish("MessageQueued", *texts)

    @asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """Texts come in steadily during the block, twenty a second."""
        ended = asyncio.Event()

        async def feed() -> None:
            while not ended.is_set():
                await self.queue(5)
                await asyncio.sleep(0.25)

        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            yield
            ended.set()

    async def until_more_are_sent(self, count: int, within_s: float = 30) -> None:
        await self.other.until(
            len(self.other.heard["MessageSent"]) + count, "MessageSent", within_s=within_s
        )

    async def until_ready(self, is_ready: bool, within_s: float) -> float:
        """Wait until every service says so; how long that took, in seconds."""
        begun = time.monotonic()
        async with asyncio.timeout(within_s):
            for service in SERVICES:
                while await self._status(f"{self.platform.ops_url(service)}/readyz") != (
                    200 if is_ready else 503
                ):
                    await asyncio.sleep(0.1)
        return time.monotonic() - begun

    async def _status(self, url: str) -> int:
        async with self.web.get(url) as answer:
            return answer.status

    async def metric(self, service: str, line: str) -> float:
        """A counter of a service by its name and labels, 0 where it has not counted yet."""
        async with self.web.get(f"{self.platform.ops_url(service)}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return next((float(one.split()[-1]) for one in lines if one.startswith(line)), 0.0)

    async def webhook(self, body: bytes) -> int:
        """Post what the provider would; the answer's status."""
        headers = Signer(SEED).headers(body, int(time.time()))
        url = f"{self.platform.url('collider')}/webhooks/telnyx"
        async with self.web.post(url, data=body, headers=headers) as answer:
            return answer.status

    async def rows(self, query: str) -> list[Any]:
        connection = await asyncpg.connect(self.servers.database_url, timeout=10)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close(timeout=5)

    async def statuses(self) -> dict[str, int]:
        query = f"SELECT status, count(*) FROM collider.messages WHERE org_id = '{self.org_id}'"
        return dict(await self.rows(f"{query} GROUP BY status"))

    async def outbox(self, service: str) -> int:
        count: int = (await self.rows(f"SELECT count(*) FROM {service}.outbox"))[0][0]
        return count

    async def close_the_books(self) -> None:
        """All that was queued has been sent and delivered once, by every ledger that there is."""
        await self.other.until(len(self.queued), "MessageSent", within_s=60)
        await self.other.until(len(self.queued), "MessageDelivered", within_s=20)
        for service in SERVICES:
            await until(partial(self.outbox, service), lambda count: count == 0)
        once = Counter(dict.fromkeys(self.queued, 1))
        assert Counter(self.other.message_ids("MessageSent")) == once
        assert Counter(self.other.message_ids("MessageDelivered")) == once
        assert self.other.message_ids("MessageFailed") == []
        assert await self.statuses() == {"delivered": len(self.queued)}
        async with self.web.get(f"{self.platform.url(SANDBOX)}/judge") as answer:
            verdict = await answer.json()
        assert verdict["ok"], verdict
        assert verdict["doubles"]["count"] == 0
        queues = [f"{self.prefix}.collider.messages", f"{self.prefix}.collider.facts"]
        queues += [f"{self.prefix}.campaign.messages", f"{self.prefix}.campaign.facts"]
        dead = [f"{queue}.dead" for queue in queues]
        waiting = await depths(self.servers.amqp_url, [*queues, *dead])
        assert waiting == dict.fromkeys(waiting, 0)


@asynccontextmanager
async def story(
    servers: PrivateServers, prefix: str, **settings: dict[str, str]
) -> AsyncIterator[Story]:
    async with (
        Platform(
            database_url=servers.database_url,
            amqp_url=servers.amqp_url,
            bus_prefix=prefix,
            services=SERVICES,
            behaviour=BEHAVIOUR,
            seed=SEED,
            settings=settings,
        ) as platform,
        patient_system(servers.amqp_url, prefix) as other,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as web,
    ):
        run = Story(servers, prefix, platform, other, web)
        await run.launch()
        yield run


@pytest.mark.timeout(180)
async def test_a_broker_that_is_killed_or_frozen_loses_and_doubles_nothing(
    servers: PrivateServers,
) -> None:
    async with story(servers, "broker-away") as run:
        async with run.traffic():
            await run.until_more_are_sent(60)

            # Frozen first, so that it surely has not read what it is killed with.
            broker = servers.process(RABBITMQ).process
            broker.send_signal(signal.SIGSTOP)
            await asyncio.sleep(1)
            broker.kill()
            await run.until_ready(False, within_s=8)
            await asyncio.to_thread(servers.restart, RABBITMQ)
            await run.until_ready(True, within_s=20)
            await run.until_more_are_sent(60)

            repeated = run.other.repeated()
            broker = servers.process(RABBITMQ).process
            broker.send_signal(signal.SIGSTOP)
            await run.until_ready(False, within_s=10)
            await asyncio.sleep(18)
            broker.send_signal(signal.SIGCONT)
            await run.until_ready(True, within_s=20)
            await run.until_more_are_sent(60)
        await run.close_the_books()
        assert run.other.message_ids("MessageUnclear") == []
        # Publishes that had no answer were repeated with the same ids: whoever counts knows them.
        assert run.other.repeated() > repeated


@pytest.mark.timeout(180)
async def test_a_database_that_restarts_or_stays_away_loses_and_doubles_nothing(
    servers: PrivateServers,
) -> None:
    async with story(servers, "database-away") as run:
        async with run.traffic():
            await run.until_more_are_sent(60)

            _quit(servers, signal.SIGQUIT)
            await asyncio.to_thread(servers.restart, POSTGRES)
            await run.until_more_are_sent(60)
            await run.until_ready(True, within_s=10)

            _quit(servers, signal.SIGINT)
            await run.until_ready(False, within_s=8)
            yes = _text("text-1", "Yes!")
            assert await run.webhook(yes) == 503
            await asyncio.sleep(14)
            assert await run.webhook(yes) == 503
            await asyncio.to_thread(servers.restart, POSTGRES)
            await run.until_ready(True, within_s=10)
            assert [await run.webhook(yes) for _ in range(2)] == [204, 204]
            await run.until_more_are_sent(60)
        await run.close_the_books()
        assert [text["text"] for text in run.other.heard["MessageReceived"]] == ["Yes!"]


def _quit(servers: PrivateServers, number: signal.Signals) -> None:
    """SIGQUIT: at once, as if it had crashed; SIGINT: in order."""
    process = servers.process(POSTGRES).process
    process.send_signal(number)
    process.wait(10)


def _text(text_id: str, text: str) -> bytes:
    payload = {
        "id": text_id, "from": {"phone_number": phone("att", 0)},
        "to": [{"phone_number": NUMBER}], "text": text,
    }  # fmt: skip
    event = {"id": f"event-{text_id}", "event_type": "message.received", "payload": payload}
    return json.dumps({"data": event}).encode()


@pytest.mark.timeout(120)
async def test_a_collider_that_is_stopped_finishes_what_it_began(servers: PrivateServers) -> None:
    async with story(servers, "stopped") as run:
        # A backlog, so that claims and calls are under way until the last moment.
        await run.queue(150)
        async with run.traffic():
            await run.until_more_are_sent(60)
            begun = time.monotonic()
            await run.platform.kill("collider", 0, signal.SIGTERM)
            took_s = time.monotonic() - begun
            assert run.platform.process("collider").process.returncode == 0
            # As long as calls and a consumer's second take, not until time-outs run out.
            assert took_s < GRACE_S / 2, took_s
            statuses = await run.statuses()
            assert not statuses.keys() & {"claimed", "calling", "unclear"}, statuses
            assert await run.outbox("collider") == 0
            await run.platform.start_replica("collider")
        await run.close_the_books()
        assert run.other.message_ids("MessageUnclear") == []


_AS_RECORDED = "SELECT message_id, xmin::text, position FROM collider.messages ORDER BY message_id"


@pytest.mark.timeout(120)
async def test_what_a_killed_consumer_recorded_and_never_acked_is_known_again(
    servers: PrivateServers,
) -> None:
    async with Link(servers.amqp_url) as link:
        settings = {"SLUICE_AMQP_URL": link.url}
        async with story(servers, "unacked", collider=settings) as run:
            # Of a campaign that is not open yet: they only wait.
            now = datetime.now(UTC)
            later = campaign_launched(
                opens_at=now + timedelta(hours=1),
                closes_in_s=7200,
                org_id=run.org_id,
                campaign_id="later",
            )
            await run.other.publish("CampaignLaunched", {**later, "number": NUMBER})
            known = "SELECT campaign_id FROM collider.campaigns WHERE campaign_id = 'later'"
            await until(partial(run.rows, known), bool)
            link.up.clear()
            for index in range(40):
                text = message_queued(
                    phone("att", index), now, org_id=run.org_id, campaign_id="later", carrier="att"
                )
                await run.other.publish("MessageQueued", text)
            await until(run.statuses, lambda found: sum(found.values()) == 40)
            recorded = await run.rows(_AS_RECORDED)
            await run.platform.kill("collider")
            link.cut()
            link.up.set()
            queue = f"{run.prefix}.collider.messages"
            waiting = partial(depths, servers.amqp_url, [queue])
            await until(waiting, lambda found: found == {queue: 40})

            await run.platform.start_replica("collider")
            heard = 'sluice_events_heard_total{type="MessageQueued"}'
            await until(partial(run.metric, "collider", heard), lambda count: count >= 40)
            await asyncio.sleep(1)
            assert await run.metric("collider", heard) == 40
            assert await waiting() == {queue: 0}
            # All came again, and not one row was written anew.
            assert await run.rows(_AS_RECORDED) == recorded
            assert await run.statuses() == {"queued": 40}
