"""Refusals in words that help, and the same shapes everywhere."""

from datetime import timedelta
from typing import Any

import pytest

from services.campaign.api.app import ROUTES
from services.campaign.api.calls import BASE, Page
from tests.campaign_desk import NOON, Desk


async def _refused(
    office: Desk, method: str, path: str, token: str, **body: Any
) -> tuple[Any, ...]:
    reply = await office.call(method, path, token, **body)
    return reply.status, reply.body.get("field"), reply["detail"]


async def test_a_token_that_is_no_good_is_told_apart_from_none(office: Desk) -> None:
    assert await _refused(office, "GET", "/me", "") == (
        401, None, "send Authorization: Bearer TOKEN",
    )  # fmt: skip
    assert await _refused(office, "GET", "/me", "sluice_nonsense") == (
        401, None, "this token is not known, was revoked, or its time is up",
    )  # fmt: skip


async def test_who_may_not_is_told_who_may(office: Desk) -> None:
    acme = await office.organization()
    path = f"/organizations/{acme.org_id}/limits/att"
    assert await _refused(office, "PUT", path, acme.admin) == (
        403, None, "this is for operators, and the token is an admin's",
    )  # fmt: skip
    assert await _refused(office, "GET", "/assignments", office.operator) == (
        403, None, "this is for admins and senders, and the token is an operator's",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/campaigns/", 404), ("DELETE", "/campaigns", 405)],
)
async def test_what_is_refused_before_a_handler_sees_it_is_said_in_words_too(
    office: Desk, method: str, path: str, status: int
) -> None:
    async with office.client.request(method, BASE + path) as response:
        assert response.status == status
        assert response.headers["Content-Type"] == "application/problem+json"
        told = await response.json()
    assert told["title"] in ("Not found", "No such method")
    assert told["detail"]


async def test_an_answer_ends_its_line_for_those_who_use_a_shell(office: Desk) -> None:
    for path in ("/openapi.json", "/me"):
        async with office.client.get(BASE + path) as response:
            assert (await response.text()).endswith("}\n")


async def test_what_a_route_does_not_take_is_not_passed_over(office: Desk) -> None:
    acme = await office.organization()
    draft = await acme.draft()
    launch = f"/campaigns/{draft}/launch"
    assert await _refused(office, "POST", launch, acme.admin, hold_until_provisioned=True) == (
        422, "hold_until_provisioned", "there is no such field",
    )  # fmt: skip
    assert await _refused(office, "GET", f"/campaigns/{draft}?full=1", acme.admin) == (
        422, "full", "there is no such parameter",
    )  # fmt: skip
    assert (await acme.details(draft))["status"] == "draft"
    await office.good("POST", launch, acme.admin)


async def test_a_shared_link_may_have_parameters_hung_on(office: Desk) -> None:
    acme = await office.organization()
    link = await office.good("PUT", f"/campaigns/{await acme.draft()}/invite", acme.admin)
    path = link["path"].removeprefix(BASE)
    assert (await office.good("GET", f"{path}?fbclid=1"))["campaign"] == "Spring"


async def test_words_for_shapes_say_which_shape(office: Desk) -> None:
    acme = await office.organization()
    assert await _refused(office, "POST", "/tags", acme.admin, tag="Strong Yes!") == (
        422, "tag", "must be small letters, digits and hyphens, at most 40, no hyphen first",
    )  # fmt: skip
    path = f"/campaigns/{await acme.draft()}/test-text"
    assert await _refused(office, "POST", path, acme.admin, contact_phone="303 200 1008") == (
        422, "contact_phone",
        "must be a phone number with + and the country's code, such as +13032000001",
    )  # fmt: skip
    status, field, detail = await _refused(
        office, "POST", "/people", acme.admin, name="Sue", email="sue@home"
    )
    assert (status, field) == (422, "email")
    assert detail.startswith("not a valid e-mail address: ")


async def test_every_list_has_items_and_next() -> None:
    lists = {
        route.path: route.gives for route in ROUTES
        if isinstance(route.gives, type) and "items" in route.gives.model_fields
    }  # fmt: skip
    assert len(lists) > 20
    assert [path for path, gives in lists.items() if not issubclass(gives, Page)] == []


async def test_a_send_outside_the_window_is_refused_in_the_words_of_the_warning(
    office: Desk,
) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    campaign_id = await acme.launch(sue)
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    path = f"/messages/{work['messages'][0]['message_id']}"
    for hours, why in ((-1, "has closed"), (48, "has not opened yet")):
        opens_at = NOON + timedelta(hours=hours if hours > 0 else -48)
        closes_at = opens_at + timedelta(hours=47)
        window = {"opens_at": opens_at.isoformat(), "closes_at": closes_at.isoformat()}
        await office.good("PATCH", f"/campaigns/{campaign_id}", acme.admin, window=window)
        for token in (sue.token, acme.admin):
            warning = (await office.good("GET", path, token))["warning"]
            assert why in warning
            assert await _refused(office, "POST", f"{path}/send", token) == (409, None, warning)


async def test_an_audit_is_asked_for_by_dates_as_an_export_is(office: Desk) -> None:
    acme = await office.organization()
    await acme.launch()
    day, following = NOON.date(), NOON.date() + timedelta(days=1)
    own = await office.good("GET", f"/audit?from={day}&to={following}", acme.admin)
    assert own["items"]
    assert (await office.good("GET", f"/audit?from={following}", acme.admin))["items"] == []


async def test_a_link_that_never_was_gets_a_browser_a_page(office: Desk) -> None:
    headers = {"Accept": "text/html"}
    async with office.client.get(f"{BASE}/invites/nonsense", headers=headers) as response:
        assert response.status == 404
        assert response.content_type == "text/html"
        assert "leads nowhere" in await response.text()


async def test_a_held_launch_is_not_warned_of_senders_who_could_text_early(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    for held, what in ((True, "nothing goes"), (False, "its senders can text")):
        draft = await acme.draft(hold_until_provisioned=held)
        path = f"/campaigns/{draft}"
        await office.good("POST", f"{path}/senders", acme.admin, person_ids=[sue.person_id])
        (warning,) = (await office.good("POST", f"{path}/launch", acme.admin))["warnings"]
        assert f"{what} before the number is provisioned" in warning
