"""Whose texts and talks are whose: shared out, passed on, taken back."""

import asyncio
from datetime import timedelta
from typing import Any

from services.campaign.worker import take_back
from tests.campaign_desk import NOON, Desk, Reply
from tests.campaign_senders import (
    acts,
    answer_from,
    numbers_of,
    send,
    talks_of,
    texts_of,
)

HOUR = timedelta(hours=1)


# --- pre-loading ----------------------------------------------------------------------------


async def test_all_messages_remain_in_unassigned_after_a_launch_without_senders(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    assert (await acme.details(campaign_id))["counts"] == {"unassigned": 10}
    sue = await acme.sender()
    await office.good(
        "POST", f"/campaigns/{campaign_id}/senders", acme.admin, person_ids=[sue.person_id]
    )
    assert await numbers_of(acme, campaign_id, sue) == [0]


async def test_senders_at_launch_share_the_messages_evenly(office: Desk) -> None:
    acme = await office.organization()
    three = [await acme.sender(name) for name in ("Sue", "Sam", "Sal")]
    campaign_id = await acme.launch(*three)
    assert sorted(await numbers_of(acme, campaign_id, *three)) == [3, 3, 4]


async def test_an_admin_assigns_and_reassigns_by_hand(office: Desk) -> None:
    acme = await office.organization()
    sue, sam = await acme.sender("Sue"), await acme.sender("Sam")
    campaign_id = await acme.launch()
    path = f"/campaigns/{campaign_id}"
    people = [sue.person_id, sam.person_id]
    await office.good("POST", f"{path}/senders", acme.admin, person_ids=people)

    async def assign(**body: Any) -> int:
        moved: int = (await office.good("POST", f"{path}/assign", acme.admin, **body))["assigned"]
        return moved

    assert await assign(to=sue.person_id, count=7) == 7
    assert await assign(**{"to": sam.person_id, "from": sue.person_id, "count": 2}) == 2
    assert await numbers_of(acme, campaign_id, sue, sam) == [5, 2]
    # Those that are named, whoever has them; what was sent stays where it is.
    first, second, *_ = await texts_of(office, campaign_id, sue)
    await send(office, sue, first)
    assert await assign(to=sam.person_id, message_ids=[first, second]) == 1
    assert await numbers_of(acme, campaign_id, sue, sam) == [3, 3]
    # More than there are is all that there are.
    assert await assign(to=sam.person_id, count=1000) == 3
    assert await assign(to=sam.person_id) == 0
    freed = await office.good("POST", f"{path}/unassign", acme.admin, **{"from": sam.person_id})
    assert freed.body == {"unassigned": 6}
    freed = await office.good(
        "POST", f"{path}/unassign", acme.admin, **{"from": sue.person_id, "count": 2}
    )
    assert freed.body == {"unassigned": 2}
    assert (await acme.details(campaign_id))["counts"] == {
        "assigned": 1, "queued": 1, "unassigned": 8,
    }  # fmt: skip
    assert [act for act, _, _ in await acts(office, campaign_id)].count("texts assigned") == 4
    assert ("texts unassigned", {"person_id": sue.person_id}, {"texts": 2, "person_id": None}) in (
        await acts(office, campaign_id)
    )


async def test_texts_go_to_senders_of_the_campaign_alone(office: Desk) -> None:
    acme = await office.organization()
    sue, sam = await acme.sender("Sue"), await acme.sender("Sam")
    campaign_id = await acme.launch(sue)
    path = f"/campaigns/{campaign_id}"
    for body, field in (
        ({"to": sam.person_id}, "to"),
        ({"to": "nobody"}, "to"),
        ({}, "to"),
        ({"to": sue.person_id, "count": 0}, "count"),
        ({"to": sue.person_id, "count": 1, "message_ids": ["x"]}, "message_ids"),
    ):
        refused = await office.call("POST", f"{path}/assign", acme.admin, **body)
        assert (refused.status, refused["field"]) == (422, field), body
    refused = await office.call("POST", f"{path}/unassign", acme.admin, count=1)
    assert (refused.status, refused["field"]) == (422, "from")
    draft = await acme.draft()
    refused = await office.call("POST", f"/campaigns/{draft}/assign", acme.admin, to=sue.person_id)
    assert refused.status == 409


async def test_two_admins_who_assign_at_once_never_move_the_same_text_twice(office: Desk) -> None:
    acme = await office.organization()
    two = [await acme.sender("Sue"), await acme.sender("Sam")]
    campaign_id = await acme.launch(contact_list_id=await acme.contacts(40))
    people = [sender.person_id for sender in two]
    await office.good("POST", f"/campaigns/{campaign_id}/senders", acme.admin, person_ids=people)
    moved = await asyncio.gather(
        *(
            office.good(
                "POST", f"/campaigns/{campaign_id}/assign", acme.admin, to=person_id, count=7
            )
            for person_id in people * 4
        )
    )
    assert sum(one["assigned"] for one in moved) == 40
    assert sum(await numbers_of(acme, campaign_id, *two)) == 40


# --- removal --------------------------------------------------------------------------------


async def test_a_removed_senders_unsent_texts_are_unassigned_again(office: Desk) -> None:
    acme = await office.organization()
    sue, sam = await acme.sender("Sue"), await acme.sender("Sam")
    campaign_id = await acme.launch(sue, sam)
    first, second, *_ = await texts_of(office, campaign_id, sue)
    await send(office, sue, first)
    await office.good("POST", f"/messages/{second}/skip", sue.token)
    removed = await office.good(
        "DELETE", f"/campaigns/{campaign_id}/senders/{sue.person_id}", acme.admin
    )
    assert removed.body == {"unassigned": 4, "conversations": 0}
    assert (await acme.details(campaign_id))["counts"] == {
        "assigned": 5, "queued": 1, "unassigned": 4,
    }  # fmt: skip
    again = await office.call(
        "DELETE", f"/campaigns/{campaign_id}/senders/{sue.person_id}", acme.admin
    )
    assert again.status == 404
    clicked = await office.call("POST", f"/messages/{second}/send", sue.token)
    assert clicked.status == 409


async def test_a_removed_senders_conversations_go_to_whom_the_admin_says(office: Desk) -> None:
    acme = await office.organization()
    sue, sam = await acme.sender("Sue"), await acme.sender("Sam")
    campaign_id = await acme.launch(sue)
    await office.good(
        "POST", f"/campaigns/{campaign_id}/senders", acme.admin, person_ids=[sam.person_id]
    )
    for message_id in (await texts_of(office, campaign_id, sue))[:3]:
        await send(office, sue, message_id)
    await answer_from(office, acme, campaign_id, 0)
    assert await talks_of(office, sue) == ["+13032000000"]
    path = f"/campaigns/{campaign_id}/senders/{sue.person_id}"
    for wrong in ("nobody", sue.person_id):
        refused = await office.call("DELETE", f"{path}?conversations_to={wrong}", acme.admin)
        assert (refused.status, refused["field"]) == (422, "conversations_to")
    removed = await office.good("DELETE", f"{path}?conversations_to={sam.person_id}", acme.admin)
    assert removed["conversations"] == 1
    # Whoever answers her only now is his as well.
    await answer_from(office, acme, campaign_id, 1)
    assert await talks_of(office, sam) == ["+13032000000", "+13032000001"]
    assert await talks_of(office, sue) == []
    # And those of an heir who goes too are his heir's; here nobody's, until somebody has them.
    removed = await office.good(
        "DELETE", f"/campaigns/{campaign_id}/senders/{sam.person_id}", acme.admin
    )
    assert removed["conversations"] == 2
    await answer_from(office, acme, campaign_id, 2)
    sal = await acme.sender("Sal")
    await office.good(
        "POST", f"/campaigns/{campaign_id}/senders", acme.admin, person_ids=[sal.person_id]
    )
    given = await office.good(
        "POST", f"/campaigns/{campaign_id}/conversations/assign", acme.admin, to=sal.person_id
    )
    assert given.body == {"assigned": 3}
    assert len(await talks_of(office, sal)) == 3


async def test_who_comes_back_gets_the_answers_of_those_whom_they_texted(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender("Sue")
    campaign_id = await acme.launch(sue)
    (first, *_) = await texts_of(office, campaign_id, sue)
    await send(office, sue, first)
    senders = f"/campaigns/{campaign_id}/senders"
    await office.good("DELETE", f"{senders}/{sue.person_id}", acme.admin)
    await office.good("POST", senders, acme.admin, person_ids=[sue.person_id])
    await answer_from(office, acme, campaign_id, 0)
    assert await talks_of(office, sue) == ["+13032000000"]


async def test_conversations_are_given_by_hand(office: Desk) -> None:
    acme = await office.organization()
    sue, sam = await acme.sender("Sue"), await acme.sender("Sam")
    campaign_id = await acme.launch(sue)
    await office.good(
        "POST", f"/campaigns/{campaign_id}/senders", acme.admin, person_ids=[sam.person_id]
    )
    for row, message_id in enumerate((await texts_of(office, campaign_id, sue))[:4]):
        await send(office, sue, message_id)
        await answer_from(office, acme, campaign_id, row)
    page = await office.good("GET", "/conversations", sue.token)
    named = page["items"][0]["conversation_id"]
    path = f"/campaigns/{campaign_id}/conversations/assign"
    for body, moved in (
        ({"to": sam.person_id, "conversation_ids": [named, "none"]}, 1),
        ({"to": sam.person_id, "from": sue.person_id, "count": 2}, 2),
        ({"to": sam.person_id}, 0),
    ):
        given = await office.good("POST", path, acme.admin, **body)
        assert given.body == {"assigned": moved}
    assert (len(await talks_of(office, sue)), len(await talks_of(office, sam))) == (1, 3)
    refused = await office.call(
        "POST", path, acme.admin, to=sam.person_id, count=1, conversation_ids=[named]
    )
    assert (refused.status, refused["field"]) == (422, "conversation_ids")


async def test_removing_a_sender_who_clicks_meanwhile_leaves_each_text_sent_or_unassigned(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = await acme.sender("Sue")
    campaign_id = await acme.launch(sue, contact_list_id=await acme.contacts(30))
    clicks = [
        office.call("POST", f"/messages/{message_id}/send", sue.token)
        for message_id in await texts_of(office, campaign_id, sue)
    ]
    removal = office.call("DELETE", f"/campaigns/{campaign_id}/senders/{sue.person_id}", acme.admin)
    replies = await asyncio.gather(*clicks[:15], removal, *clicks[15:])
    removed = replies.pop(15)
    sent = [reply.status for reply in replies].count(202)
    assert removed["unassigned"] == 30 - sent
    assert {reply.status for reply in replies} <= {202, 409}
    counts = (await acme.details(campaign_id))["counts"]
    assert counts.get("queued", 0) == sent
    assert counts.get("unassigned", 0) == 30 - sent


# --- take-back ------------------------------------------------------------------------------


async def test_a_batch_that_lies_untouched_is_taken_back(office: Desk) -> None:
    acme = await office.organization()
    sue, sam = await acme.sender("Sue"), await acme.sender("Sam")
    campaign_id = await acme.launch(sue, sam, take_back_after_min=60)
    office.clock.at += 0.5 * HOUR
    (hers, *_) = await texts_of(office, campaign_id, sue)
    await send(office, sue, hers)
    office.clock.at += 0.4 * HOUR
    assert not await take_back(office.database)
    assert await numbers_of(acme, campaign_id, sue, sam) == [4, 5]
    # An hour after the launch his are untouched, and she was at it half an hour ago.
    office.clock.at += 0.1 * HOUR
    await take_back(office.database)
    assert await numbers_of(acme, campaign_id, sue, sam) == [4, 0]
    office.clock.at += 0.5 * HOUR
    await take_back(office.database)
    assert await numbers_of(acme, campaign_id, sue, sam) == [0, 0]
    assert (await acme.details(campaign_id))["counts"] == {"queued": 1, "unassigned": 9}
    trail = await office.good("GET", "/audit?act=texts%20taken%20back", acme.admin)
    assert {(one["role"], one["person_id"]) for one in trail["items"]} == {("service", "")}
    taken = [act for act in await acts(office, campaign_id) if act[0] == "texts taken back"]
    assert taken == [
        ("texts taken back", {"person_id": sam.person_id}, {"unassigned": 5}),
        ("texts taken back", {"person_id": sue.person_id}, {"unassigned": 4}),
    ]


async def test_what_was_assigned_since_stays_when_an_older_batch_is_taken_back(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = await acme.sender("Sue")
    campaign_id = await acme.launch(sue, take_back_after_min=60)
    path = f"/campaigns/{campaign_id}"
    await office.good("POST", f"{path}/unassign", acme.admin, **{"from": sue.person_id, "count": 4})
    office.clock.at += 0.5 * HOUR
    await office.good("POST", f"{path}/assign", acme.admin, to=sue.person_id, count=4)
    office.clock.at += 0.5 * HOUR
    await take_back(office.database)
    assert await numbers_of(acme, campaign_id, sue) == [4]
    office.clock.at += 0.5 * HOUR
    await take_back(office.database)
    assert await numbers_of(acme, campaign_id, sue) == [0]


async def test_nothing_is_taken_back_from_senders_who_cannot_send(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender("Sue")
    tomorrow = {
        "opens_at": (NOON + 22 * HOUR).isoformat(),
        "closes_at": (NOON + 30 * HOUR).isoformat(),
    }
    campaign_id = await acme.launch(sue, take_back_after_min=60, window=tomorrow)
    path = f"/campaigns/{campaign_id}"
    office.clock.at += 22.9 * HOUR
    await take_back(office.database)
    assert await numbers_of(acme, campaign_id, sue) == [10]
    await office.good("POST", f"{path}/pause", acme.admin)
    office.clock.at += 0.2 * HOUR
    await take_back(office.database)
    assert await numbers_of(acme, campaign_id, sue) == [10]
    await office.good("POST", f"{path}/resume", acme.admin)
    await take_back(office.database)
    assert await numbers_of(acme, campaign_id, sue) == [0]


async def test_without_the_option_batches_lie_until_an_admin_takes_them_back(office: Desk) -> None:
    acme = await office.organization()
    sue, sam = await acme.sender("Sue"), await acme.sender("Sam")
    campaign_id = await acme.launch(sue, sam)
    path = f"/campaigns/{campaign_id}/take-back"
    office.clock.at += 2 * HOUR
    assert not await take_back(office.database)
    (hers, *_) = await texts_of(office, campaign_id, sue)
    await send(office, sue, hers)
    refused = await office.call("POST", path, acme.admin)
    assert (refused.status, refused["field"]) == (422, "untouched_min")
    freed = await office.good("POST", path, acme.admin, untouched_min=121)
    assert freed.body == {"unassigned": 0}
    freed = await office.good("POST", path, acme.admin, untouched_min=120)
    assert freed.body == {"unassigned": 5}
    assert await numbers_of(acme, campaign_id, sue, sam) == [4, 0]


async def test_two_replicas_take_back_each_text_once_while_its_sender_clicks(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender("Sue")
    campaign_id = await acme.launch(
        sue, take_back_after_min=60, contact_list_id=await acme.contacts(30)
    )
    office.clock.at += HOUR
    clicks = [
        office.call("POST", f"/messages/{message_id}/send", sue.token)
        for message_id in await texts_of(office, campaign_id, sue)
    ]
    replies = await asyncio.gather(
        *clicks[:10], take_back(office.database), take_back(office.database), *clicks[10:]
    )
    clicked = [reply for reply in replies if isinstance(reply, Reply)]
    sent = [reply.status for reply in clicked].count(202)
    # Who clicks in that very moment wins, or is told why not.
    assert {reply.status for reply in clicked} <= {202, 409}
    assert all("assigned to nobody" in one["detail"] for one in clicked if one.status == 409)
    assert (await acme.details(campaign_id))["counts"].get("queued", 0) == sent


# --- senders --------------------------------------------------------------------------------


async def test_senders_are_shown_page_by_page_with_how_far_they_are(office: Desk) -> None:
    acme = await office.organization()
    three = [await acme.sender(name) for name in ("Sue", "Sam", "Sal")]
    sue = three[0]
    campaign_id = await acme.launch(*three)
    first, second, *_ = await texts_of(office, campaign_id, sue)
    await send(office, sue, first)
    await office.good("POST", f"/messages/{second}/skip", sue.token)
    await answer_from(office, acme, campaign_id, 0)
    path = f"/campaigns/{campaign_id}/senders"
    page = await office.good("GET", f"{path}?limit=2", acme.admin)
    rest = await office.good("GET", f"{path}?limit=2&after={page['next']}", acme.admin)
    assert rest["next"] is None
    found = {one["person_id"]: one for one in page["items"] + rest["items"]}
    assert set(found) == {sender.person_id for sender in three}
    hers = found[sue.person_id]
    assert {name: hers[name] for name in ("assigned", "skipped", "sent", "waiting")} == {
        "assigned": 2, "skipped": 1, "sent": 1, "waiting": 1,
    }  # fmt: skip
    assert hers["active_at"] == NOON.isoformat().replace("+00:00", "Z")
    assert found[three[1].person_id]["active_at"] is None
