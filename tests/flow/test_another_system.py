"""Another system runs a campaign that our campaign service has never heard of."""

from collections import Counter
from datetime import UTC, datetime

import aiohttp

from deploy.local.platform import Platform
from shared.fields import Carrier
from tests.engine import phone
from tests.other_system import (
    Json,
    OtherSystem,
    campaign_launched,
    limits_changed,
    message_queued,
    other_system,
)

WINDOW_S = 25
COUNTS: dict[Carrier, int] = {"att": 500, "verizon": 300, "tmobile": 200}
CAPS: dict[Carrier, Json] = {
    "att": {"sms_per_minute": 600},
    "verizon": {"sms_per_minute": 300, "sms_unit": "message"},
    "tmobile": {"segments_per_day": 50},
}


async def test_another_system_needs_nothing_but_the_events(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with (
        Platform(database_url=database_url, amqp_url=amqp_url, bus_prefix=bus_prefix) as platform,
        other_system(amqp_url, bus_prefix) as other,
        aiohttp.ClientSession(platform.url("sandbox")) as sandbox,
    ):
        now = datetime.now(UTC)
        launched = campaign_launched(opens_at=now, closes_in_s=WINDOW_S)
        texts = [
            message_queued(phone(carrier, index), now, carrier=carrier)
            for carrier, count in COUNTS.items()
            for index in range(count)
        ]
        await other.publish_batch("MessageQueued", texts[::10])
        await _register(other, sandbox, now)
        await other.publish("CampaignLaunched", launched)
        for text in texts[1::10]:
            await other.publish("MessageQueued", text)
        await other.publish_batch(
            "MessageQueued", [text for index, text in enumerate(texts) if index % 10 > 1]
        )
        # What is told twice is one text.
        await other.publish_batch("MessageQueued", texts[:100])

        await other.until(1, "NumberProvisioned", within_s=20)
        [purchased] = other.heard["NumberPurchased"]
        [provisioned] = other.heard["NumberProvisioned"]
        assert provisioned["outcome"] == "complete"
        assert provisioned["number"] == purchased["number"]
        assert purchased["number"].startswith("+1303")
        promised = {"window": launched["window"], "hours": launched["hours"]}
        await _tell(sandbox, f"/judge/hours/{purchased['number']}", promised)

        await other.until(1000, "MessageSent", "MessageFailed", within_s=WINDOW_S + 15)
        await other.until(len(other.heard["MessageSent"]), "MessageDelivered", within_s=15)
        bought_at = datetime.fromisoformat(purchased["purchased_at"])
        closes_at = datetime.fromisoformat(launched["window"]["closes_at"])
        _check_the_books(other, open_s=(closes_at - bought_at).total_seconds())

        async with sandbox.get("/judge") as answer:
            verdict = await answer.json()
        assert verdict["ok"], verdict
        assert verdict["messages"] == len(other.heard["MessageSent"])


async def _register(other: OtherSystem, sandbox: aiohttp.ClientSession, now: datetime) -> None:
    """The use case and its limits, to Sluice by events and to the carriers as they are."""
    await other.publish(
        "UseCaseRegistered",
        {"org_id": "acme", "use_case_id": "gotv", "provider_campaign_id": "CACME",
         "messaging_profile_id": "profile"},
    )  # fmt: skip
    for carrier, caps in CAPS.items():
        event = limits_changed(carrier, now, **caps)
        await other.publish("LimitsChanged", event)
        told = {**caps, "day_zone": event["day_zone"]}
        await _tell(sandbox, f"/sandbox/limits/CACME/{carrier}", told)


def _check_the_books(other: OtherSystem, *, open_s: float) -> None:
    """As much as the window let through, from the number on; and all of it accounted for."""
    sent = Counter(event["carrier"] for event in other.heard["MessageSent"])
    failed = Counter(event["carrier"] for event in other.heard["MessageFailed"])
    for carrier, per_minute in (("att", 600), ("verizon", 300)):
        room = per_minute / 60 * open_s
        assert 0.85 * room <= sent[carrier] <= room + 3
    assert (sent["tmobile"], failed["tmobile"]) == (50, 150)
    assert {carrier: sent[carrier] + failed[carrier] for carrier in COUNTS} == COUNTS
    assert {event["reason"] for event in other.heard["MessageFailed"]} == {"sending failed"}
    assert not other.heard["MessageUnclear"]


async def _tell(sandbox: aiohttp.ClientSession, path: str, document: Json) -> None:
    async with sandbox.put(path, json=document) as answer:
        assert answer.status < 300, await answer.text()
