"""Idempotency-Key: what is sent again, because its answer was lost, is done once."""

import asyncio

from shared.events import MessageQueued
from tests.campaign_desk import Desk


async def test_a_creation_that_is_sent_again_makes_nothing_new(office: Desk) -> None:
    first = await office.once("k1", "POST", "/organizations", office.operator, name="Acme")
    again = await office.once("k1", "POST", "/organizations", office.operator, name="Acme")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await office.rows("organizations") == 1


async def test_two_at_once_with_one_key_are_done_once_and_get_one_answer(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    path = f"/messages/{work['messages'][0]['message_id']}/send"
    replies = await asyncio.gather(
        *(office.once("click", "POST", path, sue.token) for _ in range(5))
    )
    assert {reply.status for reply in replies} == {202}
    assert all(reply.body == replies[0].body for reply in replies)
    assert len(await office.told_of(MessageQueued, campaign_id)) == 1


async def test_a_new_persons_token_is_answered_again_and_stands_nowhere_to_be_read(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = {"name": "Sue", "email": "sue@example.org"}
    first = await office.once("sue", "POST", "/people", acme.admin, **sue)
    again = await office.once("sue", "POST", "/people", acme.admin, **sue)
    assert again["token"] == first["token"]
    assert (await office.call("GET", "/me", again["token"]))["person_id"] == first["person_id"]
    async with office.database.connection() as connection:
        rows = await connection.fetch("SELECT kept_answers::text FROM kept_answers")
    token = first["token"].encode()
    assert rows
    for row in rows:
        assert token.hex() not in row["kept_answers"]
        assert first["token"] not in row["kept_answers"]


async def test_a_key_stands_for_one_request_and_no_other(office: Desk) -> None:
    await office.once("k2", "POST", "/organizations", office.operator, name="Acme")
    other = await office.once("k2", "POST", "/organizations", office.operator, name="Zenith")
    assert other.status == 422
    assert other["field"] == "Idempotency-Key"


async def test_one_persons_key_is_not_anothers(office: Desk) -> None:
    acme, zenith = await office.organization("Acme"), await office.organization("Zenith")
    sue = {"name": "Sue", "email": "sue@example.org"}
    first = await office.once("same", "POST", "/people", acme.admin, **sue)
    other = await office.once("same", "POST", "/people", zenith.admin, **sue)
    assert first["person_id"] != other["person_id"]


async def test_what_was_done_with_one_token_is_not_done_again_with_a_fresh_one(
    office: Desk,
) -> None:
    acme = await office.organization()
    fresh = (await office.good("POST", "/me/tokens", acme.admin))["token"]
    sue = {"name": "Sue", "email": "sue@example.org"}
    first = await office.once("sue", "POST", "/people", acme.admin, **sue)
    again = await office.once("sue", "POST", "/people", fresh, **sue)
    assert (again.status, again["field"]) == (409, "Idempotency-Key")
    assert first["token"] not in str(again.body)
    assert (await office.once("sue", "POST", "/people", acme.admin, **sue))["token"] == first[
        "token"
    ]


async def test_what_was_refused_may_be_asked_again_with_its_key(office: Desk) -> None:
    acme = await office.organization()
    draft = await acme.draft(contact_list_id=await acme.contacts(1))
    launch = f"/campaigns/{draft}/launch"
    office.clock.at = office.clock.at.replace(year=2027)
    assert (await office.once("go", "POST", launch, acme.admin)).status == 409
    office.clock.at = office.clock.at.replace(year=2026)
    assert (await office.once("go", "POST", launch, acme.admin)).status == 200
    again = await office.once("go", "POST", launch, acme.admin)
    assert (again.status, again["initials"]) == (200, 1)


async def test_a_key_that_nobody_would_mean_is_refused(office: Desk) -> None:
    reply = await office.once("a b", "POST", "/organizations", office.operator, name="Acme")
    assert (reply.status, reply["field"]) == (422, "Idempotency-Key")
