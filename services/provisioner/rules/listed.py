"""What the provider's own lists show of the account, and how a list that changes is read. Pure."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from services.provisioner.domain import CarriersSaid


@dataclass(frozen=True, slots=True)
class ListedNumber:
    """A number of the account."""

    number: str
    reference: str | None
    """What was kept for whoever bought it."""
    messaging_profile_id: str | None
    bought_at: datetime
    """By the provider's clock."""
    is_active: bool
    """False: it is on its way in or out."""


@dataclass(frozen=True, slots=True)
class ListedAttachment:
    """A number on a use case."""

    number: str
    campaigns: frozenset[str]
    """Every id that the provider knows the use case by."""
    leaving: bool
    """It is being taken off."""
    said: CarriersSaid
    changed_at: datetime
    """By the provider's clock: the attachment, or a carrier's word."""


Item = TypeVar("Item", ListedNumber, ListedAttachment)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A page of a list, newest first."""

    items: tuple[Item, ...]
    size: int
    """How many the provider puts on a page, whatever it was asked for."""
    total: int
    """How many the whole list had at that moment."""


def next_page(at: int, page: Page[Item], total_before: int | None) -> int | None:
    """The number of the page to read after page `at`; None: that was the last one.

    What is bought meanwhile comes in front, and shows things twice. What is given back meanwhile
    moves those behind it to pages that were read already, by no more places than the total has
    fallen since the page before: so those pages are read again.
    """
    if total_before is not None and page.total < total_before:
        return max(1, at - math.ceil((total_before - page.total) / page.size))
    return None if at * page.size >= page.total else at + 1
