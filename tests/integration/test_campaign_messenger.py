"""What senders do besides sending: skip, opt out, wait for replies, and ask when a text will go."""

import asyncio
from typing import Any

import pytest

from services.campaign import messenger, sending
from services.campaign.domain import Caller, Refused
from services.campaign.store import conversations
from shared.events import BucketState, ContactOptedOut, MessageQueued, MessageReceived
from tests.campaign_desk import NOON, Desk, Organization, Sender

PHONE = "+13032000000"
HOUR = 3600


async def launched(office: Desk, **differs: Any) -> tuple[Organization, Sender, str, list[str]]:
    """A campaign of one sender, with the ids of their texts."""
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue, **differs)
    return acme, sue, campaign_id, [one["message_id"] for one in await work(office, sue)]


async def work(office: Desk, sender: Sender, query: str = "") -> list[Any]:
    (line,) = (await office.good("GET", "/assignments", sender.token))["items"]
    path = f"/campaigns/{line['campaign_id']}/assignment{query}"
    found: list[Any] = (await office.good("GET", path, sender.token))["messages"]
    return found


async def writes(office: Desk, acme: Organization, campaign_id: str, phone: str = PHONE) -> None:
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender=phone, to="+12125550100",
            text="Who is this?", received_at=office.clock.at,
        )
    )  # fmt: skip


async def talk(office: Desk, **differs: Any) -> tuple[Organization, Sender, str, str]:
    """A conversation that waits for its sender."""
    acme, sue, campaign_id, ids = await launched(office, **differs)
    await office.good("POST", f"/messages/{ids[0]}/send", sue.token)
    office.clock.advance(60)
    await writes(office, acme, campaign_id)
    found = await office.good("GET", "/conversations?waiting=true", sue.token)
    return acme, sue, campaign_id, found["items"][0]["conversation_id"]


async def status_of(office: Desk, acme: Organization, message_id: str) -> str:
    found: str = (await office.good("GET", f"/messages/{message_id}", acme.admin))["status"]
    return found


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


# --- who may change and send what -----------------------------------------------------------


async def test_senders_change_a_text_only_where_the_campaign_lets_them(office: Desk) -> None:
    acme, sue, campaign_id, ids = await launched(office)
    path = f"/messages/{ids[0]}/send"
    reply = await office.call("POST", path, sue.token, text="Hello!")
    assert (reply.status, reply["field"]) == (409, "text")
    assert await status_of(office, acme, ids[0]) == "assigned"
    # As the script has it, it is no change.
    await office.good("POST", path, sue.token, text="Hi Carl0 of Boulder")
    await office.good("PATCH", f"/campaigns/{campaign_id}", acme.admin, senders_may_edit=True)
    await office.good("POST", f"/messages/{ids[1]}/send", sue.token, text="Hello!")
    texts = [one.text for one in await office.told_of(MessageQueued, campaign_id)]
    assert texts == ["Hi Carl0 of Boulder", "Hello!"]


async def test_an_admin_sends_anybodys_text_and_changes_it(office: Desk) -> None:
    acme, sue, campaign_id, ids = await launched(office)
    await office.good("POST", f"/messages/{ids[0]}/send", acme.admin, text="From Ada")
    shown = await office.good("GET", f"/messages/{ids[0]}", acme.admin)
    # The contact stays with their sender.
    assert (shown["text"], shown["sender_id"]) == ("From Ada", sue.person_id)
    await writes(office, acme, campaign_id)
    assert len((await office.good("GET", "/conversations", sue.token))["items"]) == 1


async def test_an_unassigned_text_that_an_admin_sends_is_theirs(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    page = await office.good("GET", f"/campaigns/{campaign_id}/messages", acme.admin)
    message_id = page["items"][0]["message_id"]
    await office.good("POST", f"/messages/{message_id}/send", acme.admin)
    me = await office.good("GET", "/me", acme.admin)
    shown = await office.good("GET", f"/messages/{message_id}", acme.admin)
    assert (shown["status"], shown["sender_id"]) == ("queued", me["person_id"])


async def test_the_same_text_sent_twice_with_one_key_is_one_text(office: Desk) -> None:
    _, sue, campaign_id, ids = await launched(office)
    path = f"/messages/{ids[0]}/send"
    first, second = [await office.once("k1", "POST", path, sue.token) for _ in range(2)]
    assert (first.status, second.status, second.body) == (202, 202, first.body)
    assert len(await office.told_of(MessageQueued, campaign_id)) == 1


# --- replies first --------------------------------------------------------------------------


async def test_initials_wait_while_more_than_so_many_replies_wait(office: Desk) -> None:
    acme, sue, campaign_id, ids = await launched(office, replies_first_over=1)
    for place in range(2):
        await office.good("POST", f"/messages/{ids[place]}/send", sue.token)
    office.clock.advance(60)
    await writes(office, acme, campaign_id)
    assert len(await work(office, sue)) == 8
    await writes(office, acme, campaign_id, "+13032000001")

    shown = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    assert (shown["messages"], len(shown["conversations"])) == ([], 2)
    assert shown["note"].startswith("Replies first: 2 contacts wait for your answer.")
    taken = await office.good("POST", f"/campaigns/{campaign_id}/assignments", sue.token)
    assert (taken["assigned"], taken["messages"]) == (0, [])
    reply = await office.call("POST", f"/messages/{ids[2]}/send", sue.token)
    assert (reply.status, "Replies first" in reply["detail"]) == (409, True)
    # An admin is not bound by it, and one answer is enough.
    await office.good("POST", f"/messages/{ids[2]}/send", acme.admin)
    path = f"/conversations/{shown['conversations'][0]['conversation_id']}/replies"
    await office.good("POST", path, sue.token, text="It is Sue")
    assert len(await work(office, sue)) == 7


async def test_while_replies_come_first_no_batch_is_taken(office: Desk) -> None:
    acme, sue, campaign_id, _ = await launched(
        office, replies_first_over=0, self_assign={"enabled": True, "batch_size": 20}
    )
    sam = await acme.sender("Sam")
    await office.good(
        "POST", f"/campaigns/{campaign_id}/senders", acme.admin, person_ids=[sam.person_id]
    )
    for one in await work(office, sue):
        await office.good("POST", f"/messages/{one['message_id']}/send", sue.token)
    async with office.database.transaction() as tx:
        await tx.sql.execute(
            "UPDATE messages SET status = 'unassigned', sender_id = '', queued_at = NULL"
            " WHERE campaign_id = $1 AND phone <> $2",
            campaign_id, PHONE,
        )  # fmt: skip
    await writes(office, acme, campaign_id)
    path = f"/campaigns/{campaign_id}/assignments"
    taken = await office.good("POST", path, sue.token)
    assert (taken["assigned"], "Replies first" in taken["note"]) == (0, True)
    assert (await office.good("POST", path, sam.token))["assigned"] == 9


# --- when it goes ---------------------------------------------------------------------------


async def seen(office: Desk, acme: Organization, **state: Any) -> None:
    await office.hear(
        BucketState(
            **{
                "org_id": acme.org_id, "carrier": "att", "backlog": 0, "replies": 0,
                "oldest_queued_at": None, "sent_per_minute": 0, "room": None,
                "day_quota_left": None, "slowed": False, "at": office.clock.at, **state,
            }
        )
    )  # fmt: skip


async def limit(office: Desk, acme: Organization, **differs: Any) -> None:
    limits = {"sms_per_minute": 60, "sms_unit": "message", "mms_per_minute": 60,
              "segments_per_day": None, **differs}  # fmt: skip
    path = f"/organizations/{acme.org_id}/limits/att"
    await office.good("PUT", path, office.operator, **limits)


async def test_a_text_over_the_limit_is_queued_and_says_when_it_is_expected_to_go(
    office: Desk,
) -> None:
    acme, sue, _, ids = await launched(office)
    await limit(office, acme)
    await seen(office, acme, backlog=3600, sent_per_minute=60, room=0)
    sent = await office.good("POST", f"/messages/{ids[0]}/send", sue.token)
    # Sixty a minute: an hour, and what the meters keep back.
    assert sent["expected_at"][:15] in ("2026-10-20T17:0", "2026-10-20T17:1")
    clock = sent["expected_at"][11:16].replace("17:", "13:")
    assert sent["note"] == f"Queued: 3,600 texts to AT&T go before it; expected about {clock}."
    assert (sent["status"], sent["goes_at"]) == ("queued", "2026-10-20T16:00:00Z")


async def test_a_text_that_the_limits_let_go_at_once_says_so(office: Desk) -> None:
    acme, sue, _, ids = await launched(office)
    await limit(office, acme)
    await seen(office, acme, room=60)
    sent = await office.good("POST", f"/messages/{ids[0]}/send", sue.token)
    assert sent["note"] == "Queued: it goes as soon as the limits allow."
    assert sent["expected_at"].startswith("2026-10-20T16:00")


async def test_a_text_that_will_miss_the_window_says_so(office: Desk) -> None:
    acme, sue, _, ids = await launched(office)
    await limit(office, acme, segments_per_day=100)
    await seen(office, acme, backlog=1, day_quota_left=0)
    sent = await office.good("POST", f"/messages/{ids[0]}/send", sue.token)
    assert sent["expected_at"] is None
    assert sent["note"] == (
        "Queued: 1 text to AT&T goes before it; "
        "by the limits it is not expected to go before the window ends."
    )


async def test_a_text_sent_while_closed_counts_from_the_next_opening(office: Desk) -> None:
    acme, sue, _, ids = await launched(office, window={"closes_at": "2026-10-23T01:00:00Z"})
    await limit(office, acme)
    office.clock.advance(11 * HOUR)  # 23:00 in New York
    await seen(office, acme, backlog=600, room=60)
    sent = await office.good("POST", f"/messages/{ids[0]}/send", sue.token)
    assert sent["goes_at"] == "2026-10-21T13:00:00Z"
    assert sent["note"].startswith(
        "Queued: the campaign is closed now; 600 texts to AT&T go before it; expected about 09:"
    )
    assert sent["note"].endswith(" on 2026-10-21.")


async def test_a_reply_waits_behind_replies_alone(office: Desk) -> None:
    acme, sue, _, conversation_id = await talk(office)
    await limit(office, acme)
    await seen(office, acme, backlog=3600, replies=0, room=60)
    path = f"/conversations/{conversation_id}/replies"
    sent = await office.good("POST", path, sue.token, text="Sue")
    assert sent["note"] == "Queued: it goes as soon as the limits allow."


async def test_of_a_paused_campaign_nobody_can_tell_when_a_text_goes(office: Desk) -> None:
    acme, sue, campaign_id, ids = await launched(office)
    await seen(office, acme, backlog=5)
    await office.good("POST", f"/campaigns/{campaign_id}/pause", acme.admin)
    sent = await office.good("POST", f"/messages/{ids[0]}/send", sue.token)
    assert (sent["expected_at"], "paused" in sent["note"]) == (None, True)


async def test_a_click_takes_few_round_trips(office: Desk) -> None:
    acme, sue, _, ids = await launched(office)
    caller = Caller(acme.org_id, sue.person_id, "sender", "Sue", "sue@example.org")
    async with office.database.transaction() as tx:
        await sending.send(tx, caller, ids[0], None)
    async with office.database.transaction() as tx:
        asked: list[str] = []
        tx.sql.add_query_logger(lambda statement: asked.append(statement.query))
        await sending.send(tx, caller, ids[1], None)
        # asyncpg tells of a statement a turn of the loop later.
        await asyncio.sleep(0)
        clicked = tuple(asked)
    # The text with all about it is held; it is queued; its bucket is looked at.
    assert len(clicked) == 3, clicked


async def test_another_organizations_text_is_not_there_to_click(office: Desk) -> None:
    acme, _, _, ids = await launched(office)
    other = await office.organization("Other")
    caller = Caller(other.org_id, "p", "admin", "Eve", "eve@example.org")
    async with office.database.transaction() as tx:
        with pytest.raises(Refused):
            await sending.send(tx, caller, ids[0], None)
    assert await status_of(office, acme, ids[0]) == "assigned"
