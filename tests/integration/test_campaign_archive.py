"""Campaigns that are over for good: nothing of them goes, what went can be read."""

import asyncio
from datetime import timedelta
from typing import Any

from services.campaign.worker import ENDED_MOST, close_windows, end_archived
from shared.events import (
    CampaignArchived,
    MessageFailed,
    MessageQueued,
    MessageReceived,
    NumberPurchased,
    NumberReleased,
    WindowClosed,
)
from tests.campaign_desk import NOON, Desk, Organization, Sender

NUMBER = "+12125550100"


async def archived(office: Desk, acme: Organization, campaign_id: str) -> Any:
    reply = await office.good("POST", f"/campaigns/{campaign_id}/archive", acme.admin)
    return reply.body


async def swept(office: Desk) -> int:
    """Run the worker until it rests; in how many steps it did."""
    steps = 0
    while await end_archived(office.database):
        steps += 1
    return steps


async def with_texts(office: Desk, *, queued: int, left: int) -> tuple[Organization, Sender, str]:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue, contact_list_id=await acme.contacts(queued + left))
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    for one in work["messages"][:queued]:
        await office.good("POST", f"/messages/{one['message_id']}/send", sue.token)
    return acme, sue, campaign_id


async def test_an_archive_is_told_once_and_what_was_never_sent_ends_as_campaign_closed(
    office: Desk,
) -> None:
    acme, _, campaign_id = await with_texts(office, queued=2, left=3)
    first = await archived(office, acme, campaign_id)
    assert (first["status"], first["archived_at"]) == ("archived", "2026-10-20T16:00:00Z")
    office.clock.advance(60)
    again = await archived(office, acme, campaign_id)
    assert again["archived_at"] == first["archived_at"]
    (told,) = await office.told_of(CampaignArchived, campaign_id)
    assert told.archived_at == NOON
    await swept(office)
    # What is queued ends by the collider's word.
    assert (await acme.details(campaign_id))["counts"] == {"campaign closed": 3, "queued": 2}
    queued = [one.message_id for one in await office.told_of(MessageQueued, campaign_id)]
    await office.hear(
        *(
            MessageFailed(
                org_id=acme.org_id, campaign_id=campaign_id, message_id=message_id,
                carrier="att", segments=1, reason="campaign closed", at=NOON,
            )
            for message_id in queued
        )
    )  # fmt: skip
    assert (await acme.details(campaign_id))["counts"] == {"campaign closed": 5}


async def test_from_the_archive_on_nobody_sends_takes_a_batch_or_answers(office: Desk) -> None:
    acme, sue, campaign_id = await with_texts(office, queued=1, left=3)
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    waiting = work["messages"][0]["message_id"]
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender="+13032000000", to=NUMBER,
            text="who is this?", received_at=NOON,
        )
    )  # fmt: skip
    (talk,) = (await office.good("GET", "/conversations", sue.token))["items"]
    await archived(office, acme, campaign_id)

    sent = await office.call("POST", f"/messages/{waiting}/send", sue.token)
    assert (sent.status, "archived" in sent["detail"]) == (409, True)
    batch = await office.good("POST", f"/campaigns/{campaign_id}/assignments", sue.token)
    assert (batch["assigned"], "archived" in batch["note"]) == (0, True)
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    assert (work["messages"], work["inbox_zero"]) == ([], True)
    base = f"/conversations/{talk['conversation_id']}"
    answer = await office.call("POST", f"{base}/replies", sue.token, text="Sue")
    assert (answer.status, "archived" in answer["detail"]) == (409, True)
    # Readable all the same, and what comes in later too.
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender="+13032000000", to=NUMBER,
            text="hello?", received_at=NOON + timedelta(seconds=9),
        )
    )  # fmt: skip
    texts = (await office.good("GET", base, sue.token))["messages"]
    assert [text["text"] for text in texts][1:] == ["who is this?", "hello?"]
    assert len(await office.told_of(MessageQueued, campaign_id)) == 1


async def test_an_archive_is_final(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    base = f"/campaigns/{campaign_id}"
    await office.good("POST", f"{base}/pause", acme.admin)
    await archived(office, acme, campaign_id)
    for method, path, body in (
        ("POST", f"{base}/resume", {}),
        ("POST", f"{base}/pause", {}),
        ("POST", f"{base}/launch", {}),
        ("POST", f"{base}/withdraw", {}),
        ("PATCH", base, {"name": "Autumn"}),
        ("PATCH", base, {"window": {"closes_at": "2026-10-29T01:00:00Z"}}),
    ):
        reply = await office.call(method, path, acme.admin, **body)
        assert (reply.status, reply["detail"]) == (409, "The campaign is archived for good"), path
    assert (await acme.details(campaign_id))["name"] == "Spring"


async def test_what_is_unclear_can_be_settled_after_the_archive(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    await archived(office, acme, campaign_id)
    path = f"/campaigns/{campaign_id}/unclear/settle"
    assert (await office.call("POST", path, acme.admin, outcome="sent")).status == 202


async def test_a_draft_is_archived_and_nobody_hears_of_it(office: Desk) -> None:
    acme = await office.organization()
    draft = await acme.draft()
    await swept(office)
    assert (await archived(office, acme, draft))["status"] == "archived"
    assert await office.told_of(CampaignArchived, draft) == []
    reply = await office.call("POST", f"/campaigns/{draft}/launch", acme.admin)
    assert (reply.status, reply["detail"]) == (409, "The campaign is archived for good")
    assert await swept(office) == 0


async def test_the_end_of_an_archived_campaign_is_not_told(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    await archived(office, acme, campaign_id)
    office.clock.advance(7 * 86_400)
    await close_windows(office.database)
    assert await office.told_of(WindowClosed, campaign_id) == []


async def test_the_unsent_are_ended_in_bounded_steps_by_any_number_of_replicas(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    await archived(office, acme, campaign_id)
    async with office.database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO messages (org_id, campaign_id, message_id, kind, channel, phone, status,
                                  rank, status_at, queued_at)
            SELECT $1, $2, 'm' || lpad(n::text, 7, '0'), 'initial', 'sms', '+1303' || n,
                   CASE n % 4 WHEN 0 THEN 'unassigned' WHEN 1 THEN 'assigned' WHEN 2 THEN 'skipped'
                              ELSE 'sent' END, CASE n % 4 WHEN 3 THEN 2 ELSE 0 END, now(), NULL
            FROM generate_series(1, $3) AS n
            """,
            acme.org_id,
            campaign_id,
            4 * ENDED_MOST,
        )
    steps = await asyncio.gather(*(swept(office) for _ in range(3)))
    # Three of four are unsent; each step ends at most so many.
    assert 3 <= sum(steps) <= 8
    counts = (await acme.details(campaign_id))["counts"]
    assert counts == {"campaign closed": 3 * ENDED_MOST + 10, "sent": ENDED_MOST}
    assert await swept(office) == 0


async def test_a_click_that_is_under_way_while_the_unsent_are_ended_is_not_lost(
    office: Desk,
) -> None:
    acme, _, campaign_id = await with_texts(office, queued=0, left=2)
    async with office.database.transaction() as tx:
        # As a click does: the row is held, and becomes queued.
        first = await tx.sql.fetchval(
            """
            UPDATE messages SET status = 'queued', rank = 1 WHERE message_id = (
                SELECT min(message_id) FROM messages WHERE campaign_id = $1) RETURNING message_id
            """,
            campaign_id,
        )
        await archived(office, acme, campaign_id)
        sweeping = asyncio.create_task(swept(office))
        await asyncio.sleep(0.3)
        assert not sweeping.done()
    await sweeping
    assert (await acme.details(campaign_id))["counts"] == {"campaign closed": 1, "queued": 1}
    assert (await office.good("GET", f"/messages/{first}", acme.admin))["status"] == "queued"


async def test_a_number_that_was_given_back_is_shown_as_gone_in_whatever_order_it_is_heard(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    bought = NumberPurchased(
        org_id=acme.org_id, campaign_id=campaign_id, use_case_id=acme.use_case_id, number=NUMBER,
        purchased_at=NOON,
    )  # fmt: skip
    released = NumberReleased(
        org_id=acme.org_id, use_case_id=acme.use_case_id, number=NUMBER,
        released_at=NOON + timedelta(hours=1),
    )  # fmt: skip
    await office.hear(released)
    await office.hear(bought)
    flag = (await acme.details(campaign_id))["provisioning"]
    assert (flag["number"], flag["released_at"]) == (NUMBER, "2026-10-20T17:00:00Z")
    # Bought again for another campaign, it is that one's.
    other = await acme.launch(contact_list_id=await acme.contacts(1))
    again = {"campaign_id": other, "purchased_at": NOON + timedelta(hours=2)}
    await office.hear(bought.model_copy(update=again))
    assert (await acme.details(other))["provisioning"]["released_at"] is None
    assert (await acme.details(campaign_id))["provisioning"]["released_at"] is not None


async def test_campaigns_are_listed_page_by_page_and_by_status(office: Desk) -> None:
    acme = await office.organization()
    contact_list_id = await acme.contacts(1)
    made = [await acme.draft(contact_list_id=contact_list_id) for _ in range(5)]
    for campaign_id in made[1:]:
        await office.good("POST", f"/campaigns/{campaign_id}/launch", acme.admin)
    await office.good("POST", f"/campaigns/{made[2]}/pause", acme.admin)
    for campaign_id in made[3:]:
        await office.good("POST", f"/campaigns/{campaign_id}/pause", acme.admin)
        await archived(office, acme, campaign_id)

    async def listed(query: str) -> list[str]:
        found, after = [], ""
        while True:
            page = await office.good("GET", f"/campaigns?{query}&after={after}", acme.admin)
            found += [one["campaign_id"] for one in page["items"]]
            if page["next"] is None:
                return found
            after = page["next"]

    assert await listed("limit=2") == made[::-1]
    assert await listed("limit=5") == made[::-1]
    for status, expected in (
        ("draft", made[:1]),
        ("active", made[1:2]),
        ("paused", made[2:3]),
        ("archived", made[:2:-1]),
    ):
        assert await listed(f"limit=1&status={status}") == expected
    wrong = await office.call("GET", "/campaigns?status=closed", acme.admin)
    assert (wrong.status, wrong["field"]) == (422, "status")
