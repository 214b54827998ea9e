"""Letters as they arrive, from two replicas of the notifier, by real processes."""

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import partial

import aiohttp

from deploy.demo.api import Site
from deploy.local.platform import Platform
from tests.flow.test_admin_in_control import until
from tests.flow.test_webhooks import launched, organization
from tests.letters_read import Page, part
from tests.other_system import iso, other_system


async def arrived(platform: Platform, title: str) -> EmailMessage:
    return await platform.mailbox.wait_for(lambda mail: mail["Subject"] == f"{title}: Spring")


async def test_a_campaigns_letters_arrive_once_each_and_lead_to_its_details(
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
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session,
        other_system(amqp_url, bus_prefix) as other,
    ):
        acme = await organization(platform, session)
        campaign_id = await launched(acme)
        complete = await arrived(platform, "Provisioning Complete")

        page = Page(part(complete, "html"))
        (link,) = [str(attrs["href"]) for tag, attrs in page.tags if tag == "a"]
        assert link in part(complete, "plain")
        bearer = {"Authorization": f"Bearer {acme.admin_token}"}
        async with session.get(link, headers=bearer) as response:
            assert (await response.json())["campaign_id"] == campaign_id

        about = {"org_id": acme.org_id, "campaign_id": campaign_id}
        now = iso(datetime.now(UTC))
        held = {"carrier": "att", "state": "refused", "reason": "no", "held_at": now}
        risk = {
            "name": "Spring", "launched_by": {"name": "Ada", "email": "ada@example.org"},
            "window": {"opens_at": now, "closes_at": iso(datetime.now(UTC) + timedelta(hours=1))},
            "revision": 1, "failing": 9, "safe_end_at": None, "forecast_at": now,
        }  # fmt: skip
        for _ in range(3):
            await other.publish("CampaignHeld", {**about, **held})
            await other.publish("WindowAtRisk", {**about, **risk})
        await arrived(platform, "Messages to AT&T on Hold")
        await arrived(platform, "Sending Window at Risk")
        for index in range(2):
            ops = Site(session, platform.ops_url("notifier", index))
            await until(partial(ops.get, "/notices"), lambda page: page["notices"] == [])
        assert len(platform.mailbox.mails) == 3
