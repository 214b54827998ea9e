"""People and organizations: who adds whom where, what is written down of it, lists in pages."""

import json
from typing import Any

import pytest

from tests.campaign_desk import Desk, Organization, Reply

CAPS = {"sms_unit": "segment", "mms_per_minute": 50, "segments_per_day": None}


async def trail(office: Desk, acme: Organization, query: str = "") -> list[Any]:
    """What was done in an organization, the latest first."""
    found: list[Any] = (await office.good("GET", f"/audit{query}", acme.admin))["items"]
    return found


async def paged(office: Desk, path: str, token: str, limit: int) -> list[Any]:
    """All of a list, page by page."""
    found: list[Any] = []
    after = ""
    while True:
        page = await office.good("GET", f"{path}?limit={limit}&after={after}", token)
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        after = page["next"]


async def test_nobody_but_an_operator_gives_somebody_a_second_place(office: Desk) -> None:
    acme, zenith = await office.organization("Acme"), await office.organization("Zenith")
    sue = await acme.sender()
    place = f"/organizations/{zenith.org_id}/people/{sue.person_id}"
    for token in (acme.admin, zenith.admin, sue.token):
        assert (await office.call("PUT", place, token, role="admin")).status == 403
    # Her address makes nobody her: it is another person, who happens to be written down with it.
    made = await office.good("POST", "/people", zenith.admin, name="Sue", email="sue@example.org")
    assert made["person_id"] != sue.person_id
    taken = await office.call("PUT", place, office.operator)
    assert (taken.status, taken["field"]) == (409, "email")
    await office.good("PUT", place, office.operator, email="sue@zenith.example")
    assert len((await office.good("GET", "/people", zenith.admin))["items"]) == 3


async def test_who_has_no_place_anywhere_gets_none_by_their_id(office: Desk) -> None:
    acme = await office.organization()
    path = f"/organizations/{acme.org_id}/people/nobody"
    assert (await office.call("PUT", path, office.operator, role="admin")).status == 404


async def test_an_operator_changes_who_somebody_is(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    place = f"/organizations/{acme.org_id}/people/{sue.person_id}"
    changed = await office.good("PUT", place, office.operator, role="admin", name="Susan")
    assert (changed["role"], changed["name"], changed["email"]) == (
        "admin",
        "Susan",
        "sue@example.org",
    )
    assert (await office.call("GET", "/people", sue.token)).status == 200
    (edit,) = await trail(office, acme, "?act=person%20edited")
    assert edit["before"] == {"role": "sender", "name": "Sue"}
    assert edit["after"] == {"role": "admin", "name": "Susan"}
    await office.good("PUT", place, office.operator, role="admin")
    assert len(await trail(office, acme, "?act=person%20edited")) == 1


async def test_whether_invites_add_people_is_the_admins_to_decide(office: Desk) -> None:
    acme, zenith = await office.organization("Acme"), await office.organization("Zenith")
    sue = await acme.sender()
    assert (await office.good("GET", "/organization", acme.admin))["invites_add_people"] is False
    edited = await office.good("PATCH", "/organization", acme.admin, invites_add_people=True)
    assert edited["invites_add_people"] is True
    assert (await office.good("GET", "/organization", zenith.admin))["invites_add_people"] is False
    refused = await office.call("PATCH", "/organization", acme.admin, name="Zenith")
    assert (refused.status, refused["field"]) == (403, "name")
    assert (await office.call("PATCH", "/organization", sue.token)).status == 403
    path = f"/organizations/{acme.org_id}"
    named = await office.good("PATCH", path, office.operator, name="Acme Inc")
    assert (named["name"], named["invites_add_people"]) == ("Acme Inc", True)
    edits = await trail(office, acme, "?act=organization%20edited")
    assert [(edit["role"], edit["before"], edit["after"]) for edit in edits] == [
        ("operator", {"name": "Acme"}, {"name": "Acme Inc"}),
        ("admin", {"invites_add_people": False}, {"invites_add_people": True}),
    ]


async def test_an_admin_sees_limits_and_cannot_raise_them(office: Desk) -> None:
    acme = await office.organization()
    path = f"/organizations/{acme.org_id}/limits/att"
    await office.good("PUT", path, office.operator, sms_per_minute=75, **CAPS)
    assert (await office.good("GET", "/limits", acme.admin))["items"][0]["sms_per_minute"] == 75
    for own in (path, "/limits/att"):
        reply = await office.call("PUT", own, acme.admin, sms_per_minute=9000, **CAPS)
        assert reply.status in (403, 404)
    assert (await office.good("GET", "/limits", acme.admin))["items"][0]["sms_per_minute"] == 75


async def test_a_limits_edit_is_written_down_as_it_was_before_and_after(office: Desk) -> None:
    acme = await office.organization()
    path = f"/organizations/{acme.org_id}/limits/att"
    for per_minute in (75, 100):
        await office.good("PUT", path, office.operator, sms_per_minute=per_minute, **CAPS)
    second, first = await trail(office, acme, "?act=limits%20set")
    assert first["before"] is None
    assert first["after"]["sms_per_minute"] == 75
    assert (second["before"]["sms_per_minute"], second["after"]["sms_per_minute"]) == (75, 100)
    assert (second["before"]["carrier"], second["role"]) == ("att", "operator")
    assert second["subject_id"] == acme.org_id


async def test_the_trail_tells_who_did_what_and_holds_no_secret(office: Desk) -> None:
    acme = await office.organization()
    sue = await acme.sender()
    made = await office.good("POST", f"/people/{sue.person_id}/tokens", acme.admin)
    await office.good("DELETE", f"/people/{sue.person_id}/tokens/{made['token_id']}", acme.admin)
    acts = await trail(office, acme)
    assert [act["act"] for act in reversed(acts)] == [
        "organization created",
        "use case registered",
        "person added",
        "person added",
        "token issued",
        "token revoked",
    ]
    ada = (await office.good("GET", "/me", acme.admin))["person_id"]
    assert [act["act"] for act in await trail(office, acme, f"?person_id={ada}&limit=2")] == [
        "token revoked",
        "token issued",
    ]
    of_sue = await trail(office, acme, f"?subject_id={sue.person_id}")
    assert len(of_sue) == 3
    for secret in (acme.admin, sue.token, made["token"]):
        assert secret not in json.dumps(acts)
    shown = await office.good("GET", f"/organizations/{acme.org_id}/audit", office.operator)
    assert shown["items"] == acts


async def test_the_trail_of_a_time_is_asked_for_by_its_ends(office: Desk) -> None:
    acme = await office.organization()
    begun = office.clock.at
    office.clock.advance(3600)
    await acme.sender()
    later = office.clock.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    (added,) = await trail(office, acme, f"?from={later}")
    assert added["act"] == "person added"
    assert len(await trail(office, acme, f"?to={later}")) == 3
    assert await trail(office, acme, f"?to={begun.strftime('%Y-%m-%dT%H:%M:%SZ')}") == []
    reply = await office.call("GET", "/audit?from=yesterday", acme.admin)
    assert (reply.status, reply["field"]) == (422, "from")


async def test_what_was_refused_leaves_no_trail(office: Desk) -> None:
    acme = await office.organization()
    before = await trail(office, acme)
    for body in ({"name": "Ada", "email": "ada@example.org"}, {"name": "", "email": "x@y.org"}):
        assert (await office.call("POST", "/people", acme.admin, **body)).status >= 400
    assert await trail(office, acme) == before


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_lists_come_in_pages_and_lose_nothing(office: Desk, limit: int) -> None:
    acme = await office.organization()
    own = f"/organizations/{acme.org_id}"
    for carrier in ("att", "verizon"):
        for use_case in ({}, {"use_case_id": acme.use_case_id}):
            path = f"{own}/limits/{carrier}"
            await office.good("PUT", path, office.operator, sms_per_minute=1, **CAPS, **use_case)
    people = [await acme.sender(name) for name in ("Sue", "Sam", "Sal")]
    sue = people[0]
    for _ in range(3):
        await office.good("POST", "/me/tokens", sue.token)
        await office.good(
            "POST", f"{own}/use-cases", office.operator, name="x", provider_campaign_id=f"C{_}"
        )
    for path, token, count in (
        ("/people", acme.admin, 4),
        (f"{own}/people", office.operator, 4),
        ("/limits", acme.admin, 4),
        ("/use-cases", acme.admin, 4),
        ("/me/tokens", sue.token, 4),
        (f"/people/{sue.person_id}/tokens", acme.admin, 4),
    ):
        whole = (await office.good("GET", path, token))["items"]
        assert len(whole) == count, path
        assert await paged(office, path, token, limit) == whole
    for path, token in (
        ("/organizations", office.operator),
        ("/carrier-classes", office.operator),
        ("/audit", acme.admin),
    ):
        whole = (await office.good("GET", f"{path}?limit=1000", token))["items"]
        assert await paged(office, path, token, limit) == whole


async def test_a_page_that_nobody_would_mean_is_refused(office: Desk) -> None:
    acme = await office.organization()
    replies: list[Reply] = [
        await office.call("GET", f"/people?{query}", acme.admin)
        for query in ("limit=0", "limit=1001", "limit=x", "after=%00", "page=2")
    ]
    assert {reply.status for reply in replies} == {422}
