"""The provider's numbers: what is for sale, orders, owned numbers, messaging profiles.

As at Telnyx, an order is asynchronous, `customer_reference` is not unique, and the id of a
number in an order is not the id of the number: that one is found by
`GET /v2/phone_numbers?filter[phone_number]=`. Unlike at Telnyx, a messaging profile or a 10DLC
campaign exists as soon as somebody names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Literal

from services.sandbox.agenda import Agenda
from services.sandbox.area_codes import AREA_CODES, STATES
from services.sandbox.behaviour import Behaviour
from services.sandbox.domain import (
    NOT_FOUND,
    NUMBER_GONE,
    Refused,
    is_us_phone,
    iso,
)
from services.sandbox.messages import new_id

FEATURES = ("sms", "mms", "voice")
STOCK = 500
"""Numbers that each area code has for sale before it runs dry."""

FALLBACK_AREA_CODES = ("212", "312", "415", "512", "602", "713", "804", "919")
"""Where numbers come from when no area code is asked for, or best effort is."""

OrderStatus = Literal["pending", "success", "failure"]


@dataclass(slots=True)
class Profile:
    """A messaging profile: where the texts to its numbers are posted."""

    id: str
    created_at: datetime
    updated_at: datetime
    name: str = "sandbox"
    webhook_url: str | None = None

    def data(self) -> dict[str, object]:
        return {
            "record_type": "messaging_profile",
            "id": self.id,
            "name": self.name,
            "enabled": True,
            "webhook_url": self.webhook_url,
            "webhook_failover_url": None,
            "webhook_api_version": "2",
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
        }


@dataclass(slots=True)
class OwnedNumber:
    """A number of the account."""

    phone: str
    purchased_at: datetime
    customer_reference: str | None = None
    messaging_profile_id: str | None = None
    status: str = "active"
    id: str = field(default_factory=new_id)

    def data(self) -> dict[str, object]:
        """As `GET /v2/phone_numbers` writes it."""
        return {
            "record_type": "phone_number",
            "id": self.id,
            "phone_number": self.phone,
            "country_iso_alpha2": "US",
            "status": self.status,
            "phone_number_type": "local",
            "customer_reference": self.customer_reference,
            "messaging_profile_id": self.messaging_profile_id,
            "connection_id": None,
            "external_pin": None,
            "deletion_lock_enabled": False,
            "tags": [],
            "purchased_at": iso(self.purchased_at),
            "created_at": iso(self.purchased_at),
        }

    def messaging(self) -> dict[str, object]:
        """As `/v2/phone_numbers/{id}/messaging` writes it."""
        return {
            "record_type": "messaging_settings",
            "id": self.id,
            "phone_number": self.phone,
            "country_code": "US",
            "type": "long-code",
            "messaging_product": "A2P",
            "eligible_messaging_products": ["A2P"],
            "traffic_type": "A2P",
            "messaging_profile_id": self.messaging_profile_id,
            "created_at": iso(self.purchased_at),
            "updated_at": iso(self.purchased_at),
        }


@dataclass(slots=True)
class Order:
    """A number order, pending until the agenda says otherwise."""

    phones: dict[str, str]
    """Phone number → the order's own id for it."""
    created_at: datetime
    updated_at: datetime
    customer_reference: str | None = None
    messaging_profile_id: str | None = None
    status: OrderStatus = "pending"
    id: str = field(default_factory=new_id)

    def data(self) -> dict[str, object]:
        phones: list[dict[str, object]] = [
            {
                "record_type": "number_order_phone_number",
                "id": number_id,
                "phone_number": phone,
                "country_code": "US",
                "phone_number_type": "local",
                "regulatory_requirements": [],
                "requirements_met": True,
                "requirements_status": "approved",
                "status": self.status,
            }
            for phone, number_id in self.phones.items()
        ]
        return {
            "record_type": "number_order",
            "id": self.id,
            "status": self.status,
            "customer_reference": self.customer_reference,
            "messaging_profile_id": self.messaging_profile_id,
            "connection_id": None,
            "billing_group_id": None,
            "phone_numbers": phones,
            "phone_numbers_count": len(phones),
            "requirements_met": True,
            "sub_number_orders_ids": [],
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
        }


class Numbers:
    """Stock, orders, owned numbers and profiles of the one account."""

    def __init__(self, agenda: Agenda, seed: str) -> None:
        self._agenda = agenda
        self._seed = seed
        self._taken: set[str] = set()
        """Sold, ordered or given up: never for sale (again)."""
        self._orders: dict[str, Order] = {}
        self._by_id: dict[str, OwnedNumber] = {}
        self._by_phone: dict[str, OwnedNumber] = {}
        self._profiles: dict[str, Profile] = {}
        self.orders_gone = 0
        """So many next orders will fail; see the behaviour."""

    def search(
        self,
        behaviour: Behaviour,
        area_code: str | None,
        count: int,
        best_effort: bool,
        state: str | None = None,
    ) -> list[dict[str, object]]:
        """Up to `count` numbers for sale, exact ones first; none where an area is sold out."""
        exact = _area_codes(area_code, state)
        found = [(phone, False) for phone in self._for_sale(behaviour, exact, count)]
        if best_effort and len(found) < count:
            others = [code for code in FALLBACK_AREA_CODES if code != area_code]
            more = self._for_sale(behaviour, others, count - len(found))
            found += [(phone, True) for phone in more]
        return [_for_sale_data(phone, nearby) for phone, nearby in found]

    def _for_sale(self, behaviour: Behaviour, area_codes: Sequence[str], count: int) -> list[str]:
        found: list[str] = []
        for area_code in area_codes:
            for phone in self._stock(behaviour, area_code):
                if len(found) == count:
                    return found
                found.append(phone)
        return found

    def _stock(self, behaviour: Behaviour, area_code: str) -> Iterator[str]:
        if area_code in behaviour.sold_out_area_codes or len(area_code) != 3:
            return
        for index in range(STOCK):
            digest = hashlib.sha256(f"{self._seed}|{area_code}|{index}".encode()).digest()
            exchange = 200 + int.from_bytes(digest[:4]) % 800
            phone = f"+1{area_code}{exchange}{int.from_bytes(digest[4:8]) % 10_000:04d}"
            if phone not in self._taken:
                yield phone

    def order(
        self,
        at: datetime,
        behaviour: Behaviour,
        phones: list[str],
        customer_reference: str | None,
        messaging_profile_id: str | None,
    ) -> Order:
        """Place an order: refused at once for a number that is not for sale, else pending."""
        for phone in phones:
            gone = phone in self._taken or phone[2:5] in behaviour.sold_out_area_codes
            if gone or not is_us_phone(phone):
                raise Refused(422, NUMBER_GONE, f"The number {phone} is not available.")
        order = Order(
            {phone: new_id() for phone in phones}, at, at, customer_reference, messaging_profile_id
        )
        self._taken.update(phones)
        self._orders[order.id] = order
        fails = self.orders_gone > 0
        self.orders_gone -= fails
        self._agenda.after(at, behaviour.order_delay_s, partial(self._settle, order, fails))
        return order

    def _settle(self, order: Order, fails: bool, at: datetime) -> None:
        order.status = "failure" if fails else "success"
        order.updated_at = at
        if fails:
            return
        for phone in order.phones:
            self.own(at, phone, order.customer_reference, order.messaging_profile_id)

    def own(
        self,
        at: datetime,
        phone: str,
        customer_reference: str | None,
        messaging_profile_id: str | None,
    ) -> OwnedNumber:
        """Put a number into the account, or update the one that is there."""
        number = self._by_phone.get(phone)
        if number is None:
            number = OwnedNumber(phone, at, customer_reference)
            self._taken.add(phone)
            self._by_id[number.id] = self._by_phone[phone] = number
        if messaging_profile_id:
            number.messaging_profile_id = self.profile(at, messaging_profile_id).id
        return number

    def get_order(self, order_id: str) -> Order:
        order = self._orders.get(order_id)
        if order is None:
            raise Refused(404, NOT_FOUND, "No such number order.")
        return order

    def orders(self, customer_reference: str | None, status: str | None) -> list[Order]:
        """Newest first."""
        return [
            order
            for order in reversed(self._orders.values())
            if (customer_reference is None or order.customer_reference == customer_reference)
            and (status is None or order.status == status)
        ]

    def owned(
        self, phone: str | None = None, customer_reference: str | None = None
    ) -> list[OwnedNumber]:
        """Newest first; `phone` matches any part of the number's digits, as Telnyx has it."""
        digits = None if phone is None else phone.lstrip("+")
        return [
            number
            for number in reversed(self._by_phone.values())
            if (digits is None or digits in number.phone)
            and (customer_reference is None or number.customer_reference == customer_reference)
        ]

    def by_phone(self, phone: str) -> OwnedNumber | None:
        return self._by_phone.get(phone)

    def by_id(self, number_id: str) -> OwnedNumber:
        number = self._by_id.get(number_id)
        if number is None:
            raise Refused(404, NOT_FOUND, "No such phone number.")
        return number

    def release(self, number_id: str) -> OwnedNumber:
        """Give a number up for good."""
        number = self.by_id(number_id)
        number.status = "deleted"
        del self._by_id[number_id], self._by_phone[number.phone]
        return number

    def profile(self, at: datetime, profile_id: str) -> Profile:
        """The profile of this id, made on the spot if it is the first mention."""
        profile = self._profiles.get(profile_id)
        if profile is None:
            profile = self._profiles[profile_id] = Profile(profile_id, at, at)
        return profile

    def profiles(self) -> list[Profile]:
        return list(self._profiles.values())


def _area_codes(area_code: str | None, state: str | None) -> Sequence[str]:
    if state is None:
        return [area_code] if area_code else FALLBACK_AREA_CODES
    of_state = AREA_CODES.get(state.upper(), ())
    return [code for code in of_state if area_code in (None, code)]


def _for_sale_data(phone: str, nearby: bool) -> dict[str, object]:
    regions = [{"region_type": "country_code", "region_name": "US"}]
    if phone[2:5] in STATES:
        regions.append({"region_type": "state", "region_name": STATES[phone[2:5]]})
    return {
        "record_type": "available_phone_number",
        "phone_number": phone,
        "vanity_format": None,
        "best_effort": nearby,
        "quickship": True,
        "reservable": True,
        "region_information": regions,
        "cost_information": {"upfront_cost": "1.00", "monthly_cost": "1.00", "currency": "USD"},
        "features": [{"name": name} for name in FEATURES],
    }
