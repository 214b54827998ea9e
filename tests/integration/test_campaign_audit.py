"""A campaign's trail: launch, edits, senders, settlements; who, when, before, after."""

from datetime import timedelta

from shared.events import MessageUnclear
from tests.campaign_desk import NOON, Desk

LATER = "2026-10-25T21:00:00-04:00"


async def test_launches_window_limit_and_sender_edits_and_settlements_are_written_down(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue, sam = await acme.sender("Sue"), await acme.sender("Sam")
    ada = (await office.good("GET", "/me", acme.admin))["person_id"]
    campaign_id = await acme.launch(sue)
    path = f"/campaigns/{campaign_id}"
    work = await office.good("GET", f"{path}/assignment", sue.token)
    lost = [one["message_id"] for one in work["messages"][:2]]
    for message_id in lost:
        await office.good("POST", f"/messages/{message_id}/send", sue.token)
    await office.hear(
        *(
            MessageUnclear(
                org_id=acme.org_id, campaign_id=campaign_id, message_id=one, carrier="att",
                at=NOON + timedelta(seconds=1), segments=1,
            )
            for one in lost
        )
    )  # fmt: skip
    was = (await acme.details(campaign_id))["window"]["closes_at"]
    moved = office.clock.advance(60)
    await office.good("PATCH", path, acme.admin, window={"closes_at": LATER})
    await office.good("POST", f"{path}/senders", acme.admin, person_ids=[sam.person_id])
    await office.good("DELETE", f"{path}/senders/{sam.person_id}", acme.admin)
    await office.good("POST", f"/messages/{lost[0]}/settle", acme.admin, outcome="sent")
    await office.good("POST", f"{path}/unclear/settle", acme.admin, outcome="failed")
    await office.good("POST", f"{path}/pause", acme.admin)
    await office.good("POST", f"{path}/archive", acme.admin)

    trail = (await office.good("GET", f"/audit?person_id={ada}", acme.admin))["items"]
    acts = {act["act"]: act for act in reversed(trail)}
    assert {
        "campaign launched",
        "campaign edited",
        "senders added",
        "sender removed",
        "text settled",
        "unclear texts settled",
        "campaign paused",
        "campaign archived",
    } <= acts.keys()
    edited = acts["campaign edited"]
    assert (edited["person_id"], edited["role"], edited["subject_id"]) == (
        ada,
        "admin",
        campaign_id,
    )
    assert edited["at"] == moved.isoformat().replace("+00:00", "Z")
    assert was[:10] in str(edited["before"])
    assert "2026-10-26T01:00" in str(edited["after"])
    assert sam.person_id in str(acts["senders added"])
    assert sam.person_id in str(acts["sender removed"])
    assert "sent" in str(acts["text settled"]["after"])
    assert (acts["campaign paused"]["before"], acts["campaign paused"]["after"]) == (
        {"status": "active"},
        {"status": "paused"},
    )
    of_campaign = await office.good("GET", f"/audit?subject_id={campaign_id}", acme.admin)
    assert {act["act"] for act in of_campaign["items"]} >= {"campaign launched", "campaign edited"}


async def test_what_one_organization_does_stands_in_no_others_trail(office: Desk) -> None:
    acme, zenith = await office.organization("Acme"), await office.organization("Zenith")
    await acme.launch()
    shown = await office.good("GET", "/audit", zenith.admin)
    assert "campaign launched" not in {act["act"] for act in shown["items"]}
    sue = await acme.sender()
    assert (await office.call("GET", "/audit", sue.token)).status == 403
