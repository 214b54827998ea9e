"""Campaigns in the stories of several tests: their numbers, clicks, clones and follow-ups."""

from datetime import timedelta
from typing import Any

from shared.events import (
    Carriers,
    CarrierState,
    NumberProvisioned,
    NumberPurchased,
    Person,
)
from shared.rules.hours import Window
from tests.campaign_desk import NOON, Desk, Organization, Sender

NUMBER = "+12125550100"


async def numbered(
    office: Desk,
    acme: Organization,
    campaign_id: str,
    outcome: Any = "complete",
    number: Any = NUMBER,
    reason: str | None = None,
) -> None:
    """The campaign has its number, and the carriers have spoken."""
    said = CarrierState(state="confirmed" if outcome == "complete" else "refused", at=NOON)
    if number is not None:
        await office.hear(
            NumberPurchased(
                org_id=acme.org_id, campaign_id=campaign_id, use_case_id=acme.use_case_id,
                number=number, purchased_at=NOON,
            )
        )  # fmt: skip
    await office.hear(
        NumberProvisioned(
            org_id=acme.org_id, campaign_id=campaign_id, name="Spring", number=number,
            outcome=outcome, carriers=Carriers(att=said, tmobile=said, verizon=said),
            reason=reason if outcome == "complete" else "att refused the number",
            launched_by=Person(name="Ada", email="ada@example.org"),
            window=Window(NOON, NOON + timedelta(hours=1)), took_s=5,
        )
    )  # fmt: skip


async def texted(office: Desk, sue: Sender, campaign_id: str, count: int) -> list[str]:
    """Click on so many of Sue's texts; their ids."""
    path = f"/campaigns/{campaign_id}/assignment?limit=100"
    work = await office.good("GET", path, sue.token)
    ids = [one["message_id"] for one in work["messages"][:count]]
    assert len(ids) == count
    for message_id in ids:
        await office.good("POST", f"/messages/{message_id}/send", sue.token)
    return ids


async def launched(office: Desk, acme: Organization, campaign_id: str) -> Any:
    return (await office.good("POST", f"/campaigns/{campaign_id}/launch", acme.admin)).body


async def cloned(office: Desk, acme: Organization, campaign_id: str, **differs: Any) -> Any:
    wanted = {"name": "Again", **differs}
    return (await office.good("POST", f"/campaigns/{campaign_id}/clone", acme.admin, **wanted)).body


async def followed(office: Desk, acme: Organization, campaign_id: str, **differs: Any) -> Any:
    wanted = {"name": "Still there?", "script": "Hi again {first_name}", **differs}
    path = f"/campaigns/{campaign_id}/follow-up"
    return (await office.good("POST", path, acme.admin, **wanted)).body


async def phones(office: Desk, acme: Organization, campaign_id: str) -> list[str]:
    """To whom its texts go, in order."""
    path = f"/campaigns/{campaign_id}/messages?limit=1000"
    return sorted(one["to"] for one in (await office.good("GET", path, acme.admin))["items"])


def about(acme: Organization, campaign_id: str, message_id: str, **differs: Any) -> dict[str, Any]:
    return {
        "org_id": acme.org_id, "campaign_id": campaign_id, "message_id": message_id,
        "carrier": "att", "segments": 1, "at": NOON + timedelta(seconds=5), **differs,
    }  # fmt: skip
