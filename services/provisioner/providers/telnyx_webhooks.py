"""Telnyx's webhooks about numbers on 10DLC campaigns: `10dlc.phone_number.update`.

Documented are `phoneNumber`, `campaignId`, now and then `tcrCampaignId`, `type` (ASSIGNMENT,
DELETION, STATUS_UPDATE), `status` and `reasons`. None of these says which carrier it is about, and
ADDED may be one carrier's word or the last one's: then only asking tells. Where the fields of an
assignment are there as well, each carrier's mapping is its word, read as a poll's answer is.
They come late, twice, and past each other; `occurred_at` is when it was so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ValidationError
from pydantic import Field as Named

from services.provisioner.domain import CARRIERS, CarrierFact
from services.provisioner.providers.telnyx import NumberCampaign, Time, carriers_said
from shared.fields import Phone

PATH = "/webhooks/telnyx/numbers"
"""Below the public address of this service: where a 10DLC campaign's webhookURL goes."""
NUMBER_UPDATE = "10dlc.phone_number.update"


@dataclass(frozen=True, slots=True)
class NumberUpdate:
    """What a webhook says of a number; `names_carriers`: else the provider knows more than that."""

    number: str
    facts: tuple[CarrierFact, ...]
    names_carriers: bool


class _Payload(NumberCampaign):
    phone: Phone = Named(alias="phoneNumber")

    @property
    def names_carriers(self) -> bool:
        return any((self.att, self.tmobile, self.non_tmobile))


class _Event(BaseModel):
    event_type: str
    occurred_at: Time | None = None
    payload: _Payload


class _Webhook(BaseModel):
    data: _Event


def read_number_update(body: bytes, signed_at: datetime) -> NumberUpdate | None:
    """What a webhook says of a number; None when it is about something else, or of no use.

    `signed_at` stands in for the time of an event that names none.
    """
    try:
        event = _Webhook.model_validate_json(body).data
    except ValidationError:
        return None
    if event.event_type != NUMBER_UPDATE:
        return None
    said = event.payload
    facts = tuple(_facts(said, event.occurred_at or signed_at))
    return NumberUpdate(said.phone, facts, said.names_carriers)


def _facts(said: _Payload, at: datetime) -> Iterator[CarrierFact]:
    """Each carrier's word, under every name that the provider gives the use case: an operator may
    have registered it by any of them."""
    read = carriers_said(said)
    names: set[str | None] = {
        name
        for name in (said.campaign, said.telnyx_campaign, said.tcr_campaign)
        if name and name.isprintable()
    }
    for carrier in CARRIERS:
        state = read.states[carrier]
        if state != "pending":
            reason = read.reason if state == "refused" else None
            for name in names or {None}:
                yield CarrierFact(said.phone, carrier, state, at, reason, name)
