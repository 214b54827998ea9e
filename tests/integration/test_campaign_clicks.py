"""Clicks on initials: who may change what they say, when they have to wait, when the text goes."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.campaign.acts import sending
from services.campaign.domain import Caller, Refused
from shared.events import BucketState, MessageQueued
from tests.campaign_desk import Desk, Organization
from tests.senders_work import PHONE, launched, status_of, talk, work, writes

HOUR = 3600

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


async def test_in_a_burst_each_text_sees_those_before_it_though_the_collider_has_not_told_yet(
    office: Desk,
) -> None:
    acme, sue, _, ids = await launched(office)
    await limit(office, acme, sms_per_minute=6)
    for told in (False, True):
        if told:
            await seen(office, acme, backlog=0, room=0)
        mine = ids[:4] if not told else ids[4:8]
        for before, message_id in enumerate(mine):
            office.clock.at += timedelta(milliseconds=100)
            sent = await office.good("POST", f"/messages/{message_id}/send", sue.token)
            assert ("before it" in sent["note"]) == bool(before)
        waits = datetime.fromisoformat(sent["expected_at"]) - office.clock.at
        assert timedelta(seconds=25) < waits < timedelta(seconds=50)
        assert "3 texts to AT&T go before it" in sent["note"]


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
