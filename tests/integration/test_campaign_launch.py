"""Campaigns from draft to active, through the API."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from services.campaign.worker import close_windows
from shared.events import (
    CampaignLaunched,
    ContactOptedOut,
    LimitsChanged,
    UseCaseRegistered,
    WindowChanged,
    WindowClosed,
)
from tests.campaign_desk import NEW_YORK, NOON, Desk


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


async def test_launching_twice_is_refused_and_tells_once(office: Desk) -> None:
    acme = await office.organization()
    draft = await acme.draft()
    path = f"/campaigns/{draft}/launch"
    replies = await asyncio.gather(*(office.call("POST", path, acme.admin) for _ in range(4)))
    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409]
    assert (await acme.details(draft))["counts"] == {"unassigned": 10}
    assert [told.campaign_id for told in await office.told(CampaignLaunched)].count(draft) == 1


async def test_senders_at_the_launch_share_the_initials_evenly(office: Desk) -> None:
    acme = await office.organization()
    senders = [await acme.sender(name) for name in ("Sue", "Sam", "Sid")]
    details = await acme.details(await acme.launch(*senders))
    assert details["counts"] == {"assigned": 10}
    assert sorted(sender["assigned"] for sender in details["senders"]) == [3, 3, 4]


async def test_a_removed_senders_texts_are_unassigned_again(office: Desk) -> None:
    acme = await office.organization()
    sue, sam = await acme.sender("Sue"), await acme.sender("Sam")
    campaign_id = await acme.launch(sue, sam)
    path = f"/campaigns/{campaign_id}/senders/{sue.person_id}"
    assert (await office.good("DELETE", path, acme.admin))["unassigned"] == 5
    details = await acme.details(campaign_id)
    assert details["counts"] == {"assigned": 5, "unassigned": 5}
    assert [sender["name"] for sender in details["senders"]] == ["Sam"]
    assert (await office.call("DELETE", path, acme.admin)).status == 404


async def test_who_has_opted_out_gets_no_initial(office: Desk) -> None:
    acme = await office.organization()
    contact_list_id = await acme.contacts()
    for phone in ("+13032000003", "+13032000007"):
        await office.hear(ContactOptedOut(org_id=acme.org_id, phone=phone, opted_out_at=NOON))
    details = await acme.details(await acme.launch(contact_list_id=contact_list_id))
    assert details["counts"] == {"unassigned": 8}


async def test_a_launch_with_senders_within_the_hour_is_warned_of_and_done(office: Desk) -> None:
    acme = await office.organization()
    draft = await acme.draft()
    sue = await acme.sender()
    people = {"person_ids": [sue.person_id]}
    await office.good("POST", f"/campaigns/{draft}/senders", acme.admin, **people)
    launched = await office.good("POST", f"/campaigns/{draft}/launch", acme.admin)
    assert launched["initials"] == 10
    assert any("day before" in warning for warning in launched["warnings"])


async def test_nothing_is_launched_that_could_never_be_sent(office: Desk) -> None:
    acme = await office.organization()
    over = {"opens_at": "2026-10-19T09:00:00Z", "closes_at": "2026-10-20T09:00:00Z"}
    draft = await acme.draft(window=over)
    reply = await office.call("POST", f"/campaigns/{draft}/launch", acme.admin)
    assert (reply.status, reply["field"]) == (409, "window.closes_at")
    empty = await office.send_file("/contact-lists?name=e", acme.admin, b"phone\n")
    draft = await acme.draft(contact_list_id=empty["contact_list_id"], script="Hi")
    reply = await office.call("POST", f"/campaigns/{draft}/launch", acme.admin)
    assert (reply.status, reply["field"]) == (409, "contact_list_id")


@pytest.mark.parametrize(
    ("differs", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"nmae": "x"}, "nmae"),
        ({"script": "Hi {frist_name}"}, "script"),
        ({"script": "\x00"}, "script"),
        ({"script": "x" * 1601}, "script"),
        ({"channel": "fax"}, "channel"),
        ({"channel": "mms"}, "media_urls"),
        ({"media_urls": ["ftp://example.org"]}, "media_urls.0"),
        ({"area_codes": ["212", "12"]}, "area_codes.1"),
        ({"hours": {**NEW_YORK, "closes": "08:00"}}, "hours.closes"),
        ({"hours": {**NEW_YORK, "opens": "9 o'clock"}}, "hours.opens"),
        ({"hours": {**NEW_YORK, "opens": 9}}, "hours.opens"),
        ({"hours": {"opens": "9:00"}}, "hours.time_zone"),
        ({"hours": {**NEW_YORK, "time_zone": "Mars/Base"}}, "hours.time_zone"),
        ({"window": {"closes_at": "2026-10-01T00:00:00Z"}}, None),
        ({"window": {"opens_at": "2026-10-20T09:00:00"}}, "window.opens_at"),
        (
            {"window": {"opens_at": "2026-10-21T00:00:00Z", "closes_at": "2026-10-20T00:00:00Z"}},
            "window.closes_at",
        ),
        ({"self_assign": {"enabled": True, "batch_size": 0}}, "self_assign.batch_size"),
        ({"use_case_id": "nothing"}, "use_case_id"),
        ({"contact_list_id": "nothing"}, "contact_list_id"),
    ],
)
async def test_a_field_that_is_not_valid_is_named_and_nothing_is_written(
    office: Desk, differs: dict[str, Any], field: str | None
) -> None:
    acme = await office.organization()
    plan = {
        "name": "Spring",
        "use_case_id": acme.use_case_id,
        "contact_list_id": await acme.contacts(2),
        "script": "Hi {first_name}",
        "hours": NEW_YORK,
        **differs,
    }
    before = await office.rows("campaigns")
    reply = await office.call("POST", "/campaigns", acme.admin, **plan)
    assert reply.status == 422, reply.body
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    assert reply["field"] == (field or "window.closes_at")
    assert await office.rows("campaigns") == before


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[" * 50_000, b"[1]", b'"x"', b"null"])
async def test_a_body_that_is_no_object_is_refused(office: Desk, data: bytes) -> None:
    acme = await office.organization()
    reply = await office.send_file("/campaigns", acme.admin, data)
    assert reply.status in (400, 422)


async def test_a_body_that_is_too_large_is_refused(office: Desk) -> None:
    acme = await office.organization()
    reply = await office.call("POST", "/campaigns", acme.admin, name="x" * 2_000_000)
    assert reply.status == 413


async def test_a_draft_changes_as_its_admin_likes(office: Desk) -> None:
    acme = await office.organization()
    draft = await acme.draft()
    changed = await office.good(
        "PATCH",
        f"/campaigns/{draft}",
        acme.admin,
        script="Bye {first_name} 😀",
        hours={"opens": "10:30", "closes": "24:00"},
        self_assign={"batch_size": 7},
        window={"opens_at": "2026-10-21T13:00:00Z", "closes_at": "2026-10-23T01:00:00Z"},
    )
    assert changed["hours"] == {**NEW_YORK, "opens": "10:30", "closes": "24:00"}
    assert changed["self_assign"] == {"enabled": True, "batch_size": 7}
    assert changed["script_size"]["longest"]["encoding"] == "ucs2"
    assert changed["revision"] == 0
    assert changed["window"]["opens_at"] == "2026-10-21T13:00:00Z"
    assert changed["warnings"]
    assert not await office.told_of(WindowChanged, draft)
    reply = await office.call(
        "PATCH", f"/campaigns/{draft}", acme.admin, script="{nothing}", name="New"
    )
    assert (reply.status, reply["field"]) == (422, "script")
    reply = await office.call("PATCH", f"/campaigns/{draft}", acme.admin, name=None)
    assert (reply.status, reply["field"]) == (422, "name")
    assert (await acme.details(draft))["name"] == "Spring"


async def test_the_window_and_hours_of_an_active_campaign_count_its_revision_up(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    path = f"/campaigns/{campaign_id}"
    later = "2026-10-23T01:00:00Z"
    changed = await office.good("PATCH", path, acme.admin, window={"closes_at": later})
    assert (changed["revision"], changed["window"]["closes_at"]) == (2, later)
    await office.good("PATCH", path, acme.admin, hours={"closes": "20:00"})
    # What changes nothing of window and hours is not told.
    await office.good("PATCH", path, acme.admin, name="Autumn", self_assign={"enabled": False})
    same = await office.good("PATCH", path, acme.admin, window={"closes_at": later})
    assert (same["revision"], same["name"]) == (3, "Autumn")
    told = await office.told_of(WindowChanged, campaign_id)
    assert [event.revision for event in told] == [2, 3]
    assert told[1].window.closes_at.isoformat() == "2026-10-23T01:00:00+00:00"
    assert told[1].hours.closes.hour == 20
    for field, value in {"script": "x", "area_codes": [], "contact_list_id": "x"}.items():
        reply = await office.call("PATCH", path, acme.admin, **{field: value})
        assert (reply.status, reply["field"]) == (409, field)


async def test_edits_at_once_get_a_revision_each(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    ends = [f"2026-10-2{day}T01:00:00Z" for day in range(2, 7)]
    await asyncio.gather(
        *(
            office.good("PATCH", f"/campaigns/{campaign_id}", acme.admin, window={"closes_at": end})
            for end in ends
        )
    )
    told = await office.told_of(WindowChanged, campaign_id)
    assert sorted(event.revision for event in told) == [2, 3, 4, 5, 6]
    last = max(told, key=lambda event: event.revision)
    details = await acme.details(campaign_id)
    assert datetime.fromisoformat(details["window"]["closes_at"]) == last.window.closes_at


async def test_a_windows_end_is_told_once_and_again_after_an_extension(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    path = f"/campaigns/{campaign_id}"

    async def closed() -> list[int]:
        while await close_windows(office.database):
            pass
        return [event.revision for event in await office.told_of(WindowClosed, campaign_id)]

    assert await closed() == []
    office.clock.at = datetime.fromisoformat("2026-10-21T01:00:00+00:00")
    assert await closed() == [1]
    assert await closed() == [1]
    await office.good("PATCH", path, acme.admin, window={"closes_at": "2026-10-22T01:00:00Z"})
    assert await closed() == [1]
    office.clock.advance(86_400)
    assert await closed() == [1, 2]
    told = await office.told_of(WindowClosed, campaign_id)
    assert told[1].closed_at.isoformat() == "2026-10-22T01:00:00+00:00"


async def test_the_end_of_a_draft_is_told_to_nobody(office: Desk) -> None:
    acme = await office.organization()
    draft = await acme.draft()
    office.clock.advance(7 * 86_400)
    await close_windows(office.database)
    assert not await office.told_of(WindowClosed, draft)


async def test_limits_and_use_cases_name_the_field_at_fault(office: Desk) -> None:
    acme = await office.organization()
    limits: dict[str, Any] = {
        "sms_per_minute": 75,
        "sms_unit": "segment",
        "mms_per_minute": None,
        "segments_per_day": None,
    }
    base = f"/organizations/{acme.org_id}"
    for differs, field in (
        ({"sms_per_minute": -1}, "sms_per_minute"),
        ({"sms_per_minute": 10**12}, "sms_per_minute"),
        ({"sms_unit": "byte"}, "sms_unit"),
        ({"day_zone": "Nowhere"}, "day_zone"),
        ({"use_case_id": "nothing"}, "use_case_id"),
        ({"per_minute": 3}, "per_minute"),
    ):
        reply = await office.call(
            "PUT", f"{base}/limits/att", office.operator, **{**limits, **differs}
        )
        assert (reply.status, reply["field"]) == (422, field)
    reply = await office.call("PUT", f"{base}/limits/sprint", office.operator, **limits)
    assert (reply.status, reply["field"]) == (404, "carrier")
    reply = await office.call("PUT", "/organizations/nothing/limits/att", office.operator, **limits)
    assert reply.status == 404
    own = await office.good("GET", "/limits", acme.admin)
    assert own["items"] == []
    use_case = {"name": "x", "provider_campaign_id": f"C-{acme.org_id}"}
    await office.good("POST", f"{base}/use-cases", office.operator, **use_case)
    again = await office.call("POST", f"{base}/use-cases", office.operator, **use_case)
    assert (again.status, again["field"]) == (409, "provider_campaign_id")
    people = await office.call("POST", f"{base}/people", office.operator, name="x", email="nobody")
    assert (people.status, people["field"]) == (422, "email")


async def test_what_was_made_is_where_its_location_says(office: Desk) -> None:
    acme = await office.organization()
    base = f"/organizations/{acme.org_id}"
    person = {"name": "Ann", "email": "ann@example.org"}
    use_case = {"name": "x", "provider_campaign_id": f"L-{acme.org_id}"}
    for path, token, body in (
        ("/organizations", office.operator, {"name": "x"}),
        (f"{base}/use-cases", office.operator, use_case),
        (f"{base}/people", office.operator, person),
        ("/people", acme.admin, {**person, "email": "bob@example.org"}),
    ):
        made = await office.good("POST", path, token, **body)
        assert made.status == 201
        place = made.headers["Location"].removeprefix("/api/v1")
        found = await office.good("GET", place, token)
        assert found.body.items() <= made.body.items()
