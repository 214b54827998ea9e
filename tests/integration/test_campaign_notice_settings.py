"""Which notices people want, and where an organization's webhooks go: said over HTTP, told to the
notifier."""

import asyncio
from typing import Any

import pytest
from standardwebhooks import Webhook

from shared.events import NoticeSettingsChanged
from shared.rules.webhook_keys import shown, webhook_key
from tests.campaign_desk import MASTER_KEY, Desk, Organization, desk

ALL = ["provisioning complete", "provisioning failed", "window at risk", "campaign held"]
URL = "https://example.org/hooks/notices?token=hush-hush"


async def told(office: Desk, acme: Organization) -> list[NoticeSettingsChanged]:
    """What was told of an organization's notices, oldest first."""
    return [one for one in await office.told(NoticeSettingsChanged) if one.org_id == acme.org_id]


async def acts(office: Desk, acme: Organization) -> list[Any]:
    """What was written down of them, oldest first."""
    trail = (await office.good("GET", "/audit", acme.admin))["items"]
    return [one for one in reversed(trail) if "notices" in one["act"] or "webhook" in one["act"]]


async def move(office: Desk, acme: Organization, email: str) -> None:
    """Give the organization's admin another address."""
    me = await office.good("GET", "/me", acme.admin)
    path = f"/organizations/{acme.org_id}/people/{me['person_id']}"
    await office.good("PUT", path, office.operator, email=email)


# --- e-mail --------------------------------------------------------------------------------------


async def test_an_admin_gets_every_notice_until_they_say_which(office: Desk) -> None:
    acme = await office.organization()
    found = await office.good("GET", "/me/notices", acme.admin)
    assert found.body == {"email": "ada@example.org", "notices": ALL}
    wanted = ["campaign held", "provisioning failed", "campaign held"]
    found = await office.good("PUT", "/me/notices", acme.admin, notices=wanted)
    assert found["notices"] == ["provisioning failed", "campaign held"]
    assert (await office.good("GET", "/me/notices", acme.admin)).body == found.body
    [event] = await told(office, acme)
    assert (event.email, event.version) == ("ada@example.org", 1)
    assert event.notices == ("provisioning failed", "campaign held")
    [act] = await acts(office, acme)
    assert (act["act"], act["before"]["notices"]) == ("notices chosen", ALL)
    assert act["after"] == {"notices": ["provisioning failed", "campaign held"]}


async def test_an_admin_may_want_no_notice_at_all(office: Desk) -> None:
    acme = await office.organization()
    assert (await office.good("PUT", "/me/notices", acme.admin, notices=[]))["notices"] == []
    assert [event.notices for event in await told(office, acme)] == [()]


async def test_a_choice_that_changes_nothing_is_no_news(office: Desk) -> None:
    acme = await office.organization()
    await office.good("PUT", "/me/notices", acme.admin, notices=ALL)
    assert await told(office, acme) == []
    assert await acts(office, acme) == []


@pytest.mark.parametrize("notices", [["daily digest"], ["provisioning"], ALL + ALL, "all", None])
async def test_what_is_no_notice_of_an_admins_is_refused(office: Desk, notices: Any) -> None:
    acme = await office.organization()
    reply = await office.call("PUT", "/me/notices", acme.admin, notices=notices)
    assert reply.status == 422
    assert reply["field"].startswith("notices")
    assert await told(office, acme) == []


async def test_a_choice_follows_its_person_to_another_address(office: Desk) -> None:
    acme = await office.organization()
    await office.good("PUT", "/me/notices", acme.admin, notices=["campaign held"])
    await move(office, acme, "ada@new.example.org")
    found = await office.good("GET", "/me/notices", acme.admin)
    assert found.body == {"email": "ada@new.example.org", "notices": ["campaign held"]}
    events = await told(office, acme)
    assert [(one.version, one.email, list(one.notices)) for one in events] == [
        (1, "ada@example.org", ["campaign held"]),
        (2, "ada@example.org", ALL),
        (3, "ada@new.example.org", ["campaign held"]),
    ]


async def test_an_address_that_passes_on_keeps_nothing_of_whose_it_was(office: Desk) -> None:
    acme = await office.organization()
    await office.good("PUT", "/me/notices", acme.admin, notices=[])
    await move(office, acme, "ada@new.example.org")
    await office.good(
        "POST",
        f"/organizations/{acme.org_id}/people",
        office.operator,
        name="Bea",
        email="ada@example.org",
        role="admin",
    )
    of_address = [one for one in await told(office, acme) if one.email == "ada@example.org"]
    assert list(max(of_address, key=lambda one: one.version).notices) == ALL


async def test_an_address_that_changes_with_no_choice_made_is_no_news(office: Desk) -> None:
    acme = await office.organization()
    await move(office, acme, "ada@new.example.org")
    assert await told(office, acme) == []


# --- the webhook ---------------------------------------------------------------------------------


async def test_an_organization_has_its_notices_posted(office: Desk) -> None:
    acme = await office.organization()
    assert (await office.call("GET", "/webhook", acme.admin)).status == 404
    made = await office.good("PUT", "/webhook", acme.admin, url=URL, time_zone="America/Denver")
    assert made["notices"] == [*ALL, "daily digest"]
    assert (made["url"], made["time_zone"], made["secret_version"]) == (URL, "America/Denver", 1)
    assert (await office.good("GET", "/webhook", acme.admin)).body == made.body
    few = ["daily digest", "window at risk"]
    await office.good("PUT", "/webhook", acme.admin, url=URL, notices=few)
    events = await told(office, acme)
    assert [(one.version, one.webhook_url, one.email) for one in events] == [
        (1, URL, None),
        (2, URL, None),
    ]
    assert events[-1].notices == ("window at risk", "daily digest")
    assert events[-1].secret_version == 1


async def test_a_webhook_that_is_set_as_it_is_is_told_again(office: Desk) -> None:
    """So that a receiver who has said that they want no more is asked again."""
    acme = await office.organization()
    for _ in range(2):
        await office.good("PUT", "/webhook", acme.admin, url=URL)
    first, second = await told(office, acme)
    assert second == first.model_copy(update={"version": 2})


async def test_what_was_said_at_the_same_time_has_versions_of_its_own(office: Desk) -> None:
    acme = await office.organization()
    await office.good("PUT", "/webhook", acme.admin, url=URL)
    await asyncio.gather(
        office.good("PUT", "/me/notices", acme.admin, notices=[]),
        *(office.good("PUT", "/webhook", acme.admin, url=f"{URL}{n}") for n in range(3)),
        *(office.good("POST", "/webhook/secret/replace", acme.admin) for _ in range(3)),
    )
    events = await told(office, acme)
    assert [one.version for one in events] == list(range(1, 9))
    last = max((one for one in events if one.email is None), key=lambda one: one.version)
    now = await office.good("GET", "/webhook", acme.admin)
    assert (last.webhook_url, last.secret_version) == (now["url"], now["secret_version"])
    assert now["secret_version"] == 4


async def test_a_webhook_that_is_removed_gets_nothing_any_more(office: Desk) -> None:
    acme = await office.organization()
    await office.good("PUT", "/webhook", acme.admin, url=URL)
    assert (await office.good("DELETE", "/webhook", acme.admin))["url"] == URL
    for method, path in (
        ("GET", "/webhook"),
        ("DELETE", "/webhook"),
        ("GET", "/webhook/secret"),
        ("POST", "/webhook/secret/replace"),
    ):
        assert (await office.call(method, path, acme.admin)).status == 404
    last = (await told(office, acme))[-1]
    assert (last.version, last.webhook_url, last.notices) == (2, None, ())


async def test_a_secret_is_shown_to_an_admin_and_to_no_cache(office: Desk) -> None:
    acme, zenith = await office.organization("Acme"), await office.organization("Zenith")
    secrets = []
    for one in (acme, zenith):
        await office.good("PUT", "/webhook", one.admin, url=URL)
        reply = await office.good("GET", "/webhook/secret", one.admin)
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply["secret_version"] == 1
        # The notifier's, who knows no more than the platform's key and the event.
        assert reply["secret"] == shown(webhook_key(MASTER_KEY.encode(), one.org_id, 1))
        Webhook(reply["secret"])
        secrets.append(reply["secret"])
    assert len(set(secrets)) == 2


async def test_a_secret_that_was_replaced_never_comes_back(office: Desk) -> None:
    acme = await office.organization()
    await office.good("PUT", "/webhook", acme.admin, url=URL)
    first = (await office.good("GET", "/webhook/secret", acme.admin))["secret"]
    replaced = await office.good("POST", "/webhook/secret/replace", acme.admin)
    assert replaced["secret_version"] == 2
    second = (await office.good("GET", "/webhook/secret", acme.admin))["secret"]
    assert second != first
    await office.good("DELETE", "/webhook", acme.admin)
    await office.good("PUT", "/webhook", acme.admin, url=URL)
    assert (await office.good("GET", "/webhook/secret", acme.admin))["secret"] == second
    assert [one.secret_version for one in await told(office, acme)] == [1, 2, 2, 2]


async def test_a_secret_is_replaced_once_however_often_it_is_asked_with_one_key(
    office: Desk,
) -> None:
    acme = await office.organization()
    await office.good("PUT", "/webhook", acme.admin, url=URL)
    replies = [
        await office.once("again", "POST", "/webhook/secret/replace", acme.admin) for _ in range(2)
    ]
    assert [reply["secret_version"] for reply in replies] == [2, 2]
    # Answers with a key are kept: none holds a secret.
    assert "whsec_" not in str([reply.body for reply in replies])


async def test_what_was_done_to_a_webhook_is_written_down_and_no_secret_is(office: Desk) -> None:
    acme = await office.organization()
    await office.good("PUT", "/webhook", acme.admin, url=URL, notices=[])
    secret = (await office.good("GET", "/webhook/secret", acme.admin))["secret"]
    await office.good("POST", "/webhook/secret/replace", acme.admin)
    await office.good("DELETE", "/webhook", acme.admin)
    found = await acts(office, acme)
    as_set = {"url": "https://example.org/hooks/notices", "notices": [],
              "time_zone": "America/Los_Angeles"}  # fmt: skip
    me = await office.good("GET", "/me", acme.admin)
    assert {(one["subject_id"], one["person_id"]) for one in found} == {
        (acme.org_id, me["person_id"])
    }
    assert [(one["act"], one["before"], one["after"]) for one in found] == [
        ("webhook set", None, as_set),
        ("webhook secret shown", None, {"secret_version": 1}),
        ("webhook secret replaced", {"secret_version": 1}, {"secret_version": 2}),
        ("webhook removed", as_set, None),
    ]
    async with office.database.connection() as connection:
        for table in ("audit", "outbox", "webhooks", "kept_answers"):
            kept = str(await connection.fetch(f"SELECT t::text FROM {table} AS t"))
            assert secret not in kept
            assert table in ("outbox", "webhooks") or "hush-hush" not in kept


BAD = {
    "http://example.org/": "must start with https://",
    "https://user@example.org/": "a user or a password",
    "https://:word@example.org/": "a user or a password",
    "https:///notices": "no host",
    "https://example.org:99999/": "cannot be read",
    "https://[::1": "cannot be read",
    "https://127.0.0.1/": "not of the open internet (loopback)",
    "https://10.1.2.3:8443/x": "not of the open internet (private)",
    "https://169.254.169.254/latest": "not of the open internet (link-local)",
    "https://[::1]/": "not of the open internet (loopback)",
    "https://[fd00::1]/": "not of the open internet (private)",
    "https://[::ffff:127.0.0.1]/": "not of the open internet (loopback)",
    "https://localhost/": "not of the open internet (loopback)",
    "https://api.localhost./": "not of the open internet (loopback)",
    "ftp://example.org/": "http or https",
    "https://example.org/a b": "http or https",
    "https://example.org/" + "x" * 2000: "http or https",
}


async def test_an_address_that_nothing_would_be_posted_to_is_refused_with_words(
    office: Desk,
) -> None:
    acme = await office.organization()
    for url, words in BAD.items():
        reply = await office.call("PUT", "/webhook", acme.admin, url=url)
        assert (reply.status, reply["field"]) == (422, "url"), url
        assert words in reply["detail"], (url, reply["detail"])
    assert await told(office, acme) == []


async def test_private_addresses_are_taken_where_the_operator_allows_them(
    database_url: str,
) -> None:
    async with desk(database_url, webhooks_private_allowed=True) as office:
        acme = await office.organization()
        for url in ("http://127.0.0.1:8099/notices", "https://10.1.2.3/"):
            assert (await office.good("PUT", "/webhook", acme.admin, url=url))["url"] == url
        reply = await office.call("PUT", "/webhook", acme.admin, url="http://a:b@127.0.0.1/")
        assert (reply.status, reply["field"]) == (422, "url")


async def test_without_a_key_to_sign_with_the_operator_is_told_what_to_set(
    database_url: str,
) -> None:
    async with desk(database_url) as office:
        acme = await office.organization()
        await office.good("PUT", "/webhook", acme.admin, url=URL)
    async with desk(database_url, webhook_master_key=None) as office:
        for method, path, status in (("PUT", "/webhook", 409), ("GET", "/webhook/secret", 404)):
            body = {"url": URL} if method == "PUT" else {}
            reply = await office.call(method, path, acme.admin, **body)
            assert reply.status == status
            assert "SLUICE_WEBHOOK_MASTER_KEY" in reply["detail"]
        # What is there can still be seen, and taken away.
        await office.good("GET", "/webhook", acme.admin)
        await office.good("DELETE", "/webhook", acme.admin)


async def test_another_organization_neither_sees_nor_sets_any_of_it(office: Desk) -> None:
    acme, zenith = await office.organization("Acme"), await office.organization("Zenith")
    await office.good("PUT", "/webhook", acme.admin, url=URL)
    await office.good("PUT", "/me/notices", acme.admin, notices=["campaign held"])
    secret = (await office.good("GET", "/webhook/secret", acme.admin))["secret"]
    of_acme = await told(office, acme)
    for method, path in (
        ("GET", "/webhook"),
        ("DELETE", "/webhook"),
        ("GET", "/webhook/secret"),
        ("POST", "/webhook/secret/replace"),
    ):
        assert (await office.call(method, path, zenith.admin)).status == 404
    # Of the same address, in another organization.
    assert (await office.good("GET", "/me/notices", zenith.admin))["notices"] == ALL
    await office.good("PUT", "/me/notices", zenith.admin, notices=[])
    await office.good("PUT", "/webhook", zenith.admin, url="https://example.org/zenith")
    await office.good("POST", "/webhook/secret/replace", zenith.admin)
    assert await told(office, acme) == of_acme
    assert (await office.good("GET", "/webhook", acme.admin))["url"] == URL
    assert (await office.good("GET", "/webhook/secret", acme.admin))["secret"] == secret
    mine = await office.good("GET", "/me/notices", acme.admin)
    assert mine["notices"] == ["campaign held"]
    assert [one.version for one in await told(office, zenith)] == [1, 2, 3]
    sender = await acme.sender()
    for method, path in (
        ("GET", "/webhook/secret"),
        ("DELETE", "/webhook"),
        ("GET", "/me/notices"),
    ):
        assert (await office.call(method, path, sender.token)).status == 403
