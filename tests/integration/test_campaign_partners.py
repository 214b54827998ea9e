"""Whose a conversation is, when more than one person answers in it."""

from shared.events import MessageReceived
from tests.campaign_desk import Desk, Organization

PHONE = "+13032000000"


async def answered(office: Desk, acme: Organization, campaign_id: str, text: str) -> None:
    office.clock.advance(60)
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender=PHONE, to="+12125550100",
            text=text, received_at=office.clock.at,
        )
    )  # fmt: skip
    office.clock.advance(60)


async def test_a_conversation_stays_its_senders_when_an_admin_joins_in(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue, contact_list_id=await acme.contacts(1))
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    message_id = work["messages"][0]["message_id"]
    await office.good("POST", f"/messages/{message_id}/send", sue.token)
    await answered(office, acme, campaign_id, "Yes?")
    (line,) = (await office.good("GET", "/conversations", sue.token))["items"]
    path = f"/conversations/{line['conversation_id']}"
    await office.good("POST", f"{path}/replies", sue.token, text="At noon")
    office.clock.advance(60)
    await office.good("POST", f"{path}/replies", acme.admin, text="At one, sorry")

    await answered(office, acme, campaign_id, "Fine")
    shown = await office.good("GET", path, sue.token)
    assert (shown["sender_id"], shown["waiting"]) == (sue.person_id, True)
    assert (await office.good("GET", "/conversations?waiting=true", sue.token))["items"]
    await office.good("POST", f"{path}/replies", sue.token, text="See you")


async def test_an_admin_who_answers_what_is_nobodys_has_the_conversation(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch(contact_list_id=await acme.contacts(1))
    await answered(office, acme, campaign_id, "Who is this?")
    (line,) = (await office.good("GET", "/conversations", acme.admin))["items"]
    assert line["sender_id"] is None
    path = f"/conversations/{line['conversation_id']}"
    await office.good("POST", f"{path}/replies", acme.admin, text="Acme")
    await answered(office, acme, campaign_id, "Ah")
    me = (await office.good("GET", "/me", acme.admin))["person_id"]
    assert (await office.good("GET", path, acme.admin))["sender_id"] == me
