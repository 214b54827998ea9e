"""Senders: batches, the click that sends, answers."""

import asyncio
import csv
import io
from typing import Any

import pytest

from services.campaign.acts import sending
from services.campaign.domain import Caller
from shared.events import ContactOptedOut, MessageQueued, MessageReceived
from tests.campaign_desk import NOON, Desk, Organization, Sender

HOUR = 3600
PHONE = "+13032000000"


async def attached(acme: Organization, campaign_id: str, *names: str) -> list[Sender]:
    """Senders who were added after the launch."""
    senders = [await acme.sender(name) for name in names]
    await acme.desk.good(
        "POST",
        f"/campaigns/{campaign_id}/senders",
        acme.admin,
        person_ids=[sender.person_id for sender in senders],
    )
    return senders


async def first_initial(office: Desk, campaign_id: str, sender: Sender) -> str:
    waiting = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sender.token)
    found: str = waiting["messages"][0]["message_id"]
    return found


async def test_two_senders_who_ask_at_once_never_get_the_same_text(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch(
        contact_list_id=await acme.contacts(50), self_assign={"enabled": True, "batch_size": 30}
    )
    sue, sam = await attached(acme, campaign_id, "Sue", "Sam")
    path = f"/campaigns/{campaign_id}/assignments"
    replies = await asyncio.gather(
        *(office.good("POST", path, sender.token) for _ in range(8) for sender in (sue, sam))
    )
    # The last batch may be smaller, and none left is an answer.
    assert sum(reply["assigned"] for reply in replies) == 50
    last = [await office.good("POST", path, sender.token) for sender in (sue, sam)]
    assert [one["assigned"] for one in last] == [0, 0]
    assert "None are left to assign." in {one["note"] for one in last}
    hers, his = [
        await office.good("GET", f"/campaigns/{campaign_id}/assignment", sender.token)
        for sender in (sue, sam)
    ]
    ids = [one["message_id"] for one in (*hers["messages"], *his["messages"])]
    assert len(ids) == len(set(ids)) == 50


async def test_self_assign_is_off_until_an_admin_turns_it_on(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch(self_assign={})
    (sue,) = await attached(acme, campaign_id, "Sue")
    path = f"/campaigns/{campaign_id}/assignments"
    reply = await office.call("POST", path, sue.token)
    assert (reply.status, "off" in reply["detail"]) == (409, True)
    on = {"enabled": True, "batch_size": 3}
    await office.good("PATCH", f"/campaigns/{campaign_id}", acme.admin, self_assign=on)
    assert (await office.good("POST", path, sue.token, count=2))["assigned"] == 2
    assert (await office.good("POST", path, sue.token, count=50))["assigned"] == 1
    assert (await office.good("POST", path, sue.token))["assigned"] == 0
    reply = await office.call("POST", path, sue.token, count=0)
    assert (reply.status, reply["field"]) == (422, "count")


async def test_only_senders_of_the_campaign_get_its_texts(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    sue = await acme.sender()
    for method, path in (("POST", "assignments"), ("GET", "assignment")):
        reply = await office.call(method, f"/campaigns/{campaign_id}/{path}", sue.token)
        assert reply.status == 403


async def test_a_click_queues_the_rendered_text(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    message_id = await first_initial(office, campaign_id, sue)
    sent = await office.call("POST", f"/messages/{message_id}/send", sue.token)
    assert sent.status == 202
    assert (sent["status"], sent["segments"], sent["text"]) == ("queued", 1, "Hi Carl0 of Boulder")
    (told,) = await office.told_of(MessageQueued, campaign_id)
    assert told.message_id == message_id
    assert (told.kind, told.channel, told.to, told.carrier) == ("initial", "sms", PHONE, "att")
    assert told.text == "Hi Carl0 of Boulder"
    assert told.queued_at == NOON
    place = sent.headers["Location"].removeprefix("/api/v1")
    assert (await office.good("GET", place, sue.token))["status"] == "queued"
    assert (await acme.details(campaign_id))["counts"] == {"assigned": 9, "queued": 1}


async def test_many_clicks_on_one_text_queue_it_once(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    message_id = await first_initial(office, campaign_id, sue)
    path = f"/messages/{message_id}/send"
    replies = await asyncio.gather(*(office.call("POST", path, sue.token) for _ in range(6)))
    assert sorted(reply.status for reply in replies) == [202, 409, 409, 409, 409, 409]
    assert len(await office.told_of(MessageQueued, campaign_id)) == 1


async def test_a_click_waits_for_the_one_before_it(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    message_id = await first_initial(office, campaign_id, sue)
    caller = Caller(acme.org_id, sue.person_id, "sender", "Sue", "sue@example.org")
    async with office.database.transaction() as tx:
        await sending.send(tx, caller, message_id, None)
        second = asyncio.create_task(office.call("POST", f"/messages/{message_id}/send", sue.token))
        await asyncio.sleep(0.3)
        assert not second.done()
    assert (await second).status == 409
    assert len(await office.told_of(MessageQueued, campaign_id)) == 1


async def test_nobody_sends_what_is_not_theirs(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    message_id = await first_initial(office, campaign_id, sue)
    (sam,) = await attached(acme, campaign_id, "Sam")
    assert (await office.call("POST", f"/messages/{message_id}/send", sam.token)).status == 403
    await office.good("DELETE", f"/campaigns/{campaign_id}/senders/{sue.person_id}", acme.admin)
    reply = await office.call("POST", f"/messages/{message_id}/send", sue.token)
    assert (reply.status, "nobody" in reply["detail"]) == (409, True)
    assert not await office.told_of(MessageQueued, campaign_id)


async def test_outside_of_the_window_the_inbox_is_empty_and_nothing_is_sent(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    tomorrow = {"opens_at": "2026-10-21T13:00:00Z", "closes_at": "2026-10-22T01:00:00Z"}
    campaign_id = await acme.launch(sue, window=tomorrow)
    path = f"/campaigns/{campaign_id}/assignment"

    early = await office.good("GET", path, sue.token)
    assert (early["inbox_zero"], early["messages"]) == (True, [])
    assert "not started" in early["note"]
    batch = await office.good("POST", f"/campaigns/{campaign_id}/assignments", sue.token)
    assert (batch["assigned"], batch["messages"]) == (0, [])

    office.clock.advance(21 * HOUR)
    message_id = await first_initial(office, campaign_id, sue)
    office.clock.advance(12 * HOUR)
    late = await office.good("GET", path, sue.token)
    assert (late["inbox_zero"], late["messages"]) == (True, [])
    reply = await office.call("POST", f"/messages/{message_id}/send", sue.token)
    assert (reply.status, "has closed" in reply["detail"]) == (409, True)

    later = {"closes_at": "2026-10-23T01:00:00Z"}
    await office.good("PATCH", f"/campaigns/{campaign_id}", acme.admin, window=later)
    assert (await office.call("POST", f"/messages/{message_id}/send", sue.token)).status == 202


async def test_a_text_sent_while_closed_is_queued_and_says_when_it_goes(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue, window={"closes_at": "2026-10-23T01:00:00Z"})
    office.clock.advance(11 * HOUR)  # 23:00 in New York
    message_id = await first_initial(office, campaign_id, sue)
    sent = await office.good("POST", f"/messages/{message_id}/send", sue.token)
    assert (sent["status"], sent["goes_at"]) == ("queued", "2026-10-21T13:00:00Z")
    assert "closed now" in sent["note"]
    assert len(await office.told_of(MessageQueued, campaign_id)) == 1


async def test_a_contact_who_opted_out_gets_nothing_more(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    message_id = await first_initial(office, campaign_id, sue)
    await office.hear(ContactOptedOut(org_id=acme.org_id, phone=PHONE, opted_out_at=NOON))
    reply = await office.call("POST", f"/messages/{message_id}/send", sue.token)
    assert (reply.status, "opted out" in reply["detail"]) == (409, True)
    assert (await acme.details(campaign_id))["counts"] == {"assigned": 9, "opted out": 1}
    assert await first_initial(office, campaign_id, sue) != message_id


async def test_a_stop_in_the_instant_of_the_launch_holds_as_well(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    message_id = await first_initial(office, campaign_id, sue)
    # The launch did not see it, and it did not see what the launch wrote.
    async with office.database.transaction() as tx:
        await tx.sql.execute("INSERT INTO opt_outs VALUES ($1, $2, $3)", acme.org_id, PHONE, NOON)
    reply = await office.call("POST", f"/messages/{message_id}/send", sue.token)
    assert (reply.status, "opted out" in reply["detail"]) == (409, True)
    assert await first_initial(office, campaign_id, sue) != message_id
    assert not await office.told_of(MessageQueued, campaign_id)


@pytest.mark.parametrize("text", ["", " ", "\x00", "x" * 1601, "\udfff", 5])
async def test_a_text_that_cannot_go_is_refused_and_nothing_is_written(
    office: Desk, text: Any
) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    message_id = await first_initial(office, campaign_id, sue)
    reply = await office.call("POST", f"/messages/{message_id}/send", sue.token, text=text)
    assert (reply.status, reply["field"]) == (422, "text")
    assert (await acme.details(campaign_id))["counts"] == {"assigned": 10}
    assert not await office.told_of(MessageQueued, campaign_id)


async def test_an_mms_goes_with_its_files(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    urls = ["https://example.org/poster.png"]
    campaign_id = await acme.launch(sue, channel="mms", media_urls=urls, senders_may_edit=True)
    message_id = await first_initial(office, campaign_id, sue)
    await office.good("POST", f"/messages/{message_id}/send", sue.token, text="Look!")
    (told,) = await office.told_of(MessageQueued, campaign_id)
    assert (told.channel, list(told.media_urls), told.text) == ("mms", urls, "Look!")


async def answered(office: Desk, acme: Organization, campaign_id: str, text: str = "Yes?") -> None:
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender=PHONE, to="+12125550100",
            text=text, received_at=office.clock.at,
        )
    )  # fmt: skip


async def talk(office: Desk) -> tuple[Organization, str, Sender, str]:
    """A conversation that waits for its sender."""
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    message_id = await first_initial(office, campaign_id, sue)
    await office.good("POST", f"/messages/{message_id}/send", sue.token)
    office.clock.advance(60)
    await answered(office, acme, campaign_id)
    waiting = await office.good("GET", "/conversations?waiting=true", sue.token)
    return acme, campaign_id, sue, waiting["items"][0]["conversation_id"]


async def test_an_answer_is_the_work_of_the_sender_who_texted_last(office: Desk) -> None:
    acme, campaign_id, sue, conversation_id = await talk(office)
    (sam,) = await attached(acme, campaign_id, "Sam")
    assert (await office.good("GET", "/conversations", sam.token))["items"] == []
    path = f"/conversations/{conversation_id}"
    assert (await office.call("GET", path, sam.token)).status == 403
    assert (await office.call("POST", f"{path}/replies", sam.token, text="Hi")).status == 403
    shown = await office.good("GET", path, sue.token)
    assert (shown["waiting"], shown["first_name"], shown["phone"]) == (True, "Carl0", PHONE)
    assert [(one["direction"], one["text"]) for one in shown["messages"]] == [
        ("out", "Hi Carl0 of Boulder"),
        ("in", "Yes?"),
    ]
    waiting = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    assert [one["last_text"] for one in waiting["conversations"]] == ["Yes?"]
    (line,) = (await office.good("GET", "/assignments", sue.token))["items"]
    assert (line["waiting"], line["assigned"], line["any_unassigned"]) == (1, 9, False)


async def test_a_reply_is_queued_and_the_conversation_waits_no_more(office: Desk) -> None:
    acme, campaign_id, sue, conversation_id = await talk(office)
    path = f"/conversations/{conversation_id}"
    office.clock.advance(60)
    reply = await office.call("POST", f"{path}/replies", sue.token, text="At noon")
    assert (reply.status, reply["status"]) == (202, "queued")
    told = (await office.told_of(MessageQueued, campaign_id))[-1]
    assert (told.kind, told.to, told.text, told.carrier) == ("reply", PHONE, "At noon", "att")
    assert (await office.good("GET", "/conversations?waiting=true", sue.token))["items"] == []
    office.clock.advance(60)
    await answered(office, acme, campaign_id, "Thanks")
    shown = await office.good("GET", path, sue.token)
    assert shown["waiting"] is True
    assert [one["direction"] for one in shown["messages"]] == ["out", "in", "out", "in"]
    kinds = ["initial", "answer", "reply", "answer"]
    assert [one["kind"] for one in shown["messages"]] == kinds


async def test_replies_go_on_after_the_windows_end(office: Desk) -> None:
    _, campaign_id, sue, conversation_id = await talk(office)
    office.clock.advance(2 * 86_400)
    reply = await office.call("POST", f"/conversations/{conversation_id}/replies", sue.token,
                              text="Still there?")  # fmt: skip
    assert reply.status == 202
    assert (await office.told_of(MessageQueued, campaign_id))[-1].kind == "reply"


async def test_who_opted_out_is_not_answered_and_waits_for_nobody(office: Desk) -> None:
    acme, campaign_id, sue, conversation_id = await talk(office)
    await answered(office, acme, campaign_id, "STOP")
    await office.hear(
        ContactOptedOut(org_id=acme.org_id, phone=PHONE, opted_out_at=office.clock.at)
    )
    shown = await office.good("GET", f"/conversations/{conversation_id}", sue.token)
    assert (shown["opted_out"], shown["waiting"]) == (True, False)
    reply = await office.call("POST", f"/conversations/{conversation_id}/replies", sue.token,
                              text="But")  # fmt: skip
    assert reply.status == 409
    office.clock.advance(60)
    await answered(office, acme, campaign_id, "I said STOP")
    assert (await office.good("GET", "/conversations?waiting=true", sue.token))["items"] == []


async def test_the_export_holds_every_text_of_the_campaign(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue, script='Hi {first_name}, "friend"\nof {town}')
    message_id = await first_initial(office, campaign_id, sue)
    await office.good("POST", f"/messages/{message_id}/send", sue.token)
    export = await office.good("GET", f"/campaigns/{campaign_id}/messages.csv", acme.admin)
    assert export.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(export.body)))
    assert len(rows) == 10
    assert rows[0]["message_id"] == message_id
    assert (rows[0]["status"], rows[0]["queued_at"]) == ("queued", "2026-10-20T16:00:00Z")
    assert rows[0]["text"] == 'Hi Carl0, "friend"\nof Boulder'
    assert (rows[1]["status"], rows[1]["queued_at"], rows[1]["text"]) == ("assigned", "", "")


async def test_lists_of_texts_are_paged(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    path = f"/campaigns/{campaign_id}/messages"
    found: list[str] = []
    after = ""
    while True:
        page = await office.good("GET", f"{path}?limit=4&after={after}", acme.admin)
        found += [one["message_id"] for one in page["items"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert len(found) == len(set(found)) == 10
    none = await office.good("GET", f"{path}?status=sending+failed", acme.admin)
    assert none["items"] == []
    for query, field in (("status=lost", "status"), ("limit=0", "limit"), ("limt=3", "limt")):
        reply = await office.call("GET", f"{path}?{query}", acme.admin)
        assert (reply.status, reply["field"]) == (422, field)
