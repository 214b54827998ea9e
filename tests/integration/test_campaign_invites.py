"""The campaign's invite link: whoever opens it is a sender, while it is on."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.campaign.acts import inviting
from services.campaign.domain import Caller
from shared.database import Database
from tests.campaign_desk import Desk, Organization, Reply, desk

PUBLIC = "https://texts.example.org"


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Desk]:
    """A campaign service that knows its public address."""
    async with desk(database_url, public_url=PUBLIC) as found:
        yield found


async def link_of(acme: Organization, campaign_id: str) -> str:
    """Turn it on; its path below the API's base."""
    shown = await acme.desk.good("PUT", f"/campaigns/{campaign_id}/invite", acme.admin)
    path: str = shown["path"]
    return path.removeprefix("/api/v1")


async def let_links_add_people(acme: Organization) -> None:
    await acme.desk.good("PATCH", "/organization", acme.admin, invites_add_people=True)


async def sender_ids(acme: Organization, campaign_id: str) -> list[str]:
    page = await acme.desk.good("GET", f"/campaigns/{campaign_id}/senders", acme.admin)
    return [one["person_id"] for one in page["items"]]


async def acts(office: Desk, campaign_id: str) -> list[tuple[str, str]]:
    async with office.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT act, person_id FROM audit WHERE subject_id = $1 ORDER BY audit_id", campaign_id
        )
    return [(row["act"], row["person_id"]) for row in rows]


def said(reply: Reply) -> tuple[int, Any]:
    return reply.status, reply["detail"]


# --- on and off -----------------------------------------------------------------------------


async def test_the_link_is_off_by_default_and_can_be_toggled_on_and_off_at_any_point(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.draft()
    path = f"/campaigns/{campaign_id}/invite"
    nothing = {"enabled": False, "url": None, "path": None, "made_at": None}
    assert (await office.good("GET", path, acme.admin)).body == nothing
    assert (await office.good("DELETE", path, acme.admin)).body == nothing
    on = await office.good("PUT", path, acme.admin)
    assert on["enabled"]
    assert re.fullmatch(PUBLIC + r"/api/v1/invites/[\w-]{32}", on["url"])
    link = on["path"].removeprefix("/api/v1")
    assert (await office.good("GET", link))["campaign"] == "Spring"
    off = await office.good("DELETE", path, acme.admin)
    assert off.body == {**on.body, "enabled": False}
    for method in ("GET", "POST"):
        assert (await office.call(method, link)).status == 410
    # The same link comes back, in an active campaign as well.
    await office.good("POST", f"/campaigns/{campaign_id}/launch", acme.admin)
    assert (await office.good("PUT", path, acme.admin)).body == on.body
    assert (await office.good("PUT", path, acme.admin)).body == on.body
    assert (await office.call("GET", link)).status == 200
    told = [act for act, _ in await acts(office, campaign_id) if act.startswith("invite")]
    assert told == [
        "invite link turned on", "invite link turned off", "invite link turned on",
    ]  # fmt: skip


async def test_a_replaced_link_leads_nowhere_and_the_new_one_does(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    path = f"/campaigns/{campaign_id}/invite"
    assert (await office.call("POST", f"{path}/replace", acme.admin)).status == 409
    old = await link_of(acme, campaign_id)
    new = await office.good("POST", f"{path}/replace", acme.admin)
    assert new["enabled"]
    assert new["path"].removeprefix("/api/v1") != old
    assert said(await office.call("POST", old)) == (
        410, "This invite link was replaced: ask for the new one",
    )  # fmt: skip
    assert (await office.call("GET", new["path"].removeprefix("/api/v1"))).status == 200
    # What is off stays off.
    await office.good("DELETE", path, acme.admin)
    assert not (await office.good("POST", f"{path}/replace", acme.admin))["enabled"]
    assert (await office.call("GET", old)).status == 410


async def test_admins_who_turn_it_on_at_once_get_one_link(office: Desk) -> None:
    acme = await office.organization()
    for _ in range(3):
        path = f"/campaigns/{await acme.launch()}/invite"
        # As many connections as there are requests, or they come one after the other.
        await asyncio.gather(*(office.good("GET", path, acme.admin) for _ in range(6)))
        shown = await asyncio.gather(*(office.good("PUT", path, acme.admin) for _ in range(6)))
        assert len({one["path"] for one in shown}) == 1


async def test_once_the_link_is_turned_off_nobody_joins_any_more(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch()
    link = await link_of(acme, campaign_id)
    admin = Caller(acme.org_id, "a", "admin", "Ada", "ada@example.org")
    async with office.database.transaction() as tx:
        await inviting.turn(tx, admin, campaign_id, enabled=False)
        joining = asyncio.create_task(office.call("POST", link, sue.token))
        await asyncio.sleep(0.3)
    assert (await joining).status == 410
    assert await sender_ids(acme, campaign_id) == []


async def test_an_archived_campaigns_link_is_gone(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    link = await link_of(acme, campaign_id)
    await office.good("POST", f"/campaigns/{campaign_id}/archive", acme.admin)
    sue = await acme.sender()
    assert (await office.call("POST", link, sue.token)).status == 410
    for method, path in (("PUT", "invite"), ("POST", "invite/replace")):
        reply = await office.call(method, f"/campaigns/{campaign_id}/{path}", acme.admin)
        assert reply.status == 409


async def test_without_a_public_address_the_link_is_a_path_whatever_host_is_asked(
    database_url: str,
) -> None:
    async with desk(database_url) as office:
        acme = await office.organization()
        campaign_id = await acme.launch()
        async with office.client.put(
            f"/api/v1/campaigns/{campaign_id}/invite",
            headers={"Authorization": f"Bearer {acme.admin}", "Host": "evil.example"},
        ) as response:
            shown = await response.json()
    assert shown["url"] is None
    assert shown["path"].startswith("/api/v1/invites/")


# --- opening it -----------------------------------------------------------------------------


async def test_when_the_link_is_clicked_users_are_navigated_directly_to_their_assignment(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(self_assign={"enabled": True, "batch_size": 4})
    link = await link_of(acme, campaign_id)
    shown = await office.good("GET", link, sue.token)
    assert shown.body == {"organization": "Acme", "campaign": "Spring", "adds_people": False}
    # Mail scanners and previews look at links too: that changes nothing.
    assert await sender_ids(acme, campaign_id) == []
    joined = await office.good("POST", link, sue.token)
    assert joined.body == {
        "organization": "Acme",
        "campaign": "Spring",
        "campaign_id": campaign_id,
        "person_id": sue.person_id,
        "assignment": f"/api/v1/campaigns/{campaign_id}/assignment",
        "token": None,
        "token_expires_at": None,
    }
    assert joined.headers["Location"] == joined["assignment"]
    assert (await office.good("POST", link, sue.token)).body == joined.body
    assert await sender_ids(acme, campaign_id) == [sue.person_id]
    assert (await acts(office, campaign_id)).count(("joined by invite link", sue.person_id)) == 1
    # Used with Self Assign, senders need nobody else.
    batch = await office.good("POST", f"/campaigns/{campaign_id}/assignments", sue.token)
    assert batch["assigned"] == 4
    admins = await office.good("POST", link, acme.admin)
    assert admins["assignment"] == joined["assignment"]


async def test_many_clicks_at_once_make_one_sender(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch()
    link = await link_of(acme, campaign_id)
    await asyncio.gather(*(office.good("POST", link, sue.token) for _ in range(6)))
    assert await sender_ids(acme, campaign_id) == [sue.person_id]
    assert (await acts(office, campaign_id)).count(("joined by invite link", sue.person_id)) == 1


async def test_who_has_no_account_yet_gives_a_name_and_an_address_and_gets_a_senders_token(
    office: Desk,
) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch()
    link = await link_of(acme, campaign_id)
    ann = {"name": "Ann", "email": "ann@example.org"}
    refused = await office.call("POST", link, **ann)
    assert refused.status == 403
    assert "adds nobody by invite links" in refused["detail"]
    await let_links_add_people(acme)
    assert (await office.good("GET", link))["adds_people"]
    for given, field in (
        ({}, "name"),
        ({"name": "Ann"}, "email"),
        ({**ann, "email": "?"}, "email"),
    ):
        refused = await office.call("POST", link, **given)
        assert (refused.status, refused["field"]) == (422, field)
    joined = await office.good("POST", link, **ann)
    me = await office.good("GET", "/me", joined["token"])
    assert (me["person_id"], me["role"], me["name"]) == (joined["person_id"], "sender", "Ann")
    found = await office.good("GET", f"/campaigns/{campaign_id}/assignment", joined["token"])
    assert found["campaign_id"] == campaign_id
    assert await sender_ids(acme, campaign_id) == [joined["person_id"]]
    assert ("joined by invite link", joined["person_id"]) in await acts(office, campaign_id)


async def test_an_address_that_is_known_gets_nobody_elses_token(office: Desk) -> None:
    acme = await office.organization()
    await let_links_add_people(acme)
    await acme.sender("Sue")
    campaign_id = await acme.launch()
    link = await link_of(acme, campaign_id)
    for email in ("sue@example.org", "SUE@example.org", "ada@example.org"):
        refused = await office.call("POST", link, name="Eve", email=email)
        assert (refused.status, refused["field"]) == (409, "email")
    replies = await asyncio.gather(
        *(office.call("POST", link, name="Bob", email="bob@example.org") for _ in range(5))
    )
    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409, 409]
    assert len(await sender_ids(acme, campaign_id)) == 1


async def test_a_lost_answer_is_given_again_to_who_has_its_key(office: Desk) -> None:
    acme = await office.organization()
    await let_links_add_people(acme)
    campaign_id = await acme.launch()
    link = await link_of(acme, campaign_id)
    key = "0123456789abcdef" * 2
    first, again = [
        await office.once(key, "POST", link, name="Ann", email="ann@example.org") for _ in range(2)
    ]
    assert first.status == 200
    assert again.body == first.body
    assert len(await sender_ids(acme, campaign_id)) == 1


async def test_a_link_is_for_its_own_organization(office: Desk) -> None:
    acme, other = await office.organization(), await office.organization("Other")
    await let_links_add_people(acme)
    campaign_id = await acme.launch()
    link = await link_of(acme, campaign_id)
    stranger = await other.sender()
    for method in ("GET", "POST"):
        refused = await office.call(method, link, stranger.token)
        assert said(refused) == (403, "This invite link is Acme's, and you have no place there")
        refused = await office.call(method, link, office.operator)
        assert said(refused) == (403, "Operators send for no campaign")
        assert (await office.call(method, link, "sluice_wrong")).status == 401
    assert await sender_ids(acme, campaign_id) == []


async def test_who_has_places_in_two_organizations_is_told_which_token_to_use(
    office: Desk,
) -> None:
    acme, other = await office.organization(), await office.organization("Other")
    sue = await acme.sender()
    await office.good(
        "PUT", f"/organizations/{other.org_id}/people/{sue.person_id}", office.operator
    )
    campaign_id = await other.launch()
    link = await link_of(other, campaign_id)
    refused = await office.call("POST", link, sue.token)
    assert said(refused) == (403, "Your token is another organization's: use yours of Other")


async def test_a_secret_that_nobody_made_leads_nowhere(office: Desk) -> None:
    await office.organization()
    for secret in ("A" * 32, "x", "%00", "é", "A" * 65):
        for method in ("GET", "POST"):
            reply = await office.call(method, f"/invites/{secret}")
            assert reply.status == 404, secret


# --- in a browser ---------------------------------------------------------------------------


async def browse(office: Desk, link: str) -> tuple[int, str, Any]:
    async with office.client.get(
        f"/api/v1{link}", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    ) as response:
        assert response.content_type == "text/html"
        return response.status, await response.text(), response.headers


async def test_a_browser_gets_a_page_that_loads_nothing_from_elsewhere(office: Desk) -> None:
    acme = await office.organization()
    campaign_id = await acme.launch(name="<b>Spring</b> & co")
    link = await link_of(acme, campaign_id)
    status, page, headers = await browse(office, link)
    assert status == 200
    assert "&lt;b&gt;Spring&lt;/b&gt; &amp; co" in page
    assert "<b>Spring" not in page
    assert 'name="email"' not in page
    assert re.findall(r"(?:src|href)=|url\(|//[a-z]", page) == []
    assert link.rpartition("/")[2] not in page
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    (nonce,) = set(re.findall(r'nonce="([^"]+)"', page))
    assert f"script-src 'nonce-{nonce}'" in headers["Content-Security-Policy"]
    await let_links_add_people(acme)
    assert 'name="email"' in (await browse(office, link))[1]
    await office.good("DELETE", f"/campaigns/{campaign_id}/invite", acme.admin)
    status, page, _ = await browse(office, link)
    assert status == 410
    assert "turned off" in page


# --- what it must not leak ------------------------------------------------------------------


async def test_a_secret_is_never_logged(
    office: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    acme = await office.organization()
    link = await link_of(acme, await acme.launch())
    secret = link.rpartition("/")[2]
    sue = await acme.sender()

    def failing_with(failure: Exception) -> Any:
        async def fail(*_args: Any, **_named: Any) -> None:
            raise failure

        return fail

    with capture_logs() as logged, caplog.at_level("DEBUG"):
        for failure, status in ((ConnectionError("away"), 503), (RuntimeError("bug"), 500)):
            with monkeypatch.context() as patch:
                patch.setattr("services.campaign.store.campaigns.get", failing_with(failure))
                assert (await office.call("POST", link, sue.token)).status == status
        await office.good("POST", link, sue.token)
    assert len(logged) == 2
    assert secret not in str(logged)
    assert secret not in caplog.text


async def test_the_secret_opens_its_own_row_and_no_other(office: Desk, database_url: str) -> None:
    acme, other = await office.organization(), await office.organization("Other")
    link = await link_of(acme, await acme.launch())
    await link_of(other, await other.launch())
    secret = link.rpartition("/")[2]
    async with (
        await Database.open(database_url, "campaign", role="sluice_campaign_api") as api,
        api.transaction() as tx,
    ):
        assert await tx.sql.fetch("SELECT * FROM invites") == []
        await tx.sql.execute(
            "SELECT set_config('sluice.presented', encode(sha256($1::bytea), 'hex'), true)",
            secret.encode(),
        )
        rows = await tx.sql.fetch("SELECT org_id, secret FROM invites")
        assert [(row["org_id"], row["secret"]) for row in rows] == [(acme.org_id, secret)]
        assert await tx.sql.fetch("SELECT * FROM campaigns") == []
        changed = await tx.sql.execute("UPDATE invites SET enabled = false")
        assert changed == "UPDATE 0"
