"""What tests and demonstrations tell the sandbox: /sandbox. No token: it never faces the world."""

from __future__ import annotations

from aiohttp import web
from pydantic import AwareDatetime, Field

from services.sandbox.api.edge import (
    ControlDocument,
    ZoneName,
    control,
    json_response,
    read_document,
)
from services.sandbox.behaviour import Behaviour
from services.sandbox.domain import (
    BAD_REQUEST,
    CARRIERS,
    REGISTRARS,
    Carrier,
    Limit,
    Refused,
    Unit,
)
from services.sandbox.registry import Word
from services.sandbox.service import Sandbox


class LimitDocument(ControlDocument):
    """A carrier's whole limits; null or left out means no cap."""

    sms_per_minute: int | None = Field(None, ge=0)
    sms_unit: Unit = "segment"
    mms_per_minute: int | None = Field(None, ge=0)
    segments_per_day: int | None = Field(None, ge=0)
    day_zone: ZoneName = "America/Los_Angeles"
    used_elsewhere_per_day: int = Field(0, ge=0)


class CampaignDocument(ControlDocument):
    """Whose a 10DLC campaign is, and where its changes are posted."""

    brand: str = Field(min_length=1, max_length=128)
    webhook_url: str | None = None


class ProfileDocument(ControlDocument):
    """Where a messaging profile's texts are posted."""

    webhook_url: str | None


class CarrierDocument(ControlDocument):
    """Which carrier a phone is with."""

    carrier: Carrier


class PhoneDocument(ControlDocument):
    """`undeliverable` is the code with which every text to the phone fails; null heals it."""

    undeliverable: str | None


class NumberDocument(ControlDocument):
    """A number that is there and confirmed at once."""

    messaging_profile_id: str
    campaign_id: str | None = None


class WordDocument(ControlDocument):
    """A carrier's word on a number; `at` is its own time, however late it comes."""

    state: Word
    at: AwareDatetime | None = None
    reason: str | None = None


class TextDocument(ControlDocument):
    """A text from a phone to one of our numbers."""

    to: str
    text: str = ""
    media_urls: tuple[str, ...] = ()


def _carrier(request: web.Request, known: tuple[Carrier, ...] = CARRIERS) -> Carrier:
    for carrier in known:
        if carrier == request.match_info["carrier"]:
            return carrier
    raise Refused(422, BAD_REQUEST, f"carrier: one of {', '.join(known)}")


async def get_behaviour(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /sandbox/behaviour."""
    return json_response(sandbox.world.behaviour.model_dump(mode="json"))


async def put_behaviour(request: web.Request, sandbox: Sandbox) -> web.Response:
    """PUT /sandbox/behaviour: the whole document; what it leaves out is the default."""
    sandbox.behave(await read_document(request, Behaviour))
    return await get_behaviour(request, sandbox)


async def put_limit(request: web.Request, sandbox: Sandbox) -> web.Response:
    """PUT /sandbox/limits/{brand}/{carrier}, with ?campaign= for one use case."""
    document = await read_document(request, LimitDocument)
    limit = Limit(**document.model_dump())
    campaign = request.query.get("campaign")
    brand = request.match_info["brand"]
    sandbox.world.tell_limit(sandbox.now(), brand, _carrier(request), limit, campaign)
    return json_response(document.model_dump())


async def get_limits(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /sandbox/limits."""
    lines = [
        {
            "brand": brand,
            "carrier": carrier,
            "campaign": campaign,
            "sms_per_minute": limit.sms_per_minute,
            "sms_unit": limit.sms_unit,
            "mms_per_minute": limit.mms_per_minute,
            "segments_per_day": limit.segments_per_day,
            "day_zone": limit.day_zone,
            "used_elsewhere_per_day": limit.used_elsewhere_per_day,
        }
        for brand, carrier, campaign, limit in sandbox.world.carriers.limits()
    ]
    return json_response({"limits": lines})


async def put_campaign(request: web.Request, sandbox: Sandbox) -> web.Response:
    """PUT /sandbox/campaigns/{campaign_id}."""
    document = await read_document(request, CampaignDocument)
    campaign = sandbox.world.registry.campaign(request.match_info["campaign_id"])
    campaign.brand, campaign.webhook_url = document.brand, document.webhook_url
    return json_response(campaign.data())


async def put_profile(request: web.Request, sandbox: Sandbox) -> web.Response:
    """PUT /sandbox/messaging_profiles/{id}."""
    document = await read_document(request, ProfileDocument)
    profile = sandbox.world.numbers.profile(sandbox.now(), request.match_info["id"])
    profile.webhook_url = document.webhook_url
    return json_response(profile.data())


async def put_carrier(request: web.Request, sandbox: Sandbox) -> web.Response:
    """PUT /sandbox/carriers/{phone}."""
    document = await read_document(request, CarrierDocument)
    phone = request.match_info["phone"]
    sandbox.world.phones.port(phone, document.carrier)
    return json_response({"phone": phone, "carrier": document.carrier})


async def put_phone(request: web.Request, sandbox: Sandbox) -> web.Response:
    """PUT /sandbox/phones/{phone}."""
    document = await read_document(request, PhoneDocument)
    sandbox.world.phones.spoil(request.match_info["phone"], document.undeliverable)
    return json_response(document.model_dump())


async def put_number(request: web.Request, sandbox: Sandbox) -> web.Response:
    """PUT /sandbox/numbers/{number}: bought, on its profile, and confirmed by all, at once."""
    document = await read_document(request, NumberDocument)
    number = sandbox.world.provide_number(
        sandbox.now(),
        request.match_info["number"],
        campaign_id=document.campaign_id,
        messaging_profile_id=document.messaging_profile_id,
    )
    return json_response(number.data())


async def put_word(request: web.Request, sandbox: Sandbox) -> web.Response:
    """PUT /sandbox/numbers/{number}/carriers/{carrier}: it gives its word, again if it has, and the
    campaign's webhook tells of it. A word older than its last one changes no more than that."""
    document = await read_document(request, WordDocument)
    attachment = sandbox.world.registry.speak(
        sandbox.now(),
        request.match_info["number"],
        _carrier(request, REGISTRARS),
        document.state,
        said_at=document.at,
        reason=document.reason,
    )
    return json_response(attachment.data(sandbox.world.behaviour))


async def post_text(request: web.Request, sandbox: Sandbox) -> web.Response:
    """POST /sandbox/phones/{phone}/texts: a contact takes up the phone."""
    document = await read_document(request, TextDocument)
    payload = sandbox.world.text_from_phone(
        sandbox.now(),
        request.match_info["phone"],
        document.to,
        document.text,
        document.media_urls,
    )
    return json_response(payload, 201)


async def get_texts(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /sandbox/phones/{phone}/texts: what a phone has got, oldest first."""
    sandbox.now()
    return json_response({"texts": sandbox.world.phones.texts_of(request.match_info["phone"])})


async def get_public_key(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /sandbox/public_key: what verifies the webhooks, base64."""
    return json_response({"public_key": sandbox.signer.public_key})


async def get_webhooks(request: web.Request, sandbox: Sandbox) -> web.Response:
    """GET /sandbox/webhooks: how posting goes, and whether anything is still to happen."""
    counts = {name: sandbox.courier.counts[name] for name in ("posted", "taken", "retried")}
    counts["given_up"] = sandbox.courier.counts["given_up"]
    counts["pending"] = sandbox.courier.pending
    return json_response(counts)


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_get("/sandbox/behaviour", control(get_behaviour))
    router.add_put("/sandbox/behaviour", control(put_behaviour))
    router.add_get("/sandbox/limits", control(get_limits))
    router.add_put("/sandbox/limits/{brand}/{carrier}", control(put_limit))
    router.add_put("/sandbox/campaigns/{campaign_id}", control(put_campaign))
    router.add_put("/sandbox/messaging_profiles/{id}", control(put_profile))
    router.add_put("/sandbox/carriers/{phone}", control(put_carrier))
    router.add_put("/sandbox/phones/{phone}", control(put_phone))
    router.add_put("/sandbox/numbers/{number}", control(put_number))
    router.add_put("/sandbox/numbers/{number}/carriers/{carrier}", control(put_word))
    router.add_post("/sandbox/phones/{phone}/texts", control(post_text))
    router.add_get("/sandbox/phones/{phone}/texts", control(get_texts))
    router.add_get("/sandbox/public_key", control(get_public_key))
    router.add_get("/sandbox/webhooks", control(get_webhooks))
