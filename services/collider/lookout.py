"""From where a replica looks for what is due: past what was claimed before and is not swept up yet.

While some transaction is left open, nothing that was deleted since can be swept up; without a floor
each claim would walk all of it.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from services.collider.store.due import Due, Floor

# Longer than any transaction of ours: what was found to be the oldest that long ago has no older
# one still to be committed.
MARGIN_S = 10.0
# And should one have taken longer all the same, it is found by this.
FROM_THE_BOTTOM_EVERY_S = 30.0


class Lookout:
    """Remembers what was the oldest, a while ago."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._floor = Floor()
        self._seen: deque[tuple[float, int]] = deque()
        self._from_the_bottom_s: float | None = None

    def floor(self) -> Floor:
        """From where to look now."""
        now_s = self._monotonic()
        last_s = self._from_the_bottom_s
        if last_s is None or now_s - last_s >= FROM_THE_BOTTOM_EVERY_S:
            self._from_the_bottom_s = now_s
            return Floor()
        return self._floor

    def saw(self, due: Due, now: datetime) -> None:
        """Take note of the oldest that waited at this time of the database."""
        now_s = self._monotonic()
        due_at = min(due.oldest_due_at or now, now) - timedelta(seconds=MARGIN_S)
        if due.oldest_wake_id is not None:
            self._seen.append((now_s, due.oldest_wake_id))
        wake_id = self._floor.wake_id
        while self._seen and now_s - self._seen[0][0] >= MARGIN_S:
            wake_id = self._seen.popleft()[1]
        self._floor = Floor(due_at, wake_id)
