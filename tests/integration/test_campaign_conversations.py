"""Admin conversations: every contact of every campaign, and what can be sent to them now."""

from datetime import timedelta
from typing import Any

import pytest

from shared.events import ContactOptedOut, MessageFailed, MessageReceived, MessageUnclear
from tests.campaign_desk import NOON, Desk, Organization, Sender

PHONE = "+13032000000"
STRANGER = "+13039998888"
DAY = 86_400


async def writes(office: Desk, acme: Organization, campaign_id: str, phone: str = PHONE) -> None:
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender=phone, to="+12125550100",
            text="Who is this?", received_at=office.clock.at,
        )
    )  # fmt: skip


async def ended(office: Desk, acme: Organization, kind: Any, one: Any, **more: Any) -> None:
    await office.hear(
        kind(
            org_id=acme.org_id, campaign_id=one["campaign_id"], message_id=one["message_id"],
            carrier="att", segments=1, at=office.clock.at, **more,
        )
    )  # fmt: skip


async def listed(office: Desk, token: str, query: str = "") -> list[Any]:
    found: list[Any] = (await office.good("GET", f"/conversations?{query}", token))["items"]
    return found


async def sent(office: Desk, campaign_id: str, sender: Sender, count: int) -> list[str]:
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sender.token)
    ids = [one["message_id"] for one in work["messages"][:count]]
    for message_id in ids:
        await office.good("POST", f"/messages/{message_id}/send", sender.token)
    return ids


async def launched(office: Desk, rows: int = 3) -> tuple[Organization, Sender, str]:
    acme = await office.organization()
    sue = await acme.sender()
    return acme, sue, await acme.launch(sue, contact_list_id=await acme.contacts(rows))


async def test_for_senders_after_the_end_date_has_passed_the_messages_are_not_viewable(
    office: Desk,
) -> None:
    acme, sue, campaign_id = await launched(office)
    (answered,) = await sent(office, campaign_id, sue, 1)
    await writes(office, acme, campaign_id)
    (unsent, *_) = (await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token))[
        "messages"
    ]
    office.clock.advance(DAY)
    shown = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    assert (shown["messages"], shown["inbox_zero"]) == ([], True)
    text = await office.good("GET", f"/messages/{unsent['message_id']}", sue.token)
    assert (text["text"], text["sendable"]) == (None, False)
    # They see their replies, if there are any.
    assert [one["message_id"] for one in shown["conversations"]] == [answered]
    assert [one["message_id"] for one in await listed(office, sue.token)] == [answered]


async def test_unsent_initial_messages_are_viewable_in_the_initial_message_tab(
    office: Desk,
) -> None:
    acme, sue, campaign_id = await launched(office)
    await sent(office, campaign_id, sue, 1)
    office.clock.advance(DAY)
    lines = await listed(office, acme.admin, "tab=initials")
    assert [line["last_text"] for line in lines] == ["Hi Carl2 of Boulder", "Hi Carl1 of Boulder"]
    for line in lines:
        assert (line["sendable"], line["conversation_id"]) == (False, None)
        assert line["warning"].startswith("The initial message sending window has closed.")


async def test_to_send_the_initial_message_after_the_window_extend_the_end_date(
    office: Desk,
) -> None:
    acme, _, campaign_id = await launched(office)
    office.clock.advance(DAY)
    line = (await listed(office, acme.admin, "tab=initials"))[0]
    path = f"/messages/{line['message_id']}"
    shown = await office.good("GET", path, acme.admin)
    assert (shown["sendable"], shown["text"]) == (False, "Hi Carl2 of Boulder")
    assert shown["warning"] == line["warning"]
    # Uneditable and unsendable.
    for body in ({}, {"text": "Late, but here"}):
        assert (await office.call("POST", f"{path}/send", acme.admin, **body)).status == 409
    later = (NOON + timedelta(days=3)).isoformat()
    await office.good("PATCH", f"/campaigns/{campaign_id}", acme.admin, window={"closes_at": later})
    line = (await listed(office, acme.admin, "tab=initials"))[0]
    assert (line["sendable"], line["warning"]) == (True, None)
    assert (await office.good("GET", path, acme.admin))["sendable"] is True
    await office.good("POST", f"{path}/send", acme.admin, text="Late, but here")


async def test_before_the_start_an_initial_is_shown_and_not_sendable(office: Desk) -> None:
    acme = await office.organization()
    window = {"opens_at": "2026-10-22T13:00:00Z", "closes_at": "2026-10-23T01:00:00Z"}
    await acme.launch(window=window)
    line = (await listed(office, acme.admin, "tab=initials"))[0]
    assert (line["status"], line["sendable"]) == ("unassigned", False)
    assert "not opened yet" in line["warning"]


async def test_a_message_marked_sending_failed_can_no_longer_be_sent(office: Desk) -> None:
    acme, sue, campaign_id = await launched(office)
    await sent(office, campaign_id, sue, 2)
    first, second = await listed(office, acme.admin, "status=queued")
    for one, reason in ((first, "sending failed"), (second, "campaign closed")):
        await ended(office, acme, MessageFailed, one, reason=reason)
    later = (NOON + timedelta(days=3)).isoformat()
    await office.good("PATCH", f"/campaigns/{campaign_id}", acme.admin, window={"closes_at": later})
    failed = await listed(office, acme.admin, "tab=failed")
    assert [line["status"] for line in failed] == ["sending failed", "campaign closed"]
    for line in failed:
        assert line["sendable"] is False
        assert "can no longer be sent from this campaign" in line["warning"]
        path = f"/messages/{line['message_id']}/send"
        assert (await office.call("POST", path, acme.admin)).status == 409


async def test_each_tab_shows_its_own(office: Desk) -> None:
    acme, sue, campaign_id = await launched(office, rows=6)
    await sent(office, campaign_id, sue, 4)
    for phone in (PHONE, "+13032000001", STRANGER):
        await writes(office, acme, campaign_id, phone)
    lines = {line["phone"][-1]: line for line in await listed(office, acme.admin, "status=queued")}
    await ended(office, acme, MessageFailed, lines["2"], reason="spam", code="40002")
    await ended(office, acme, MessageUnclear, lines["3"])
    talks = await listed(office, sue.token)
    answered = next(one for one in talks if one["phone"] == PHONE)
    reply = await office.good(
        "POST", f"/conversations/{answered['conversation_id']}/replies", sue.token, text="Sue"
    )
    # A reply that fails is as much the admin's to see.
    await ended(office, acme, MessageFailed, {"campaign_id": campaign_id, **reply.body},
                reason="landline")  # fmt: skip

    async def phones(query: str) -> list[str]:
        return sorted(line["phone"][-1] for line in await listed(office, acme.admin, query))

    assert await phones("") == ["0", "1", "2", "3", "4", "5", "8"]
    assert await phones("tab=initials") == ["4", "5"]
    assert await phones("tab=replied") == ["0", "1", "8"]
    assert await phones("tab=waiting") == ["1", "8"]
    assert await phones("tab=failed") == ["0", "2"]
    assert await phones("tab=unclear") == ["3"]
    assert await phones("status=failed") == ["2"]
    assert await phones("tab=failed&status=sending+failed") == []
    assert await phones("tab=initials&status=assigned") == ["4", "5"]


async def test_admins_narrow_them_by_campaign_and_by_sender(office: Desk) -> None:
    acme, sue, campaign_id = await launched(office)
    sam = await acme.sender("Sam")
    other = await acme.launch(sam, contact_list_id=await acme.contacts(2, first=100))
    await sent(office, other, sam, 1)
    await writes(office, acme, other, "+13032000100")
    for query, count in (
        ("", 5),
        (f"campaign_id={campaign_id}", 3),
        (f"sender_id={sam.person_id}", 2),
        (f"sender_id={sam.person_id}&campaign_id={campaign_id}", 0),
        (f"sender_id={sam.person_id}&tab=initials", 1),
        (f"sender_id={sue.person_id}&tab=waiting", 0),
        (f"sender_id={sam.person_id}&tab=waiting&campaign_id={other}", 1),
    ):
        assert len(await listed(office, acme.admin, query)) == count, query
    newest = (await listed(office, acme.admin))[0]
    assert (newest["campaign_id"], newest["sender_id"]) == (other, sam.person_id)


async def test_they_are_paged_without_a_gap_and_without_a_repeat(office: Desk) -> None:
    acme, sue, campaign_id = await launched(office, rows=7)
    await acme.launch(contact_list_id=await acme.contacts(3, first=50))
    await sent(office, campaign_id, sue, 3)
    for phone in (PHONE, STRANGER, "+13039998887"):
        await writes(office, acme, campaign_id, phone)
    for query, count in (("", 12), ("tab=initials", 7), ("tab=replied", 3), ("status=queued", 3)):
        for limit in (1, 2, 5):
            found: list[tuple[str, str]] = []
            after = ""
            while True:
                page = await office.good(
                    "GET", f"/conversations?{query}&limit={limit}&after={after}", acme.admin
                )
                found += [(one["campaign_id"], one["phone"]) for one in page["items"]]
                if page["next"] is None:
                    break
                after = page["next"]
            assert len(found) == len(set(found)) == count, (query, limit)
            assert [one[0] for one in found] == sorted((one[0] for one in found), reverse=True)


async def test_senders_see_their_own_conversations_and_no_tab_of_texts(office: Desk) -> None:
    acme, sue, campaign_id = await launched(office)
    sam = await acme.sender("Sam")
    await sent(office, campaign_id, sue, 1)
    await writes(office, acme, campaign_id)
    assert (
        len(await listed(office, sue.token))
        == len(await listed(office, sue.token, "tab=waiting"))
        == 1
    )
    assert await listed(office, sue.token, "waiting=false") == []
    assert await listed(office, sam.token) == []
    for query in ("tab=initials", "tab=failed", "status=queued", f"sender_id={sue.person_id}"):
        assert (await office.call("GET", f"/conversations?{query}", sue.token)).status == 403
    for query, field in (("tab=lost", "tab"), ("tab=replied&status=sent", "status")):
        reply = await office.call("GET", f"/conversations?{query}", acme.admin)
        assert (reply.status, reply["field"]) == (422, field)


async def test_inbound_texts_after_the_archive_are_readable_and_no_answer_is_possible(
    office: Desk,
) -> None:
    acme, sue, campaign_id = await launched(office)
    (first, second) = await sent(office, campaign_id, sue, 2)
    await writes(office, acme, campaign_id)
    await office.good("POST", f"/campaigns/{campaign_id}/archive", acme.admin)
    await writes(office, acme, campaign_id, "+13032000001")
    lines = await listed(office, acme.admin, "tab=waiting")
    assert {line["message_id"] for line in lines} == {first, second}
    for line in lines:
        assert (line["answerable"], "archived" in line["answer_warning"]) == (False, True)
        path = f"/conversations/{line['conversation_id']}"
        shown = await office.good("GET", path, sue.token)
        assert shown["messages"][-1]["text"] == "Who is this?"
        assert (shown["answerable"], shown["answer_warning"]) == (False, line["answer_warning"])
        assert (await office.call("POST", f"{path}/replies", sue.token, text="?")).status == 409
    for line in await listed(office, acme.admin, "tab=initials"):
        assert (line["sendable"], "archived" in line["warning"]) == (False, True)


async def test_a_text_to_a_shared_number_shows_under_the_campaign_that_it_was_told_of(
    office: Desk,
) -> None:
    acme, sue, campaign_id = await launched(office, rows=1)
    contact_list_id = (await acme.details(campaign_id))["contact_list_id"]
    other = await acme.launch(sue, contact_list_id=contact_list_id)
    for one in (campaign_id, other):
        await sent(office, one, sue, 1)
    await writes(office, acme, other)
    (line,) = await listed(office, acme.admin, "tab=replied")
    assert (line["campaign_id"], line["answerable"]) == (other, True)


async def test_who_opted_out_is_shown_as_such(office: Desk) -> None:
    acme, _, _ = await launched(office)
    await office.hear(ContactOptedOut(org_id=acme.org_id, phone=PHONE, opted_out_at=NOON))
    (line,) = await listed(office, acme.admin, "status=opted+out")
    assert (line["sendable"], line["warning"]) == (False, "The contact has opted out.")


# --- tags and canned responses --------------------------------------------------------------


async def test_tags_are_put_on_contacts_and_taken_off(office: Desk) -> None:
    acme, sue, campaign_id = await launched(office)
    (message_id,) = await sent(office, campaign_id, sue, 1)
    await writes(office, acme, campaign_id)
    (line,) = await listed(office, sue.token)
    for tag in ("wants-a-sign", "moved"):
        await office.good("POST", "/tags", acme.admin, tag=tag)
    talk = f"/conversations/{line['conversation_id']}"
    for _ in range(2):
        put = await office.good("PUT", f"{talk}/tags/wants-a-sign", sue.token)
        assert put["tags"] == ["wants-a-sign"]
    # They are the contact's in that campaign, whether they have answered or not.
    both = await office.good("PUT", f"/messages/{message_id}/tags/moved", acme.admin)
    assert both["tags"] == ["moved", "wants-a-sign"]
    assert (await office.good("GET", talk, sue.token))["tags"] == ["moved", "wants-a-sign"]
    off = await office.good("DELETE", f"{talk}/tags/wants-a-sign", sue.token)
    assert off["tags"] == ["moved"]
    gone = await office.good("DELETE", "/tags/moved", acme.admin)
    assert gone.body == {"tag": "moved", "contacts": 1}
    assert (await office.good("GET", talk, sue.token))["tags"] == []


async def test_a_tag_is_a_word_of_the_organizations(office: Desk) -> None:
    acme, sue, campaign_id = await launched(office)
    (message_id,) = await sent(office, campaign_id, sue, 1)
    await office.good("POST", "/tags", acme.admin, tag="moved")
    assert (await office.call("POST", "/tags", acme.admin, tag="moved")).status == 409
    assert (await office.call("POST", "/tags", sue.token, tag="mine")).status == 403
    for tag in ("", "Two Words", "é", "x" * 41, "-x"):
        reply = await office.call("POST", "/tags", acme.admin, tag=tag)
        assert (reply.status, reply["field"]) == (422, "tag")
    assert (await office.call("PUT", f"/messages/{message_id}/tags/new", sue.token)).status == 404
    sam = await acme.sender("Sam")
    for path in (f"/messages/{message_id}/tags/moved",):
        for method in ("PUT", "DELETE"):
            assert (await office.call(method, path, sam.token)).status == 403
    await office.good("POST", "/tags", acme.admin, tag="also")
    page = await office.good("GET", "/tags?limit=1", sue.token)
    assert [one["tag"] for one in page["items"]] == ["also"]
    page = await office.good("GET", f"/tags?limit=1&after={page['next']}", sue.token)
    assert ([one["tag"] for one in page["items"]], page["next"]) == (["moved"], None)


async def test_canned_responses_read_as_if_written_for_the_contact(office: Desk) -> None:
    acme, sue, campaign_id = await launched(office)
    await sent(office, campaign_id, sue, 1)
    await writes(office, acme, campaign_id)
    path = f"/campaigns/{campaign_id}/canned-responses"
    items = [
        {"name": "Who", "text": "It is Acme, {first_name}. You live in {town}, do you?"},
        {"name": "Bye", "text": "Thank you {{really}}"},
    ]
    await office.good("PUT", path, acme.admin, items=[{"name": "Old", "text": "x"}])
    await office.good("PUT", path, acme.admin, items=items)
    assert (await office.good("GET", path, acme.admin))["items"] == items
    (line,) = await listed(office, sue.token)
    shown = await office.good("GET", f"/conversations/{line['conversation_id']}", sue.token)
    assert [one["text"] for one in shown["canned_responses"]] == [
        "It is Acme, Carl0. You live in Boulder, do you?",
        "Thank you {really}",
    ]
    later = {"closes_at": (NOON + timedelta(days=2)).isoformat()}
    clone = await office.good(
        "POST", f"/campaigns/{campaign_id}/clone", acme.admin, name="Again", window=later
    )
    copied = f"/campaigns/{clone['campaign_id']}/canned-responses"
    assert (await office.good("GET", copied, acme.admin))["items"] == items
    # A number that is in no list has no name.
    await writes(office, acme, campaign_id, STRANGER)
    (line,) = [
        one for one in await listed(office, acme.admin, "tab=waiting") if one["phone"] == STRANGER
    ]
    shown = await office.good("GET", f"/conversations/{line['conversation_id']}", acme.admin)
    assert shown["canned_responses"][0]["text"] == "It is Acme, . You live in , do you?"


@pytest.mark.parametrize("text", ["Hi {shoe_size}", "Hi {first_name", " ", "x" * 1601])
async def test_a_canned_response_that_cannot_be_rendered_is_refused_at_save(
    office: Desk, text: str
) -> None:
    acme, sue, campaign_id = await launched(office)
    path = f"/campaigns/{campaign_id}/canned-responses"
    good = {"name": "a", "text": "b"}
    await office.good("PUT", path, acme.admin, items=[good])
    reply = await office.call("PUT", path, acme.admin, items=[good, {"name": "x", "text": text}])
    assert (reply.status, reply["field"]) == (422, "items.1.text")
    assert (await office.good("GET", path, acme.admin))["items"] == [good]
    assert (await office.call("PUT", path, sue.token, items=[])).status == 403
