"""What an admin does to a campaign that is under way, and what is told of it."""

import asyncio
from datetime import timedelta
from typing import Any

from shared.events import (
    CampaignPaused,
    CampaignResumed,
    MessageFailed,
    MessageSent,
    MessageUnclear,
    QueueWithdrawn,
    UnclearSettled,
)
from tests.campaign_desk import NOON, Desk, Organization


async def under_way(office: Desk, *, queued: int, left: int = 0) -> tuple[Any, str, list[str]]:
    """An active campaign with texts that are queued, and some that are still to be clicked."""
    acme = await office.organization()
    sue = await acme.sender()
    contact_list_id = await acme.contacts(queued + left)
    campaign_id = await acme.launch(sue, contact_list_id=contact_list_id)
    path = f"/campaigns/{campaign_id}/assignment?limit=100"
    waiting = await office.good("GET", path, sue.token)
    ids = [one["message_id"] for one in waiting["messages"]]
    for message_id in ids[:queued]:
        await office.good("POST", f"/messages/{message_id}/send", sue.token)
    return acme, campaign_id, ids[:queued]


def about(acme: Organization, campaign_id: str, message_id: str, at_s: float) -> dict[str, Any]:
    return {
        "org_id": acme.org_id,
        "campaign_id": campaign_id,
        "message_id": message_id,
        "carrier": "att",
        "segments": 1,
        "at": NOON + timedelta(seconds=at_s),
    }


# --- pause ------------------------------------------------------------------------------------


async def test_a_pause_and_a_resumption_are_told_and_counted_together(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    base = f"/campaigns/{campaign_id}"
    shown = await acme.details(campaign_id)
    assert (shown["status"], shown["paused_at"]) == ("active", None)
    for _ in range(2):
        office.clock.advance(60)
        paused = await office.good("POST", f"{base}/pause", acme.admin)
        assert paused["status"] == "paused"
        office.clock.advance(60)
        resumed = await office.good("POST", f"{base}/resume", acme.admin)
        assert (resumed["status"], resumed["paused_at"]) == ("active", None)
    pauses = await office.told_of(CampaignPaused, campaign_id)
    resumptions = await office.told_of(CampaignResumed, campaign_id)
    minutes = [NOON + timedelta(minutes=count) for count in range(5)]
    assert [(one.revision, one.paused_at) for one in pauses] == [(1, minutes[1]), (3, minutes[3])]
    assert [(one.revision, one.resumed_at) for one in resumptions] == [
        (2, minutes[2]),
        (4, minutes[4]),
    ]


async def test_to_pause_what_is_paused_is_no_error_and_no_news(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    base = f"/campaigns/{campaign_id}"
    await office.good("POST", f"{base}/resume", acme.admin)
    for _ in range(3):
        paused = await office.good("POST", f"{base}/pause", acme.admin)
        assert paused["paused_at"] == "2026-10-20T16:00:00Z"
        office.clock.advance(60)
    assert len(await office.told_of(CampaignPaused, campaign_id)) == 1
    assert await office.told_of(CampaignResumed, campaign_id) == []
    listed = (await office.good("GET", "/campaigns?status=paused", acme.admin))["items"]
    assert [one["campaign_id"] for one in listed] == [campaign_id]


async def test_pauses_and_resumptions_at_once_never_share_a_revision(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    base = f"/campaigns/{campaign_id}"
    asked = ["pause", "pause", "resume", "pause", "resume", "resume"]
    await asyncio.gather(*(office.good("POST", f"{base}/{what}", acme.admin) for what in asked))
    pauses = [one.revision for one in await office.told_of(CampaignPaused, campaign_id)]
    resumptions = [one.revision for one in await office.told_of(CampaignResumed, campaign_id)]
    # In turns, from a pause on: 1, 3, 5 and 2, 4, 6.
    both = sorted(pauses + resumptions)
    assert (pauses, resumptions) == (both[::2], both[1::2])
    assert both == list(range(1, len(both) + 1))
    assert (await acme.details(campaign_id))["status"] == ("active", "paused")[len(both) % 2]


async def test_a_draft_can_be_neither_paused_nor_withdrawn(office: Desk) -> None:
    acme = await office.organization()
    draft = await acme.draft()
    for what in ("pause", "resume", "withdraw"):
        reply = await office.call("POST", f"/campaigns/{draft}/{what}", acme.admin)
        assert (reply.status, reply["detail"]) == (409, "The campaign is not launched yet")
    reply = await office.call(
        "POST", f"/campaigns/{draft}/unclear/settle", acme.admin, outcome="sent"
    )
    assert reply.status == 409
    assert await office.told_of(QueueWithdrawn, draft) == []


async def test_a_pause_leaves_window_and_revision_alone(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    before = await acme.details(campaign_id)
    after = (await office.good("POST", f"/campaigns/{campaign_id}/pause", acme.admin)).body
    for name in ("revision", "window", "hours", "initials_open"):
        assert after[name] == before[name]


async def test_a_text_that_is_clicked_in_a_pause_is_queued_and_says_so(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    await office.good("POST", f"/campaigns/{campaign_id}/pause", acme.admin)
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    path = f"/messages/{work['messages'][0]['message_id']}/send"
    sent = await office.call("POST", path, sue.token)
    assert (sent.status, sent["status"]) == (202, "queued")
    assert "paused" in sent["note"]


# --- withdrawal -------------------------------------------------------------------------------


async def test_a_withdrawal_takes_back_what_is_queued_and_nothing_else(office: Desk) -> None:
    acme, campaign_id, ids = await under_way(office, queued=3, left=2)
    office.clock.advance(5)
    reply = await office.call("POST", f"/campaigns/{campaign_id}/withdraw", acme.admin)
    assert (reply.status, reply["queued"]) == (202, 3)
    assert reply["withdrawn_at"] == "2026-10-20T16:00:05Z"
    (told,) = await office.told_of(QueueWithdrawn, campaign_id)
    assert told.withdrawn_at == NOON + timedelta(seconds=5)
    # One was on its way already; the others end when the collider says so.
    assert (await acme.details(campaign_id))["counts"] == {"assigned": 2, "queued": 3}
    gone = [
        MessageFailed(**about(acme, campaign_id, one, 6), reason="withdrawn by an admin")
        for one in ids[1:]
    ]
    await office.hear(MessageSent(**about(acme, campaign_id, ids[0], 4)), *gone)
    assert (await acme.details(campaign_id))["counts"] == {"assigned": 2, "failed": 2, "sent": 1}
    page = await office.good("GET", f"/campaigns/{campaign_id}/messages?status=failed", acme.admin)
    assert {one["reason"] for one in page["items"]} == {"withdrawn by an admin"}


async def test_a_withdrawal_is_told_even_where_nothing_is_known_to_be_queued(office: Desk) -> None:
    acme, campaign_id, (sent,) = await under_way(office, queued=1)
    await office.hear(MessageSent(**about(acme, campaign_id, sent, 1)))
    for count in (1, 2):
        reply = await office.good("POST", f"/campaigns/{campaign_id}/withdraw", acme.admin)
        assert reply["queued"] == 0
        assert len(await office.told_of(QueueWithdrawn, campaign_id)) == count


# --- unclear texts ----------------------------------------------------------------------------


async def test_unclear_texts_are_listed_page_by_page_and_settled_one_by_one(office: Desk) -> None:
    acme, campaign_id, ids = await under_way(office, queued=5)
    lost = ids[1:]
    await office.hear(
        MessageSent(**about(acme, campaign_id, ids[0], 1)),
        *[MessageUnclear(**about(acme, campaign_id, one, 1)) for one in lost],
    )
    listed, after = [], ""
    while True:
        path = f"/campaigns/{campaign_id}/messages?status=unclear&limit=3&after={after}"
        page = await office.good("GET", path, acme.admin)
        listed += [one["message_id"] for one in page["items"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert listed == lost
    office.clock.advance(9)
    for message_id, outcome in zip(lost, ("sent", "failed"), strict=False):
        path = f"/messages/{message_id}/settle"
        reply = await office.call("POST", path, acme.admin, outcome=outcome)
        assert (reply.status, reply["outcome"]) == (202, outcome)
    told = await office.told_of(UnclearSettled, campaign_id)
    assert [(one.message_ids, one.outcome) for one in told] == [
        ((lost[0],), "sent"),
        ((lost[1],), "failed"),
    ]
    assert {one.settled_at for one in told} == {NOON + timedelta(seconds=9)}
    await office.hear(
        MessageSent(**about(acme, campaign_id, lost[0], 10)),
        MessageFailed(**about(acme, campaign_id, lost[1], 10), reason="settled by an admin"),
    )
    counts = (await acme.details(campaign_id))["counts"]
    assert counts == {"failed": 1, "sent": 2, "unclear": 2}


async def test_all_unclear_texts_are_settled_in_one_word(office: Desk) -> None:
    acme, campaign_id, ids = await under_way(office, queued=4)
    base = f"/campaigns/{campaign_id}/unclear/settle"
    none = await office.call("POST", base, acme.admin, outcome="failed")
    assert (none.status, none["unclear"]) == (202, 0)
    assert await office.told_of(UnclearSettled, campaign_id) == []
    await office.hear(*[MessageUnclear(**about(acme, campaign_id, one, 1)) for one in ids[:3]])
    office.clock.advance(7)
    done = await office.good("POST", base, acme.admin, outcome="failed")
    assert (done["unclear"], done["settled_at"]) == (3, "2026-10-20T16:00:07Z")
    (told,) = await office.told_of(UnclearSettled, campaign_id)
    assert (told.message_ids, told.outcome) == (None, "failed")


async def test_what_is_not_unclear_is_not_settled(office: Desk) -> None:
    acme, campaign_id, (message_id,) = await under_way(office, queued=1)
    path = f"/messages/{message_id}/settle"
    reply = await office.call("POST", path, acme.admin, outcome="sent")
    assert (reply.status, reply["detail"]) == (409, "The message is not unclear: it is queued")
    missing = await office.call("POST", "/messages/nothing/settle", acme.admin, outcome="sent")
    assert missing.status == 404
    await office.hear(MessageUnclear(**about(acme, campaign_id, message_id, 1)))
    for outcome in ("delivered", "unclear", None, True):
        reply = await office.call("POST", path, acme.admin, outcome=outcome)
        assert (reply.status, reply["field"]) == (422, "outcome")
    assert (await office.call("POST", path, acme.admin)).status == 422
    assert await office.told_of(UnclearSettled, campaign_id) == []


async def test_who_settled_what_is_kept(office: Desk) -> None:
    acme, campaign_id, ids = await under_way(office, queued=2)
    await office.hear(*[MessageUnclear(**about(acme, campaign_id, one, 1)) for one in ids])
    await office.good("POST", f"/messages/{ids[0]}/settle", acme.admin, outcome="sent")
    await office.good(
        "POST", f"/campaigns/{campaign_id}/unclear/settle", acme.admin, outcome="failed"
    )
    me = await office.good("GET", "/me", acme.admin)
    async with office.database.connection() as connection:
        rows = await connection.fetch(
            """
            SELECT message_id, outcome, settled_by, settled_at FROM settlements
            WHERE org_id = $1 AND campaign_id = $2 ORDER BY settlement_id
            """,
            acme.org_id,
            campaign_id,
        )
    assert [tuple(row) for row in rows] == [
        (ids[0], "sent", me["person_id"], NOON),
        ("", "failed", me["person_id"], NOON),
    ]
