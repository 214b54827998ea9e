"""Clones: a new draft for all contacts of a campaign, or for those whom it has not texted."""

import asyncio

from services.campaign.worker import end_archived
from shared.events import (
    CampaignLaunched,
    ContactOptedOut,
    MessageFailed,
    MessageSent,
)
from tests.campaign_desk import NOON, Desk
from tests.campaign_stories import about, cloned, launched, numbered, phones, texted


async def test_a_clone_is_a_draft_with_the_plan_of_the_original_a_new_name_and_new_dates(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch(area_codes=["212"], hold_until_provisioned=True)
    window = {"opens_at": "2026-10-22T13:00:00Z", "closes_at": "2026-10-23T01:00:00Z"}
    made = await cloned(office, acme, campaign_id, window=window, hours={"closes": "20:30"})
    assert (made["name"], made["status"], made["cloned_from"]) == ("Again", "draft", campaign_id)
    assert made["window"] == window
    original = await acme.details(campaign_id)
    assert made["hours"] == {**original["hours"], "closes": "20:30"}
    for same in ("script", "use_case_id", "contact_list_id", "area_codes", "self_assign"):
        assert made[same] == original[same]
    assert (made["hold_until_provisioned"], made["audience"], made["senders"]) == (True, None, [])
    assert (await launched(office, acme, made["campaign_id"]))["initials"] == 10
    # A number of its own is bought for it.
    (told,) = await office.told_of(CampaignLaunched, made["campaign_id"])
    assert told.number is None


async def test_a_clones_window_is_by_default_that_of_a_new_campaign(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    office.clock.advance(3 * 86_400)
    made = await cloned(office, acme, campaign_id)
    assert made["window"] == {
        "opens_at": "2026-10-23T13:00:00Z",
        "closes_at": "2026-10-24T01:00:00Z",
    }
    office.clock.advance(-3 * 86_400)


async def test_a_clone_of_a_provisioning_failed_campaign_is_for_those_who_were_not_yet_texted(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    await numbered(office, acme, campaign_id, "failed")
    await texted(office, sue, campaign_id, 3)
    made = await cloned(office, acme, campaign_id)
    assert made["audience"]["untexted"] is True
    assert made["audience"]["matching"] == 7
    # Evaluated when it is launched: one more was texted until then.
    await texted(office, sue, campaign_id, 1)
    result = await launched(office, acme, made["campaign_id"])
    assert result["initials"] == 6
    everybody = await phones(office, acme, campaign_id)
    assert await phones(office, acme, made["campaign_id"]) == everybody[4:]
    # What the original still had for them is not sent from there any more.
    assert (await acme.details(campaign_id))["counts"] == {"campaign closed": 6, "queued": 4}
    assert any("archive Spring" in warning for warning in result["warnings"])
    # What is queued goes from there, or ends there at the archive, and can be cloned after it.
    assert any("Spring has 4 queued still" in warning for warning in result["warnings"])
    # All contacts are taken where the admin says so, with a warning.
    everyone = await cloned(office, acme, campaign_id, contacts="all")
    result = await launched(office, acme, everyone["campaign_id"])
    assert result["initials"] == 10
    assert any("twice" in warning for warning in result["warnings"])


async def test_clones_and_clicks_at_once_never_text_a_contact_twice(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue, contact_list_id=await acme.contacts(40))
    path = f"/campaigns/{campaign_id}/assignment?limit=100"
    ids = [one["message_id"] for one in (await office.good("GET", path, sue.token))["messages"]]
    made = [
        (await cloned(office, acme, campaign_id, contacts="untexted"))["campaign_id"]
        for _ in range(2)
    ]
    replies = await asyncio.gather(
        *(office.call("POST", f"/messages/{one}/send", sue.token) for one in ids[:10]),
        *(office.call("POST", f"/campaigns/{one}/launch", acme.admin) for one in made),
        *(office.call("POST", f"/messages/{one}/send", sue.token) for one in ids[10:20]),
    )
    sent = [reply for reply in (*replies[:10], *replies[12:]) if reply.status == 202]
    # One of the clones came first; nobody is left for the other.
    assert sorted(reply.status for reply in replies[10:12]) == [200, 409]
    taken = sum(reply["initials"] for reply in replies[10:12] if reply.status == 200)
    assert len(sent) + taken == 40


async def test_a_clone_of_an_archived_campaign_takes_what_the_archive_has_closed(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    failed, closed, gone, _ = await texted(office, sue, campaign_id, 4)
    await office.good("POST", f"/campaigns/{campaign_id}/archive", acme.admin)
    await end_archived(office.database)
    await office.hear(
        MessageFailed(**about(acme, campaign_id, failed), reason="sending failed"),
        MessageFailed(**about(acme, campaign_id, closed), reason="campaign closed"),
        MessageSent(**about(acme, campaign_id, gone)),
    )
    made = await cloned(office, acme, campaign_id, contacts="untexted")
    result = await launched(office, acme, made["campaign_id"])
    # Six were never clicked, two ended before they could go; two were sent or still are queued.
    assert (result["initials"], result["warnings"]) == (8, [])
    # The original's history is what it was.
    assert (await acme.details(campaign_id))["counts"]["sending failed"] == 1


async def test_a_clone_of_a_clone_is_for_that_clones_contacts_alone(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    await texted(office, sue, campaign_id, 4)
    first = (await cloned(office, acme, campaign_id, contacts="untexted"))["campaign_id"]
    # Of a draft: for whom that is.
    twin = await cloned(office, acme, first, contacts="all")
    assert (twin["audience"]["untexted"], twin["audience"]["matching"]) == (True, 6)
    await launched(office, acme, first)
    for contacts, audience in (("all", 6), ("untexted", 6)):
        made = await cloned(office, acme, first, contacts=contacts)
        assert made["audience"]["campaign_id"] == first
        assert made["audience"]["matching"] == audience
    assert (await acme.details(twin["campaign_id"]))["audience"]["matching"] == 0
    reply = await office.call("POST", f"/campaigns/{twin['campaign_id']}/launch", acme.admin)
    assert (reply.status, reply["field"]) == (409, "audience")


async def test_who_has_opted_out_is_not_cloned(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    made = await cloned(office, acme, campaign_id, contacts="untexted")
    await office.hear(ContactOptedOut(org_id=acme.org_id, phone="+13032000003", opted_out_at=NOON))
    assert (await acme.details(made["campaign_id"]))["audience"]["matching"] == 9
    assert (await launched(office, acme, made["campaign_id"]))["initials"] == 9
