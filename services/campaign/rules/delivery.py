"""How many of a campaign's texts arrive, carrier by carrier."""

from collections.abc import Mapping
from dataclasses import dataclass

ALL = "all"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What carriers made of texts.

    `undelivered`: failed, with the provider's or the carrier's code; what failed without one was
    never handed over (withdrawn, for example) and says nothing of a carrier. `on_the_way`: handed
    over, and not heard of yet.
    """

    delivered: int
    undelivered: int
    on_the_way: int
    unclear: int

    @property
    def rate(self) -> float | None:
        """Of the texts whose end is known, the part that arrived; None before there are any."""
        ended = self.delivered + self.undelivered
        return round(self.delivered / ended, 4) if ended else None


def delivery_by_carrier(
    counts: Mapping[str, Mapping[str, int]], never_handed_over: Mapping[str, int]
) -> dict[str, Delivery]:
    """By carrier, and ALL of them together; `counts`: by carrier and status."""
    found = {
        carrier: Delivery(
            delivered=of_it.get("delivered", 0),
            undelivered=of_it.get("failed", 0) - never_handed_over.get(carrier, 0),
            on_the_way=of_it.get("sent", 0),
            unclear=of_it.get("unclear", 0),
        )
        for carrier, of_it in counts.items()
    }
    together = Delivery(
        delivered=sum(one.delivered for one in found.values()),
        undelivered=sum(one.undelivered for one in found.values()),
        on_the_way=sum(one.on_the_way for one in found.values()),
        unclear=sum(one.unclear for one in found.values()),
    )
    return {ALL: together, **found}
