"""The sandbox's clock: wall time read once, and monotonic from there.

The judge compares arrivals to the microsecond; a wall clock that NTP steps back in the middle
of a minute would acquit or convict somebody.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Aware UTC times that never go back."""

    def __init__(self) -> None:
        self._started_at = datetime.now(UTC)
        self._started_ns = time.monotonic_ns()

    def now(self) -> datetime:
        elapsed_us = (time.monotonic_ns() - self._started_ns) // 1000
        return self._started_at + timedelta(microseconds=elapsed_us)
