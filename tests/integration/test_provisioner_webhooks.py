"""Webhooks about numbers: signed, fresh, and taken once; else refused, and nothing is written."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from services.provisioner import api
from services.provisioner.api import ANSWER_WITHIN_S, BODY_MOST_BYTES, Signed
from services.provisioner.providers.telnyx_webhooks import read_number_update
from shared.clock import ManualClock
from shared.database import Database
from tests.provisioner_bench import Bench, open_bench
from tests.provisioner_edge import Edge, Webhook, open_edge, update

ADDED: dict[str, Any] = {"attNumberMappingStatus": "ADDED", "tmobileNumberMappingStatus": "ADDED"}


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        await one.hear(one.use_case())
        yield one


@pytest.fixture
async def edge(bench: Bench) -> AsyncIterator[Edge]:
    async with open_edge(bench.database) as one:
        yield one


@pytest.fixture
async def number(bench: Bench) -> str:
    """A number whose order waits for carriers, none of whom has spoken."""
    async with bench.database.connection() as connection:
        await connection.execute("TRUNCATE facts, webhooks_seen")
    return await bench.launch_silent()


async def written(bench: Bench) -> dict[str, list[Any]]:
    """All that a webhook could leave behind."""
    async with bench.database.connection() as connection:
        return {
            "facts": await connection.fetch("SELECT * FROM facts ORDER BY number, carrier"),
            "seen": await connection.fetch("SELECT * FROM webhooks_seen ORDER BY digest"),
            "orders": await connection.fetch("SELECT * FROM orders ORDER BY org_id, order_id"),
            "outbox": await connection.fetch("SELECT * FROM outbox ORDER BY position"),
        }


async def facts(bench: Bench) -> list[tuple[str, str]]:
    return [(row["carrier"], row["state"]) for row in (await written(bench))["facts"]]


def wrong_signatures() -> float:
    found = REGISTRY.get_sample_value(
        "sluice_number_webhooks_total", {"verdict": "wrong signature"}
    )
    return found or 0


async def test_what_a_signed_webhook_says_of_carriers_is_kept(
    bench: Bench, edge: Edge, number: str
) -> None:
    named: dict[str, Any] = {"campaignId": bench.provider_campaign_id}
    assert await edge.post(Webhook.signed(update(number, **ADDED, **named))) == 204
    assert await facts(bench) == [("att", "confirmed"), ("tmobile", "confirmed")]


async def test_a_webhook_with_a_wrong_signature_is_refused_and_writes_nothing(
    bench: Bench, edge: Edge, number: str
) -> None:
    body = update(number, **ADDED)
    right = Webhook.signed(body)
    signature, timestamp = "telnyx-signature-ed25519", "telnyx-timestamp"
    later = str(int(right.headers[timestamp]) + 1)
    before, refused = await written(bench), wrong_signatures()
    for wrong in (
        Webhook.signed(body, seed="somebody else's"),
        Webhook(right.headers, body.replace(b"att", b"ATT")),
        Webhook(right.headers, body + b" "),
        Webhook({**right.headers, timestamp: later}, body),
        Webhook({**right.headers, timestamp: ""}, body),
        Webhook({**right.headers, signature: "AAAA"}, body),
        Webhook({**right.headers, signature: "no base64"}, body),
        Webhook({timestamp: right.headers[timestamp]}, body),
        Webhook({signature: right.headers[signature]}, body),
        Webhook({}, body),
    ):
        assert await edge.post(wrong) == 401
    assert await written(bench) == before
    assert wrong_signatures() == refused + 10


@pytest.mark.parametrize("seconds", [-302, 302, -86400])
async def test_a_webhook_that_is_too_old_or_too_new_is_refused_and_writes_nothing(
    bench: Bench, edge: Edge, number: str, seconds: float
) -> None:
    before = await written(bench)
    old = Webhook.signed(update(number, **ADDED), at_s=time.time() + seconds)
    assert await edge.post(old) == 401
    assert await written(bench) == before


async def test_the_databases_clock_says_whether_a_webhook_is_fresh(
    bench: Bench, number: str, database_url: str
) -> None:
    years_ahead = datetime(2032, 2, 29, tzinfo=UTC)
    clock = ManualClock(years_ahead)
    async with (
        await Database.open(database_url, "provisioner", clock=clock) as database,
        open_edge(database) as edge,
    ):
        webhook = Webhook.signed(update(number, **ADDED), at_s=years_ahead.timestamp())
        clock.advance(301)
        assert await edge.post(webhook) == 401
        assert await edge.post(Webhook.signed(update(number, **ADDED))) == 401
        clock.advance(-1)
        assert await edge.post(webhook) == 204
        assert len(await facts(bench)) == 2


async def test_a_replayed_webhook_is_refused_and_writes_nothing(
    bench: Bench, edge: Edge, number: str
) -> None:
    webhook = Webhook.signed(update(number, **ADDED))
    assert await edge.post(webhook) == 204
    before = await written(bench)
    assert [await edge.post(webhook) for _ in range(3)] == [401, 401, 401]
    respelt = dict(webhook.headers)
    # The last character before the padding has bits that decoding drops: the same signature.
    spelt = respelt["telnyx-signature-ed25519"]
    respelt["telnyx-signature-ed25519"] = f"{spelt[:-3]}{chr(ord(spelt[-3]) + 1)}=="
    assert await edge.post(Webhook(respelt, webhook.body)) == 401
    assert await written(bench) == before


async def test_of_many_posts_of_one_webhook_at_two_replicas_one_is_taken(
    bench: Bench, edge: Edge, number: str
) -> None:
    webhook = Webhook.signed(update(number, **ADDED))
    async with open_edge(bench.database) as other:
        answers = await asyncio.gather(*(one.post(webhook) for one in [edge, other] * 10))
    assert sorted(answers) == [204] + 19 * [401]


async def test_what_the_provider_tries_again_is_taken_again_and_changes_nothing(
    bench: Bench, edge: Edge, number: str
) -> None:
    told = {**ADDED, "id": "one", "occurred_at": "2026-06-01T19:00:00Z"}
    assert await edge.post(Webhook.signed(update(number, **told))) == 204
    before = (await written(bench))["facts"]
    assert await edge.post(Webhook.signed(update(number, attempt=2, **told))) == 204
    assert (await written(bench))["facts"] == before


async def test_a_webhook_whose_transaction_failed_has_not_been_seen(
    bench: Bench, edge: Edge, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ValueError("a fault of ours")

    webhook = Webhook.signed(update(number, **ADDED))
    before = await written(bench)
    with monkeypatch.context() as broken:
        broken.setattr(api, "record_facts", fail)
        assert await edge.post(webhook) == 500
    assert await written(bench) == before
    assert await edge.post(webhook) == 204
    assert len(await facts(bench)) == 2


async def test_what_was_seen_is_forgotten_once_its_age_refuses_it(
    bench: Bench, number: str, database_url: str
) -> None:
    clock = ManualClock(datetime(2032, 2, 29, tzinfo=UTC))
    async with (
        await Database.open(database_url, "provisioner", clock=clock) as database,
        open_edge(database) as edge,
    ):
        for _ in range(3):
            await edge.post(Webhook.signed(update(number), at_s=clock.at.timestamp()))
        assert len((await written(bench))["seen"]) == 3
        clock.advance(300 + 60)
        await edge.post(Webhook.signed(update(number), at_s=clock.at.timestamp()))
        assert len((await written(bench))["seen"]) == 4
        clock.advance(1)
        await edge.post(Webhook.signed(update(number), at_s=clock.at.timestamp()))
        assert len((await written(bench))["seen"]) == 2


async def test_webhooks_about_other_things_and_other_numbers_leave_no_facts(
    bench: Bench, edge: Edge, number: str
) -> None:
    for body in (
        update(number, event_type="10dlc.campaign.update", **ADDED),
        update("+12125559999", **ADDED),
        update("+12125559999"),
        b"not JSON",
    ):
        webhook = Webhook.signed(body)
        assert await edge.post(webhook) == 204
        assert await edge.post(webhook) == 401
    assert await facts(bench) == []


async def test_the_provider_is_answered_within_two_seconds_though_the_database_hangs(
    bench: Bench,
) -> None:
    webhook = Webhook.signed(update("+12125559999", **ADDED))
    before = await written(bench)
    async with open_edge(bench.database, at_work=False) as edge:
        begun_s = time.monotonic()
        assert await edge.post(webhook) == 503
        assert ANSWER_WITHIN_S <= time.monotonic() - begun_s < 2.5
    assert await written(bench) == before


async def test_a_body_of_an_absurd_size_is_not_read_to_its_end(bench: Bench, edge: Edge) -> None:
    assert await edge.post(Webhook.signed(b"x" * (BODY_MOST_BYTES + 1))) == 413


async def test_webhooks_about_the_same_numbers_on_two_replicas_do_not_lock_each_other_out(
    bench: Bench, number: str
) -> None:
    await bench.hear(bench.launch("other"))
    await bench.until_at("confirm", "other")
    other = str((await bench.order("other"))["number"])

    async def take(*bodies: bytes) -> list[str]:
        now = datetime.now(UTC)
        says = [read_number_update(body, now) for body in bodies]
        async with bench.database.transaction() as tx:
            return list(await api.record(tx, [Signed(now, uuid4().bytes, one) for one in says]))

    async with bench.database.transaction() as tx:
        await tx.sql.execute("SELECT FROM orders WHERE org_id = $1 FOR UPDATE", bench.org_id)
        # What one names the carriers of, the other does not.
        one = asyncio.create_task(take(update(number, **ADDED), update(other)))
        two = asyncio.create_task(take(update(other, **ADDED), update(number)))
        await asyncio.sleep(0.3)
    assert [await one, await two] == [["taken"] * 2] * 2
