"""What the public events have told, text by text: the first of the three ledgers. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

# An outcome gives way to one of higher rank, or of its own rank and later: order is not promised.
_RANKS = {"queued": 1, "sent": 2, "unclear": 2, "delivered": 3, "failed": 3, "sending failed": 3}
_TELLS = {
    "MessageQueued": "queued",
    "MessageSent": "sent",
    "MessageUnclear": "unclear",
    "MessageDelivered": "delivered",
    "MessageFailed": "failed",
}
HEARD = (*_TELLS, "MessageReceived", "ContactOptedOut", "WindowClosed")
"""The types of events that are written down."""

RATE_LEAST_S = 5.0

FINAL = ("delivered", "failed", "sending failed")


@dataclass
class Text:
    """One text that goes out, as told; what nobody has told yet is empty."""

    message_id: str
    kind: str = ""
    carrier: str = ""
    to: str = ""
    status: str = ""
    status_at: datetime | None = None
    queued_at: datetime | None = None
    sent_at: datetime | None = None
    segments: int | None = None
    code: str | None = None
    reason: str | None = None

    @property
    def waits(self) -> bool:
        """Whether it is queued and nothing has come of it yet."""
        return self.status == "queued"

    def has_waited(self, time: timedelta) -> bool:
        """Whether it waits still, and has for so long."""
        at = self.queued_at
        return self.waits and at is not None and datetime.now(UTC) - at > time

    @property
    def waited_s(self) -> float | None:
        """From the sender's click to the provider; None when it has not gone, or not yet."""
        if self.sent_at is None or self.queued_at is None:
            return None
        return (self.sent_at - self.queued_at).total_seconds()


@dataclass(frozen=True)
class Overtaking:
    """An answer that went out before first texts to its carrier that had been queued earlier."""

    text: Text
    waited_s: float
    overtaken: int


@dataclass
class Book:
    """Everything that was heard of one organization. Rates are over the last `rate_s` seconds."""

    org_id: str = ""
    rate_s: float = 15.0
    texts: dict[str, Text] = field(default_factory=dict)
    received: list[str] = field(default_factory=list)
    """Phones of contacts in the order of their texts."""
    opted_out: list[str] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    """Campaigns whose window has ended."""
    _recent: deque[tuple[float, str, int]] = field(default_factory=deque)
    _first_s: float | None = None
    _heard: set[tuple[str, str]] = field(default_factory=set)

    def write(self, event: Mapping[str, Any], now_s: float) -> None:
        """Write down one CloudEvent that came at the monotonic time `now_s`, once."""
        data = event["data"]
        key = (event["source"], event["id"])
        if data["org_id"] != self.org_id or key in self._heard:
            return
        self._heard.add(key)
        kind = event["type"]
        if kind == "MessageReceived":
            self.received.append(data["from"])
        elif kind == "ContactOptedOut":
            self.opted_out.append(data["phone"])
        elif kind == "WindowClosed":
            self.closed.add(data["campaign_id"])
        elif kind in _TELLS:
            self._write_text(kind, data, now_s)

    def _write_text(self, kind: str, data: Mapping[str, Any], now_s: float) -> None:
        text = self.texts.setdefault(data["message_id"], Text(data["message_id"]))
        at = datetime.fromisoformat(data["queued_at" if kind == "MessageQueued" else "at"])
        if data.get("carrier"):
            text.carrier = data["carrier"]
        if kind == "MessageQueued":
            text.kind, text.to, text.queued_at = data["kind"], data["to"], at
        else:
            text.segments = data["segments"]
        if kind == "MessageSent":
            text.sent_at = max(filter(None, (text.sent_at, at)))
            self._recent.append((now_s, text.carrier, data["segments"]))
            self._first_s = now_s if self._first_s is None else self._first_s
        status = _TELLS[kind]
        if status == "failed" and data.get("reason") == "sending failed":
            status = "sending failed"
        known_at = text.status_at or at
        if (_RANKS[status], at) >= (_RANKS.get(text.status, 0), known_at):
            text.status, text.status_at = status, at
            text.code, text.reason = data.get("code"), data.get("reason")

    # --- what the live view shows ---

    def rate(self, carrier: str, unit: str, now_s: float) -> float:
        """Texts or segments a second that the provider took over the last `rate_s` seconds."""
        while self._recent and self._recent[0][0] <= now_s - self.rate_s:
            self._recent.popleft()
        units = sum(
            segments if unit == "segment" else 1
            for _, of, segments in self._recent
            if of == carrier
        )
        # Not thinned out by the time before the first of all, nor told from a moment alone.
        sending_s = now_s - (now_s if self._first_s is None else self._first_s)
        return units / min(self.rate_s, max(sending_s, RATE_LEAST_S))

    def of(self, carrier: str, kind: str) -> Iterator[Text]:
        """The texts of one kind to one carrier."""
        return (
            text for text in self.texts.values() if text.carrier == carrier and text.kind == kind
        )

    def waiting(self, carrier: str, kind: str) -> int:
        """How many of these are queued and not sent."""
        return sum(text.waits for text in self.of(carrier, kind))

    def sent(self, carrier: str, kind: str) -> int:
        """How many of these the provider has taken."""
        return sum(text.sent_at is not None for text in self.of(carrier, kind))

    def segments_sent(self, carrier: str) -> int:
        """Segments of all texts to a carrier that the provider has taken."""
        return sum(
            text.segments or 0
            for text in self.texts.values()
            if text.carrier == carrier and text.sent_at is not None
        )

    # --- what the story proves ---

    def is_settled(self) -> bool:
        """Whether only answers wait still, and nothing is on its way."""
        return all(
            text.status in FINAL or (text.waits and text.kind == "reply")
            for text in self.texts.values()
        )

    def overtakings(self) -> list[Overtaking]:
        """The answers that have gone out, with the first texts that each overtook."""
        found = []
        for answer in list(self.texts.values()):
            waited_s = answer.waited_s
            if answer.kind != "reply" or waited_s is None:
                continue
            overtaken = sum(_is_overtaken(first, answer) for first in self.texts.values())
            found.append(Overtaking(answer, waited_s, overtaken))
        return found


def _is_overtaken(first: Text, answer: Text) -> bool:
    if first.kind != "initial" or first.carrier != answer.carrier or first.queued_at is None:
        return False
    assert answer.queued_at is not None
    assert answer.sent_at is not None
    # One that has come to its end unsent no longer waited, from then on.
    gone_at = first.sent_at or (first.status_at if first.status in FINAL else None)
    return first.queued_at < answer.queued_at and (gone_at is None or gone_at > answer.sent_at)
