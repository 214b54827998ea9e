"""Campaigns that come out of others: clones, follow-ups, and whom they are for."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.campaign.worker import end_archived
from shared.events import (
    CampaignLaunched,
    Carriers,
    CarrierState,
    ContactOptedOut,
    MessageFailed,
    MessageReceived,
    MessageSent,
    NumberProvisioned,
    NumberPurchased,
    NumberReleased,
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
            reason=None if outcome == "complete" else "att refused the number",
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


# --- clones -----------------------------------------------------------------------------------


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


# --- follow-ups -------------------------------------------------------------------------------


async def test_followup_campaigns_do_not_require_additional_provisioning_time(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    await numbered(office, acme, campaign_id)
    made = await followed(office, acme, campaign_id)
    assert (made["follow_up_of"], made["number"], made["provisioning"]) == (
        campaign_id,
        NUMBER,
        None,
    )
    follow_up = made["campaign_id"]
    assert (await launched(office, acme, follow_up))["warnings"] == []
    (told,) = await office.told_of(CampaignLaunched, follow_up)
    assert told.number == NUMBER
    shown = (await acme.details(follow_up))["provisioning"]
    original = (await acme.details(campaign_id))["provisioning"]
    assert (shown["colour"], shown) == ("green", original)


async def test_a_follow_up_of_a_follow_up_is_on_the_same_number(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    await numbered(office, acme, campaign_id)
    first = (await followed(office, acme, campaign_id))["campaign_id"]
    await launched(office, acme, first)
    await office.good("POST", f"/campaigns/{campaign_id}/archive", acme.admin)
    # The original is archived, but not all campaigns on its number.
    second = await followed(office, acme, first)
    await launched(office, acme, second["campaign_id"])
    (told,) = await office.told_of(CampaignLaunched, second["campaign_id"])
    assert (told.number, second["audience"]["campaign_id"]) == (NUMBER, first)


@pytest.mark.parametrize(
    ("targeting", "places"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"replied": True}, [0, 1]),
        ({"replied": False}, [2, 3, 4, 5]),
        ({"statuses": ["failed"]}, [1, 2, 3]),
        ({"codes": ["30007"]}, [2]),
        ({"codes": ["30007", "30003"]}, [2, 3]),
        ({"statuses": ["failed"], "replied": True}, [1]),
        ({"statuses": ["assigned", "sent"]}, [0, 4, 5]),
        ({"tags": ["volunteer"]}, [0, 5]),
        ({"tags": ["volunteer", "donor"], "replied": True}, [0]),
        ({"tags": ["nobody has it"]}, []),
    ],
)
async def test_through_advanced_targeting_contacts_can_be_removed_from_the_followup(
    office: Desk, targeting: dict[str, Any], places: list[int]
) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue, contact_list_id=await acme.contacts(6))
    await numbered(office, acme, campaign_id)
    ids = await texted(office, sue, campaign_id, 4)
    await office.hear(
        MessageSent(**about(acme, campaign_id, ids[0])),
        *(
            MessageFailed(**about(acme, campaign_id, one), code=code, reason="filtered")
            for one, code in zip(ids[1:], ("30006", "30007", "30003"), strict=True)
        ),
        *(
            MessageReceived(
                org_id=acme.org_id, campaign_id=campaign_id, sender=f"+130320000{place:02}",
                to=NUMBER, text="yes", received_at=NOON,
            )
            for place in (0, 1)
        ),
    )  # fmt: skip
    async with office.database.connection() as connection:
        await connection.execute(
            "INSERT INTO tags (org_id, tag, created_at) VALUES ($1, 'volunteer', $2)",
            acme.org_id,
            NOON,
        )
        await connection.execute(
            """
            INSERT INTO contact_tags (org_id, campaign_id, phone, tag, tagged_by, tagged_at)
            SELECT $1, $2, phone, 'volunteer', '', $3 FROM unnest($4::text[]) AS phone
            """,
            acme.org_id,
            campaign_id,
            NOON,
            ["+13032000000", "+13032000005"],
        )
    made = await followed(office, acme, campaign_id, targeting=targeting)
    assert made["audience"]["matching"] == len(places)
    reply = await office.call("POST", f"/campaigns/{made['campaign_id']}/launch", acme.admin)
    assert reply.status == (200 if places else 409)
    assert await phones(office, acme, made["campaign_id"]) == [
        f"+130320000{place:02}" for place in places
    ]


async def test_a_follow_up_is_refused_with_the_reason_where_there_is_no_number(
    office: Desk,
) -> None:
    acme = await office.organization()

    async def refused(campaign_id: str) -> str:
        reply = await office.call(
            "POST", f"/campaigns/{campaign_id}/follow-up", acme.admin, name="x", script="Hi"
        )
        assert reply.status == 409
        detail: str = reply["detail"]
        return detail

    assert "not launched" in await refused(await acme.draft())
    campaign_id = await acme.launch()
    assert "no number yet" in await refused(campaign_id)
    await numbered(office, acme, campaign_id, "failed", number=None)
    assert "never got a number: att refused" in await refused(campaign_id)


async def test_a_follow_up_is_refused_once_its_number_was_released(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    await numbered(office, acme, campaign_id)
    made = (await followed(office, acme, campaign_id))["campaign_id"]
    await office.hear(
        NumberReleased(
            org_id=acme.org_id, use_case_id=acme.use_case_id, number=NUMBER,
            released_at=NOON + timedelta(hours=1),
        )
    )  # fmt: skip
    for path, body in (
        (f"/campaigns/{campaign_id}/follow-up", {"name": "x", "script": "Hi"}),
        (f"/campaigns/{made}/launch", {}),
    ):
        reply = await office.call("POST", path, acme.admin, **body)
        assert (reply.status, "given back" in reply["detail"]) == (409, True)


async def test_until_the_number_is_given_back_a_follow_up_can_take_it_back(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    await numbered(office, acme, campaign_id)
    await office.good("POST", f"/campaigns/{campaign_id}/archive", acme.admin)
    made = (await followed(office, acme, campaign_id))["campaign_id"]
    await launched(office, acme, made)
    (told,) = await office.told_of(CampaignLaunched, made)
    assert told.number == NUMBER
    assert (await acme.details(made))["provisioning"]["colour"] == "green"
    # It was off its use case, and the carriers confirm it anew: the follow-up's flag says so.
    await office.hear(
        NumberPurchased(
            org_id=acme.org_id, campaign_id=made, use_case_id=acme.use_case_id, number=NUMBER,
            purchased_at=NOON + timedelta(minutes=1),
        )
    )  # fmt: skip
    assert (await acme.details(made))["provisioning"]["colour"] == "yellow"
    await numbered(office, acme, made, "failed", number=None)
    shown = (await acme.details(made))["provisioning"]
    assert (shown["colour"], shown["reason"]) == ("red", "att refused the number")
    assert (await acme.details(campaign_id))["provisioning"]["colour"] == "green"


async def test_what_a_campaign_has_from_another_one_cannot_be_changed(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    await numbered(office, acme, campaign_id)
    made = await followed(office, acme, campaign_id)
    path = f"/campaigns/{made['campaign_id']}"
    for field, value in (
        ("contact_list_id", await acme.contacts(1)),
        ("use_case_id", acme.use_case_id),
        ("area_codes", ["212"]),
    ):
        reply = await office.call("PATCH", path, acme.admin, **{field: value})
        assert (reply.status, reply["field"]) == (409, field)
    await office.good("PATCH", path, acme.admin, script="Bye", name="Other")
    wrong = await office.call(
        "POST", f"/campaigns/{campaign_id}/follow-up", acme.admin, name="x", script="{nothing}"
    )
    assert (wrong.status, wrong["field"]) == (422, "script")
    wrong = await office.call(
        "POST", f"/campaigns/{campaign_id}/follow-up", acme.admin, name="x", script="Hi",
        targeting={"statuses": ["lost"]},
    )  # fmt: skip
    assert (wrong.status, wrong["field"]) == (422, "targeting.statuses.0")
