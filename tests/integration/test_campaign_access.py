"""Who reaches what: every route, with every wrong token."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from services.campaign.api.app import ROUTES
from services.campaign.api.calls import ADMINS, ANYBODY, OPERATORS, SENDERS, STRANGERS, Route
from shared.events import MessageReceived
from shared.fields import Id
from tests.campaign_desk import NEW_YORK, NOON, Desk, Organization, Reply, Sender

PHONE = "+13032000000"


class Mine:
    """An organization with one of everything, whose ids fill in the routes' paths."""

    def __init__(self, organization: Organization, sender: Sender, ids: dict[str, str]) -> None:
        self.organization = organization
        self.sender = sender
        self.ids = ids

    def path(self, route: Route) -> str:
        return route.path.format_map({**self.ids, "carrier": "att"})

    def token(self, route: Route, operator: str) -> str:
        """The token of somebody who may ask this."""
        if route.roles == OPERATORS:
            return operator
        return self.organization.admin if route.roles == ADMINS else self.sender.token


async def one_of_everything(office: Desk, name: str = "Acme") -> Mine:
    acme = await office.organization(name)
    sue = await acme.sender()
    contact_list_id = await acme.contacts(4)
    campaign_id = await acme.launch(sue, contact_list_id=contact_list_id)
    waiting = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    message_id = waiting["messages"][0]["message_id"]
    await office.good("POST", f"/messages/{message_id}/send", sue.token)
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender=PHONE, to="+12125550100",
            text="hello", received_at=NOON,
        )
    )  # fmt: skip
    talks = await office.good("GET", "/conversations", sue.token)
    await office.good("POST", "/tags", acme.admin, tag="wants-a-sign")
    tokens = await office.good("GET", f"/people/{sue.person_id}/tokens", acme.admin)
    invite = await office.good("PUT", f"/campaigns/{campaign_id}/invite", acme.admin)
    await office.good("PUT", "/webhook", acme.admin, url=f"https://example.org/{acme.org_id}")
    ids = {
        "organization_id": acme.org_id,
        "use_case_id": acme.use_case_id,
        "person_id": sue.person_id,
        "token_id": tokens["items"][0]["token_id"],
        "contact_list_id": contact_list_id,
        "campaign_id": campaign_id,
        "secret": invite["path"].rpartition("/")[2],
        "message_id": waiting["messages"][1]["message_id"],
        "conversation_id": talks["items"][0]["conversation_id"],
        "tag": "wants-a-sign",
    }
    return Mine(acme, sue, ids)


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


BODIES: dict[str, dict[str, object]] = {
    "POST /campaigns/{campaign_id}/senders": {"person_ids": ["someone"]},
    "POST /campaigns/{campaign_id}/assign": {"to": "someone"},
    "POST /campaigns/{campaign_id}/unassign": {"from": "someone"},
    "POST /campaigns/{campaign_id}/take-back": {"untouched_min": 1},
    "POST /campaigns/{campaign_id}/conversations/assign": {"to": "someone"},
    "POST /conversations/{conversation_id}/replies": {"text": "hi"},
    "POST /campaigns/{campaign_id}/unclear/settle": {"outcome": "sent"},
    "POST /messages/{message_id}/settle": {"outcome": "sent"},
    "PATCH /campaigns/{campaign_id}": {"name": "Autumn"},
    "PUT /campaigns/{campaign_id}/canned-responses": {"items": []},
    "POST /tags": {"tag": "moved"},
    "POST /campaigns/{campaign_id}/test-text": {"contact_phone": "+12025550100"},
    "PATCH /me": {"phone": None},
    "PUT /me/notices": {"notices": ["campaign held"]},
    "PUT /webhook": {"url": "https://example.org/notices", "notices": ["daily digest"]},
    "POST /campaigns/{campaign_id}/clone": {"name": "Again"},
    "POST /campaigns/{campaign_id}/follow-up": {"name": "Again", "script": "Hi"},
}


async def ask(office: Desk, route: Route, path: str, token: str) -> Reply:
    return await office.call(route.method, path, token, **BODIES.get(named(route), {}))


async def test_nobody_reaches_anything_without_a_token(office: Desk) -> None:
    mine = await one_of_everything(office)
    for route in ROUTES:
        for token in ("", "sluice_wrong", "é"):
            if route.roles == STRANGERS and not token:
                continue
            reply = await ask(office, route, mine.path(route), token)
            assert reply.status == 401, named(route)
            assert reply.headers["WWW-Authenticate"] == "Bearer"


async def test_a_role_that_may_not_ask_is_told_so(office: Desk) -> None:
    mine = await one_of_everything(office)
    tokens = {
        "operator": office.operator,
        "admin": mine.organization.admin,
        "sender": mine.sender.token,
    }
    for route in ROUTES:
        for role, token in tokens.items():
            if role not in route.roles:
                reply = await ask(office, route, mine.path(route), token)
                assert reply.status == 403, (named(route), role)


async def test_another_organizations_token_finds_nothing_on_any_route(office: Desk) -> None:
    mine = await one_of_everything(office)
    other = await office.organization("Other")
    stranger = await other.sender()
    before = await everything(office, mine)
    walked = 0
    for route in ROUTES:
        for token in (other.admin, stranger.token):
            reply = await ask(office, route, mine.path(route), token)
            for value in mine.ids.values():
                assert value not in str(reply.body), (named(route), reply.body)
            if "{" in route.path:
                assert reply.status in (403, 404), (named(route), reply.status)
                if route.roles not in (OPERATORS, STRANGERS) and reply.status == 403:
                    assert "the token is" in reply["detail"], (named(route), reply.body)
                walked += 1
    assert walked >= 2 * sum("{" in route.path for route in ROUTES)
    assert await everything(office, mine) == before


async def everything(office: Desk, mine: Mine) -> dict[str, object]:
    found: dict[str, object] = {}
    for route in ROUTES:
        if route.method == "GET":
            reply = await ask(office, route, mine.path(route), mine.token(route, office.operator))
            assert reply.status == 200, (named(route), reply.body)
            found[named(route)] = reply.body if route.roles != OPERATORS else None
    # To look at everything is to look at the secret, which is written down.
    trail: Any = found["GET /audit"]
    trail["items"] = [act for act in trail["items"] if act["act"] != "webhook secret shown"]
    return found


# What gives somebody a place by their id, wherever they are: an operator's to do.
LINKING = "PUT /organizations/{organization_id}/people/{person_id}"


async def test_one_id_of_another_organization_is_found_nowhere_among_ones_own(
    office: Desk,
) -> None:
    mine, theirs = await one_of_everything(office), await one_of_everything(office, "Other")
    before = await everything(office, mine)
    walked = 0
    for route in ROUTES:
        names = [name for name in mine.ids if f"{{{name}}}" in route.path]
        if len(names) < 2 or named(route) == LINKING:
            continue
        for name in set(names) - {"organization_id", "tag"}:
            crossed = Mine(theirs.organization, theirs.sender, {**theirs.ids, name: mine.ids[name]})
            token = crossed.token(route, office.operator)
            reply = await ask(office, route, crossed.path(route), token)
            assert reply.status in (403, 404), (named(route), name, reply.status, reply.body)
            walked += 1
    assert walked > 5
    assert await everything(office, mine) == before


# Whose ids a body or a query may hold, by the field's name.
NAMES: dict[str, str] = {
    "use_case_id": "use_case_id",
    "contact_list_id": "contact_list_id",
    "organization_id": "organization_id",
    "campaign_id": "campaign_id",
    "subject_id": "campaign_id",
    "person_id": "person_id",
    "person_ids": "person_id",
    "sender_id": "person_id",
    "to": "person_id",
    "from": "person_id",
    "conversations_to": "person_id",
    "message_ids": "message_id",
    "conversation_ids": "conversation_id",
}
# Looks like one, and is a carrier's word.
NO_IDS = {"codes"}


def named_in(model: type[BaseModel] | None) -> dict[str, bool]:
    """The fields of a body or a query that hold ids, and whether each holds a list of them."""
    if model is None:
        return {}
    shape = TypeAdapter(Id).json_schema()["pattern"]
    fields = model.model_json_schema().get("properties", {})
    return {
        name: '"array"' in json.dumps(field)
        for name, field in fields.items()
        if json.dumps(shape) in json.dumps(field) and name not in NO_IDS
    }


def bodies(theirs: Mine) -> dict[str, dict[str, Any]]:
    """What each route takes that would be good, but for the other organization's id in it."""
    own = {name: theirs.ids[name] for name in ("use_case_id", "contact_list_id")}
    caps = {"sms_per_minute": 1, "mms_per_minute": 1, "segments_per_day": None}
    sender = theirs.sender.person_id
    return {
        **BODIES,
        "POST /campaigns": {"name": "x", "script": "Hi", "hours": NEW_YORK, **own},
        "PUT /organizations/{organization_id}/limits/{carrier}": {"sms_unit": "segment", **caps},
        "POST /campaigns/{campaign_id}/assign": {"to": sender},
        "POST /campaigns/{campaign_id}/unassign": {},
        "POST /campaigns/{campaign_id}/conversations/assign": {"to": sender},
    }


async def test_no_body_or_query_reaches_another_organization_by_an_id(office: Desk) -> None:
    mine, theirs = await one_of_everything(office), await one_of_everything(office, "Other")
    draft = await theirs.organization.draft(contact_list_id=theirs.ids["contact_list_id"])
    before = await everything(office, mine)
    walked = set()
    for route in ROUTES:
        path, token = theirs.path(route), theirs.token(route, office.operator)
        if named(route) == "PATCH /campaigns/{campaign_id}":
            path = f"/campaigns/{draft}"
        for model, in_query in ((route.takes, False), (route.asks, True)):
            for name, many in named_in(model).items():
                value = mine.ids[NAMES[name]]
                good = bodies(theirs).get(named(route), {})
                if in_query:
                    reply = await office.call(route.method, f"{path}?{name}={value}", token, **good)
                else:
                    body = {**good, name: [value] if many else value}
                    reply = await office.call(route.method, path, token, **body)
                told = (named(route), name, reply.status, reply.body)
                assert reply.status < 500, told
                if not in_query and reply.status >= 400:
                    # For this very id, or the body was no good to begin with.
                    assert str(reply.body.get("field", name)).startswith(name), told
                for found in mine.ids.values():
                    assert found not in str(reply.body), told
                walked.add((named(route), name))
    assert len(walked) > 10
    assert await everything(office, mine) == before


async def test_every_role_of_a_route_is_one_of_the_few_kinds() -> None:
    assert {route.roles for route in ROUTES} <= {OPERATORS, ADMINS, SENDERS, ANYBODY, STRANGERS}
    assert len({named(route) for route in ROUTES}) == len(ROUTES)


async def test_ids_of_another_organization_do_not_fit_into_a_campaign(office: Desk) -> None:
    mine = await one_of_everything(office)
    other = await office.organization("Other")
    own_list = await other.contacts(2)
    plan = {"name": "x", "script": "Hi", "hours": NEW_YORK}
    for field, differs in {
        "use_case_id": {
            "use_case_id": mine.ids["use_case_id"],
            "contact_list_id": own_list,
        },
        "contact_list_id": {
            "use_case_id": other.use_case_id,
            "contact_list_id": mine.ids["contact_list_id"],
        },
    }.items():
        reply = await office.call("POST", "/campaigns", other.admin, **plan, **differs)
        assert (reply.status, reply["field"]) == (422, field)
    draft = await other.draft(contact_list_id=own_list)
    reply = await office.call(
        "POST", f"/campaigns/{draft}/senders", other.admin, person_ids=[mine.sender.person_id]
    )
    assert (reply.status, reply["field"]) == (422, "person_ids.0")


async def test_an_admin_adds_senders_and_no_admins(office: Desk) -> None:
    acme = await office.organization()
    reply = await office.call(
        "POST", "/people", acme.admin, name="Eve", email="eve@example.org", role="admin"
    )
    assert (reply.status, reply["field"]) == (403, "role")
    twice = await asyncio.gather(
        *(
            office.call("POST", "/people", acme.admin, name="Sue", email=email)
            for email in ("sue@example.org", "SUE@example.org")
        )
    )
    assert sorted(reply.status for reply in twice) == [201, 409]


async def test_a_token_is_kept_as_its_hash_alone(office: Desk) -> None:
    acme = await office.organization()
    async with office.database.connection() as connection:
        kept = await connection.fetch("SELECT tokens::text FROM tokens")
    assert not [row for row in kept if acme.admin in row["tokens"]]
    me = await office.good("GET", "/me", acme.admin)
    assert (me["role"], me["organization_id"]) == ("admin", acme.org_id)
    assert (await office.good("GET", "/me", office.operator))["organization_id"] is None


@pytest.mark.parametrize("path", ["/campaigns/%00", "/campaigns/a%20b", f"/campaigns/{'x' * 65}"])
async def test_an_id_that_nothing_can_have_is_not_found(office: Desk, path: str) -> None:
    acme = await office.organization()
    assert (await office.call("GET", path, acme.admin)).status == 404
