"""Another system runs a campaign that our campaign service has never heard of."""

from collections import Counter
from datetime import UTC, datetime

import aiohttp

from deploy.local.platform import Platform
from shared.events import Carrier
from tests.engine import phone
from tests.other_system import Json, campaign_launched, limits_changed, message_queued, other_system

WINDOW_S = 25


async def test_another_system_needs_nothing_but_the_events(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with (
        Platform(database_url=database_url, amqp_url=amqp_url, bus_prefix=bus_prefix) as platform,
        other_system(amqp_url, bus_prefix) as other,
        aiohttp.ClientSession(platform.url("sandbox")) as sandbox,
    ):
        now = datetime.now(UTC)
        caps: dict[str, Json] = {
            "att": {"sms_per_minute": 600},
            "tmobile": {"segments_per_day": 50},
            "verizon": {"sms_per_minute": 300, "sms_unit": "message"},
        }
        counts: dict[Carrier, int] = {"att": 500, "verizon": 300, "tmobile": 200}
        texts = [
            message_queued(phone(carrier, index), now, carrier=carrier)
            for carrier, count in counts.items()
            for index in range(count)
        ]
        early, single, rest = texts[::10], texts[1::10], [
            text for index, text in enumerate(texts) if index % 10 > 1
        ]  # fmt: skip

        await other.publish_batch("MessageQueued", early)
        await other.publish(
            "UseCaseRegistered",
            {"org_id": "acme", "use_case_id": "gotv", "provider_campaign_id": "CACME",
             "messaging_profile_id": "profile"},
        )  # fmt: skip
        for carrier, limits in caps.items():
            event = limits_changed(carrier, now, **limits)
            await other.publish("LimitsChanged", event)
            told = {key: event[key] for key in limits} | {"day_zone": event["day_zone"]}
            await _tell(sandbox, f"/sandbox/limits/CACME/{carrier}", told)
        launched = campaign_launched(opens_at=now, closes_in_s=WINDOW_S)
        await other.publish("CampaignLaunched", launched)
        for text in single:
            await other.publish("MessageQueued", text)
        await other.publish_batch("MessageQueued", rest)
        # What is told twice is one text.
        await other.publish_batch("MessageQueued", rest[:100])

        await other.until(1, "NumberProvisioned", within_s=20)
        [purchased] = other.heard["NumberPurchased"]
        [provisioned] = other.heard["NumberProvisioned"]
        assert provisioned["outcome"] == "complete"
        assert provisioned["number"] == purchased["number"]
        assert purchased["number"].startswith("+1303")
        await _tell(
            sandbox,
            f"/judge/hours/{purchased['number']}",
            {"window": launched["window"], "hours": launched["hours"]},
        )

        await other.until(1000, "MessageSent", "MessageFailed", within_s=WINDOW_S + 15)
        await other.until(len(other.heard["MessageSent"]), "MessageDelivered", within_s=15)

        sent = Counter(event["carrier"] for event in other.heard["MessageSent"])
        failed = Counter(event["carrier"] for event in other.heard["MessageFailed"])
        # As much as the window let through, less the wait for the number; all of it accounted for.
        assert 180 <= sent["att"] <= 260
        assert sent["att"] + failed["att"] == 500
        assert 80 <= sent["verizon"] <= 130
        assert sent["verizon"] + failed["verizon"] == 300
        assert (sent["tmobile"], failed["tmobile"]) == (50, 150)
        assert {event["reason"] for event in other.heard["MessageFailed"]} == {"sending failed"}
        assert not other.heard["MessageUnclear"]

        async with sandbox.get("/judge") as answer:
            verdict = await answer.json()
        assert verdict["ok"], verdict
        assert verdict["messages"] == sum(sent.values())


async def _tell(sandbox: aiohttp.ClientSession, path: str, document: Json) -> None:
    async with sandbox.put(path, json=document) as answer:
        assert answer.status < 300, await answer.text()
