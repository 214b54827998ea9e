"""Where a campaign's number is to come from: nearby area codes, and numbers that are shared."""

from typing import Any

import pytest

from services.campaign.store import numbers
from shared.events import CampaignLaunched, NumberReleased
from tests.campaign_desk import NOON, Desk, Organization
from tests.campaign_stories import NUMBER, cloned, followed, launched, numbered


async def count(office: Desk, acme: Organization) -> int:
    """How many numbers its use case has."""
    async with office.database.transaction() as tx:
        return await numbers.on_use_case(tx, acme.org_id, acme.use_case_id)


async def archive(office: Desk, acme: Organization, campaign_id: str) -> None:
    await office.good("POST", f"/campaigns/{campaign_id}/archive", acme.admin)


async def test_a_campaign_takes_nearby_area_codes_and_a_number_of_its_own_unless_it_says_otherwise(
    office: Desk,
) -> None:
    acme = await office.organization()
    plain = await acme.launch()
    details = await acme.details(plain)
    assert (details["nearby_area_codes"], details["dedicated_number"]) == (True, False)
    choosy = await acme.launch(nearby_area_codes=False, dedicated_number=True)
    told = await office.told(CampaignLaunched)
    assert [
        (one.nearby_area_codes, one.dedicated_number)
        for one in told
        if one.campaign_id in (plain, choosy)
    ] == [(True, False), (False, True)]


@pytest.mark.parametrize("changes", [{"nearby_area_codes": False}, {"dedicated_number": True}])
async def test_where_the_number_comes_from_can_be_changed_before_the_launch_only(
    office: Desk, changes: dict[str, Any]
) -> None:
    acme = await office.organization()
    campaign_id = await acme.draft()
    path = f"/campaigns/{campaign_id}"
    (field,) = changes
    edited = await office.good("PATCH", path, acme.admin, **changes)
    assert edited[field] is changes[field]
    await launched(office, acme, campaign_id)
    refused = await office.call("PATCH", path, acme.admin, **{field: not changes[field]})
    assert (refused.status, refused["field"]) == (409, field)
    empty = await office.call("PATCH", path, acme.admin, **{field: None})
    assert (empty.status, empty["field"]) == (422, field)


async def test_a_clone_asks_for_its_number_as_the_original_did_and_a_follow_up_has_one(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch(nearby_area_codes=False, dedicated_number=True)
    await numbered(office, acme, campaign_id)
    clone = await cloned(office, acme, campaign_id)
    assert (clone["nearby_area_codes"], clone["dedicated_number"]) == (False, True)
    follow_up = (await followed(office, acme, campaign_id))["campaign_id"]
    refused = await office.call(
        "PATCH", f"/campaigns/{follow_up}", acme.admin, dedicated_number=False
    )
    assert (refused.status, refused["field"]) == (409, "dedicated_number")
    await launched(office, acme, follow_up)
    (told,) = await office.told_of(CampaignLaunched, follow_up)
    assert told.number == NUMBER


async def test_the_details_say_that_a_number_is_from_a_nearby_area_code(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch(area_codes=["212"])
    why = "Sold out in area code 212: the number is from 646."
    await numbered(office, acme, campaign_id, number="+16465550100", reason=why)
    flag = (await acme.details(campaign_id))["provisioning"]
    assert (flag["status"], flag["reason"]) == ("complete", why)


async def test_a_dedicated_number_counts_once_and_stays_after_all_its_campaigns_are_archived(
    office: Desk,
) -> None:
    acme = await office.organization()
    first = await acme.launch(dedicated_number=True)
    second = await acme.launch(dedicated_number=True)
    # As long as it is to come, too.
    assert await count(office, acme) == 1
    await numbered(office, acme, first)
    assert await count(office, acme) == 1
    await numbered(office, acme, second)
    own = await acme.launch()
    await numbered(office, acme, own, number="+12125550199")
    assert await count(office, acme) == 2
    for campaign_id in (first, second, own):
        await archive(office, acme, campaign_id)
    assert await count(office, acme) == 1
    # Until the operator ends it.
    await office.hear(
        NumberReleased(
            org_id=acme.org_id, use_case_id=acme.use_case_id, number=NUMBER, released_at=NOON
        )
    )
    assert await count(office, acme) == 0


async def test_a_dedicated_number_that_failed_counts_like_any_other(office: Desk) -> None:
    acme = await office.organization()
    failed = await acme.launch(dedicated_number=True)
    await numbered(office, acme, failed, "failed")
    again = await acme.launch(dedicated_number=True)
    await numbered(office, acme, again, number="+12125550199")
    assert await count(office, acme) == 2
    await archive(office, acme, failed)
    assert await count(office, acme) == 1


async def test_nothing_is_warned_of_where_the_dedicated_number_is_there_already(
    office: Desk,
) -> None:
    acme = await office.organization()
    for _ in range(2):
        await acme.launch()
    first = await acme.draft(dedicated_number=True)
    assert "2 other campaigns are still provisioning" in str(
        (await launched(office, acme, first))["warnings"]
    )
    await numbered(office, acme, first)
    later = await acme.draft(dedicated_number=True)
    assert (await launched(office, acme, later))["warnings"] == []


async def test_a_dedicated_number_never_rests_so_its_follow_ups_need_no_provisioning(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch(dedicated_number=True)
    await numbered(office, acme, campaign_id)
    await archive(office, acme, campaign_id)
    made = (await followed(office, acme, campaign_id))["campaign_id"]
    await launched(office, acme, made)
    assert (await acme.details(made))["provisioning"]["status"] == "complete"
