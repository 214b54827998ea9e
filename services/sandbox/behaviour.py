"""How the sandbox behaves: one JSON document, replaced whole by `PUT /sandbox/behaviour`.

Every field has a default, so a document names only what a test is about. Durations are in
seconds unless a name says otherwise, shares are 0 to 1.
"""

from __future__ import annotations

import math
import random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.sandbox.domain import Carrier

Call = Literal[
    "send",
    "message",
    "search",
    "order",
    "order_status",
    "phone_numbers",
    "messaging",
    "release",
    "attach",
    "attachment",
    "detach",
    "profile",
    "lookup",
]
"""The provider calls that a fault can be scripted for."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Latency(_Document):
    """A log-normal latency by its median and its 99th percentile; 0 is none."""

    median: float = Field(0, ge=0)
    p99: float = Field(0, ge=0)

    def draw_s(self, dice: random.Random) -> float:
        """One latency, in seconds."""
        if self.median <= 0:
            return 0.0
        sigma = math.log(max(self.p99 / self.median, 1.0)) / 2.326
        return dice.lognormvariate(math.log(self.median), sigma) / 1000


class Between(_Document):
    """A duration drawn evenly between two, in seconds."""

    min: float = Field(1, ge=0)
    max: float = Field(5, ge=0)


class ConfirmationDelays(_Document):
    """Seconds from the attachment to each carrier's word."""

    att: float = Field(1.5, ge=0)
    tmobile: float = Field(3, ge=0)
    verizon: float = Field(2, ge=0)


class Refusal(_Document):
    """A carrier that refuses numbers: of an area code, of a use case, or just the next one."""

    carrier: Literal["att", "tmobile", "verizon"]
    area_code: str | None = None
    campaign_id: str | None = None
    next: bool = False

    @model_validator(mode="after")
    def _one_reason(self) -> Refusal:
        if (self.area_code is None) + (self.campaign_id is None) + (not self.next) != 2:
            raise ValueError("exactly one of area_code, campaign_id, next")
        return self


class Fault(_Document):
    """A scripted answer for the next `times` calls of a kind, after `skip` good ones.

    kind: `http` answers `status` (with `retry_after` as it stands, sane or not; `bare` leaves out
    Telnyx's words, as a proxy in between would), `reset` closes the connection, `hang` waits
    `hang_s` and then answers rightly, `garbled` answers 200 with `body`, which is no JSON unless
    you say so.
    taken: whether the provider did what was asked all the same. Unset: no for `http`, yes else.
    carrier, number: only sends to that carrier, from that number.
    """

    call: Call = "send"
    kind: Literal["http", "reset", "hang", "garbled"] = "http"
    status: int = Field(503, ge=400, le=599)
    retry_after: str | None = None
    bare: bool = False
    hang_s: float = Field(60, ge=0)
    body: str = '{"data": {"id": '
    taken: bool | None = None
    times: int = Field(1, ge=1)
    skip: int = Field(0, ge=0)
    carrier: Carrier | None = None
    number: str | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the message is on its way behind the fault."""
        return self.kind != "http" if self.taken is None else self.taken

    @property
    def is_sure_refusal(self) -> bool:
        """Whether the caller can tell from the answer that nothing was taken.

        4xx but 408, and a 503 that says so in Telnyx's words or by a Retry-After.
        """
        if self.kind != "http" or self.status == 408:
            return False
        says_so = not self.bare or self.retry_after is not None
        return self.status < 500 or (self.status == 503 and says_so)


class Behaviour(_Document):
    """The whole document."""

    seed: str | None = None
    """Replaces SLUICE_SANDBOX_SEED for every drawn thing from here on; the signing key stays."""

    sold_out_area_codes: tuple[str, ...] = ()
    orders_gone: int = Field(0, ge=0)
    """So many next orders fail: the number was sold to somebody else in the meantime."""
    order_delay_s: float = Field(0.3, ge=0)
    assignment_delay_s: float = Field(0.2, ge=0)
    confirmation_delay_s: ConfirmationDelays = ConfirmationDelays()
    refusals: tuple[Refusal, ...] = ()
    numbers_per_campaign: int = Field(49, ge=0)
    """T-Mobile refuses a number beyond these on one use case, and the judge counts it."""
    unassignment_delay_s: float = Field(0.2, ge=0)
    """From the request to take a number off its use case until it is off; it counts until then."""
    unassignments_failing: int = Field(0, ge=0)
    """So many next ones end as FAILED_UNASSIGNMENT: the number stays where it is."""
    att_mapping_shown: bool = True
    """False: no attNumberMappingStatus, as Telnyx's published schema has it; then
    nonTmobileNumberMappingStatus settles AT&T and Verizon at once."""
    unregistered: Literal["deliver", "refuse"] = "deliver"
    """What carriers do with texts of a number that they have not confirmed."""

    call_latency_ms: Latency = Latency()
    """From a request's arrival to its answer."""
    arrival_latency_ms: Latency = Latency()
    """Before a send request arrives: the network's delay, seen by the judge's clock."""
    excursion_over_ms: float = Field(250, ge=0)
    """A send request held up longer than this on its way is an excursion."""
    account_sends_per_s: int | None = Field(None, ge=0)
    """The provider account's own rate over all numbers; beyond it 429."""
    answers: tuple[Fault, ...] = ()

    receipt_delay_s: float = Field(0.5, ge=0)
    """From arrival to message.finalized; below the call's latency, receipts come early."""
    receipt_duplicate_share: float = Field(0, ge=0, le=1)
    """Share of message.finalized and message.received events that are posted twice."""
    receipt_reorder_share: float = Field(0, ge=0, le=1)
    """Share of messages whose message.finalized comes before message.sent."""
    receipt_lost_share: float = Field(0, ge=0, le=1)
    """Share of messages that never get a receipt."""
    sent_webhooks: bool = True
    """Whether message.sent is posted at all; message.finalized always is."""
    number_updates_name_carriers: bool = True
    """Whether 10dlc.phone_number.update events show each carrier's mapping; see registry."""
    number_updates_lost_share: float = Field(0, ge=0, le=1)
    """Share of them that is never posted; of the others, shares that come twice, and late."""
    number_updates_duplicate_share: float = Field(0, ge=0, le=1)
    number_updates_late_share: float = Field(0, ge=0, le=1)
    number_updates_late_s: Between = Between()
    """So late that what was said after it comes before it."""
    webhook_retry_s: float = Field(120, ge=0)
    """How long an event that nobody takes is tried again."""

    reply_share: float = Field(0, ge=0, le=1)
    """Share of phones that answer the first delivered text of a number."""
    reply_delay_s: Between = Between()
    reply_texts: tuple[str, ...] = ("Yes, I'm in!", "Who is this?", "Can you tell me more?")
