"""The sandbox as a whole, without HTTP and without a clock of its own.

The HTTP service turns requests into calls of `World` and posts the webhooks that it leaves. A
test in virtual time does the same in process::

    world = World()
    world.behave(Behaviour(reply_share=0.3))
    world.tell_limit(at, "brand-1", "att", Limit(sms_per_minute=1000))
    world.provide_number(at, "+12125550100", campaign_id="use-case-1", messaging_profile_id="p")
    message = world.send(at, {"from": ..., "to": ..., "text": ..., "webhook_url": ...})
    world.advance(at)                 # receipts, confirmations and replies that are due
    for webhook in world.take_webhooks(): ...
    world.judge.verdict()["ok"]

Every `at` is an aware UTC time, and they never go back. `send` raises `Refused` for what the
provider does not take. `next_due_at` says when `advance` has something to do.
"""

from __future__ import annotations

import random
from datetime import datetime
from functools import partial

from services.sandbox.agenda import Agenda
from services.sandbox.behaviour import Behaviour, Call, Fault
from services.sandbox.carriers import Carriers
from services.sandbox.domain import (
    BAD_FROM,
    NOT_FOUND,
    STOPPED,
    TOO_MANY_REQUESTS,
    Carrier,
    Limit,
    Refused,
    Registration,
    Submission,
    Webhook,
    micros,
)
from services.sandbox.judge import Answer, Entry, Judge
from services.sandbox.messages import (
    Message,
    SendRequest,
    autoresponse_of,
    event,
    inbound_payload,
    read_receipt_address,
    read_send_request,
)
from services.sandbox.minutes import SlidingMinute
from services.sandbox.numbers import Numbers, OwnedNumber
from services.sandbox.phones import Phones
from services.sandbox.registry import Registry

NO_BRAND = "unregistered"
"""The brand of texts from a number that is on no campaign."""


class World:
    """Provider, carriers, phones and judge; see the module's text."""

    def __init__(self, behaviour: Behaviour | None = None, seed: str = "sluice") -> None:
        self.agenda = Agenda()
        self.carriers = Carriers()
        self.judge = Judge()
        self.phones = Phones()
        self.numbers = Numbers(self.agenda, seed)
        self._webhooks: list[Webhook] = []
        self.registry = Registry(self.agenda, self._post_number_update, self.judge.holdings)
        self._seed = seed
        self._messages: dict[str, Message] = {}
        self._account_second = SlidingMinute(1_000_000)
        self.behave(behaviour or Behaviour())

    # What tests and operators tell it.

    def behave(self, behaviour: Behaviour) -> None:
        """Replace the behaviour; scripted faults and refusals start anew."""
        self.behaviour = behaviour
        self.registry.behave(behaviour)
        self.judge.holdings.most = behaviour.numbers_per_campaign
        self.numbers.orders_gone = behaviour.orders_gone
        self._faults = list(behaviour.answers)
        self._dice_seed = behaviour.seed or self._seed
        self.dice = random.Random(self._dice_seed)

    def tell_limit(
        self,
        at: datetime,
        brand: str,
        carrier: Carrier,
        limit: Limit,
        use_case: str | None = None,
    ) -> None:
        """A carrier's whole limits for a brand (or one use case), to carriers and judge alike."""
        self.carriers.tell(brand, carrier, limit, use_case)
        self.judge.tell_limit(at, brand, carrier, limit, use_case)

    def provide_number(
        self, at: datetime, phone: str, *, campaign_id: str | None, messaging_profile_id: str
    ) -> OwnedNumber:
        """A number that is bought, and on `campaign_id` with every carrier's word, at once."""
        number = self.numbers.own(at, phone, None, messaging_profile_id)
        if campaign_id is not None:
            self.registry.attach_confirmed(at, phone, campaign_id)
        return number

    # Time.

    @property
    def next_due_at(self) -> datetime | None:
        return self.agenda.next_due_at

    def advance(self, at: datetime) -> None:
        """Let everything happen that is due by `at`."""
        self.agenda.advance(at)

    def take_webhooks(self) -> list[Webhook]:
        """The events to post since the last call, in order."""
        taken = list(self._webhooks)
        self._webhooks.clear()
        return taken

    # Sending.

    def next_fault(self, call: Call, number: str | None = None, phone: str = "") -> Fault | None:
        """The scripted fault for this call, if one is next, and one less of it."""
        for index, fault in enumerate(self._faults):
            wanted = fault.call == call and (fault.number is None or fault.number == number)
            if not wanted or (fault.carrier and fault.carrier != self.phones.carrier_of(phone)):
                continue
            if fault.skip:
                self._faults[index] = fault.model_copy(update={"skip": fault.skip - 1})
                return None
            if fault.times > 1:
                self._faults[index] = fault.model_copy(update={"times": fault.times - 1})
            else:
                del self._faults[index]
            return fault
        return None

    def send(
        self, at: datetime, body: object, *, fault: Fault | None = None, late: bool = False
    ) -> Message | None:
        """Take one `POST /v2/messages`, or raise `Refused`; every well-formed one is recorded.

        `fault` is what the caller will get instead of the answer: the ledger says so, and where
        the fault is not a taken one, nothing else happens and None comes back.
        """
        request = read_send_request(body)
        text = self._submission(request)
        answer: Answer = "accepted"
        if fault is not None:
            answer = "refused" if fault.is_sure_refusal else "unclear"
        record = partial(self._record, at, text, request, late=late)
        if fault is not None and not fault.is_taken:
            record(answer=answer, taken=False, code=str(fault.status))
            return None
        try:
            number = self._admit(at, request)
        except Refused as refusal:
            record(answer="refused", taken=False, code=refusal.code)
            raise
        return self._take(at, request, text, number, answer, late)

    def _submission(self, request: SendRequest) -> Submission:
        attachment = self.registry.attachment(request.number)
        campaign = None if attachment is None else attachment.campaign
        return Submission(
            number=request.number,
            phone=request.phone,
            carrier=self.phones.carrier_of(request.phone),
            brand=NO_BRAND if campaign is None else campaign.brand,
            use_case=None if campaign is None else campaign.id,
            channel=request.channel,
            segments=request.segments,
        )

    def _record(
        self,
        at: datetime,
        text: Submission,
        request: SendRequest,
        *,
        answer: Answer,
        taken: bool,
        late: bool,
        code: str | None = None,
        carrier_code: str | None = None,
        provider_id: str | None = None,
    ) -> Entry:
        address = read_receipt_address(request.webhook_url)
        return self.judge.record(
            at,
            text,
            message=address.message,
            attempt=address.attempt,
            kind=address.kind,
            answer=answer,
            taken=taken,
            code=code,
            carrier_code=carrier_code,
            provider_id=provider_id,
            late=late,
        )

    def _admit(self, at: datetime, request: SendRequest) -> OwnedNumber:
        number = self.numbers.by_phone(request.number)
        if number is None or number.messaging_profile_id is None:
            raise Refused(
                400, BAD_FROM, "The 'from' address is not a number on a messaging profile."
            )
        if self.phones.has_stopped(request.phone, request.number):
            # The code is what counts: 400 and 403 have both been seen in the wild.
            raise Refused(400, STOPPED, "Messages cannot be sent due to an existing block rule.")
        rate = self.behaviour.account_sends_per_s
        if rate is not None and self._account_second.total(micros(at)) >= rate:
            raise Refused(
                429, TOO_MANY_REQUESTS, "The account's sending rate is exceeded.", retry_after_s=1
            )
        return number

    def _take(
        self,
        at: datetime,
        request: SendRequest,
        text: Submission,
        number: OwnedNumber,
        answer: Answer,
        late: bool,
    ) -> Message:
        profile = self.numbers.profile(at, number.messaging_profile_id or "")
        message = Message(
            request,
            text.carrier,
            text.segments,
            at,
            profile.id,
            request.webhook_url or profile.webhook_url,
            text.use_case,
        )
        self._messages[message.id] = message
        if self.behaviour.account_sends_per_s is not None:
            self._account_second.add(micros(at), 1)
        code = self.phones.why_undeliverable(request.phone) or self.carriers.answer(
            at, text, self._registration(request.number, text.carrier)
        )
        entry = self._record(
            at,
            text,
            request,
            answer=answer,
            taken=True,
            late=late,
            carrier_code=code,
            provider_id=message.id,
        )
        self._plan_receipts(at, message, entry, code)
        return message

    def _registration(self, number: str, carrier: Carrier) -> Registration:
        if self.behaviour.unregistered == "deliver":
            return "confirmed"
        attachment = self.registry.attachment(number)
        return "unattached" if attachment is None else attachment.registration(carrier)

    # Receipts.

    def _plan_receipts(
        self, at: datetime, message: Message, entry: Entry, code: str | None
    ) -> None:
        behaviour, dice = self.behaviour, self.dice
        lost = behaviour.receipt_lost_share > 0 and dice.random() < behaviour.receipt_lost_share
        swap = dice.random() < behaviour.receipt_reorder_share
        delay_s = behaviour.receipt_delay_s
        final_s, sent_s = (delay_s / 2, delay_s) if swap else (delay_s, delay_s / 2)
        if behaviour.sent_webhooks and not lost:
            self.agenda.after(at, sent_s, partial(self._tell_sent, message))
        self.agenda.after(at, final_s, partial(self._finalize, message, entry, code, lost))

    def _tell_sent(self, message: Message, at: datetime) -> None:
        if message.completed_at is None:
            message.status, message.sent_at = "sent", at
        webhook = message.event("message.sent", at)
        if webhook is not None:
            self._webhooks.append(webhook)

    def _finalize(
        self, message: Message, entry: Entry, code: str | None, lost: bool, at: datetime
    ) -> None:
        message.completed_at, message.sent_at = at, message.sent_at or at
        message.code = code
        message.status = "delivered" if code is None else "delivery_failed"
        if not lost:
            self.judge.note_receipt(entry, at, message.status, code)
            webhook = message.event("message.finalized", at)
            if webhook is not None:
                self._post_perhaps_twice(webhook)
        if code is None:
            self._deliver(message, at)

    def _post_perhaps_twice(self, webhook: Webhook) -> None:
        self._webhooks.append(webhook)
        if self.dice.random() < self.behaviour.receipt_duplicate_share:
            self._webhooks.append(webhook)

    # Numbers' updates.

    def _post_number_update(self, at: datetime, webhook: Webhook) -> None:
        behaviour, dice = self.behaviour, self.dice
        if dice.random() < behaviour.number_updates_lost_share:
            return
        late = dice.random() < behaviour.number_updates_late_share
        twice = dice.random() < behaviour.number_updates_duplicate_share
        for _ in range(1 + twice):
            if late:
                delay = behaviour.number_updates_late_s
                delay_s = dice.uniform(delay.min, delay.max)
                self.agenda.after(at, delay_s, lambda _: self._webhooks.append(webhook))
            else:
                self._webhooks.append(webhook)

    # Phones.

    def _deliver(self, message: Message, at: datetime) -> None:
        reply = self.phones.get(message, self.behaviour, self._dice_seed)
        if reply is not None:
            text, delay_s = reply
            request = message.request
            self.agenda.after(
                at, delay_s, partial(self._reply, request.phone, request.number, text)
            )

    def _reply(self, phone: str, number: str, text: str, at: datetime) -> None:
        if self.numbers.by_phone(number) is not None:
            self.text_from_phone(at, phone, number, text)

    def text_from_phone(
        self,
        at: datetime,
        phone: str,
        number: str,
        text: str,
        media_urls: tuple[str, ...] = (),
    ) -> dict[str, object]:
        """A contact texts one of our numbers; STOP and START also bind the provider."""
        owned = self.numbers.by_phone(number)
        if owned is None:
            raise Refused(404, NOT_FOUND, "No such number.")
        self.phones.heed(phone, number, autoresponse_of(text))
        profile_id = owned.messaging_profile_id
        payload = inbound_payload(
            at, phone, self.phones.carrier_of(phone), number, text, media_urls, profile_id or ""
        )
        profile = None if profile_id is None else self.numbers.profile(at, profile_id)
        if profile is not None and profile.webhook_url is not None:
            received = event("message.received", at, payload)
            self._post_perhaps_twice(Webhook(profile.webhook_url, received))
        return payload

    def message(self, message_id: str) -> Message:
        """A message by the provider's id."""
        message = self._messages.get(message_id)
        if message is None:
            raise Refused(404, NOT_FOUND, "No such message.")
        return message
