"""An admin sees whether what is posted to their organization's webhook gets there."""

import asyncio
from datetime import timedelta
from itertools import permutations
from typing import Any

from shared.events import WebhookState, WebhookStateChanged
from tests.campaign_desk import NOON, Desk, Organization

URL = "https://example.org/hooks"


def change(
    acme: Organization, version: int, revision: int, state: WebhookState, reason: str | None = None
) -> WebhookStateChanged:
    return WebhookStateChanged(
        org_id=acme.org_id, version=version, revision=revision, state=state, reason=reason,
        state_since=NOON + timedelta(seconds=revision),
    )  # fmt: skip


async def with_webhook(office: Desk) -> Organization:
    acme = await office.organization()
    await office.good("PUT", "/webhook", acme.admin, url=URL)
    return acme


async def shown(office: Desk, acme: Organization) -> Any:
    """(state, error) of the webhook."""
    found = await office.good("GET", "/webhook", acme.admin)
    return found["state"], found["error"]


async def test_a_webhook_is_new_until_something_was_posted(office: Desk) -> None:
    acme = await office.organization()
    made = await office.good("PUT", "/webhook", acme.admin, url=URL)
    assert (made["state"], made["error"]) == ("new", None)
    assert made["state_since"] == made["changed_at"] == "2026-10-20T16:00:00Z"
    assert (await office.good("GET", "/webhook", acme.admin)).body == made.body


async def test_a_webhook_says_that_posts_fail_and_why_until_they_work(office: Desk) -> None:
    acme = await with_webhook(office)
    await office.hear(change(acme, 1, 1, "failing", "answered 500"))
    found = await office.good("GET", "/webhook", acme.admin)
    assert (found["state"], found["error"]) == ("failing", "answered 500")
    assert found["state_since"] == "2026-10-20T16:00:01Z"
    await office.hear(change(acme, 1, 2, "working"))
    found = await office.good("GET", "/webhook", acme.admin)
    assert (found["state"], found["error"]) == ("working", None)
    assert found["state_since"] == "2026-10-20T16:00:02Z"


async def test_whatever_the_order_and_however_often_the_last_word_stands(office: Desk) -> None:
    for order in permutations(range(3)):
        acme, zenith = await with_webhook(office), await with_webhook(office)
        said = [
            change(acme, 1, 1, "failing", "answered 500"),
            change(acme, 1, 2, "working"),
            change(acme, 1, 3, "failing", "answered 401"),
        ]
        for index in (*order, order[0]):
            await office.hear(said[index])
        assert await shown(office, acme) == ("failing", "answered 401")
        at_once = [said[index].model_copy(update={"org_id": zenith.org_id}) for index in order]
        await office.hear(*at_once)
        assert await shown(office, zenith) == ("failing", "answered 401")


async def test_a_webhook_that_is_set_anew_begins_anew_whatever_comes_late(office: Desk) -> None:
    acme = await with_webhook(office)
    await office.hear(change(acme, 1, 1, "stopped", "answered 410"))
    assert await shown(office, acme) == ("stopped", "answered 410")
    # Set to what it is: the receiver is asked again.
    made = await office.good("PUT", "/webhook", acme.admin, url=URL)
    assert (made["state"], made["error"]) == ("new", None)
    await office.hear(change(acme, 1, 9, "failing", "answered 500"))
    assert await shown(office, acme) == ("new", None)
    await office.hear(change(acme, 2, 1, "working"))
    assert await shown(office, acme) == ("working", None)
    replaced = await office.good("POST", "/webhook/secret/replace", acme.admin)
    assert replaced["state"] == "new"
    await office.hear(change(acme, 2, 2, "failing", "answered 500"))
    assert await shown(office, acme) == ("new", None)
    await office.hear(change(acme, 3, 1, "failing", "answered 401"))
    assert await shown(office, acme) == ("failing", "answered 401")


async def test_a_choice_of_e_mails_leaves_the_webhook_as_it_is(office: Desk) -> None:
    acme = await with_webhook(office)
    await office.good("PUT", "/me/notices", acme.admin, notices=[])
    await office.hear(change(acme, 1, 1, "failing", "answered 500"))
    await office.good("PUT", "/me/notices", acme.admin, notices=["campaign held"])
    assert await shown(office, acme) == ("failing", "answered 500")


async def test_what_is_told_of_a_webhook_that_was_removed_does_no_harm(office: Desk) -> None:
    acme = await with_webhook(office)
    await office.hear(change(acme, 1, 1, "failing", "answered 500"))
    removed = await office.good("DELETE", "/webhook", acme.admin)
    assert (removed["state"], removed["error"]) == ("failing", "answered 500")
    await office.hear(change(acme, 1, 2, "stopped", "answered 410"))
    assert (await office.call("GET", "/webhook", acme.admin)).status == 404
    await office.good("PUT", "/webhook", acme.admin, url=URL)
    assert await shown(office, acme) == ("new", None)


async def test_a_webhook_of_before_shows_what_is_told_of_it_now(office: Desk) -> None:
    acme = await with_webhook(office)
    async with office.database.transaction() as tx:
        await tx.sql.execute("UPDATE webhooks SET version = DEFAULT WHERE org_id = $1", acme.org_id)
    assert await shown(office, acme) == ("new", None)
    await office.hear(change(acme, 7, 1, "working"))
    assert await shown(office, acme) == ("working", None)
    await office.hear(change(acme, 6, 5, "stopped", "answered 410"))
    assert await shown(office, acme) == ("working", None)


async def test_replicas_that_hear_of_many_at_once_agree(office: Desk) -> None:
    many = [await with_webhook(office) for _ in range(8)]
    stranger = Organization(office, "unheard-of", "", "")
    async with asyncio.timeout(15):
        for round_ in range(10):
            one = [change(acme, 1, 2 * round_ + 1, "failing", "answered 500") for acme in many]
            other = [change(acme, 1, 2 * round_ + 2, "working") for acme in (*many, stranger)]
            await asyncio.gather(
                office.hear(*one), office.hear(*reversed(other)), office.hear(*reversed(one))
            )
            for acme in many:
                assert await shown(office, acme) == ("working", None)


async def test_an_organization_sees_its_own_webhook_alone(office: Desk) -> None:
    acme, zenith = await with_webhook(office), await with_webhook(office)
    await office.hear(change(acme, 1, 1, "failing", "answered 500"))
    assert await shown(office, zenith) == ("new", None)
