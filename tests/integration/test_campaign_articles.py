"""What users were promised of starts, ends and provisioning, in the articles' own words."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.campaign.store.audiences import sample
from services.campaign.worker import close_windows
from shared.events import (
    CampaignLaunched,
    CarrierAnswered,
    Carriers,
    CarrierState,
    MessageFailed,
    MessageReceived,
    NumberProvisioned,
    NumberPurchased,
    Person,
    WindowChanged,
)
from shared.rules.hours import Window
from tests.campaign_desk import NEW_YORK, NOON, Desk, Organization

NUMBER = "+12125550100"
TONIGHT = "2026-10-21T01:00:00Z"


async def heard(office: Desk, acme: Organization, campaign_id: str, outcome: Any) -> None:
    """The provisioner's last word."""
    said = {
        carrier: CarrierState(state="confirmed", at=NOON + timedelta(seconds=5))
        for carrier in ("att", "tmobile", "verizon")
    }
    if outcome == "failed":
        said["verizon"] = CarrierState(state="refused", at=NOON, reason="unknown brand")
    await office.hear(
        NumberProvisioned(
            org_id=acme.org_id, campaign_id=campaign_id, name="Spring", number=NUMBER,
            outcome=outcome, carriers=Carriers(**said),
            reason="verizon: unknown brand" if outcome == "failed" else None,
            launched_by=Person(name="Ada", email="ada@example.org"),
            window=Window(NOON, NOON + timedelta(hours=1)), took_s=40,
        )
    )  # fmt: skip


# --- Start and end dates and times ------------------------------------------------------------


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


# --- Informed provisioning --------------------------------------------------------------------


async def test_while_a_campaign_is_provisioning_it_remains_in_the_active_status(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    details = await acme.details(campaign_id)
    flag = details["provisioning"]
    assert (details["status"], flag["flag"], flag["colour"]) == (
        "active",
        "Provisioning",
        "yellow",
    )
    assert "some risk that messages will be delivered at lower-than-normal rates" in flag["advice"]
    # If senders were added at launch, they can send before the number has completed provisioning.
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    path = f"/messages/{work['messages'][0]['message_id']}/send"
    sent = await office.good("POST", path, sue.token)
    assert "as soon as the limits allow" in sent["note"]


async def test_a_green_provisioning_complete_flag_shows_that_the_phone_number_is_ready_to_go(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    await office.hear(
        NumberPurchased(
            org_id=acme.org_id, campaign_id=campaign_id, use_case_id=acme.use_case_id,
            number=NUMBER, purchased_at=NOON + timedelta(seconds=1),
        ),
        CarrierAnswered(
            org_id=acme.org_id, campaign_id=campaign_id, number=NUMBER, carrier="att",
            answer="confirmed", answered_at=NOON + timedelta(seconds=3),
        ),
    )  # fmt: skip
    flag = (await acme.details(campaign_id))["provisioning"]
    assert flag["carriers"] == {
        "att": {"state": "confirmed", "at": "2026-10-20T16:00:03Z", "reason": None},
        "tmobile": {"state": "pending", "at": "2026-10-20T16:00:01Z", "reason": None},
        "verizon": {"state": "pending", "at": "2026-10-20T16:00:01Z", "reason": None},
    }
    await heard(office, acme, campaign_id, "complete")
    details = await acme.details(campaign_id)
    flag = details["provisioning"]
    assert (flag["flag"], flag["colour"]) == ("Provisioning Complete", "green")
    assert (flag["since"], flag["advice"]) == (
        "2026-10-20T16:00:40Z",
        "The phone number is ready to go!",
    )
    assert details["alerts"] == []


async def test_a_red_provisioning_failed_flag_says_to_clone_and_archive(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    await heard(office, acme, campaign_id, "failed")
    flag = (await acme.details(campaign_id))["provisioning"]
    assert (flag["flag"], flag["colour"]) == ("Provisioning Failed", "red")
    assert flag["carriers"]["verizon"]["reason"] == "unknown brand"
    assert flag["reason"] == "verizon: unknown brand"
    for advice in ("clone the campaign and archive this one", "49 numbers", "a few old campaigns"):
        assert advice in flag["advice"]


async def test_do_not_launch_more_than_two_campaigns_at_once(office: Desk) -> None:
    acme = await office.organization()
    contact_list_id = await acme.contacts(1)

    async def warnings() -> list[str]:
        draft = await acme.draft(contact_list_id=contact_list_id)
        reply = await office.good("POST", f"/campaigns/{draft}/launch", acme.admin)
        found: list[str] = reply["warnings"]
        return found

    assert [await warnings() for _ in range(2)] == [[], []]
    (warning,) = await warnings()
    assert "do not launch more than two campaigns at once" in warning


async def test_an_alert_says_that_the_start_nears_while_the_number_is_provisioning(
    office: Desk,
) -> None:
    acme = await office.organization()
    window = {"opens_at": "2026-10-20T17:30:00Z"}
    campaign_id = await acme.launch(window=window)
    assert (await acme.details(campaign_id))["alerts"] == []
    office.clock.advance(1800)
    (alert,) = (await acme.details(campaign_id))["alerts"]
    assert "starts within the hour" in alert
    office.clock.advance(3600)
    (alert,) = (await acme.details(campaign_id))["alerts"]
    assert "has started" in alert
    await heard(office, acme, campaign_id, "complete")
    assert (await acme.details(campaign_id))["alerts"] == []
    office.clock.at = NOON


async def test_a_use_case_near_49_numbers_is_warned_of_and_each_number_counts_once(
    office: Desk,
) -> None:
    acme = await office.organization()
    contact_list_id = await acme.contacts(1)
    first = await acme.launch(contact_list_id=contact_list_id)
    await office.hear(
        NumberPurchased(
            org_id=acme.org_id, campaign_id=first, use_case_id=acme.use_case_id, number=NUMBER,
            purchased_at=NOON,
        )
    )  # fmt: skip
    await heard(office, acme, first, "complete")
    async with office.database.connection() as connection:
        # Launched like the first, each with a number that carriers have confirmed; ten are on the
        # first one's number, ten archived, ten never got one, and ten lost theirs.
        await connection.execute(
            """
            INSERT INTO campaigns
            SELECT (jsonb_populate_record(c, jsonb_build_object(
                'campaign_id', 'copy' || n,
                'number_of', CASE n / 10 WHEN 0 THEN c.campaign_id ELSE '' END,
                'state', CASE n / 10 WHEN 1 THEN 'archived' ELSE 'active' END))).*
            FROM campaigns AS c, generate_series(0, 82) AS n WHERE campaign_id = $1
            """,
            first,
        )
        await connection.execute(
            """
            INSERT INTO numbers (org_id, campaign_id, number, purchased_at, outcome)
            SELECT $1, 'copy' || n, CASE n / 10 WHEN 2 THEN NULL ELSE '+1212556' || n END, $2,
                   CASE n / 10 WHEN 2 THEN 'failed' ELSE 'complete' END
            FROM generate_series(10, 82) AS n
            """,
            acme.org_id,
            NOON,
        )
        await connection.execute(
            """
            INSERT INTO number_releases (org_id, number, released_at)
            SELECT $1, '+1212556' || n, $2 FROM generate_series(30, 39) AS n
            """,
            acme.org_id,
            NOON,
        )

    async def launched() -> list[str]:
        draft = await acme.draft(contact_list_id=contact_list_id)
        reply = await office.good("POST", f"/campaigns/{draft}/launch", acme.admin)
        found: list[str] = reply["warnings"]
        return found

    # The first, and 43 copies (40 to 82), with this one 45.
    (warning,) = await launched()
    assert "45 numbers with this one, of at most 49" in warning
    async with office.database.connection() as connection:
        await connection.execute(
            "UPDATE campaigns SET state = 'archived' WHERE org_id = $1 AND campaign_id = 'copy82'",
            acme.org_id,
        )
        await connection.execute(
            "UPDATE campaigns SET state = 'archived' WHERE org_id = $1 AND campaign_id = 'copy81'",
            acme.org_id,
        )
    assert await launched() == []


# --- All sending held until provisioning is complete --------------------------------------------


async def test_with_the_hold_nothing_goes_until_provisioning_is_complete_and_the_click_says_so(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue, hold_until_provisioned=True)
    (told,) = await office.told_of(CampaignLaunched, campaign_id)
    assert told.hold_until_provisioned is True
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    first, second, third = (one["message_id"] for one in work["messages"][:3])
    sent = await office.good("POST", f"/messages/{first}/send", sue.token)
    assert sent["note"] == "Queued: it goes once the number's provisioning is complete."
    await heard(office, acme, campaign_id, "failed")
    sent = await office.good("POST", f"/messages/{second}/send", sue.token)
    assert "once the number's provisioning is complete" in sent["note"]
    (alert,) = (await acme.details(campaign_id))["alerts"]
    assert "turn the hold off" in alert
    await heard(office, acme, campaign_id, "complete")
    sent = await office.good("POST", f"/messages/{third}/send", sue.token)
    assert "as soon as the limits allow" in sent["note"]


async def test_the_hold_is_off_by_default_and_an_edit_of_it_is_told_with_a_higher_revision(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    path = f"/campaigns/{campaign_id}"
    assert (await acme.details(campaign_id))["hold_until_provisioned"] is False
    held = await office.good("PATCH", path, acme.admin, hold_until_provisioned=True)
    assert (held["hold_until_provisioned"], held["revision"]) == (True, 2)
    # The same once more is no news.
    await office.good("PATCH", path, acme.admin, hold_until_provisioned=True)
    later = {"closes_at": "2026-10-22T01:00:00Z"}
    await office.good("PATCH", path, acme.admin, window=later)
    await office.good("PATCH", path, acme.admin, hold_until_provisioned=False)
    told = await office.told_of(WindowChanged, campaign_id)
    assert [(one.revision, one.hold_until_provisioned) for one in told] == [
        (2, True),
        (3, None),
        (4, False),
    ]


# --- who did what -------------------------------------------------------------------------------


async def test_each_act_on_a_campaign_is_written_down_with_before_and_after(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    path = f"/campaigns/{campaign_id}"
    await office.good("PATCH", path, acme.admin, window={"closes_at": "2026-10-22T01:00:00Z"})
    await office.good("PATCH", path, acme.admin, hours={"closes": "20:00"}, name="Autumn")
    for what in ("pause", "resume", "withdraw", "archive"):
        await office.good("POST", f"{path}/{what}", acme.admin)
    async with office.database.connection() as connection:
        rows = await connection.fetch(
            """
            SELECT act, before, after, person_id, at FROM audit
            WHERE org_id = $1 AND subject_id = $2 ORDER BY audit_id
            """,
            acme.org_id,
            campaign_id,
        )
    me = await office.good("GET", "/me", acme.admin)
    assert {(row["person_id"], row["at"]) for row in rows} == {(me["person_id"], NOON)}
    assert [row["act"] for row in rows] == [
        "campaign launched",
        "campaign edited",
        "campaign edited",
        "campaign paused",
        "campaign resumed",
        "queue withdrawn",
        "campaign archived",
    ]
    assert rows[0]["after"]["window"]["closes_at"] == "2026-10-21T01:00:00+00:00"
    assert rows[1]["before"] == {
        "window": {
            "opens_at": "2026-10-20T13:00:00+00:00",
            "closes_at": "2026-10-21T01:00:00+00:00",
        }
    }
    assert rows[1]["after"]["window"]["closes_at"] == "2026-10-22T01:00:00+00:00"
    assert rows[2]["after"] == {
        "hours": {**NEW_YORK, "opens": "09:00", "closes": "20:00"},
        "name": "Autumn",
    }
    assert (rows[6]["before"], rows[6]["after"]) == ({"status": "active"}, {"status": "archived"})


# --- segments -----------------------------------------------------------------------------------


async def test_a_scripts_longest_and_typical_rendering_are_shown_with_the_traps(
    office: Desk,
) -> None:
    acme = await office.organization()
    rows = [f"+1303{200 + row % 700}{row:04d},{'Jo' if row else 'Ж' * 80}" for row in range(300)]
    table = "\n".join(["phone,first_name", *rows]).encode()
    made = await office.send_file("/contact-lists?name=all", acme.admin, table)
    draft = await acme.draft(
        contact_list_id=made["contact_list_id"], script="Hi {first_name}, will you vote?"
    )
    size = (await acme.details(draft))["script_size"]
    assert (size["longest"]["segments"], size["longest"]["encoding"]) == (2, "ucs2")
    (trap,) = size["longest"]["traps"]
    assert trap == {
        "character": "Ж",
        "code": "U+0416",
        "name": "CYRILLIC CAPITAL LETTER ZHE",
    }
    assert size["typical"] == {"segments": 1, "encoding": "gsm7", "units": 21, "traps": []}


async def test_the_typical_size_is_out_of_a_bounded_sample_from_all_over_the_list(
    office: Desk,
) -> None:
    acme = await office.organization()
    contact_list_id = await acme.contacts(2000)
    async with office.database.transaction() as tx:
        found = await sample(tx, acme.org_id, contact_list_id)
        places = sorted(int(row["phone"][-4:]) for row in found)
        assert len(places) == 100
        assert (places[0], places[-1] > 1850) == (0, True)
        few = await sample(tx, acme.org_id, await acme.contacts(3))
        assert len(few) == 3
        empty = await office.send_file("/contact-lists?name=e", acme.admin, b"phone\n")
        assert list(await sample(tx, acme.org_id, empty["contact_list_id"])) == []
