"""What tests ask about a campaign's senders, and have them do."""

from typing import Any

from shared.events import MessageReceived
from tests.campaign_desk import Desk, Organization, Sender


async def senders_of(acme: Organization, campaign_id: str) -> dict[str, Any]:
    page = await acme.desk.good("GET", f"/campaigns/{campaign_id}/senders", acme.admin)
    return {one["person_id"]: one for one in page["items"]}


async def numbers_of(acme: Organization, campaign_id: str, *senders: Sender) -> list[int]:
    """How many texts lie with each of these."""
    found = await senders_of(acme, campaign_id)
    return [found[sender.person_id]["assigned"] for sender in senders]


async def texts_of(office: Desk, campaign_id: str, sender: Sender) -> list[str]:
    waiting = await office.good(
        "GET", f"/campaigns/{campaign_id}/assignment?limit=1000", sender.token
    )
    return [one["message_id"] for one in waiting["messages"]]


async def send(office: Desk, sender: Sender, message_id: str) -> None:
    await office.good("POST", f"/messages/{message_id}/send", sender.token)


async def answer_from(office: Desk, acme: Organization, campaign_id: str, row: int) -> None:
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender=f"+1303200{row:04d}",
            to="+12125550100", text="Who is this?", received_at=office.clock.at,
        )
    )  # fmt: skip


async def talks_of(office: Desk, sender: Sender) -> list[str]:
    page = await office.good("GET", "/conversations", sender.token)
    return sorted(one["phone"] for one in page["items"])


async def acts(office: Desk, campaign_id: str) -> list[tuple[str, Any, Any]]:
    async with office.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT act, before, after FROM audit WHERE subject_id = $1 ORDER BY audit_id",
            campaign_id,
        )
    return [(row["act"], row["before"], row["after"]) for row in rows]
