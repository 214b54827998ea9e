"""Providers of texting, one adapter each behind one small protocol."""

from typing import Protocol

from services.collider.domain import Outbound, Outcome


class MessageProvider(Protocol):
    """Hands texts to a provider."""

    @property
    def name(self) -> str:
        """Whose account is called; its pauses are kept under this name."""
        ...

    async def send(self, text: Outbound) -> Outcome:
        """Call once, and sort what came of it. Never raises for anything the network does."""
        ...
