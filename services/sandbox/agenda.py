"""What is still to happen: one heap of timers for the whole sandbox, moved on by the caller."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

Happening = Callable[[datetime], None]


class Agenda:
    """Things that happen at a time. Nothing happens by itself: `advance` makes it."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Happening]] = []
        self._made = 0

    def after(self, at: datetime, delay_s: float, happening: Happening) -> None:
        """Plan `happening` for `at` + `delay_s`; it is called with the time it was due."""
        self._made += 1
        due_at = at + timedelta(seconds=delay_s)
        heapq.heappush(self._heap, (due_at, self._made, happening))

    @property
    def next_due_at(self) -> datetime | None:
        """When the next thing is due."""
        return self._heap[0][0] if self._heap else None

    def advance(self, at: datetime) -> None:
        """Let all that is due by `at` happen, in order, with what it plans for the same time."""
        heap = self._heap
        while heap and heap[0][0] <= at:
            due_at, _, happening = heapq.heappop(heap)
            happening(due_at)
