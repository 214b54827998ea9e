"""Whoever holds several conversations takes them in one order: nobody waits in a ring."""

import asyncio

from services.campaign.store import conversations
from shared.events import ContactOptedIn, ContactOptedOut
from tests.campaign_desk import NOON, Desk
from tests.campaign_senders import answer_from

PHONES = ("+13032000000", "+13032000001")


async def test_contacts_who_come_back_wait_in_no_ring_with_those_who_write(office: Desk) -> None:
    acme = await office.organization()
    contact_list_id = await acme.contacts(2)
    two = sorted([await acme.launch(contact_list_id=contact_list_id) for _ in range(2)])
    await office.hear(
        *(ContactOptedOut(org_id=acme.org_id, phone=phone, opted_out_at=NOON) for phone in PHONES)
    )
    office.clock.advance(60)
    for row in range(2):
        for campaign_id in two:
            await answer_from(office, acme, campaign_id, row)
    back = [
        ContactOptedIn(org_id=acme.org_id, phone=phone, opted_in_at=office.clock.at)
        for phone in PHONES
    ]

    async def welcome() -> None:
        async with office.database.transaction() as tx:
            await conversations.opt_in(tx, back, office.clock.at)

    # As a text from the second contact to the first campaign does, and then one from the first
    # contact to the second campaign.
    hold = """
        SELECT FROM conversations WHERE org_id = $1 AND campaign_id = $2 AND phone = $3
        FOR NO KEY UPDATE
    """
    async with office.database.transaction() as tx:
        await tx.sql.execute(hold, acme.org_id, two[0], PHONES[1])
        welcoming = asyncio.create_task(welcome())
        await asyncio.sleep(0.3)
        await tx.sql.execute(hold, acme.org_id, two[1], PHONES[0])
    await welcoming
    waiting = await office.good("GET", "/conversations?waiting=true", acme.admin)
    assert len(waiting["items"]) == 4
