"""Telnyx, API version 2: number search, number orders, messaging profiles, 10DLC campaigns."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import aiohttp
from pydantic import AfterValidator, BaseModel, SecretStr, TypeAdapter, ValidationError
from pydantic import Field as Named
from yarl import URL

from services.provisioner.domain import (
    CARRIERS,
    Absent,
    Carrier,
    CarriersSaid,
    Done,
    Found,
    NotTaken,
    Ordered,
    Refused,
    Unclear,
)
from services.provisioner.providers import Fault
from shared.fields import Phone

SEARCH_MOST = 100
ANSWER_MOST_BYTES = 1024 * 1024
REFUSALS = range(400, 500)
# What an operator has to mend: a wrong key, a missing right, no money. The number is not at fault.
ACCOUNT = (401, 402, 403)
LEAVING = "PENDING_UNASSIGNMENT"
FURTHEST: tuple[Literal["success", "pending", "failure"], ...] = ("success", "pending", "failure")


def _in_utc(at: datetime) -> datetime:
    """Telnyx writes some times without a zone: they are UTC."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie in the years 1 to 9999 in UTC") from None


Time = Annotated[datetime, AfterValidator(_in_utc)]
_TIME: TypeAdapter[datetime] = TypeAdapter(Time)

Model = TypeVar("Model", bound=BaseModel)
Query = Sequence[tuple[str, str]]
CarrierWord = Literal["confirmed", "refused", "pending"]


class _ForSale(BaseModel):
    phone_number: Phone
    best_effort: bool | None = None


class _ForSaleList(BaseModel):
    data: list[_ForSale]


class _NumberOrder(BaseModel):
    id: str = Named(min_length=1)
    status: Literal["pending", "success", "failure"]
    customer_reference: str | None = None


class _NumberOrderAnswer(BaseModel):
    data: _NumberOrder


class _NumberOrderList(BaseModel):
    data: list[_NumberOrder]


class _OwnedNumber(BaseModel):
    id: str = Named(min_length=1)
    phone_number: str
    status: str | None = None


class _OwnedNumberAnswer(BaseModel):
    data: _OwnedNumber


class _OwnedNumberList(BaseModel):
    data: list[_OwnedNumber]


class _Messaging(BaseModel):
    messaging_profile_id: str | None = None


class _MessagingAnswer(BaseModel):
    data: _Messaging


class NumberCampaign(BaseModel):
    """A number on a 10DLC campaign. This part of the API has no `data` around its answers."""

    phone: str = Named(alias="phoneNumber")
    campaign: str | None = Named(None, alias="campaignId")
    telnyx_campaign: str | None = Named(None, alias="telnyxCampaignId")
    tcr_campaign: str | None = Named(None, alias="tcrCampaignId")
    assignment: str | None = Named(None, alias="assignmentStatus")
    att: str | None = Named(None, alias="attNumberMappingStatus")
    tmobile: str | None = Named(None, alias="tmobileNumberMappingStatus")
    non_tmobile: str | None = Named(None, alias="nonTmobileNumberMappingStatus")
    failure_reasons: Any = Named(None, alias="failureReasons")
    errors: Any = None
    updated_at: Any = Named(None, alias="updatedAt")


def carriers_said(said: NumberCampaign) -> CarriersSaid:
    """Read each carrier's word.

    `assignmentStatus` is the registry's word, and confirms no carrier. The published schema has
    no `attNumberMappingStatus`, live answers do; without it `nonTmobileNumberMappingStatus` is the
    word of AT&T and Verizon together. The reasons stand in `failureReasons` or in `errors`.
    A number that is being taken off its use case still shows the words of its time there.
    """
    if said.assignment == LEAVING:
        return CarriersSaid(dict.fromkeys(CARRIERS, "pending"))
    mappings: dict[Carrier, str | None] = {
        "att": said.att if said.att is not None else said.non_tmobile,
        "tmobile": said.tmobile,
        "verizon": said.non_tmobile,
    }
    states: dict[Carrier, CarrierWord] = {}
    for carrier in CARRIERS:
        mapping = (mappings[carrier] or "").upper()
        if mapping == "ADDED":
            states[carrier] = "confirmed"
        elif mapping.startswith(("FAILED", "REJECTED")) or said.assignment == "FAILED_ASSIGNMENT":
            states[carrier] = "refused"
        else:
            states[carrier] = "pending"
    reason = _words(said.failure_reasons) or _words(said.errors) or None
    return CarriersSaid(states, reason, _instant(said.updated_at))


class Telnyx:
    """The account that a key belongs to; a `NumberProvider`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: SecretStr) -> None:
        """`url`: the API's base, with its version. The session brings the time-out."""
        self._session = session
        self._url = URL(url.rstrip("/") + "/")
        self._key = key

    async def search(
        self, *, area_code: str | None = None, state: str | None = None
    ) -> Found | Fault:
        """Numbers that take SMS and MMS."""
        query = [
            ("filter[country_code]", "US"),
            ("filter[phone_number_type]", "local"),
            # As in Telnyx's guide to the plain API. Its SDKs join them by a comma, of which users
            # have reported that nothing is found.
            ("filter[features][]", "sms"),
            ("filter[features][]", "mms"),
            # What it takes for near may be of another state.
            ("filter[best_effort]", "false"),
            ("filter[limit]", str(SEARCH_MOST)),
        ]
        if area_code is not None:
            query.append(("filter[national_destination_code]", area_code))
        if state is not None:
            query.append(("filter[administrative_area]", state))
        answer = await self.call("GET", "available_phone_numbers", _ForSaleList, query=query)
        if isinstance(answer, _ForSaleList):
            exact = [item for item in answer.data if not item.best_effort]
            return Found(tuple(item.phone_number for item in exact))
        return fault_of(answer)

    async def buy(
        self, number: str, reference: str, messaging_profile_id: str | None
    ) -> Ordered | Fault:
        """One order for one number."""
        body = {"phone_numbers": [{"phone_number": number}], "customer_reference": reference}
        if messaging_profile_id is not None:
            body["messaging_profile_id"] = messaging_profile_id
        answer = await self.call("POST", "number_orders", _NumberOrderAnswer, body=body)
        if isinstance(answer, _NumberOrderAnswer):
            return Ordered(answer.data.id, answer.data.status)
        return fault_of(answer)

    async def look_up(self, reference: str) -> Ordered | Absent | Fault:
        """By `customer_reference`, which the provider does not hold to be unique."""
        query = [("filter[customer_reference]", reference)]
        answer = await self.call("GET", "number_orders", _NumberOrderList, query=query)
        if not isinstance(answer, _NumberOrderList):
            return fault_of(answer)
        # Held against the reference once more: a filter that is ignored would list them all.
        ours = [order for order in answer.data if order.customer_reference == reference]
        if not ours:
            return Absent()
        best = min(ours, key=lambda order: FURTHEST.index(order.status))
        return Ordered(best.id, best.status)

    async def see_order(self, provider_order_id: str) -> Ordered | Absent | Fault:
        """The order's own status."""
        answer = await self.call("GET", f"number_orders/{provider_order_id}", _NumberOrderAnswer)
        if isinstance(answer, _NumberOrderAnswer):
            return Ordered(answer.data.id, answer.data.status)
        return answer

    async def set_profile(self, number: str, messaging_profile_id: str) -> Done | Absent | Fault:
        """A setting of the number itself."""
        ours = await self._owned(number)
        if not isinstance(ours, _OwnedNumber):
            return ours
        answer = await self.call(
            "PATCH",
            f"phone_numbers/{ours.id}/messaging",
            _MessagingAnswer,
            body={"messaging_profile_id": messaging_profile_id},
        )
        if not isinstance(answer, _MessagingAnswer):
            return answer
        if answer.data.messaging_profile_id != messaging_profile_id:
            return Unclear("the number is not on its messaging profile")
        return Done()

    async def attach(self, number: str, provider_campaign_id: str) -> Done | Fault:
        """Repeating it is safe: a number stands on one campaign only."""
        body = {"phoneNumber": number, "campaignId": provider_campaign_id}
        answer = await self.call("POST", "10dlc/phone_number_campaigns", NumberCampaign, body=body)
        if isinstance(answer, Refused):
            # Which code says "it is on it already" is not documented, so look.
            there = await self._number_campaign(number)
            if isinstance(there, NumberCampaign) and there.assignment == LEAVING:
                return NotTaken("the number is still being taken off its use case")
            if isinstance(there, NumberCampaign) and provider_campaign_id in (
                there.campaign,
                there.telnyx_campaign,
                there.tcr_campaign,
            ):
                return Done()
            return answer if isinstance(there, NumberCampaign | Absent | Refused) else there
        return Done() if isinstance(answer, NumberCampaign) else fault_of(answer)

    async def detach(self, number: str) -> Done | Absent | Fault:
        """The registry takes it off a moment after the answer (PENDING_UNASSIGNMENT)."""
        path = f"10dlc/phone_number_campaigns/{number}"
        answer = await self.call("DELETE", path, NumberCampaign)
        return Done() if isinstance(answer, NumberCampaign) else answer

    async def give_back(self, number: str) -> Done | Absent | Fault:
        """Repeating it is safe: what is deleted is listed no more."""
        ours = await self._owned(number)
        if not isinstance(ours, _OwnedNumber):
            return ours
        answer = await self.call("DELETE", f"phone_numbers/{ours.id}", _OwnedNumberAnswer)
        if not isinstance(answer, _OwnedNumberAnswer):
            return answer
        if answer.data.status != "deleted":
            return Unclear(f"the provider says that the number is {answer.data.status}")
        return Done()

    async def _owned(self, number: str) -> _OwnedNumber | Absent | Fault:
        """A number of ours, with its own id, which is not the one that its order shows."""
        query = [("filter[phone_number]", number.removeprefix("+"))]
        found = await self.call("GET", "phone_numbers", _OwnedNumberList, query=query)
        if not isinstance(found, _OwnedNumberList):
            return found
        return next((item for item in found.data if item.phone_number == number), Absent())

    async def ask_carriers(self, number: str) -> CarriersSaid | Absent | Fault:
        """Their mapping statuses; see `carriers_said`."""
        answer = await self._number_campaign(number)
        return carriers_said(answer) if isinstance(answer, NumberCampaign) else answer

    async def _number_campaign(self, number: str) -> NumberCampaign | Absent | Fault:
        return await self.call("GET", f"10dlc/phone_number_campaigns/{number}", NumberCampaign)

    async def call(
        self,
        method: str,
        path: str,
        model: type[Model],
        *,
        query: Query = (),
        body: Mapping[str, Any] | None = None,
    ) -> Model | Absent | Fault:
        """One request, sorted by what it says about what happened."""
        try:
            async with self._session.request(
                method,
                self._url / path,
                params=list(query),
                json=body,
                headers={"Authorization": f"Bearer {self._key.get_secret_value()}"},
                # A redirected request would hand the key to whoever it is redirected to.
                allow_redirects=False,
            ) as response:
                return _sorted(response, await _read(response), model)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return NotTaken(f"the provider cannot be reached: {error!r}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Unclear(f"the provider's answer was lost: {error!r}")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The answer's body; cut off, and so without a meaning, where it is absurdly long."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > ANSWER_MOST_BYTES:
            break
    return bytes(body[:ANSWER_MOST_BYTES])


def _sorted(
    response: aiohttp.ClientResponse, body: bytes, model: type[Model]
) -> Model | Absent | Fault:
    status = response.status
    if 200 <= status < 300:
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
            return Unclear(f"the provider's answer makes no sense: {fault['msg']}")
    words = f"{status} {_error_words(body)}".strip()
    after_s = _after_s(response.headers.get("Retry-After"))
    if status == 404:
        # A proxy's page says nothing of a number, and "gone" is believed for good.
        return Absent() if _is_json(body) else Unclear(words)
    if status == 429 or status in ACCOUNT or (status == 503 and after_s is not None):
        return NotTaken(words, after_s)
    if status in REFUSALS and status != 408:
        return Refused(words)
    return Unclear(words)


def fault_of(answer: BaseModel | Absent | Fault) -> Fault:
    """For calls that cannot be answered by "no such thing"."""
    if isinstance(answer, Refused | NotTaken | Unclear):
        return answer
    return Refused("404 no such thing")


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _after_s(text: str | None) -> float | None:
    """Retry-After in seconds; as a date, or as anything else, it is not worth trusting."""
    if text is not None and text.strip().isdigit() and len(text) < 8:
        return float(text)
    return None


class _Error(BaseModel):
    code: str | int | None = None
    title: str | None = None
    detail: str | None = None


class _Errors(BaseModel):
    errors: list[_Error]


def _error_words(body: bytes) -> str:
    """What an error answer says, in the form that Telnyx documents."""
    with suppress(ValidationError):
        for error in _Errors.model_validate_json(body).errors:
            return " ".join(str(part) for part in (error.code, error.detail or error.title) if part)
    return ""


def _instant(text: Any) -> datetime | None:
    """A time that makes no sense is none: the answer is worth more than when it was so."""
    with suppress(ValidationError):
        return _TIME.validate_python(text)
    return None


def _words(reasons: Any) -> str:
    """Reasons come as a text, as a list of texts, or as a list of objects with a description."""
    if isinstance(reasons, str):
        return reasons
    if isinstance(reasons, list):
        return "; ".join(filter(None, (_words(item) for item in reasons)))
    if isinstance(reasons, dict):
        return _words(reasons.get("description") or reasons.get("detail") or reasons.get("title"))
    return ""
