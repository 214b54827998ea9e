"""Tokens: issued, listed, revoked; until when they are good, and who gives them to whom."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.campaign import operator_token
from services.campaign.tokens import digest
from tests.campaign_desk import Desk, Organization, Reply


async def admin_of(office: Desk, acme: Organization, name: str) -> Reply:
    """One more admin of the organization."""
    return await office.good(
        "POST",
        f"/organizations/{acme.org_id}/people",
        office.operator,
        name=name,
        email=f"{name.lower()}@example.org",
        role="admin",
    )


async def end(office: Desk, token: str) -> None:
    """Let a token's time be up."""
    async with office.database.connection() as connection:
        await connection.execute(
            "UPDATE tokens SET expires_at = clock_timestamp() WHERE hash = $1", digest(token)
        )


async def good_for(office: Desk, token: str) -> timedelta:
    """From a token's issue to its end."""
    async with office.database.connection() as connection:
        found: timedelta = await connection.fetchval(
            "SELECT expires_at - issued_at FROM tokens WHERE hash = $1", digest(token)
        )
    return found


async def test_a_token_is_issued_and_shown_once_and_revoked_at_once(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    tokens = f"/people/{sue.person_id}/tokens"
    made = await office.good("POST", tokens, acme.admin, name="her phone", days=7)
    assert (made.status, made["name"]) == (201, "her phone")
    assert made.headers["Location"] == f"/api/v1{tokens}/{made['token_id']}"
    assert (await office.good("GET", "/me", made["token"]))["person_id"] == sue.person_id
    shown = await office.good("GET", tokens, acme.admin)
    assert [one["name"] for one in shown["items"]] == ["", "her phone"]
    for one in shown["items"]:
        assert "token" not in one
    gone = await office.good("DELETE", f"{tokens}/{made['token_id']}", acme.admin)
    assert gone["token_id"] == made["token_id"]
    assert (await office.call("GET", "/me", made["token"])).status == 401
    assert (await office.call("GET", "/me", sue.token)).status == 200
    assert (await office.call("DELETE", f"{tokens}/{made['token_id']}", acme.admin)).status == 404


async def test_a_token_ends_when_its_days_are_over(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    made = await office.good("POST", "/me/tokens", sue.token, days=7)
    assert await good_for(office, made["token"]) == timedelta(days=7)
    assert (await office.call("GET", "/me", made["token"])).status == 200
    await end(office, made["token"])
    reply = await office.call("GET", "/me", made["token"])
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    shown = await office.good("GET", "/me/tokens", sue.token)
    assert {one["token_id"]: one["expired"] for one in shown["items"]}[made["token_id"]] is True


async def test_a_token_that_nobody_says_more_of_is_good_for_ninety_days(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    made = await office.good("POST", "/me/tokens", sue.token)
    for token in (office.operator, acme.admin, sue.token, made["token"]):
        assert await good_for(office, token) == timedelta(days=90)


@pytest.mark.parametrize("days", [0, 3651, "7", True, 1.5])
async def test_days_that_nobody_would_mean_are_refused(office: Desk, days: Any) -> None:
    acme = await office.organization()
    reply = await office.call("POST", "/me/tokens", acme.admin, days=days)
    assert (reply.status, reply["field"]) == (422, "days")


async def test_a_use_is_noted_once_an_hour_and_not_with_each_request(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()

    async def used() -> Any:
        return (await office.good("GET", "/me/tokens", sue.token))["items"][0]["last_used_at"]

    first = await used()
    assert first is not None
    await asyncio.gather(*(office.good("GET", "/me", sue.token) for _ in range(10)))
    assert await used() == first
    async with office.database.connection() as connection:
        await connection.execute(
            "UPDATE tokens SET last_used_at = last_used_at - interval '61 minutes'"
        )
    assert await used() >= first


async def test_an_admin_sees_to_the_tokens_of_senders_and_their_own_alone(office: Desk) -> None:
    acme = await office.organization()
    eve = await admin_of(office, acme, "Eve")
    theirs = f"/people/{eve['person_id']}/tokens"
    for method, path in (
        ("POST", theirs),
        ("GET", theirs),
        ("DELETE", f"{theirs}/{eve['token_id']}"),
    ):
        assert (await office.call(method, path, acme.admin)).status == 403
    assert (await office.call("POST", theirs, eve["token"])).status == 201


async def test_a_sender_sees_to_their_own_tokens(office: Desk) -> None:
    acme = await office.organization()
    sue, sam = await acme.sender("Sue"), await acme.sender("Sam")
    for method in ("POST", "GET"):
        path = f"/people/{sam.person_id}/tokens"
        assert (await office.call(method, path, sue.token)).status == 403
    made = await office.good("POST", "/me/tokens", sue.token)
    sams = (await office.good("GET", "/me/tokens", sam.token))["items"][0]["token_id"]
    assert (await office.call("DELETE", f"/me/tokens/{sams}", sue.token)).status == 404
    own = (await office.good("GET", "/me", made["token"]))["token_id"]
    assert own == made["token_id"]
    await office.good("DELETE", f"/me/tokens/{own}", made["token"])
    assert (await office.call("GET", "/me", made["token"])).status == 401


async def test_an_operator_sees_to_anybodys_tokens_and_their_own(office: Desk) -> None:
    acme = await office.organization()
    ada = await office.good("GET", "/me", acme.admin)
    tokens = f"/organizations/{acme.org_id}/people/{ada['person_id']}/tokens"
    made = await office.good("POST", tokens, office.operator)
    assert (await office.good("GET", "/me", made["token"]))["role"] == "admin"
    assert len((await office.good("GET", tokens, office.operator))["items"]) == 2
    await office.good("DELETE", f"{tokens}/{ada['token_id']}", office.operator)
    assert (await office.call("GET", "/me", acme.admin)).status == 401
    own = await office.good("POST", "/me/tokens", office.operator)
    assert (await office.good("GET", "/me", own["token"]))["role"] == "operator"


async def test_who_was_revoked_while_they_wait_is_not_let_in_again_by_a_kept_answer(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    first = await office.once("k", "POST", "/me/tokens", sue.token)
    again = await office.once("k", "POST", "/me/tokens", sue.token)
    assert again["token"] == first["token"]
    mine = (await office.good("GET", "/me", sue.token))["token_id"]
    await office.good("DELETE", f"/people/{sue.person_id}/tokens/{mine}", acme.admin)
    assert (await office.once("k", "POST", "/me/tokens", sue.token)).status == 401


async def test_a_person_with_two_places_gets_a_token_for_the_other(office: Desk) -> None:
    acme, zenith = await office.organization("Acme"), await office.organization("Zenith")
    eve = await admin_of(office, acme, "Eve")
    place = f"/organizations/{zenith.org_id}/people/{eve['person_id']}"
    linked = await office.good("PUT", place, office.operator, role="sender")
    assert (linked["name"], linked["role"]) == ("Eve", "sender")
    me = await office.good("GET", "/me", eve["token"])
    assert [(one["organization"], one["role"]) for one in me["places"]] == [
        ("Acme", "admin"),
        ("Zenith", "sender"),
    ]
    made = await office.once(
        "over", "POST", "/me/tokens", eve["token"], organization_id=zenith.org_id
    )
    there = await office.good("GET", "/me", made["token"])
    assert (there["person_id"], there["organization_id"], there["role"]) == (
        eve["person_id"],
        zenith.org_id,
        "sender",
    )
    # The answer was kept where it was asked for, and nothing of either place shows in the other.
    again = await office.once(
        "over", "POST", "/me/tokens", eve["token"], organization_id=zenith.org_id
    )
    assert (again.headers["Idempotency-Replayed"], again["token"]) == ("true", made["token"])
    assert (await office.call("GET", "/people", made["token"])).status == 403
    people = await office.good("GET", "/people", eve["token"])
    assert [one["name"] for one in people["items"]] == ["Ada", "Eve"]
    back = await office.good("POST", "/me/tokens", made["token"], organization_id=acme.org_id)
    assert (await office.good("GET", "/me", back["token"]))["role"] == "admin"


async def test_nobody_gets_a_token_for_where_they_have_no_place(office: Desk) -> None:
    acme, zenith = await office.organization("Acme"), await office.organization("Zenith")
    eve = await admin_of(office, acme, "Eve")
    for token in (eve["token"], acme.admin, office.operator):
        for org_id in (zenith.org_id, "nowhere"):
            reply = await office.call("POST", "/me/tokens", token, organization_id=org_id)
            assert reply.status in (403, 422), reply.body
            assert reply["field"] == "organization_id"


async def test_a_token_that_an_admin_has_seen_opens_no_other_organization(office: Desk) -> None:
    acme, zenith = await office.organization("Acme"), await office.organization("Zenith")
    sue = await acme.sender()
    place = f"/organizations/{zenith.org_id}/people/{sue.person_id}"
    await office.good("PUT", place, office.operator, role="admin")
    by_admin = await office.good("POST", f"/people/{sue.person_id}/tokens", acme.admin)
    by_itself = await office.good("POST", "/me/tokens", by_admin["token"])
    for token in (sue.token, by_admin["token"], by_itself["token"]):
        reply = await office.call("POST", "/me/tokens", token, organization_id=zenith.org_id)
        assert (reply.status, reply["field"]) == (403, "organization_id")
        assert len((await office.good("GET", "/me", token))["places"]) == 1
    by_operator = await office.good(
        "POST", f"/organizations/{acme.org_id}/people/{sue.person_id}/tokens", office.operator
    )
    await office.good("POST", "/me/tokens", by_operator["token"], organization_id=zenith.org_id)


async def test_an_operators_command_says_how_long_its_token_is_good(
    office: Desk, database_url: str
) -> None:
    token = await operator_token.make(database_url, days=3)
    assert await good_for(office, token) == timedelta(days=3)
    await end(office, token)
    assert (await office.call("GET", "/organizations", token)).status == 401
