"""Campaigns from draft to active, through the API."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.events import CampaignLaunched, LimitsChanged, UseCaseRegistered
from tests.campaign_desk import NOON, Desk, desk


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Desk]:
    async with desk(database_url) as found:
        yield found


async def test_a_launch_makes_an_initial_for_each_contact_and_is_told(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch(area_codes=["212", "646"])

    details = await acme.details(campaign_id)
    assert details["status"] == "active"
    assert details["counts"] == {"unassigned": 10}
    assert details["provisioning"]["flag"] == "Provisioning"
    assert details["provisioning"]["colour"] == "yellow"
    told = (await office.told(CampaignLaunched))[-1]
    assert told.campaign_id == campaign_id
    assert told.area_codes == ("212", "646")
    assert told.revision == 1
    assert told.launched_by.email == "ada@example.org"
    assert told.window.closes_at.isoformat() == "2026-10-21T01:00:00+00:00"
    assert told.window.opens_at <= NOON


async def test_limits_are_counted_up_and_told(office: Desk) -> None:
    acme = await office.organization()
    path = f"/organizations/{acme.org_id}/limits/att"
    limits: dict[str, Any] = {"sms_per_minute": 75, "sms_unit": "segment", "mms_per_minute": 50}
    for version in (1, 2):
        put = await office.good("PUT", path, office.operator, **limits, segments_per_day=None)
        assert put["version"] == version
    told = [event for event in await office.told(LimitsChanged) if event.org_id == acme.org_id]
    assert [event.version for event in told] == [1, 2]
    assert told[-1].sms_per_minute == 75
    assert told[-1].segments_per_day is None
    assert (await office.told(UseCaseRegistered))[-1].use_case_id == acme.use_case_id
    missing = await office.call("PUT", path, office.operator, **limits)
    assert (missing.status, missing["field"]) == (422, "segments_per_day")


async def test_a_sender_assigns_a_batch_and_sends_it(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(contact_list_id=await acme.contacts(6))
    await office.good(
        "POST", f"/campaigns/{campaign_id}/senders", acme.admin, person_ids=[sue.person_id]
    )
    batch = await office.good("POST", f"/campaigns/{campaign_id}/assignments", sue.token)
    assert batch["assigned"] == 4
    first = batch["messages"][0]
    assert first["text"] == "Hi Carl0 of Boulder"
    sent = await office.call("POST", f"/messages/{first['message_id']}/send", sue.token)
    assert (sent.status, sent["status"]) == (202, "queued")
