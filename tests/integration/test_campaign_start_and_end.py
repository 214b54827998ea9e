"""What users were promised of starts and ends, in the article's own words."""

from datetime import datetime
from typing import Any

import pytest

from services.campaign.worker import close_windows
from shared.events import (
    MessageFailed,
    MessageReceived,
    WindowChanged,
)
from tests.campaign_desk import NEW_YORK, NOON, Desk

NUMBER = "+12125550100"
TONIGHT = "2026-10-21T01:00:00Z"


async def test_the_start_date_will_default_to_the_current_date_utc(office: Desk) -> None:
    acme = await office.organization()
    details = await acme.details(await acme.draft())
    assert details["window"] == {"opens_at": "2026-10-20T13:00:00Z", "closes_at": TONIGHT}
    assert details["warnings"] == []


async def test_you_need_to_edit_the_start_date_if_you_create_the_campaign_in_the_evening(
    office: Desk,
) -> None:
    acme = await office.organization()
    # 20:30 in New York, and tomorrow in UTC.
    office.clock.at = datetime.fromisoformat("2026-10-21T00:30:00+00:00")
    try:
        draft = await acme.draft()
        details = await acme.details(draft)
        assert details["window"]["opens_at"] == "2026-10-21T13:00:00Z"
        (warning,) = details["warnings"]
        assert "starts on 2026-10-21, and today is 2026-10-20 in America/New_York" in warning
        assert "UTC" in warning
        launched = await office.good("POST", f"/campaigns/{draft}/launch", acme.admin)
        assert warning in launched["warnings"]
    finally:
        office.clock.at = NOON


async def test_the_start_date_can_be_edited_after_launch(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    path = f"/campaigns/{campaign_id}"
    later = {"opens_at": "2026-10-20T20:00:00Z"}
    await office.good("PATCH", path, acme.admin, window=later)
    work = await office.good("GET", f"{path}/assignment", sue.token)
    assert (work["messages"], work["inbox_zero"]) == ([], True)
    await office.good("PATCH", path, acme.admin, window={"opens_at": "2026-10-20T15:00:00Z"})
    assert (await office.good("GET", f"{path}/assignment", sue.token))["messages"]


async def test_your_initial_message_end_date_can_always_be_extended_after_launching(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    path = f"/campaigns/{campaign_id}"
    work = await office.good("GET", f"{path}/assignment", sue.token)
    queued, unsent = (one["message_id"] for one in work["messages"][:2])
    await office.good("POST", f"/messages/{queued}/send", sue.token)
    office.clock.at = datetime.fromisoformat("2026-10-21T02:00:00+00:00")
    try:
        await close_windows(office.database)
        # What was left in the queue is the collider's to end.
        await office.hear(
            MessageFailed(
                org_id=acme.org_id, campaign_id=campaign_id, message_id=queued, carrier="att",
                segments=1, reason="sending failed", at=office.clock.at,
            )
        )  # fmt: skip
        # "Your texters report that they see Inbox Zero."
        work = await office.good("GET", f"{path}/assignment", sue.token)
        assert (work["messages"], work["inbox_zero"]) == ([], True)
        refused = await office.call("POST", f"/messages/{unsent}/send", sue.token)
        assert (refused.status, "extend" in refused["detail"]) == (409, True)
        extended = {"closes_at": "2026-10-22T01:00:00Z"}
        assert (await office.good("PATCH", path, acme.admin, window=extended))["revision"] == 2
        (told,) = await office.told_of(WindowChanged, campaign_id)
        assert (told.revision, told.hold_until_provisioned) == (2, None)
        # To send the initial message after the window has closed, extend the end date.
        sent = await office.call("POST", f"/messages/{unsent}/send", sue.token)
        assert sent.status == 202
        # Once a message is marked 'sending failed', it can no longer be sent from that campaign.
        never = await office.call("POST", f"/messages/{queued}/send", sue.token)
        assert (never.status, "sending failed" in never["detail"]) == (409, True)
    finally:
        office.clock.at = NOON


async def test_outside_of_this_window_replies_can_still_be_sent_inside_open_and_close_times(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    path = f"/campaigns/{campaign_id}"
    work = await office.good("GET", f"{path}/assignment", sue.token)
    message_id, to = work["messages"][0]["message_id"], work["messages"][0]["to"]
    await office.good("POST", f"/messages/{message_id}/send", sue.token)
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender=to, to=NUMBER, text="yes",
            received_at=NOON,
        )
    )  # fmt: skip
    office.clock.at = datetime.fromisoformat("2026-10-23T16:00:00+00:00")
    try:
        path = f"/conversations?campaign_id={campaign_id}"
        (talk,) = (await office.good("GET", path, sue.token))["items"]
        path = f"/conversations/{talk['conversation_id']}/replies"
        reply = await office.good("POST", path, sue.token, text="Great")
        assert reply["goes_at"] == "2026-10-23T16:00:00Z"
        office.clock.at = datetime.fromisoformat("2026-10-24T03:00:00+00:00")
        reply = await office.good("POST", path, sue.token, text="Good night")
        assert reply["goes_at"] == "2026-10-24T13:00:00Z"
    finally:
        office.clock.at = NOON


@pytest.mark.parametrize(
    ("hours", "status"),
    [
        ({**NEW_YORK}, 201),
        ({"time_zone": "America/New_York"}, 201),
        ({**NEW_YORK, "opens": "9:15", "closes": "20:45"}, 201),
        ({**NEW_YORK, "opens": "21:00", "closes": "9:00"}, 422),
        ({**NEW_YORK, "opens": "9:00", "closes": "9:00"}, 422),
    ],
)
async def test_open_hours_are_nine_to_nine_with_minutes_and_never_close_before_they_open(
    office: Desk, hours: dict[str, Any], status: int
) -> None:
    acme = await office.organization()
    plan = {
        "name": "Spring", "use_case_id": acme.use_case_id, "hours": hours,
        "contact_list_id": await acme.contacts(1), "script": "Hi",
    }  # fmt: skip
    made = await office.call("POST", "/campaigns", acme.admin, **plan)
    assert made.status == status
    if status == 201:
        shown = {"opens": "09:00", "closes": "21:00", **hours}
        assert made["hours"] == {**shown, "opens": shown["opens"].rjust(5, "0")}
    else:
        assert made["field"] == "hours.closes"
