"""What campaigns on one number do to each other, until it is given back: with real processes."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from deploy.demo.api import Refused
from tests.flow.test_admin_in_control import Campaign, campaign, until

RESTS_S = 3
"""From the archive of a number's last campaign until it is given back."""
SLOW = {"att": 2.5, "tmobile": 2.5, "verizon": 2.5}
"""Until the carriers confirm a number: seconds."""


def window() -> dict[str, str]:
    return {"closes_at": (datetime.now().astimezone() + timedelta(hours=1)).isoformat()}


async def complete(run: Campaign) -> Any:
    return await until(
        run.details, lambda details: details["provisioning"]["status"] == "complete", 30
    )


async def talks(run: Campaign) -> dict[str, Any]:
    """The campaign's conversations by phone."""
    campaign_id = run.path.rpartition("/")[2]
    page = await run.admin.get("/conversations", campaign_id=campaign_id, tab="replied", limit=1000)
    return {one["phone"]: one for one in page["items"]}


async def texts(run: Campaign, phone: str, number: str, words: str) -> None:
    """A contact writes to the campaign's number."""
    await run.sandbox.post(f"/sandbox/phones/{phone}/texts", to=number, text=words)


async def test_a_number_lives_as_long_as_a_campaign_is_on_it(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    rest = {"provisioner": {"SLUICE_RELEASE_AFTER_S": str(RESTS_S)}}
    async with campaign(database_url, amqp_url, bus_prefix, rest) as original:
        number = (await original.details())["number"]
        first, second = (await original.texts("assigned"))[:2]
        await original.click(first["message_id"])
        await original.click(second["message_id"])
        await until(original.details, lambda found: found["counts"].get("delivered") == 2)

        draft = await original.admin.post(
            f"{original.path}/follow-up",
            name="Once more",
            script="Did you vote?",
            targeting={"statuses": ["delivered"]},
        )
        follow_up = await original.launch(draft)
        assert (await complete(follow_up))["number"] == number
        again = await follow_up.texts("assigned")
        assert sorted(one["to"] for one in again) == sorted([first["to"], second["to"]])
        [to_first] = [one for one in again if one["to"] == first["to"]]
        await follow_up.click(to_first["message_id"])
        await original.until_arrived(3)

        # Each contact means the campaign that texted them last.
        await texts(original, first["to"], number, "I did")
        await texts(original, second["to"], number, "Who is this?")
        await until(lambda: talks(follow_up), lambda found: list(found) == [first["to"]])
        await until(lambda: talks(original), lambda found: list(found) == [second["to"]])

        # Also after the archive: readable, no answer possible.
        await original.admin.post(f"{original.path}/archive")
        await texts(original, second["to"], number, "Hello?")
        found = await until(
            lambda: talks(original), lambda found: found[second["to"]]["last_text"] == "Hello?"
        )
        talk_id = found[second["to"]]["conversation_id"]
        with pytest.raises(Refused) as refused:
            await original.sender.post(f"/conversations/{talk_id}/replies", text="It is Sue")
        assert refused.value.status == 409
        details = await until(
            original.details, lambda found: found["counts"].get("campaign closed", 0) > 200
        )
        await asyncio.sleep(RESTS_S + 2)
        details = await original.details()
        assert (details["number"], details["provisioning"]["released_at"]) == (number, None)

        archived = await follow_up.admin.post(f"{follow_up.path}/archive")
        for one in (original, follow_up):
            details = await until(
                one.details, lambda found: found["provisioning"]["released_at"] is not None, 30
            )
            gone_at = datetime.fromisoformat(details["provisioning"]["released_at"])
            rested = gone_at - datetime.fromisoformat(archived["archived_at"])
            assert rested >= timedelta(seconds=RESTS_S - 1)
        with pytest.raises(Refused, match="given back") as refused:
            await original.admin.post(f"{original.path}/follow-up", name="Late", script="Hi")
        assert refused.value.status == 409
        assert (await original.sandbox.get("/judge"))["ok"] is True


async def arrivals(run: Campaign, message_id: str) -> list[datetime]:
    return [
        datetime.fromisoformat(entry["arrived_at"])
        for entry in await run.ledger()
        if entry["message_id"] == message_id
    ]


async def goes_once_confirmed(run: Campaign) -> None:
    """A text that is clicked before the number's provisioning is complete goes right after it."""
    [text, *_] = await run.texts("assigned")
    queued = await run.sender.post(f"/messages/{text['message_id']}/send")
    assert queued["note"] == "Queued: it goes once the number's provisioning is complete."
    details = await complete(run)
    confirmed_at = max(
        datetime.fromisoformat(one["at"]) for one in details["provisioning"]["carriers"].values()
    )
    [arrived_at] = await until(lambda: arrivals(run, text["message_id"]), bool)
    assert arrived_at >= confirmed_at - timedelta(milliseconds=100)


async def test_what_is_held_goes_when_its_number_is_confirmed_also_one_that_rested(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with campaign(database_url, amqp_url, bus_prefix) as run:
        await run.sandbox.put("/sandbox/behaviour", confirmation_delay_s=SLOW)
        draft = await run.admin.post(f"{run.path}/clone", name="Held", window=window())
        path = f"/campaigns/{draft['campaign_id']}"
        await run.admin.patch(path, hold_until_provisioned=True)
        held = await run.launch(draft)
        await goes_once_confirmed(held)

        # Its last campaign's archive takes the number off its use case; a follow-up puts it back.
        await run.admin.post(f"{held.path}/archive")
        await asyncio.sleep(3)
        draft = await run.admin.post(
            f"{held.path}/follow-up", name="Later", script="And?", window=window()
        )
        assert draft["hold_until_provisioned"] is True
        follow_up = await run.launch(draft)
        await goes_once_confirmed(follow_up)
        assert (await follow_up.details())["number"] == (await held.details())["number"]
