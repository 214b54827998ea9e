"""Two campaigns on one dedicated number, and those after them: with real processes."""

import asyncio
from datetime import datetime
from typing import Any

from tests.flow.test_admin_in_control import Campaign, campaign, until
from tests.flow.test_lives_of_numbers import RESTS_S, complete, talks, texts, window


async def dedicated(run: Campaign, name: str) -> Campaign:
    """A campaign to all of its contacts, on the use case's dedicated number."""
    draft = await run.admin.post(f"{run.path}/clone", name=name, contacts="all", window=window())
    await run.admin.patch(f"/campaigns/{draft['campaign_id']}", dedicated_number=True)
    return await run.launch(draft)


async def click(run: Campaign, phone: str) -> None:
    [text] = [one for one in await run.texts("assigned") if one["to"] == phone]
    await run.click(text["message_id"])


async def arrived(run: Campaign, phone: str, count: int) -> list[Any]:
    """What has arrived for a phone, as soon as it is so much."""

    async def look() -> list[Any]:
        return [entry for entry in await run.ledger() if entry["to"] == phone]

    return list(await until(look, lambda entries: len(entries) >= count))


async def test_a_dedicated_number_is_bought_once_used_by_many_campaigns_and_kept_by_every_archive(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    rest = {"provisioner": {"SLUICE_RELEASE_AFTER_S": str(RESTS_S)}}
    async with campaign(database_url, amqp_url, bus_prefix, rest) as original:
        spring = await dedicated(original, "Spring")
        summer = await dedicated(original, "Summer")
        number = (await complete(spring))["number"]
        assert (await complete(summer))["number"] == number
        assert number != (await complete(original))["number"]

        ann, bob = (one["to"] for one in (await spring.texts("assigned"))[:2])
        await click(spring, ann)
        await click(spring, bob)
        await arrived(spring, ann, 1)
        await arrived(spring, bob, 1)
        await click(summer, ann)
        entries = [*await arrived(summer, ann, 2), *await arrived(summer, bob, 1)]
        assert {entry["from"] for entry in entries} == {number}

        # Each contact means the campaign that texted them last.
        await texts(original, ann, number, "I will be there")
        await texts(original, bob, number, "Who is this?")
        await until(lambda: talks(summer), lambda found: list(found) == [ann])
        await until(lambda: talks(spring), lambda found: list(found) == [bob])

        # The archive of one leaves the number to the other.
        await spring.admin.post(f"{spring.path}/archive")
        await asyncio.sleep(RESTS_S + 1)
        await click(summer, bob)
        entries = await arrived(summer, bob, 2)
        assert {entry["from"] for entry in entries} == {number}

        # That of both, to whoever comes next.
        await summer.admin.post(f"{summer.path}/archive")
        await asyncio.sleep(RESTS_S + 1)
        autumn = await dedicated(original, "Autumn")
        details = await complete(autumn)
        assert (details["number"], details["provisioning"]["released_at"]) == (number, None)
        assert "dedicated number" in details["provisioning"]["reason"]
        launched_at = datetime.fromisoformat(details["launched_at"])
        waited = datetime.fromisoformat(details["provisioning"]["since"]) - launched_at
        assert waited.total_seconds() < 3
        await click(autumn, ann)
        await arrived(autumn, ann, 3)
        assert (await original.sandbox.get("/judge"))["ok"] is True
