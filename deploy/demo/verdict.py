"""The three ledgers, text by text, and the judge's verdict, in words. Pure."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.demo.book import Text
from deploy.demo.world import LINES

NOT_CLICKED = ("unassigned", "assigned", "opted out")
"""Statuses of first texts that no sender has sent: events and provider know nothing of them."""

# A receipt with one of these says "not delivered, may go again": the sandbox's own list is longer,
# but the demonstration's carriers have no reason for the others.
_PUT_BACK = frozenset({"40010", "40011", "40016", "40018", "40019"})

_TIMES_AT_PROVIDER = {"sent": (1,), "delivered": (1,), "failed": (0, 1), "unclear": (0, 1)}
"""How often the provider may have taken a text for good, by its status; not at all else."""


@dataclass(frozen=True)
class Row:
    """A text as the export has it."""

    message_id: str
    kind: str
    carrier: str
    status: str
    segments: int | None
    code: str | None


@dataclass(frozen=True)
class Seen:
    """A send request as the provider got it; `receipt` is its receipt's status, or empty."""

    message_id: str
    kind: str
    carrier: str
    segments: int
    taken: bool
    receipt: str
    receipt_code: str

    @property
    def counts(self) -> bool:
        """Whether the text is the recipient's, or on its way there."""
        return self.taken and self.receipt_code not in _PUT_BACK


def rows_in(export: str) -> list[Row]:
    """The rows of an export that went out; contacts' own texts are no promise of ours."""
    return [
        Row(
            row["message_id"],
            row["kind"],
            row["carrier"],
            row["status"],
            int(row["segments"]) if row["segments"] else None,
            row["code"] or None,
        )
        for row in csv.DictReader(io.StringIO(export))
        if row["direction"] == "out"
    ]


def seen_in(entries: Iterable[Mapping[str, Any]], org_id: str) -> list[Seen]:
    """An organization's lines of the sandbox's ledger."""
    found = []
    for entry in entries:
        if entry["org_id"] == org_id:
            receipt = entry["receipt"] or {"status": "", "code": ""}
            found.append(
                Seen(
                    entry["message_id"],
                    entry["kind"],
                    entry["carrier"],
                    entry["segments"],
                    entry["taken"],
                    receipt["status"],
                    receipt["code"] or "",
                )
            )
    return found


def differences(
    events: Mapping[str, Text], rows: Sequence[Row], provider: Sequence[Seen]
) -> list[str]:
    """What the three ledgers do not agree on, one line each; nothing, when all is well."""
    found: list[str] = []
    told = {row.message_id: row for row in rows if row.status not in NOT_CLICKED}
    silent = {row.message_id for row in rows} - set(told)
    seen: dict[str, list[Seen]] = defaultdict(list)
    for one in provider:
        seen[one.message_id].append(one)
    for message_id in sorted({*events, *told, *seen}):
        text, row, requests = events.get(message_id), told.get(message_id), seen[message_id]
        if text is None or row is None:
            where = [
                name
                for name, has in (("events", text), ("rows", row), ("provider", requests))
                if has
            ]
            unsent = ", and no sender sent it" if message_id in silent else ""
            found.append(f"{message_id}: only in {' and '.join(where)}{unsent}")
            continue
        found += [f"{message_id}: {fault}" for fault in _faults(text, row, requests)]
    return found


def _faults(text: Text, row: Row, requests: Sequence[Seen]) -> list[str]:
    """What the ledgers say differently of one text."""
    found = [
        f"{name}: {getattr(text, name)} by events, {getattr(row, name)} by rows"
        for name in ("status", "kind", "carrier", "code")
        if getattr(text, name) != getattr(row, name)
    ]
    if text.segments is not None and text.segments != row.segments:
        found.append(f"{text.segments} segments by events, {row.segments} by rows")
    counting = [one for one in requests if one.counts]
    found += [
        f"{one.kind}, {one.carrier}, {one.segments} segments at the provider; "
        f"{row.kind}, {row.carrier}, {row.segments} by rows"
        for one in counting
        if (one.kind, one.carrier, one.segments) != (row.kind, row.carrier, row.segments)
    ]
    if len(counting) not in _TIMES_AT_PROVIDER.get(row.status, (0,)):
        found.append(f"{row.status} by rows, {len(counting)} times at the provider")
    arrived = any(one.receipt == "delivered" for one in counting)
    if arrived != (row.status == "delivered"):
        says = "delivered" if arrived else "not delivered"
        found.append(f"{row.status} by rows, {says} by the provider")
    return found


def counts(rows: Iterable[Row]) -> dict[str, Counter[tuple[str, str]]]:
    """How many texts of each kind stand where, by carrier."""
    found: dict[str, Counter[tuple[str, str]]] = {line.carrier: Counter() for line in LINES}
    for row in rows:
        found.setdefault(row.carrier or "unknown", Counter())[row.kind, row.status] += 1
    return found


# --- the judge -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """One promise, and how it was kept."""

    what: str
    found: str
    is_kept: bool


def promises(judged: Mapping[str, Any], brand: str) -> list[Held]:
    """The judge's verdict on a brand's texts, promise by promise.

    A limit that the judge was not told of is a promise broken: it would prove nothing.
    """
    held = []
    buckets = {line["carrier"]: line for line in judged["buckets"] if line["brand"] == brand}
    days = {line["carrier"]: line for line in judged["days"] if line["brand"] == brand}
    for line in LINES:
        if line.per_minute is not None:
            of = buckets.get(line.carrier, {"limit": None, "peak_60s": 0, "over": True})
            what = f"{line.name}: {line.unit}s in any 60 s"
            is_kept = of["limit"] == line.per_minute and not of["over"]
            found = f"at most {of['peak_60s']} of {line.per_minute}"
            held.append(Held(what, found, is_kept))
        if line.segments_per_day is not None:
            day = days.get(line.carrier, {"limit": None, "segments": 0, "over": True})
            is_kept = day["limit"] == line.segments_per_day and not day["over"]
            found = f"{day['segments']} of {line.segments_per_day}"
            held.append(Held(f"{line.name}: segments of the day", found, is_kept))
    numbered = (
        ("texts sent twice", judged["doubles"]["count"]),
        ("texts outside of window and open hours", judged["outside_hours"]["count"]),
        ("texts from no known message", judged["unnamed"]),
        ("texts in nobody's name", sum(_strangers(judged, brand))),
    )
    held += [Held(what, str(count), count == 0) for what, count in numbered]
    if not judged["ok"] and all(one.is_kept for one in held):
        held.append(Held("something else that the judge saw", "see its ledger", False))
    return held


def _strangers(judged: Mapping[str, Any], brand: str) -> list[int]:
    return [line["seen"] for line in judged["buckets"] if line["brand"] != brand]


def excursions(judged: Mapping[str, Any]) -> str | None:
    """Requests that the network held up: shown, and not held against anybody."""
    late = judged["excursions"]
    return f"{late} requests were held up on their way by the network" if late else None
