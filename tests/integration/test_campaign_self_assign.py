"""Self-assign: senders take batches of what nobody has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from aiohttp.test_utils import TestClient, TestServer

from services.campaign.api.app import create_app
from services.campaign.settings import CampaignSettings
from services.campaign.store.scope import API_ROLE
from shared.database import Database
from tests.campaign_desk import NOON, Desk
from tests.campaign_senders import send, texts_of

HOUR = timedelta(hours=1)


@asynccontextmanager
async def replica(office: Desk, database_url: str) -> AsyncIterator[Desk]:
    """Another API on the same database, with a pool of its own."""
    settings = CampaignSettings.model_validate(
        {"database_url": database_url, "amqp_url": "amqp://127.0.0.1/"}
    )
    async with (
        await Database.open(
            database_url, "campaign", size=6, clock=office.clock, role=API_ROLE
        ) as api,
        TestClient(TestServer(create_app(api, settings))) as client,
    ):
        yield Desk(office.database, client, office.clock, office.operator)


async def test_senders_who_ask_many_replicas_at_once_never_get_the_same_message(
    office: Desk, database_url: str
) -> None:
    acme = await office.organization()
    twelve = [await acme.sender(f"S{number}") for number in range(12)]
    campaign_id = await acme.launch(
        contact_list_id=await acme.contacts(500), self_assign={"enabled": True, "batch_size": 45}
    )
    path = f"/campaigns/{campaign_id}"
    people = [sender.person_id for sender in twelve]
    await office.good("POST", f"{path}/senders", acme.admin, person_ids=people)
    async with (
        replica(office, database_url) as second,
        replica(office, database_url) as third,
    ):
        replies = await asyncio.gather(
            *(
                place.good("POST", f"{path}/assignments", sender.token)
                for sender in twelve
                for place in (office, second, third, office, second, third)
            )
        )
    assert sum(reply["assigned"] for reply in replies) == 500
    lists = [await texts_of(office, campaign_id, sender) for sender in twelve]
    assert max(len(one) for one in lists) <= 45
    ids = [message_id for one in lists for message_id in one]
    assert len(ids) == len(set(ids)) == 500


async def test_a_sender_takes_a_batch_again_once_they_have_sent_or_skipped_some(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(self_assign={"enabled": True, "batch_size": 4})
    path = f"/campaigns/{campaign_id}"
    await office.good("POST", f"{path}/senders", acme.admin, person_ids=[sue.person_id])
    first = await office.good("POST", f"{path}/assignments", sue.token)
    again = await office.good("POST", f"{path}/assignments", sue.token)
    assert (first["assigned"], again["assigned"]) == (4, 0)
    assert again["note"] == "You have a batch in hand: send or skip its texts first."
    assert again["messages"] == first["messages"]
    await send(office, sue, first["messages"][0]["message_id"])
    skipped = first["messages"][1]["message_id"]
    await office.good("POST", f"/messages/{skipped}/skip", sue.token)
    assert (await office.good("POST", f"{path}/assignments", sue.token))["assigned"] == 2
    # A smaller batch may be wanted, and the admin may change the size.
    await office.good("PATCH", path, acme.admin, self_assign={"enabled": True, "batch_size": 100})
    assert (await office.good("POST", f"{path}/assignments", sue.token, count=1))["assigned"] == 1
    # The last batch is smaller, and none left is an answer.
    assert (await office.good("POST", f"{path}/assignments", sue.token))["assigned"] == 3
    none = await office.good("POST", f"{path}/assignments", sue.token)
    assert (none["assigned"], none["note"]) == (0, "None are left to assign.")


async def test_batches_before_the_start_while_paused_and_after_the_archive(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    tomorrow = {
        "opens_at": (NOON + 22 * HOUR).isoformat(),
        "closes_at": (NOON + 24 * HOUR).isoformat(),
    }
    campaign_id = await acme.launch(window=tomorrow)
    path = f"/campaigns/{campaign_id}"
    await office.good("POST", f"{path}/senders", acme.admin, person_ids=[sue.person_id])

    async def ask() -> tuple[int, str | None]:
        got = await office.good("POST", f"{path}/assignments", sue.token)
        return got["assigned"], got["note"]

    assert await ask() == (0, "Inbox Zero: the campaign has not started yet.")
    office.clock.at += 22 * HOUR
    await office.good("POST", f"{path}/pause", acme.admin)
    assert await ask() == (4, None)
    office.clock.at += 2 * HOUR
    assert (await ask())[0] == 0
    await office.good("POST", f"{path}/archive", acme.admin)
    assert await ask() == (
        0, "Inbox Zero: the campaign is archived, nothing of it can be sent any more.",
    )  # fmt: skip
