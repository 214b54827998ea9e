"""A script tried out on oneself."""

from datetime import datetime, timedelta

from shared.events import ContactOptedOut, MessageDelivered, MessageQueued, MessageReceived
from tests.campaign_desk import NOON, Desk

NUMBER, MINE = "+12125550100", "+13035550123"


async def test_a_test_text_goes_to_ones_own_phone_as_a_contact_would_get_it(office: Desk) -> None:
    acme = await office.organization()
    me = await office.good("PATCH", "/me", acme.admin, phone="(303) 555-0123")
    assert (me["phone"], (await office.good("GET", "/me", acme.admin))["phone"]) == (MINE, MINE)
    # Launched without senders: nothing else goes before somebody sends it.
    campaign_id = await acme.launch(window={"opens_at": "2026-10-21T13:00:00Z"})
    path = f"/campaigns/{campaign_id}/test-text"
    sent = await office.call("POST", path, acme.admin)
    assert (sent.status, sent["status"], sent["text"]) == (202, "queued", "Hi Carl0 of Boulder")
    (told,) = await office.told_of(MessageQueued, campaign_id)
    # As a reply: the window, which opens tomorrow, does not bind it.
    assert (told.kind, told.to, told.text) == ("reply", MINE, "Hi Carl0 of Boulder")
    assert sent["goes_at"] == "2026-10-20T16:00:00Z"
    sent = await office.good("POST", path, acme.admin, contact_phone="+13032000003")
    assert sent["text"] == "Hi Carl3 of Boulder"


async def test_open_hours_hold_for_a_test_text(office: Desk) -> None:
    acme = await office.organization()
    await office.good("PATCH", "/me", acme.admin, phone=MINE)
    campaign_id = await acme.launch(window={"closes_at": "2026-10-25T01:00:00Z"})
    office.clock.at = datetime.fromisoformat("2026-10-21T03:00:00+00:00")
    sent = await office.good("POST", f"/campaigns/{campaign_id}/test-text", acme.admin)
    office.clock.at = NOON
    assert sent["goes_at"] == "2026-10-21T13:00:00Z"


async def test_a_test_text_is_in_no_counts_and_begins_no_conversation_and_is_exported_as_one(
    office: Desk,
) -> None:
    acme = await office.organization()
    me = await office.good("PATCH", "/me", acme.admin, phone=MINE)
    campaign_id = await acme.launch()
    people = {"person_ids": [me["person_id"]]}
    await office.good("POST", f"/campaigns/{campaign_id}/senders", acme.admin, **people)
    sent = await office.good("POST", f"/campaigns/{campaign_id}/test-text", acme.admin)
    about = {"org_id": acme.org_id, "campaign_id": campaign_id}
    await office.hear(
        MessageDelivered(
            **about, message_id=sent["message_id"], carrier="att", segments=1, at=NOON
        ),
        MessageReceived(**about, sender=MINE, to=NUMBER, text="looks good", received_at=NOON),
    )
    details = await acme.details(campaign_id)
    assert details["counts"] == {"unassigned": 10}
    assert [sender["sent"] for sender in details["senders"]] == [0]
    listed = (await office.good("GET", "/conversations", acme.admin))["items"]
    assert [one for one in listed if one["phone"] == MINE] == []
    page = await office.good("GET", f"/campaigns/{campaign_id}/messages?limit=100", acme.admin)
    assert [(one["kind"], one["status"]) for one in page["items"] if one["to"] == MINE] == [
        ("test", "delivered")
    ]
    export = await office.good("GET", f"/campaigns/{campaign_id}/messages.csv", acme.admin)
    (row,) = [line for line in export.body.splitlines() if sent["message_id"] in line]
    assert ",test," in row


async def test_who_is_a_contact_too_answers_in_a_conversation(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    await office.good("PATCH", "/me", acme.admin, phone="+13032000000")
    campaign_id = await acme.launch(sue)
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    await office.good("POST", f"/messages/{work['messages'][0]['message_id']}/send", sue.token)
    office.clock.advance(5)
    await office.good("POST", f"/campaigns/{campaign_id}/test-text", acme.admin)
    office.clock.at = NOON
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender="+13032000000", to=NUMBER,
            text="hello", received_at=NOON + timedelta(seconds=9),
        )
    )  # fmt: skip
    (talk,) = (await office.good("GET", "/conversations", sue.token))["items"]
    assert talk["sender_id"] == sue.person_id


async def test_a_test_text_is_refused_with_the_reason(office: Desk) -> None:
    acme = await office.organization()
    draft = await acme.draft()
    path = f"/campaigns/{draft}/test-text"
    refused = await office.call("POST", path, acme.admin)
    assert (refused.status, "launch it first, without senders" in refused["detail"]) == (409, True)
    await office.good("POST", f"/campaigns/{draft}/launch", acme.admin)
    refused = await office.call("POST", path, acme.admin)
    assert (refused.status, refused["field"]) == (409, "phone")
    for phone, status in (("12", 422), ("x" * 41, 422), (MINE, 200), (None, 200), (MINE, 200)):
        reply = await office.call("PATCH", "/me", acme.admin, phone=phone)
        assert reply.status == status
    refused = await office.call("POST", path, acme.admin, contact_phone=NUMBER)
    assert (refused.status, refused["field"]) == (422, "contact_phone")
    await office.hear(ContactOptedOut(org_id=acme.org_id, phone=MINE, opted_out_at=NOON))
    refused = await office.call("POST", path, acme.admin)
    assert (refused.status, "START" in refused["detail"]) == (409, True)
    await office.good("POST", f"/campaigns/{draft}/archive", acme.admin)
    refused = await office.call("POST", path, acme.admin)
    assert (refused.status, "archived" in refused["detail"]) == (409, True)
    assert await office.told_of(MessageQueued, draft) == []
