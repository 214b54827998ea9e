"""The judge: a ledger of every send request that arrived, and the verdict on it. Pure.

In-process use, for tests with a manual clock (times are aware UTC and never go back)::

    judge = Judge()
    judge.tell_limit(at, "acme", "att", Limit(sms_per_minute=75))
    judge.tell_hours(at, "+12125550100", PromisedHours(...))
    entry = judge.record(at, submission, message=("org", "message-id"), attempt="1")
    judge.note_receipt(entry, at, "delivery_failed", "40018")
    judge.verdict()["ok"]

What it holds against the senders:

- over: more than the limit in any half-open 60 s, or in a carrier's civil day. Every request
  that the provider took counts, those that the carrier then refused too: the promise is about
  what is handed over. Requests that the network held up for longer than the behaviour's
  `excursion_over_ms` are excursions: shown, counted in `peak_60s`, not in `peak_60s_in_time`,
  and it is the latter that is judged. A text refused before the day's quota was touched
  (minute limit, not registered) does not count to the day.
- doubles: a message id that is seen again, unless the earlier request was surely refused, or
  its receipt already said that a limit or a missing registration stopped it.
- numbers: more of them put on one use case than the carriers allow; see `holdings`.
- outside hours: an arrival that the number's promised hours do not allow. Hours first told late
  bind what has already arrived; edited hours bind from the edit + 1 s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from services.sandbox.domain import (
    CARRIERS,
    MAY_GO_AGAIN,
    SPENDS_NO_DAY,
    Carrier,
    Channel,
    Kind,
    Limit,
    Submission,
    Unit,
    from_micros,
    iso,
    micros,
)
from services.sandbox.holdings import Holdings
from services.sandbox.hours import PromisedHours
from services.sandbox.minutes import GRACE_US, BoundPeak, DayCount, day_of

Answer = Literal["accepted", "refused", "unclear"]
MessageKey = tuple[str, str]
"""Organization id and message id, as the sender's receipt address names them."""

_Scope = tuple[str, Carrier, str | None]

SHOWN = 50
"""At most so many doubles and arrivals outside of hours are listed; the counts are whole."""


@dataclass(slots=True)
class Entry:
    """One send request. `n` is its place in the ledger, from 1.

    answer: accepted (2xx went out), refused (an answer that surely means "not taken"), unclear
    (a fault instead of an answer). taken: whether the provider has the message.
    """

    n: int
    arrived_at: datetime
    text: Submission
    message: MessageKey | None
    attempt: str | None
    kind: Kind
    answer: Answer
    taken: bool
    code: str | None
    provider_id: str | None
    receipt_status: str | None = None
    receipt_code: str | None = None
    receipt_at: datetime | None = None

    def line(self) -> dict[str, object]:
        """The entry as JSON."""
        org_id, message_id = self.message or (None, None)
        receipt = {
            "status": self.receipt_status,
            "code": self.receipt_code,
            "at": iso(self.receipt_at),
        }
        return {
            "n": self.n,
            "org_id": org_id,
            "message_id": message_id,
            "attempt": self.attempt,
            "provider_id": self.provider_id,
            "from": self.text.number,
            "to": self.text.phone,
            "carrier": self.text.carrier,
            "brand": self.text.brand,
            "use_case": self.text.use_case,
            "channel": self.text.channel,
            "kind": self.kind,
            "segments": self.text.segments,
            "arrived_at": iso(self.arrived_at),
            "answer": self.answer,
            "taken": self.taken,
            "code": self.code,
            "receipt": receipt if self.receipt_status else None,
        }


class _Bucket:
    """One minute limit's count: brand and carrier, or use case and carrier, for one channel."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.limit: int | None = None
        self.all = BoundPeak()
        self.in_time = BoundPeak()
        self.seen = self.segments = self.excursions = 0

    def tell(self, at_us: int, limit: int | None, unit: Unit) -> None:
        if unit != self.unit:
            # Counts in one unit say nothing about a limit in the other: the meter starts anew.
            self.unit, self.all, self.in_time = unit, BoundPeak(), BoundPeak()
        self.limit = limit
        self.in_time.tell(at_us, limit)

    def add(self, at_us: int, text: Submission, late: bool) -> None:
        self.seen += 1
        self.segments += text.segments
        cost = text.cost(self.unit)
        self.all.add(at_us, cost)
        if late:
            self.excursions += 1
        else:
            self.in_time.add(at_us, cost)

    def line(self, scope: _Scope, channel: Channel) -> dict[str, object]:
        brand, carrier, use_case = scope
        peak_us, worst = self.all.peak_us, self.in_time.worst
        return {
            "brand": brand,
            "carrier": carrier,
            "use_case": use_case,
            "channel": channel,
            "unit": self.unit if channel == "sms" else "message",
            "limit": self.limit,
            "peak_60s": self.all.peak,
            "peak_60s_in_time": self.in_time.peak,
            "peak_at": None if peak_us is None else iso(from_micros(peak_us)),
            "over": self.in_time.over,
            "worst": worst
            and {"count": worst[0], "limit": worst[1], "at": iso(from_micros(worst[2]))},
            "seen": self.seen,
            "segments": self.segments,
            "excursions": self.excursions,
        }


class Judge:
    """The ledger and the verdict; see the module's text for its use and its rules."""

    def __init__(self) -> None:
        self._limits: dict[_Scope, Limit] = {}
        self._hours: dict[str, list[tuple[int, PromisedHours]]] = {}
        self.holdings = Holdings()
        self._empty()

    def _empty(self) -> None:
        self._entries: list[Entry] = []
        self._buckets: dict[tuple[_Scope, Channel], _Bucket] = {}
        self._days: dict[tuple[_Scope, date], DayCount] = {}
        self._open: dict[MessageKey, Entry] = {}
        self._doubles: list[tuple[Entry, Entry]] = []
        self._outside: list[Entry] = []
        self._receipts: Counter[tuple[Carrier, str]] = Counter()
        self._answers: Counter[tuple[Carrier, Answer]] = Counter()
        self._segments: Counter[Carrier] = Counter()
        self._excursions = self._unnamed = 0

    def reset(self, at: datetime) -> None:
        """Forget the ledger; limits and promised hours stay as last told."""
        self._empty()
        self.holdings.reset()
        self._hours = {number: told[-1:] for number, told in self._hours.items()}
        for (brand, carrier, use_case), limit in list(self._limits.items()):
            self.tell_limit(at, brand, carrier, limit, use_case)

    def tell_limit(
        self,
        at: datetime,
        brand: str,
        carrier: Carrier,
        limit: Limit,
        use_case: str | None = None,
    ) -> None:
        """A limit from `at` on. Lowered, it binds 1 s later; the first one binds the past too."""
        scope: _Scope = (brand, carrier, use_case)
        self._limits[scope] = limit
        at_us = micros(at)
        self._bucket(scope, "sms").tell(at_us, limit.sms_per_minute, limit.sms_unit)
        self._bucket(scope, "mms").tell(at_us, limit.mms_per_minute, "message")
        day = self._days.get((scope, day_of(at, limit.day_zone)))
        if day is not None:
            day.tell(at_us, limit.segments_per_day)

    def tell_hours(self, at: datetime, number: str, hours: PromisedHours) -> None:
        """The hours that this number's campaign promises, from `at` on."""
        told = self._hours.setdefault(number, [])
        told.append((micros(at), hours))
        if len(told) == 1:
            mine = [entry for entry in self._entries if entry.text.number == number]
            self._outside += [entry for entry in mine if self._is_outside(entry)]

    def record(
        self,
        at: datetime,
        text: Submission,
        *,
        message: MessageKey | None = None,
        attempt: str | None = None,
        kind: Kind = "initial",
        answer: Answer = "accepted",
        taken: bool = True,
        code: str | None = None,
        carrier_code: str | None = None,
        provider_id: str | None = None,
        late: bool = False,
    ) -> Entry:
        """Write down one request. `code` is the provider's own refusal, `carrier_code` the one
        that the carrier's receipt will bring; `late` makes it an excursion."""
        entry = Entry(
            len(self._entries) + 1,
            at,
            text,
            message,
            attempt,
            kind,
            answer,
            taken,
            code,
            provider_id,
        )
        self._entries.append(entry)
        self._answers[(text.carrier, answer)] += 1
        self._look_for_double(entry)
        if taken:
            self._excursions += late
            self._count(entry, late, carrier_code not in SPENDS_NO_DAY)
            if self._is_outside(entry):
                self._outside.append(entry)
        return entry

    def note_receipt(self, entry: Entry, at: datetime, status: str, code: str | None) -> None:
        """The final receipt that goes out for an entry: Telnyx status and error code."""
        if entry.n > len(self._entries) or self._entries[entry.n - 1] is not entry:
            return  # sent before the last reset
        entry.receipt_status, entry.receipt_code, entry.receipt_at = status, code, at
        self._receipts[(entry.text.carrier, code or status)] += 1

    def page(self, after: int, limit: int) -> Sequence[Entry]:
        """Entries from number `after` + 1 on, at most `limit`."""
        return self._entries[max(after, 0) : max(after, 0) + limit]

    def verdict(self) -> dict[str, object]:
        """All of it as JSON; `ok` is false at the first thing that should not have been."""
        buckets = [
            bucket.line(scope, channel)
            for (scope, channel), bucket in sorted(self._buckets.items(), key=_in_order)
            if bucket.seen or bucket.limit is not None
        ]
        days = [
            self._day_line(scope, day, count)
            for (scope, day), count in sorted(self._days.items(), key=_in_order)
        ]
        over = any(line["over"] for line in [*buckets, *days])
        return {
            "ok": not (over or self._doubles or self._outside or self.holdings.is_over),
            "messages": len(self._entries),
            "buckets": buckets,
            "days": days,
            "use_cases": self.holdings.lines(),
            "doubles": {
                "count": len(self._doubles),
                "shown": [
                    {"first": first.line(), "again": again.line()}
                    for first, again in self._doubles[:SHOWN]
                ],
            },
            "outside_hours": {
                "count": len(self._outside),
                "shown": [entry.line() for entry in self._outside[:SHOWN]],
            },
            "excursions": self._excursions,
            "unnamed": self._unnamed,
            "carriers": {carrier: self._totals(carrier) for carrier in CARRIERS},
        }

    def _day_line(self, scope: _Scope, day: date, count: DayCount) -> dict[str, object]:
        brand, carrier, use_case = scope
        return {
            "brand": brand,
            "carrier": carrier,
            "use_case": use_case,
            "day": day.isoformat(),
            "limit": count.limit,
            "segments": count.segments,
            "over": count.over,
        }

    def _totals(self, carrier: Carrier) -> dict[str, object]:
        accepted, unclear = (self._answers[(carrier, a)] for a in ("accepted", "unclear"))
        refused = self._answers[(carrier, "refused")]
        receipts = {key: n for (of, key), n in sorted(self._receipts.items()) if of == carrier}
        return {
            "seen": accepted + unclear + refused,
            "accepted": accepted,
            "unclear": unclear,
            "refused": refused,
            "segments": self._segments[carrier],
            "receipts": receipts,
        }

    def _count(self, entry: Entry, late: bool, spends_day: bool) -> None:
        text, at_us = entry.text, micros(entry.arrived_at)
        self._segments[text.carrier] += text.segments
        of_brand: _Scope = (text.brand, text.carrier, None)
        of_use_case: _Scope = (text.brand, text.carrier, text.use_case)
        self._bucket(of_brand, text.channel).add(at_us, text, late)
        scopes = [of_brand]
        if text.use_case is not None and of_use_case in self._limits:
            self._bucket(of_use_case, text.channel).add(at_us, text, late)
            scopes.append(of_use_case)
        for scope in scopes:
            limit = self._limits.get(scope)
            if spends_day and limit is not None and limit.segments_per_day is not None:
                key = (scope, day_of(entry.arrived_at, limit.day_zone))
                day = self._days.get(key)
                if day is None:
                    day = self._days[key] = DayCount(limit.segments_per_day)
                day.add(at_us, text.segments)

    def _bucket(self, scope: _Scope, channel: Channel) -> _Bucket:
        bucket = self._buckets.get((scope, channel))
        if bucket is None:
            bucket = self._buckets[(scope, channel)] = _Bucket(
                "segment" if channel == "sms" else "message"
            )
        return bucket

    def _look_for_double(self, entry: Entry) -> None:
        if entry.message is None:
            self._unnamed += 1
            return
        before = self._open.get(entry.message)
        if before is not None and before.receipt_code not in MAY_GO_AGAIN:
            self._doubles.append((before, entry))
        if entry.answer != "refused":
            self._open[entry.message] = entry

    def _is_outside(self, entry: Entry) -> bool:
        told = self._hours.get(entry.text.number)
        if told is None or not entry.taken:
            return False
        if len(told) == 1:
            return not told[0][1].allow(entry.kind, entry.arrived_at)
        at_us = micros(entry.arrived_at)
        ends = [since_us for since_us, _ in told[1:]]
        in_force = [
            hours
            for (since_us, hours), end_us in zip(told, [*ends, None], strict=True)
            if since_us <= at_us and (end_us is None or end_us > at_us - GRACE_US)
        ]
        return not any(hours.allow(entry.kind, entry.arrived_at) for hours in in_force)


def _in_order(item: tuple[tuple[_Scope, object], object]) -> tuple[str, ...]:
    (brand, carrier, use_case), other = item[0]
    return brand, carrier, use_case or "", str(other)
