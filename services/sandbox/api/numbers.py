"""Provider routes around numbers: search, order, profile, campaign, release."""

from __future__ import annotations

from aiohttp import web

from services.sandbox.api.edge import int_of, json_response, page, provider, read_json
from services.sandbox.domain import BAD_REQUEST, MISSING_PARAMETER, NOT_FOUND, Refused
from services.sandbox.messages import new_id
from services.sandbox.numbers import Profile
from services.sandbox.service import Sandbox


async def _object(request: web.Request) -> dict[str, object]:
    body = await read_json(request)
    if not isinstance(body, dict):
        raise Refused(400, BAD_REQUEST, "The request body must be a JSON object.")
    return body


def _text(body: dict[str, object], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(422, MISSING_PARAMETER, f"A required parameter was missing: {name}.")
    return value


def _maybe_text(body: dict[str, object], name: str) -> str | None:
    return None if body.get(name) is None else _text(body, name)


async def search(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /v2/available_phone_numbers."""
    sandbox.now()
    query = request.query
    found = sandbox.world.numbers.search(
        sandbox.world.behaviour,
        query.get("filter[national_destination_code]"),
        min(max(int_of(query.get("filter[limit]"), 100), 0), 250),
        query.get("filter[best_effort]", "false").lower() == "true",
        query.get("filter[administrative_area]"),
    )
    nearby = sum(bool(number["best_effort"]) for number in found)
    counts = {"total_results": len(found), "best_effort_results": nearby}
    return json_response({"data": found, "meta": counts, "metadata": counts})


async def order(request: web.Request, sandbox: Sandbox) -> web.Response:
    """POST /v2/number_orders."""
    body = await _object(request)
    asked = body.get("phone_numbers")
    if not isinstance(asked, list) or not asked:
        raise Refused(422, MISSING_PARAMETER, "A required parameter was missing: phone_numbers.")
    phones = [_text(item, "phone_number") for item in asked if isinstance(item, dict)]
    placed = sandbox.world.numbers.order(
        sandbox.now(),
        sandbox.world.behaviour,
        phones,
        _maybe_text(body, "customer_reference"),
        _maybe_text(body, "messaging_profile_id"),
    )
    return json_response({"data": placed.data()})


async def orders(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /v2/number_orders, by filter[customer_reference] and filter[status]."""
    sandbox.now()
    query = request.query
    found = sandbox.world.numbers.orders(
        query.get("filter[customer_reference]"), query.get("filter[status]")
    )
    return page([order.data() for order in found], request)


async def order_status(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /v2/number_orders/{id}."""
    sandbox.now()
    return json_response({"data": sandbox.world.numbers.get_order(request.match_info["id"]).data()})


async def phone_numbers(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /v2/phone_numbers, by filter[phone_number] and filter[customer_reference]."""
    sandbox.now()
    query = request.query
    found = sandbox.world.numbers.owned(
        query.get("filter[phone_number]"), query.get("filter[customer_reference]")
    )
    return page([number.data() for number in found], request)


async def phone_number(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /v2/phone_numbers/{id}."""
    sandbox.now()
    return json_response({"data": sandbox.world.numbers.by_id(request.match_info["id"]).data()})


async def release(request: web.Request, sandbox: Sandbox) -> web.Response:
    """DELETE /v2/phone_numbers/{id}: gives the number up, and its place on a campaign with it."""
    sandbox.now()
    number = sandbox.world.numbers.release(request.match_info["id"])
    sandbox.world.registry.drop(number.phone)
    return json_response({"data": number.data()})


async def messaging(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET and PATCH /v2/phone_numbers/{id}/messaging."""
    at = sandbox.now()
    number = sandbox.world.numbers.by_id(request.match_info["id"])
    if request.method == "PATCH":
        profile_id = (await _object(request)).get("messaging_profile_id")
        if isinstance(profile_id, str):
            named = sandbox.world.numbers.profile(at, profile_id).id if profile_id else None
            number.messaging_profile_id = named
    return json_response({"data": number.messaging()})


async def attach(request: web.Request, sandbox: Sandbox) -> web.Response:
    """POST /v2/10dlc/phone_number_campaigns. The answer has no `data` around it."""
    body = await _object(request)
    phone, campaign_id = _text(body, "phoneNumber"), _text(body, "campaignId")
    at = sandbox.now()
    number = sandbox.world.numbers.by_phone(phone)
    if number is None:
        raise Refused(404, NOT_FOUND, "The number is not in this account.")
    if number.messaging_profile_id is None:
        raise Refused(400, BAD_REQUEST, "The number is on no messaging profile.")
    attachment = sandbox.world.registry.attach(at, phone, campaign_id)
    return json_response(attachment.data(sandbox.world.behaviour))


async def attachment(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /v2/10dlc/phone_number_campaigns/{phoneNumber}."""
    sandbox.now()
    found = sandbox.world.registry.get(request.match_info["phone"])
    return json_response(found.data(sandbox.world.behaviour))


async def attachments(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /v2/10dlc/phone_number_campaigns, by filter[telnyx_campaign_id]."""
    sandbox.now()
    query = request.query
    found = sandbox.world.registry.attachments(query.get("filter[telnyx_campaign_id]"))
    number = max(int_of(query.get("page"), 1), 1)
    size = min(max(int_of(query.get("recordsPerPage"), 20), 1), 500)
    shown = found[(number - 1) * size : number * size]
    return json_response(
        {
            "records": [item.data(sandbox.world.behaviour) for item in shown],
            "page": number,
            "recordsPerPage": size,
            "totalRecords": len(found),
        }
    )


async def detach(request: web.Request, sandbox: Sandbox) -> web.Response:
    """DELETE /v2/10dlc/phone_number_campaigns/{phoneNumber}: it is off a moment later."""
    gone = sandbox.world.registry.detach(sandbox.now(), request.match_info["phone"])
    return json_response(gone.data(sandbox.world.behaviour))


async def create_profile(request: web.Request, sandbox: Sandbox) -> web.Response:
    """POST /v2/messaging_profiles."""
    body = await _object(request)
    at = sandbox.now()
    profile = sandbox.world.numbers.profile(at, new_id())
    profile.name = _text(body, "name")
    profile.webhook_url = _maybe_text(body, "webhook_url")
    return json_response({"data": profile.data()})


async def profiles(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /v2/messaging_profiles."""
    return page([profile.data() for profile in sandbox.world.numbers.profiles()], request)


async def profile(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET and PATCH /v2/messaging_profiles/{id}."""
    at = sandbox.now()
    found: Profile = sandbox.world.numbers.profile(at, request.match_info["id"])
    if request.method == "PATCH":
        body = await _object(request)
        if "webhook_url" in body:
            found.webhook_url = _maybe_text(body, "webhook_url")
        if "name" in body:
            found.name = _text(body, "name")
        found.updated_at = at
    return json_response({"data": found.data()})


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_get("/v2/available_phone_numbers", provider("search", search))
    router.add_post("/v2/number_orders", provider("order", order))
    router.add_get("/v2/number_orders", provider("order_status", orders))
    router.add_get("/v2/number_orders/{id}", provider("order_status", order_status))
    router.add_get("/v2/phone_numbers", provider("phone_numbers", phone_numbers))
    router.add_get("/v2/phone_numbers/{id}", provider("phone_numbers", phone_number))
    router.add_delete("/v2/phone_numbers/{id}", provider("release", release))
    router.add_get("/v2/phone_numbers/{id}/messaging", provider("messaging", messaging))
    router.add_patch("/v2/phone_numbers/{id}/messaging", provider("messaging", messaging))
    campaigns = "/v2/10dlc/phone_number_campaigns"
    router.add_post(campaigns, provider("attach", attach))
    router.add_get(campaigns, provider("attachment", attachments))
    router.add_get(campaigns + "/{phone}", provider("attachment", attachment))
    router.add_delete(campaigns + "/{phone}", provider("detach", detach))
    router.add_post("/v2/messaging_profiles", provider("profile", create_profile))
    router.add_get("/v2/messaging_profiles", provider("profile", profiles))
    router.add_get("/v2/messaging_profiles/{id}", provider("profile", profile))
    router.add_patch("/v2/messaging_profiles/{id}", provider("profile", profile))
