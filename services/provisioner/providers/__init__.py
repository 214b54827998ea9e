"""What the provisioner asks of whoever sells numbers, and an adapter for each that does."""

from typing import Protocol

from services.provisioner.domain import (
    Absent,
    CarriersSaid,
    Done,
    Found,
    NotTaken,
    Ordered,
    Refused,
    Unclear,
)
from services.provisioner.rules.listed import ListedAttachment, ListedNumber, Page

Fault = Refused | NotTaken | Unclear
"""Every call may also come to one of these; none raises for what the other side does."""


class NumberProvider(Protocol):
    """A provider of phone numbers. Each call ends within a time-out of the adapter's own."""

    async def search(
        self, *, area_code: str | None = None, state: str | None = None
    ) -> Found | Fault:
        """Numbers for sale that can text: of an area code, of a state, or any."""
        ...

    async def buy(
        self, number: str, reference: str, messaging_profile_id: str | None
    ) -> Ordered | Fault:
        """Order a number; the provider keeps the reference. Refused: it is not for sale."""
        ...

    async def look_up(self, reference: str) -> Ordered | Absent | Fault:
        """The order with this reference; if there are several, the one that has come furthest."""
        ...

    async def see_order(self, provider_order_id: str) -> Ordered | Absent | Fault:
        """How far an order is."""
        ...

    async def set_profile(self, number: str, messaging_profile_id: str) -> Done | Absent | Fault:
        """Put a number of ours on a messaging profile; Absent: it is not ours (yet)."""
        ...

    async def attach(self, number: str, provider_campaign_id: str) -> Done | Fault:
        """Put a number of ours on a use case; Done if it is on it already."""
        ...

    async def detach(self, number: str) -> Done | Absent | Fault:
        """Take a number of ours off its use case. Done: it is on its way; `ask_carriers` says when
        it is off. Absent: it is on none."""
        ...

    async def give_back(self, number: str) -> Done | Absent | Fault:
        """Let the provider have a number back for good. Absent: it is not ours (any more)."""
        ...

    async def ask_carriers(self, number: str) -> CarriersSaid | Absent | Fault:
        """What each carrier says about a number; Absent: it is on no use case."""
        ...


class NumberLists(Protocol):
    """What a provider has of ours, page by page, newest first. A call for each page."""

    async def numbers(self, page: int) -> Page[ListedNumber] | Fault:
        """The account's numbers, others' among them. Pages are counted from 1."""
        ...

    async def attachments(self, page: int) -> Page[ListedAttachment] | Fault:
        """The account's numbers that are on use cases."""
        ...
