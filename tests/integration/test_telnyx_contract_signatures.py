"""The vendor's own check of a webhook's signature and ours come to the same, at each edge."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict
from telnyx import Telnyx
from telnyx.lib.webhook_verification import WebhookVerificationError, verify_webhook_signature
from telnyx.types import InboundMessageWebhookEvent

from services.collider.api import Webhooks as ColliderWebhooks
from services.collider.providers.telnyx import INBOUND_PATH
from services.sandbox.webhooks import Signer
from services.sandbox.world import World
from shared.database import Database
from shared.migrate import migrate
from shared.signatures import TelnyxSignatures, is_fresh
from tests.provisioner_edge import SEED, Webhook, open_edge, update

SERVICES = Path(__file__).parents[2] / "services"
KEY = Signer(SEED).public_key
SIGNATURE, TIMESTAMP = "telnyx-signature-ed25519", "telnyx-timestamp"


def inbound() -> bytes:
    """A contact's text, as the sandbox posts it."""
    world, at = World(), datetime.now(UTC)
    world.provide_number(at, "+12125550100", campaign_id="C1", messaging_profile_id="profile")
    world.numbers.profile(at, "profile").webhook_url = "http://collider"
    world.text_from_phone(at, "+12122340001", "+12125550100", "Yes, I'm in! 😀")
    [webhook] = world.take_webhooks()
    return json.dumps({"data": webhook.data, "meta": {"attempt": 1}}).encode()


def cases(body: bytes) -> Iterator[tuple[str, Webhook, bool]]:
    """Webhooks by name, and whether each is to be taken."""
    right = Webhook.signed(body)
    signed_at, signature = right.headers[TIMESTAMP], right.headers[SIGNATURE]
    raw = base64.b64decode(signature)

    def headed(**changes: str) -> Webhook:
        headers = {**right.headers, **{name.replace("_", "-"): to for name, to in changes.items()}}
        return Webhook(headers, body)

    now_s = time.time()
    yield "right", right, True
    shouted = {name.title(): value for name, value in right.headers.items()}
    yield "right, with its headers in other letters", Webhook(shouted, body), True
    yield "290 seconds old", Webhook.signed(body, at_s=now_s - 290), True
    yield "290 seconds ahead", Webhook.signed(body, at_s=now_s + 290), True
    yield "another's key", Webhook.signed(body, seed="another's"), False
    yield "another body", Webhook(right.headers, body.replace(b"+1212", b"+1213")), False
    yield "a longer body", Webhook(right.headers, body + b"\n"), False
    yield "no body", Webhook(right.headers, b""), False
    yield "another time", headed(telnyx_timestamp=str(int(signed_at) + 1)), False
    yield "the same time, spelt otherwise", headed(telnyx_timestamp=f"0{signed_at}"), False
    yield "a time that is none", headed(telnyx_timestamp="yesterday"), False
    yield "an empty time", headed(telnyx_timestamp=""), False
    yield "303 seconds old", Webhook.signed(body, at_s=now_s - 303), False
    yield "303 seconds ahead", Webhook.signed(body, at_s=now_s + 303), False
    yield "a year old", Webhook.signed(body, at_s=now_s - 365 * 86400), False
    yield "no time", Webhook({SIGNATURE: signature}, body), False
    yield "no signature", Webhook({TIMESTAMP: signed_at}, body), False
    yield "no headers", Webhook({}, body), False
    yield "an empty signature", headed(telnyx_signature_ed25519=""), False
    short = base64.b64encode(raw[:-1]).decode()
    yield "a signature that is too short", headed(telnyx_signature_ed25519=short), False
    yield "a signature in hexadecimal", headed(telnyx_signature_ed25519=raw.hex()), False
    flipped = base64.b64encode(bytes([raw[0] ^ 1]) + raw[1:]).decode()
    yield "a signature with one bit changed", headed(telnyx_signature_ed25519=flipped), False


CASES = [name for name, _, _ in cases(b"{}")]


def case(name: str, body: bytes) -> tuple[Webhook, bool]:
    return next((webhook, right) for one, webhook, right in cases(body) if one == name)


def sdk_unwraps(webhook: Webhook) -> bool:
    with Telnyx(api_key="key", public_key=KEY, base_url="http://127.0.0.1:9") as client:
        try:
            client.webhooks.unwrap(webhook.body.decode(), headers=webhook.headers)
        except WebhookVerificationError:
            return False
    return True


def sdk_verifies(webhook: Webhook) -> bool:
    try:
        verify_webhook_signature(webhook.body, webhook.headers, KEY)
    except WebhookVerificationError:
        return False
    return True


def we_verify(webhook: Webhook) -> bool:
    headers: Mapping[str, str] = CIMultiDict(webhook.headers)
    signed_at = TelnyxSignatures(KEY).signed_at(headers, webhook.body)
    return signed_at is not None and is_fresh(signed_at, datetime.now(UTC))


@asynccontextmanager
async def open_collider_edge(database_url: str) -> AsyncIterator[tuple[str, Database]]:
    """The collider's edge at work: where contacts' texts are posted, and its database."""
    await migrate(database_url, "collider", SERVICES / "collider" / "migrations")
    async with await Database.open(database_url, "collider", size=2) as database:
        webhooks = ColliderWebhooks(database, TelnyxSignatures(KEY))

        async def record() -> None:
            while True:
                await webhooks.gather.step()
                await webhooks.gather.wake.wait()
                webhooks.gather.wake.clear()

        server = TestServer(webhooks.app())
        await server.start_server()
        work = asyncio.create_task(record())
        try:
            yield str(server.make_url(INBOUND_PATH)), database
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            await server.close()


@pytest.mark.parametrize("name", CASES)
def test_the_sdk_and_we_come_to_the_same(name: str) -> None:
    webhook, right = case(name, inbound())
    assert (sdk_unwraps(webhook), sdk_verifies(webhook), we_verify(webhook)) == (right,) * 3


async def test_the_provisioners_edge_takes_what_the_sdk_takes(database_url: str) -> None:
    await migrate(database_url, "provisioner", SERVICES / "provisioner" / "migrations")
    async with await Database.open(database_url, "provisioner", size=2) as database:
        async with open_edge(database) as edge:
            answers = {
                name: await edge.post(webhook)
                for name, webhook, _ in cases(update("+12125550100", status="ADDED"))
            }
        taken = {name for name, status in answers.items() if status == 204}
        assert {status for name, status in answers.items() if name not in taken} == {401}
        # The same bytes once more, in other letters: the edge has seen them.
        replay = {"right, with its headers in other letters"}
        assert taken == {name for name, _, right in cases(b"{}") if right} - replay
        async with database.connection() as connection:
            seen = await connection.fetchval("SELECT count(*) FROM webhooks_seen")
        assert seen == len(taken)


async def test_the_colliders_edge_takes_what_the_sdk_takes(database_url: str) -> None:
    async with (
        open_collider_edge(database_url) as (url, _),
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
    ):
        for name, webhook, right in cases(inbound()):
            async with session.post(url, data=webhook.body, headers=webhook.headers) as answer:
                assert (name, answer.status) == (name, 204 if right else 401)


async def test_the_collider_keeps_no_replays_because_they_change_nothing(database_url: str) -> None:
    """A receipt is about one attempt and a text has an id: known again, whoever posts them."""
    webhook = Webhook.signed(inbound())
    async with (
        open_collider_edge(database_url) as (url, database),
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
    ):
        before = await rows(database)
        written = []
        for _ in range(2):
            async with session.post(url, data=webhook.body, headers=webhook.headers) as answer:
                assert answer.status == 204
            written.append(await rows(database))
    assert before != written[0] == written[1]


async def rows(database: Database) -> dict[str, int]:
    """How many there are in each table of a service."""
    async with database.connection() as connection:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = $1", database.schema
        )
        return {
            table: await connection.fetchval(f'SELECT count(*) FROM "{table}"')
            for (table,) in tables
        }


def test_what_the_sandbox_posts_is_a_webhook_that_the_sdk_can_read() -> None:
    body = inbound()
    with Telnyx(api_key="key", public_key=KEY, base_url="http://127.0.0.1:9") as client:
        event = client.webhooks.unwrap(body.decode(), headers=Webhook.signed(body).headers)
    assert isinstance(event, InboundMessageWebhookEvent)
    assert event.data is not None
    assert event.data.payload is not None
    assert event.data.payload.text == "Yes, I'm in! 😀"
