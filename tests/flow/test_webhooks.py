"""An organization's own server hears what becomes of its campaigns: with real processes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Acme:
    """An organization with an admin, and one contact in a list."""

    org_id: str
    use_case_id: str
    contact_list_id: str
    admin_token: str
    admin: Site


async def organization(platform: Platform, session: aiohttp.ClientSession) -> Acme:
    """It, on a platform that has none yet."""
    api = Site(session, f"{platform.url('campaign')}/api/v1")
    sandbox = Site(session, platform.url("sandbox"))
    await sandbox.put(f"/sandbox/messaging_profiles/{PROFILE}", webhook_url="")
    await sandbox.put("/sandbox/campaigns/C1", brand="B1")
    operator = api.as_person(await platform.operator_token())
    org_id = (await operator.post("/organizations", name="A"))["organization_id"]
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
    return Acme(org_id, use_case["use_case_id"], contacts["contact_list_id"], ada["token"], admin)


async def launched(acme: Acme) -> str:
    """A campaign that buys its number; its id."""
    closes_at = datetime.now(UTC) + timedelta(hours=1)
    made = await acme.admin.post(
        "/campaigns",
        name="Spring",
        use_case_id=acme.use_case_id,
        contact_list_id=acme.contact_list_id,
        script="Will you vote?",
        window={"closes_at": closes_at.isoformat()},
        hours=OPEN,
    )
    campaign_id = str(made["campaign_id"])
    await acme.admin.post(f"/campaigns/{campaign_id}/launch")
    return campaign_id


@asynccontextmanager
async def acme_on(database_url: str, amqp_url: str, bus_prefix: str) -> AsyncIterator[Acme]:
    """The organization on a platform with two notifiers."""
    async with (
        Platform(
            database_url=database_url,
            amqp_url=amqp_url,
            bus_prefix=bus_prefix,
            services=("campaign", "provisioner", "notifier"),
            replicas={"notifier": 2},
        ) as platform,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session,
    ):
        yield await organization(platform, session)


async def came(theirs: Receiver, count: int) -> list[Any]:
    """The first posts, as soon as there are so many."""

    async def look() -> list[Any]:
        return theirs.got

    return list(await until(look, lambda got: len(got) >= count, 30))


async def test_provisioning_complete_is_posted_signed_with_the_secret_that_is_shown(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with acme_on(database_url, amqp_url, bus_prefix) as acme, receiver(503) as theirs:
        admin = acme.admin

        await admin.put("/webhook", url=theirs.url, notices=["provisioning complete"])
        secret = (await admin.get("/webhook/secret"))["secret"]
        campaign_id = await launched(acme)
        refused, got = await came(theirs, 2)
        assert refused.notice_id == got.notice_id
        said = Webhook(secret).verify(got.content, got.headers)
        assert said["type"] == "NumberProvisioned"
        assert (said["data"]["org_id"], said["data"]["campaign_id"]) == (acme.org_id, campaign_id)
        assert said["data"]["outcome"] == "complete"

        await admin.post("/webhook/secret/replace")
        second = (await admin.get("/webhook/secret"))["secret"]
        assert second != secret
        # Long before the carriers confirm the next number, the notifier knows of it.
        await launched(acme)
        *_, got = await came(theirs, 3)
        assert Webhook(secret).verify(got.content, got.headers) == Webhook(second).verify(
            got.content, got.headers
        )
        assert len({one.notice_id for one in theirs.got}) == 2


async def test_an_admin_sees_whether_what_is_posted_gets_there(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with acme_on(database_url, amqp_url, bus_prefix) as acme, receiver() as theirs:

        async def until_shown(state: str) -> Any:
            return await until(
                lambda: acme.admin.get("/webhook"), lambda found: found["state"] == state, 30
            )

        theirs.answers += [500] * 20
        made = await acme.admin.put("/webhook", url=theirs.url, notices=["provisioning complete"])
        assert (made["state"], made["error"]) == ("new", None)
        await launched(acme)
        assert (await until_shown("failing"))["error"] == "answered 500"
        theirs.answers.clear()
        assert (await until_shown("working"))["error"] is None
        theirs.answers.append(410)
        await launched(acme)
        assert (await until_shown("stopped"))["error"] == "answered 410"
        again = await acme.admin.put("/webhook", url=theirs.url)
        assert (again["state"], again["error"]) == ("new", None)
