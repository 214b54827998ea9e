"""Provider routes that carry texts: send, look a message up, look a phone's carrier up."""

from __future__ import annotations

import asyncio

from aiohttp import web

from services.sandbox.api.edge import (
    SANDBOX,
    check_bearer,
    json_response,
    play,
    provider,
    read_json,
    refusal_response,
    rest,
)
from services.sandbox.domain import Refused
from services.sandbox.messages import CARRIER_NAMES
from services.sandbox.service import Sandbox


async def send(request: web.Request) -> web.StreamResponse:
    """POST /v2/messages. The arrival that the judge sees is after the network's own delay."""
    sandbox = request.app[SANDBOX]
    world = sandbox.world
    fault = None
    try:
        check_bearer(request, sandbox)
        body = await read_json(request)
        delay_s = world.behaviour.arrival_latency_ms.draw_s(world.dice)
        if delay_s:
            await asyncio.sleep(delay_s)
        late = delay_s * 1000 > world.behaviour.excursion_over_ms
        at = sandbox.now()
        if isinstance(body, dict):
            fault = world.next_fault("send", body.get("from"), str(body.get("to")))
        message = world.send(at, body, fault=fault, late=late)
    except Refused as refused:
        response = refusal_response(refused)
    else:
        # None: a fault that did not take it; what stands here is never sent.
        response = json_response(None if message is None else {"data": message.payload()})
    await rest(sandbox)
    return response if fault is None else await play(fault, request, response)


async def message(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /v2/messages/{id}."""
    sandbox.now()
    return json_response({"data": sandbox.world.message(request.match_info["id"]).payload()})


async def lookup(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /v2/number_lookup/{phone}."""
    phone = request.match_info["phone"]
    carrier = sandbox.world.phones.carrier_of(phone)
    return json_response(
        {
            "data": {
                "record_type": "number_lookup",
                "country_code": "US",
                "phone_number": phone,
                "carrier": {
                    "name": CARRIER_NAMES[carrier],
                    "normalized_carrier": CARRIER_NAMES[carrier],
                    "type": "mobile",
                    "error_code": None,
                },
            }
        }
    )


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_post("/v2/messages", send)
    router.add_get("/v2/messages/{id}", provider("message", message))
    router.add_get("/v2/number_lookup/{phone}", provider("lookup", lookup))
