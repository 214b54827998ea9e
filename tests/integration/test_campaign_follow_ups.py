"""Follow-ups: the same number, no provisioning, and whom of the contacts they are for."""

from datetime import timedelta
from typing import Any

import pytest

from shared.events import (
    CampaignLaunched,
    MessageFailed,
    MessageReceived,
    MessageSent,
    NumberPurchased,
    NumberReleased,
)
from tests.campaign_desk import NOON, Desk
from tests.campaign_stories import NUMBER, about, followed, launched, numbered, phones, texted


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
    (alert,) = (await acme.details(campaign_id))["alerts"]
    assert alert.startswith("Nothing is sent: the campaign has no phone number.")


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
    # It is off its use case, and the carriers confirm it anew: the follow-up's flag says so.
    shown = await acme.details(made)
    assert (shown["number"], shown["provisioning"]["colour"]) == (NUMBER, "yellow")
    assert {one["state"] for one in shown["provisioning"]["carriers"].values()} == {"pending"}
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
