"""Providers of texting, one adapter each behind one small protocol."""

from typing import Protocol

from services.collider.carriers import LookUp
from services.collider.domain import Outbound, Outcome


class MessageProvider(Protocol):
    """Hands texts to a provider."""

    @property
    def name(self) -> str:
        """Whose account is called; its pauses are kept under this name."""
        ...

    async def send(self, text: Outbound) -> Outcome:
        """Call once, and sort what came of it. Never raises for anything the network does.

        Where the provider takes an expiry, it is told the text's: `expires_at`.
        """
        ...


class CarrierLookUp(Protocol):
    """Says whose subscriber a phone is."""

    @property
    def name(self) -> str:
        """Whose account is asked."""
        ...

    async def look_up(self, phone: str) -> LookUp:
        """Ask once, within a time-out of its own. Never raises for anything the network does."""
        ...
