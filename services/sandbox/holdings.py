"""How many numbers each 10DLC campaign (our use case) holds, and had at most. Pure.

A number counts from the request that puts it on a campaign, pending or not, until the registry
has let it go: one that is being taken off still counts. Those that a test gives ready-made count
too, but only a request of the accused is held against them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from services.sandbox.domain import iso


@dataclass(slots=True)
class _Holding:
    phones: set[str] = field(default_factory=set)
    peak: int = 0
    over_at: datetime | None = None


class Holdings:
    """The campaigns' numbers; part of the judge."""

    def __init__(self) -> None:
        self.most = 49
        """So many may be on one campaign without a number pool."""
        self._campaigns: dict[str, _Holding] = {}

    def reset(self) -> None:
        """Forget what was; what is held is still held."""
        for holding in self._campaigns.values():
            holding.peak, holding.over_at = len(holding.phones), None

    def put_on(self, at: datetime, campaign_id: str, phone: str, *, given: bool = False) -> None:
        """A number comes on a campaign; `given`: by the word of a test."""
        holding = self._campaigns.setdefault(campaign_id, _Holding())
        holding.phones.add(phone)
        holding.peak = max(holding.peak, len(holding.phones))
        if not given and len(holding.phones) > self.most and holding.over_at is None:
            holding.over_at = at

    def take_off(self, campaign_id: str, phone: str) -> None:
        """It is on it no more."""
        self._campaigns[campaign_id].phones.discard(phone)

    @property
    def is_over(self) -> bool:
        return any(holding.over_at is not None for holding in self._campaigns.values())

    def lines(self) -> list[dict[str, object]]:
        """Each campaign as JSON."""
        return [
            {
                "use_case": campaign_id,
                "numbers": len(holding.phones),
                "peak": holding.peak,
                "limit": self.most,
                "over": holding.over_at is not None,
                "over_at": iso(holding.over_at),
            }
            for campaign_id, holding in sorted(self._campaigns.items())
        ]
