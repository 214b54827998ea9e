"""What users were promised of provisioning, in the article's own words."""

from datetime import timedelta
from typing import Any

from shared.events import (
    CampaignLaunched,
    CarrierAnswered,
    Carriers,
    CarrierState,
    NumberProvisioned,
    NumberPurchased,
    Person,
    WindowChanged,
)
from shared.rules.hours import Window
from tests.campaign_desk import NOON, Desk, Organization

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
    assert "All messages wait" in (await acme.details(campaign_id))["provisioning"]["advice"]
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
