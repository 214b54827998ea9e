"""The hours that a number's campaign has promised to keep. Pure; `at` is always an argument."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from services.sandbox.domain import Kind


@dataclass(frozen=True, slots=True)
class PromisedHours:
    """Window (binds initials), open hours (bind all), and the archive (ends all).

    `closes_at`, `closes` and `archived_at` are exclusive. None means not bound.
    """

    time_zone: str = "UTC"
    opens: time | None = None
    closes: time | None = None
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    archived_at: datetime | None = None

    def allow(self, kind: Kind, at: datetime) -> bool:
        """Whether a text of this kind may arrive at the provider at `at`."""
        if self.archived_at is not None and at >= self.archived_at:
            return False
        if kind == "initial":
            if self.opens_at is not None and at < self.opens_at:
                return False
            if self.closes_at is not None and at >= self.closes_at:
                return False
        if self.opens is None or self.closes is None:
            return True
        clock = at.astimezone(ZoneInfo(self.time_zone)).time()
        return self.opens <= clock < self.closes
