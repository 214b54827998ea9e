"""A campaign in its senders' hands, as far as most tests of their work need it."""

from typing import Any

from shared.events import MessageReceived
from tests.campaign_desk import Desk, Organization, Sender

PHONE = "+13032000000"


async def launched(office: Desk, **differs: Any) -> tuple[Organization, Sender, str, list[str]]:
    """A campaign of one sender, with the ids of their texts."""
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue, **differs)
    return acme, sue, campaign_id, [one["message_id"] for one in await work(office, sue)]


async def work(office: Desk, sender: Sender, query: str = "") -> list[Any]:
    (line,) = (await office.good("GET", "/assignments", sender.token))["items"]
    path = f"/campaigns/{line['campaign_id']}/assignment{query}"
    found: list[Any] = (await office.good("GET", path, sender.token))["messages"]
    return found


async def writes(office: Desk, acme: Organization, campaign_id: str, phone: str = PHONE) -> None:
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender=phone, to="+12125550100",
            text="Who is this?", received_at=office.clock.at,
        )
    )  # fmt: skip


async def talk(office: Desk, **differs: Any) -> tuple[Organization, Sender, str, str]:
    """A conversation that waits for its sender."""
    acme, sue, campaign_id, ids = await launched(office, **differs)
    await office.good("POST", f"/messages/{ids[0]}/send", sue.token)
    office.clock.advance(60)
    await writes(office, acme, campaign_id)
    found = await office.good("GET", "/conversations?waiting=true", sue.token)
    return acme, sue, campaign_id, found["items"][0]["conversation_id"]


async def status_of(office: Desk, acme: Organization, message_id: str) -> str:
    found: str = (await office.good("GET", f"/messages/{message_id}", acme.admin))["status"]
    return found
