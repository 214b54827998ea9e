"""What senders do besides sending: they skip texts, and opt contacts out by hand."""

import asyncio

from services.campaign.acts import messenger
from services.campaign.domain import Caller
from services.campaign.store import conversations
from shared.events import ContactOptedOut, MessageQueued
from tests.campaign_desk import NOON, Desk, Organization
from tests.senders_work import PHONE, launched, status_of, talk, work

# --- skip -----------------------------------------------------------------------------------


async def test_a_skipped_text_is_listed_no_more_until_it_is_brought_back(office: Desk) -> None:
    acme, sue, campaign_id, ids = await launched(office)
    skipped = await office.good("POST", f"/messages/{ids[0]}/skip", sue.token)
    assert skipped["status"] == "skipped"
    assert ids[0] not in [one["message_id"] for one in await work(office, sue)]
    assert [one["message_id"] for one in await work(office, sue, "?skipped=true")] == [ids[0]]
    reply = await office.call("POST", f"/messages/{ids[0]}/send", sue.token)
    assert (reply.status, "skipped" in reply["detail"]) == (409, True)
    assert (await acme.details(campaign_id))["counts"] == {"assigned": 9, "skipped": 1}
    back = await office.good("POST", f"/messages/{ids[0]}/unskip", sue.token)
    assert back["status"] == "assigned"
    assert [one["message_id"] for one in await work(office, sue)] == ids
    await office.good("POST", f"/messages/{ids[0]}/send", sue.token)


async def test_an_admin_brings_back_what_a_sender_skipped_and_a_colleague_cannot(
    office: Desk,
) -> None:
    acme, sue, _, ids = await launched(office)
    sam = await acme.sender("Sam")
    path = f"/messages/{ids[0]}"
    assert (await office.call("POST", f"{path}/skip", sam.token)).status == 403
    await office.good("POST", f"{path}/skip", sue.token)
    # Twice is no news, either way.
    await office.good("POST", f"{path}/skip", sue.token)
    assert (await office.call("POST", f"{path}/unskip", sam.token)).status == 403
    for _ in range(2):
        assert (await office.good("POST", f"{path}/unskip", acme.admin))["status"] == "assigned"
    assert len(await work(office, sue)) == 10


async def test_what_is_queued_is_skipped_no_more(office: Desk) -> None:
    _, sue, _, ids = await launched(office)
    await office.good("POST", f"/messages/{ids[0]}/send", sue.token)
    for act in ("skip", "unskip"):
        reply = await office.call("POST", f"/messages/{ids[0]}/{act}", sue.token)
        assert (reply.status, "queued" in reply["detail"]) == (409, True)


async def test_of_a_skip_and_a_send_at_once_one_is_done(office: Desk) -> None:
    acme, sue, campaign_id, ids = await launched(office)
    for message_id in ids:
        skip, send = await asyncio.gather(
            office.call("POST", f"/messages/{message_id}/skip", sue.token),
            office.call("POST", f"/messages/{message_id}/send", sue.token),
        )
        assert {skip.status, send.status} in ({200, 409}, {409, 202})
        status = await status_of(office, acme, message_id)
        assert status == ("queued" if send.status == 202 else "skipped")
    counts = (await acme.details(campaign_id))["counts"]
    assert len(await office.told_of(MessageQueued, campaign_id)) == counts.get("queued", 0)


# --- opting out by hand ---------------------------------------------------------------------


async def opt_outs(office: Desk, acme: Organization) -> list[ContactOptedOut]:
    return [one for one in await office.told(ContactOptedOut) if one.org_id == acme.org_id]


async def test_a_contact_is_opted_out_by_hand_from_a_text(office: Desk) -> None:
    acme, sue, campaign_id, ids = await launched(office)
    other = await acme.launch(contact_list_id=(await acme.details(campaign_id))["contact_list_id"])
    gone = await office.good("POST", f"/messages/{ids[0]}/opt-out", sue.token)
    assert gone.body == {"phone": PHONE, "withdrawn": 2}
    (told,) = await opt_outs(office, acme)
    assert (told.phone, told.opted_out_at) == (PHONE, NOON)
    for one in (campaign_id, other):
        assert (await acme.details(one))["counts"]["opted out"] == 1
    assert (await office.call("POST", f"/messages/{ids[0]}/send", sue.token)).status == 409
    # Heard of again, as all services hear it, it changes nothing.
    await office.hear(told)
    assert (await acme.details(campaign_id))["counts"]["opted out"] == 1


async def test_a_contact_is_opted_out_by_hand_from_a_conversation(office: Desk) -> None:
    acme, sue, campaign_id, conversation_id = await talk(office)
    sam = await acme.sender("Sam")
    path = f"/conversations/{conversation_id}"
    assert (await office.call("POST", f"{path}/opt-out", sam.token)).status == 403
    await office.good("POST", f"{path}/opt-out", sue.token)
    shown = await office.good("GET", path, sue.token)
    assert (shown["opted_out"], shown["waiting"], shown["answerable"]) == (True, False, False)
    assert shown["answer_warning"] == "The contact has opted out."
    reply = await office.call("POST", f"{path}/replies", sue.token, text="But")
    assert (reply.status, "opted out" in reply["detail"]) == (409, True)
    trail = await office.good("GET", f"/audit?subject_id={campaign_id}", acme.admin)
    assert "contact opted out" in [one["act"] for one in trail["items"]]


async def test_a_skipped_text_is_withdrawn_as_well(office: Desk) -> None:
    acme, sue, _, ids = await launched(office)
    await office.good("POST", f"/messages/{ids[0]}/skip", sue.token)
    await office.good("POST", f"/messages/{ids[0]}/opt-out", sue.token)
    assert await status_of(office, acme, ids[0]) == "opted out"
    assert (await office.call("POST", f"/messages/{ids[0]}/unskip", sue.token)).status == 409


async def test_many_clicks_opt_a_contact_out_once(office: Desk) -> None:
    acme, sue, _, conversation_id = await talk(office)
    path = f"/conversations/{conversation_id}/opt-out"
    replies = await asyncio.gather(*(office.good("POST", path, sue.token) for _ in range(6)))
    assert sum(reply["withdrawn"] for reply in replies) == 0
    assert len(await opt_outs(office, acme)) == 1
    # Their START ends it; a second opt-out is news again.
    async with office.database.transaction() as tx:
        await tx.sql.execute(
            "UPDATE opt_outs SET opted_in_at = $2 WHERE org_id = $1",
            acme.org_id, NOON.replace(hour=23),
        )  # fmt: skip
    await office.good("POST", path, sue.token)
    assert len(await opt_outs(office, acme)) == 2
    assert (await office.call("POST", f"/conversations/{conversation_id}/replies", acme.admin,
                              text="?")).status == 409  # fmt: skip


async def test_of_an_opt_out_and_a_send_at_once_nothing_follows_the_opt_out(office: Desk) -> None:
    acme, sue, _, ids = await launched(office)
    for message_id in ids:
        out, send = await asyncio.gather(
            office.call("POST", f"/messages/{message_id}/opt-out", acme.admin),
            office.call("POST", f"/messages/{message_id}/send", sue.token),
        )
        assert out.status == 200
        sent = send.status == 202
        assert out["withdrawn"] == (0 if sent else 1)
        assert await status_of(office, acme, message_id) == ("queued" if sent else "opted out")
    gone: list[str] = []
    for topic, phone in await told_in_order(office, acme):
        assert phone not in gone
        if topic == "ContactOptedOut":
            gone.append(phone)
    assert len(gone) == len(ids)


async def told_in_order(office: Desk, acme: Organization) -> list[tuple[str, str]]:
    """What was told of each contact's texts and opt-outs, oldest first."""
    async with office.database.connection() as connection:
        rows = await connection.fetch(
            """
            SELECT topic, substring(told FROM '[+]1303200[0-9]{4}') AS phone
            FROM outbox, convert_from(body, 'UTF8') AS told
            WHERE topic IN ('MessageQueued', 'ContactOptedOut') AND strpos(told, $1) > 0
            ORDER BY position
            """,
            acme.org_id,
        )
    return [(row["topic"], row["phone"]) for row in rows]


async def test_an_answer_that_waits_for_an_opt_out_finds_it(office: Desk) -> None:
    acme, sue, campaign_id, conversation_id = await talk(office)
    caller = Caller(acme.org_id, sue.person_id, "sender", "Sue", "sue@example.org")
    # Answered already: it waits for nobody, and is held by the opt-out all the same.
    await office.good("POST", f"/conversations/{conversation_id}/replies", sue.token, text="Sue")
    before = len(await office.told_of(MessageQueued, campaign_id))
    async with office.database.transaction() as tx:
        contact = await conversations.get(tx, acme.org_id, conversation_id)
        await messenger.opt_out(tx, caller, contact)
        answer = asyncio.create_task(
            office.call("POST", f"/conversations/{conversation_id}/replies", sue.token, text="Hi")
        )
        await asyncio.sleep(0.3)
        assert not answer.done()
    assert (await answer).status == 409
    assert len(await office.told_of(MessageQueued, campaign_id)) == before
