"""Another system does not know its recipients' carriers; the collider finds them out by itself."""

from datetime import UTC, datetime

import aiohttp

from deploy.local.platform import Platform
from shared.fields import Carrier
from tests.engine import phone
from tests.other_system import campaign_launched, message_queued, other_system

NUMBER = "+12125550100"
CARRIERS: tuple[Carrier, ...] = ("att", "tmobile", "verizon", "other")


async def test_texts_without_a_carrier_go_by_their_recipients_own(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with (
        Platform(
            database_url=database_url,
            amqp_url=amqp_url,
            bus_prefix=bus_prefix,
            services=("collider",),
        ) as platform,
        other_system(amqp_url, bus_prefix) as other,
        aiohttp.ClientSession(platform.url("sandbox")) as sandbox,
    ):
        now = datetime.now(UTC)
        bought = {"messaging_profile_id": "profile", "campaign_id": "CACME"}
        async with sandbox.put(f"/sandbox/numbers/{NUMBER}", json=bought) as answer:
            assert answer.status == 200
        moved = phone("att", 9)
        async with sandbox.put(f"/sandbox/carriers/{moved}", json={"carrier": "verizon"}) as answer:
            assert answer.status == 200
        truth = {phone(carrier, index): carrier for carrier in CARRIERS for index in range(5)}

        texts = [message_queued(to, now) for to in truth]
        # Some come before the launch, some after it.
        await other.publish_batch("MessageQueued", texts[::2])
        launched = campaign_launched(opens_at=now, closes_in_s=3600)
        await other.publish("CampaignLaunched", {**launched, "number": NUMBER})
        await other.publish_batch("MessageQueued", texts[1::2])
        await other.until(len(texts), "MessageSent", within_s=30)
        went_by = {event["message_id"]: event["carrier"] for event in other.heard["MessageSent"]}
        assert {text["to"]: went_by[text["message_id"]] for text in texts} == truth

        # An old list is corrected by the first text's receipt.
        for _ in range(2):
            heard = len(other.heard["MessageDelivered"])
            await other.publish("MessageQueued", message_queued(moved, now, carrier="att"))
            await other.until(max(heard, len(texts)) + 1, "MessageDelivered", within_s=15)
        last = [event["carrier"] for event in other.heard["MessageSent"][-2:]]
        assert last == ["att", "verizon"]
