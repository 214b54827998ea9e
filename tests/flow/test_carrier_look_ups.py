"""A list without carriers, through all that there is: file, API, broker, collider, provider."""

import asyncio
from collections import Counter
from typing import Any

import aiohttp

from deploy.demo.api import Site
from deploy.local.platform import Platform
from shared.fields import Carrier
from tests.engine import phone

CARRIERS: tuple[Carrier, ...] = ("att", "tmobile", "verizon", "other")
OF_EACH = 40
WITHIN_S = 60


async def test_carriers_that_the_file_does_not_name_are_looked_up_in_the_background(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    truth = {phone(carrier, index): carrier for carrier in CARRIERS for index in range(OF_EACH)}
    known = phone("att", OF_EACH)
    async with (
        Platform(
            database_url=database_url,
            amqp_url=amqp_url,
            bus_prefix=bus_prefix,
            services=("campaign", "collider"),
        ) as platform,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session,
    ):
        api = Site(session, f"{platform.url('campaign')}/api/v1")
        operator = api.as_person(await platform.operator_token())
        made = await operator.post("/organizations", name="A")
        ada = await operator.post(
            f"/organizations/{made['organization_id']}/people",
            name="Ada",
            email="ada@example.org",
            role="admin",
        )
        admin = api.as_person(ada["token"])
        table = "\n".join(["phone,carrier", f"{known},AT&T", *truth]).encode()
        uploaded = await admin.upload("/contact-lists", table, name="all", look_up="true")
        assert uploaded["carriers"] == {"att": 1, "unknown": len(truth)}
        shown = await _looked_up(admin, uploaded["contact_list_id"])
        progress = shown["look_up"]
        assert {name: progress[name] for name in ("contacts", "asked", "found", "unknown")} == {
            "contacts": 4 * OF_EACH, "asked": 4 * OF_EACH, "found": 3 * OF_EACH,
            "unknown": OF_EACH,
        }  # fmt: skip
        # A network that is none of the three is told as little as none at all: its texts go by
        # the limits of `other` either way.
        found = ["unknown" if carrier == "other" else carrier for carrier in truth.values()]
        assert shown["carriers"] == Counter([*found, "att"])


async def _looked_up(admin: Site, contact_list_id: str) -> Any:
    async with asyncio.timeout(WITHIN_S):
        while True:
            shown = await admin.get(f"/contact-lists/{contact_list_id}")
            if shown["look_up"]["left"] == 0:
                return shown
            await asyncio.sleep(0.1)
