"""The forecast, over HTTP: what the admin is told before the launch, and while it runs."""

import asyncio
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.campaign.acts import forecasting
from services.campaign.worker import look_ahead
from shared.events import BucketState, WindowAtRisk
from tests.campaign_desk import NEW_YORK, Desk, Organization

ROUND_THE_CLOCK = {"opens": "0:00", "closes": "24:00", "time_zone": "America/New_York"}


async def limit(office: Desk, acme: Organization, carrier: str, **caps: Any) -> None:
    no_cap = {"sms_per_minute": None, "sms_unit": "message", "mms_per_minute": None}
    path = f"/organizations/{acme.org_id}/limits/{carrier}"
    await office.good("PUT", path, office.operator, **{**no_cap, "segments_per_day": None, **caps})


async def looked_ahead(office: Desk) -> None:
    while await look_ahead(office.database):
        pass


def minutes(office: Desk, reply: Any) -> float:
    finishes_at = datetime.fromisoformat(reply["finishes_at"])
    return (finishes_at - office.clock.at).total_seconds() / 60


async def test_a_draft_is_forecast_before_anybody_has_sent_anything(office: Desk) -> None:
    acme = await office.organization()
    await limit(office, acme, "att", sms_per_minute=60)
    draft = await acme.draft(contact_list_id=await acme.contacts(600), hours=ROUND_THE_CLOCK)
    seen = await office.good("GET", f"/campaigns/{draft}/forecast", acme.admin)
    [att] = seen["carriers"]
    assert (att["carrier"], att["sent"], att["failing"]) == ("att", 600, 0)
    assert 9.5 < minutes(office, seen) < 11
    assert (seen["failing"], seen["safe_end_at"]) == (0, None)


async def test_what_else_the_organization_has_queued_goes_before(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    await limit(office, acme, "att", sms_per_minute=60)
    first = await acme.launch(sue, contact_list_id=await acme.contacts(60), hours=ROUND_THE_CLOCK)
    work = await office.good("GET", f"/campaigns/{first}/assignment", sue.token)
    for text in work["messages"]:
        await office.good("POST", f"/messages/{text['message_id']}/send", sue.token)
    later = office.clock.at + timedelta(days=1)
    draft = await acme.draft(
        contact_list_id=await acme.contacts(60, first=60),
        hours=ROUND_THE_CLOCK,
        window={"opens_at": office.clock.at.isoformat(), "closes_at": later.isoformat()},
    )
    seen = await office.good("GET", f"/campaigns/{draft}/forecast", acme.admin)
    assert 1.8 < minutes(office, seen) < 2.4


async def test_a_window_of_one_day_is_at_risk_and_of_two_days_is_not(office: Desk) -> None:
    """The article's second example, a hundredth of it: 100 segments a day, 150 texts."""
    acme = await office.organization()
    await limit(office, acme, "att", segments_per_day=100, day_zone="America/New_York")
    now = office.clock.at
    day = {"opens_at": now.isoformat(), "closes_at": (now + timedelta(hours=8)).isoformat()}
    campaign_id = await acme.launch(contact_list_id=await acme.contacts(150), window=day)
    await looked_ahead(office)
    details = await acme.details(campaign_id)
    assert details["forecast"]["failing"] == 50
    safe_end_at = details["forecast"]["safe_end_at"]
    tomorrow = datetime.fromisoformat("2026-10-21T13:00:00+00:00")
    assert tomorrow < datetime.fromisoformat(safe_end_at) < tomorrow + timedelta(minutes=10)
    await office.good(
        "PATCH", f"/campaigns/{campaign_id}", acme.admin, window={"closes_at": safe_end_at}
    )
    await looked_ahead(office)
    assert (await acme.details(campaign_id))["forecast"]["failing"] == 0


async def test_a_window_at_risk_is_told_once_for_each_of_its_ends(office: Desk) -> None:
    acme = await office.organization()
    await limit(office, acme, "att", sms_per_minute=10)
    now = office.clock.at
    soon = {"opens_at": now.isoformat(), "closes_at": (now + timedelta(minutes=5)).isoformat()}
    campaign_id = await acme.launch(contact_list_id=await acme.contacts(150), window=soon)
    for _ in range(3):
        await looked_ahead(office)
        office.clock.at += timedelta(minutes=1)
    [told] = await office.told_of(WindowAtRisk, campaign_id)
    assert 98 <= told.failing <= 102
    assert told.safe_end_at is not None
    assert (told.name, told.revision, told.launched_by.email) == ("Spring", 1, "ada@example.org")
    await office.good(
        "PATCH",
        f"/campaigns/{campaign_id}",
        acme.admin,
        window={"closes_at": (now + timedelta(minutes=6)).isoformat()},
    )
    await looked_ahead(office)
    assert [one.revision for one in await office.told_of(WindowAtRisk, campaign_id)] == [1, 2]


async def test_a_window_that_suffices_is_told_to_nobody(office: Desk) -> None:
    acme = await office.organization()
    await limit(office, acme, "att", sms_per_minute=600)
    campaign_id = await acme.launch(contact_list_id=await acme.contacts(50), hours=NEW_YORK)
    await looked_ahead(office)
    assert await office.told_of(WindowAtRisk, campaign_id) == []
    assert (await acme.details(campaign_id))["forecast"]["failing"] == 0


async def test_a_paused_campaign_is_told_of_when_it_goes_on(office: Desk) -> None:
    acme = await office.organization()
    await limit(office, acme, "att", sms_per_minute=10)
    now = office.clock.at
    soon = {"opens_at": now.isoformat(), "closes_at": (now + timedelta(minutes=5)).isoformat()}
    campaign_id = await acme.launch(contact_list_id=await acme.contacts(150), window=soon)
    await office.good("POST", f"/campaigns/{campaign_id}/pause", acme.admin)
    await looked_ahead(office)
    assert await office.told_of(WindowAtRisk, campaign_id) == []
    await office.good("POST", f"/campaigns/{campaign_id}/resume", acme.admin)
    office.clock.at += timedelta(minutes=1, seconds=1)
    await looked_ahead(office)
    assert len(await office.told_of(WindowAtRisk, campaign_id)) == 1


async def test_what_the_collider_says_of_the_day_counts(office: Desk) -> None:
    acme = await office.organization()
    await limit(office, acme, "att", segments_per_day=100, day_zone="America/New_York")
    await office.hear(
        BucketState(
            org_id=acme.org_id, carrier="att", backlog=0, replies=0, oldest_queued_at=None,
            sent_per_minute=0, room=None, day_quota_left=5, slowed=False, at=office.clock.at,
        )
    )  # fmt: skip
    draft = await acme.draft(contact_list_id=await acme.contacts(20))
    seen = await office.good("GET", f"/campaigns/{draft}/forecast", acme.admin)
    assert (seen["carriers"][0]["sent"], seen["failing"]) == (5, 15)


async def test_unknown_carriers_are_shared_out_as_the_known_ones(office: Desk) -> None:
    acme = await office.organization()
    rows = [f"+1303200{row:04d},{['att', 'verizon', ''][row % 3]}" for row in range(30)]
    made = await office.send_file(
        "/contact-lists?name=some", acme.admin, "\n".join(["phone,carrier", *rows]).encode()
    )
    draft = await acme.draft(contact_list_id=made["contact_list_id"], script="Hello")
    seen = await office.good("GET", f"/campaigns/{draft}/forecast", acme.admin)
    assert {one["carrier"]: one["sent"] + one["failing"] for one in seen["carriers"]} == {
        "att": 15,
        "verizon": 15,
    }
    assert seen["unknown"] == 10


async def test_an_archive_amid_a_look_is_the_last_that_is_heard_of_a_window(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = await office.organization()
    await limit(office, acme, "att", sms_per_minute=10)
    now = office.clock.at
    soon = {"opens_at": now.isoformat(), "closes_at": (now + timedelta(minutes=5)).isoformat()}
    campaign_id = await acme.launch(contact_list_id=await acme.contacts(150), window=soon)
    looks, looked, go_on = forecasting.look, threading.Event(), threading.Event()

    def look_slowly(*args: Any) -> Any:
        looked.set()
        assert go_on.wait(10)
        return looks(*args)

    monkeypatch.setattr(forecasting, "look", look_slowly)
    looking = asyncio.create_task(look_ahead(office.database))
    assert await asyncio.to_thread(looked.wait, 10)
    await office.good("POST", f"/campaigns/{campaign_id}/archive", acme.admin)
    go_on.set()
    await looking
    assert await office.told_of(WindowAtRisk, campaign_id) == []
    assert (await acme.details(campaign_id))["forecast"] is None


async def test_an_archived_campaign_has_no_forecast(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    await looked_ahead(office)
    await office.good("POST", f"/campaigns/{campaign_id}/archive", acme.admin)
    assert (await acme.details(campaign_id))["forecast"] is None
    reply = await office.call("GET", f"/campaigns/{campaign_id}/forecast", acme.admin)
    assert (reply.status, reply["detail"]) == (404, "It is archived: nothing of it goes any more")


async def test_the_details_say_of_a_running_campaign_what_its_forecast_says(office: Desk) -> None:
    """Whoever looks, and with whichever others: texts that nobody has sent are no queue."""
    acme = await office.organization()
    await limit(office, acme, "att", segments_per_day=100, day_zone="America/New_York")
    now = office.clock.at
    day = {"opens_at": now.isoformat(), "closes_at": (now + timedelta(hours=8)).isoformat()}
    both = [
        await acme.launch(contact_list_id=await acme.contacts(80, first=first), window=day)
        for first in (0, 80)
    ]
    await looked_ahead(office)
    for campaign_id in both:
        seen = await office.good("GET", f"/campaigns/{campaign_id}/forecast", acme.admin)
        assert (await acme.details(campaign_id))["forecast"]["failing"] == seen["failing"]
