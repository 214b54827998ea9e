"""What each carrier says to one text at one moment. Pure: every time is an argument.

In-process use, for tests with a manual clock::

    carriers = Carriers()
    carriers.tell("acme", "att", Limit(sms_per_minute=75))
    code = carriers.answer(at, submission)      # None: taken; else a Telnyx error code

A limit is told for a brand and carrier, or for one use case (10DLC campaign) of the brand as
well; a text must fit all that apply and then spends all of them. A text that a carrier turns
away spends nothing, as with the real ones. The rules (see the carrier facts):

- minute limits slide over half-open 60 s; SMS in segments or messages, MMS apart, in messages;
- the day quota counts SMS segments and MMS messages together over a civil day of its zone;
- a number that no use case holds is refused by all (`40010`), one that this carrier has not
  confirmed by that carrier (AT&T: `40019`), if the behaviour says that carriers refuse at all:
  real ones mostly filter in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from services.sandbox.domain import (
    ATT_RATE_EXCEEDED,
    ATT_UNREGISTERED,
    DAY_SPENT,
    RATE_EXCEEDED,
    UNREGISTERED,
    Carrier,
    Channel,
    Limit,
    Registration,
    Submission,
    micros,
)
from services.sandbox.minutes import SlidingMinute, day_of

_Scope = tuple[str, Carrier, str | None]
"""Brand, carrier, use case (None: the brand as a whole)."""


class Carriers:
    """All carriers at once, with the limits they were told and what they have let through."""

    def __init__(self) -> None:
        self._limits: dict[_Scope, Limit] = {}
        self._minutes: dict[tuple[_Scope, Channel, str], SlidingMinute] = {}
        self._days: dict[tuple[_Scope, date], int] = {}

    def tell(self, brand: str, carrier: Carrier, limit: Limit, use_case: str | None = None) -> None:
        """This carrier's whole limits for a brand, or for one use case of it, from now on."""
        self._limits[(brand, carrier, use_case)] = limit

    def limits(self) -> Iterator[tuple[str, Carrier, str | None, Limit]]:
        """Every limit as last told: brand, carrier, use case, limit."""
        for (brand, carrier, use_case), limit in self._limits.items():
            yield brand, carrier, use_case, limit

    def answer(
        self, at: datetime, text: Submission, registration: Registration = "confirmed"
    ) -> str | None:
        """The code with which the carrier refuses the text at `at`, or None: it goes through."""
        if registration != "confirmed":
            on_att = registration == "pending" and text.carrier == "att"
            return ATT_UNREGISTERED if on_att else UNREGISTERED
        at_us = micros(at)
        scopes = self._scopes(text)
        if any(self._day_is_full(at, scope, limit, text) for scope, limit in scopes):
            return DAY_SPENT
        if any(self._minute_is_full(at_us, scope, limit, text) for scope, limit in scopes):
            return ATT_RATE_EXCEEDED if text.carrier == "att" else RATE_EXCEEDED
        for scope, limit in scopes:
            self._spend(at, at_us, scope, limit, text)
        return None

    def _scopes(self, text: Submission) -> list[tuple[_Scope, Limit]]:
        of_brand: _Scope = (text.brand, text.carrier, None)
        of_use_case: _Scope = (text.brand, text.carrier, text.use_case)
        wanted = [of_brand] if text.use_case is None else [of_brand, of_use_case]
        return [(scope, self._limits[scope]) for scope in wanted if scope in self._limits]

    def _day_is_full(self, at: datetime, scope: _Scope, limit: Limit, text: Submission) -> bool:
        if limit.segments_per_day is None:
            return False
        spent = self._days.get((scope, day_of(at, limit.day_zone)), 0)
        spent += limit.used_elsewhere_per_day
        return spent + text.segments > limit.segments_per_day

    def _minute_is_full(self, at_us: int, scope: _Scope, limit: Limit, text: Submission) -> bool:
        allowed = limit.sms_per_minute if text.channel == "sms" else limit.mms_per_minute
        if allowed is None:
            return False
        seen = self._minute(scope, text.channel, limit).total(at_us)
        return seen + text.cost(limit.sms_unit) > allowed

    def _minute(self, scope: _Scope, channel: Channel, limit: Limit) -> SlidingMinute:
        key = (scope, channel, limit.sms_unit)
        minute = self._minutes.get(key)
        if minute is None:
            minute = self._minutes[key] = SlidingMinute()
        return minute

    def _spend(
        self, at: datetime, at_us: int, scope: _Scope, limit: Limit, text: Submission
    ) -> None:
        allowed = limit.sms_per_minute if text.channel == "sms" else limit.mms_per_minute
        if allowed is not None:
            self._minute(scope, text.channel, limit).add(at_us, text.cost(limit.sms_unit))
        if limit.segments_per_day is not None:
            day = (scope, day_of(at, limit.day_zone))
            self._days[day] = self._days.get(day, 0) + text.segments
