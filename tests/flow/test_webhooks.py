"""An organization's own server hears what becomes of its campaigns: with real processes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from standardwebhooks import Webhook

from deploy.demo.api import Site
from deploy.local.platform import Platform
from tests.flow.test_admin_in_control import until
from tests.posting import Receiver, receiver

PROFILE = "profile"
OPEN = {"opens": "00:00", "closes": "24:00", "time_zone": "Etc/UTC"}


async def launched(admin: Site, use_case_id: str, name: str, contact_list_id: str) -> str:
    """A campaign that buys its number; its id."""
    closes_at = datetime.now(UTC) + timedelta(hours=1)
    made = await admin.post(
        "/campaigns",
        name=name,
        use_case_id=use_case_id,
        contact_list_id=contact_list_id,
        script="Will you vote?",
        window={"closes_at": closes_at.isoformat()},
        hours=OPEN,
    )
    campaign_id = str(made["campaign_id"])
    await admin.post(f"/campaigns/{campaign_id}/launch")
    return campaign_id


async def came(theirs: Receiver, count: int) -> list[Any]:
    """The first posts, as soon as there are so many."""

    async def look() -> list[Any]:
        return theirs.got

    return list(await until(look, lambda got: len(got) >= count, 30))


async def test_provisioning_complete_is_posted_signed_with_the_secret_that_is_shown(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with (
        Platform(
            database_url=database_url,
            amqp_url=amqp_url,
            bus_prefix=bus_prefix,
            services=("campaign", "provisioner", "notifier"),
            replicas={"notifier": 2},
        ) as platform,
        receiver(503) as theirs,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session,
    ):
        api = Site(session, f"{platform.url('campaign')}/api/v1")
        sandbox = Site(session, platform.url("sandbox"))
        await sandbox.put(f"/sandbox/messaging_profiles/{PROFILE}", webhook_url="")
        await sandbox.put("/sandbox/campaigns/C1", brand="B1")
        operator = api.as_person(await platform.operator_token())
        made = await operator.post("/organizations", name="A")
        org_id = made["organization_id"]
        use_case = await operator.post(
            f"/organizations/{org_id}/use-cases",
            name="Votes",
            provider_campaign_id="C1",
            messaging_profile_id=PROFILE,
        )
        ada = await operator.post(
            f"/organizations/{org_id}/people", name="Ada", email="ada@example.org", role="admin"
        )
        admin = api.as_person(ada["token"])
        contacts = await admin.upload("/contact-lists", b"phone\n+12125550100\n", name="all")
        plan = (use_case["use_case_id"], "Spring", contacts["contact_list_id"])

        await admin.put("/webhook", url=theirs.url, notices=["provisioning complete"])
        secret = (await admin.get("/webhook/secret"))["secret"]
        campaign_id = await launched(admin, *plan)
        refused, got = await came(theirs, 2)
        assert refused.notice_id == got.notice_id
        said = Webhook(secret).verify(got.content, got.headers)
        assert said["type"] == "NumberProvisioned"
        assert (said["data"]["org_id"], said["data"]["campaign_id"]) == (org_id, campaign_id)
        assert said["data"]["outcome"] == "complete"

        await admin.post("/webhook/secret/replace")
        second = (await admin.get("/webhook/secret"))["secret"]
        assert second != secret
        # Long before the carriers confirm the next number, the notifier knows of it.
        await launched(admin, *plan)
        *_, got = await came(theirs, 3)
        assert Webhook(secret).verify(got.content, got.headers) == Webhook(second).verify(
            got.content, got.headers
        )
        assert len({one.notice_id for one in theirs.got}) == 2
