"""Senders who are taken off a campaign, and what happens in that very moment."""

import asyncio

from services.campaign.acts import assigning
from services.campaign.domain import Caller
from services.campaign.store import conversations
from shared.events import MessageReceived
from tests.campaign_desk import Desk, Organization, Sender
from tests.campaign_senders import answer_from, send, talks_of, texts_of


async def texted(office: Desk) -> tuple[Organization, str, Sender, Sender, str]:
    """A campaign of two senders, and a text that the first of them has sent."""
    acme = await office.organization()
    sue, sam = await acme.sender("Sue"), await acme.sender("Sam")
    campaign_id = await acme.launch(sue, contact_list_id=await acme.contacts(2))
    await office.good(
        "POST", f"/campaigns/{campaign_id}/senders", acme.admin, person_ids=[sam.person_id]
    )
    message_id = (await texts_of(office, campaign_id, sue))[0]
    await send(office, sue, message_id)
    return acme, campaign_id, sue, sam, message_id


async def test_who_was_taken_off_has_no_say_over_the_contacts_whom_they_texted(
    office: Desk,
) -> None:
    acme, campaign_id, sue, _, message_id = await texted(office)
    await office.good("POST", "/tags", acme.admin, tag="friend")
    tag = f"/messages/{message_id}/tags/friend"
    await office.good("PUT", tag, sue.token)
    await office.good("DELETE", f"/campaigns/{campaign_id}/senders/{sue.person_id}", acme.admin)
    for method, path in (
        ("POST", f"/messages/{message_id}/opt-out"),
        ("PUT", tag),
        ("DELETE", tag),
    ):
        reply = await office.call(method, path, sue.token)
        assert (reply.status, reply["detail"]) == (403, "You are not a sender of this campaign")
    # Whoever is back has it again.
    await office.good(
        "POST", f"/campaigns/{campaign_id}/senders", acme.admin, person_ids=[sue.person_id]
    )
    assert (await office.good("PUT", tag, sue.token))["tags"] == ["friend"]


async def test_who_answers_a_sender_who_is_being_taken_off_is_their_heirs(office: Desk) -> None:
    acme, campaign_id, sue, sam, _ = await texted(office)
    admin = Caller(acme.org_id, "a", "admin", "Ada", "ada@example.org")
    async with office.database.transaction() as tx:
        await assigning.remove_sender(tx, admin, campaign_id, sue.person_id, heir_id=sam.person_id)
        answer = asyncio.create_task(answer_from(office, acme, campaign_id, 0))
        await asyncio.sleep(0.3)
        assert not answer.done()
    await answer
    assert (await talks_of(office, sue), await talks_of(office, sam)) == ([], ["+13032000000"])


async def test_a_sender_who_is_taken_off_leaves_the_talk_that_is_just_beginning(
    office: Desk,
) -> None:
    acme, campaign_id, sue, sam, _ = await texted(office)
    path = f"/campaigns/{campaign_id}/senders/{sue.person_id}?conversations_to={sam.person_id}"
    told = MessageReceived(
        org_id=acme.org_id, campaign_id=campaign_id, sender="+13032000000", to="+12125550100",
        text="Who is this?", received_at=office.clock.at,
    )  # fmt: skip
    async with office.database.transaction() as tx:
        await conversations.receive(tx, [told])
        removal = asyncio.create_task(office.good("DELETE", path, acme.admin))
        await asyncio.sleep(0.3)
        assert not removal.done()
    assert (await removal)["conversations"] == 1
    assert (await talks_of(office, sue), await talks_of(office, sam)) == ([], ["+13032000000"])
