"""How fast a use case goes once its carrier has said "too fast": a cut, then a recovery.

Nobody tells us when an admin has set a limit higher than the carrier's own, or where that is: only
that a text was refused. So the pace at which it went is remembered, and

- what follows goes at CUT of that pace, after a rest that lets the carrier's sliding minute drain
  from the old pace to the new one;
- it comes back quickly to PLATEAU of the pace that was refused, where the carrier's limit is not
  far, and flattens out there;
- from there on it feels its way up, slowly at first, and the quicker the longer nobody complains:
  the refusal may have been for a passing reason, or from so low a pace that a per cent a minute
  would take all day.

At a carrier that takes 300 a minute this swings between 85 and 101 % of it in some six minutes:
94 % is used, and refused is what goes between a refusal and its receipt (less than 1 in 100).
The constants are not delicate: a CUT of 0.9 uses 1.5 % more and 0.8 as much less; half the PROBE
uses 1 % more, but takes twice as long to come back after a refusal for a passing reason.
`tests/unit/test_collider_pace.py` holds it against carriers that count every minute.

Paces are in the unit of the limit that governs: segments or messages a minute.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.rules.limits import ORGANIZATION, Limits, applying
from shared.rules.segments import Channel

CUT = 0.85
# Refused again soon after the rest: that was not enough by far, and each try costs a receipt's way.
CUT_AGAIN = 0.85
SOON = timedelta(seconds=60)
PLATEAU = 0.97
PLATEAU_AFTER_MIN = 3.0
# A per cent a minute at first; the quadratic part doubles that after five minutes.
PROBE_A_MINUTE = 0.01
PROBE_A_SQUARE_MINUTE = 0.001
# Where there is no limit to come back to, this many times what was refused is enough.
RECOVERED = 10.0
# And where nobody knows how fast it went: what every carrier takes from all but the smallest.
GUESS_LEAST = 60.0

PaceKey = tuple[str, Channel]
"""Use case and channel: AT&T's limits are a use case's, with a minute for each channel."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace (a minute) at which a carrier refused texts, and when the rest after that begins to
    count: when it was learnt, or a little later."""

    refused: float
    cut_at: datetime


def imposed(pace: Pace, now: datetime) -> float:
    """How many a minute may go, at this time after the cut."""
    minutes = max(0.0, (now - pace.cut_at).total_seconds()) / 60
    if minutes < PLATEAU_AFTER_MIN:
        missing = 1 - minutes / PLATEAU_AFTER_MIN
        share = PLATEAU - (PLATEAU - CUT) * missing**2
    else:
        beyond = minutes - PLATEAU_AFTER_MIN
        share = PLATEAU + PROBE_A_MINUTE * beyond + PROBE_A_SQUARE_MINUTE * beyond**2
    return max(1.0, share * pace.refused)


def rests_until(pace: Pace) -> datetime:
    """When the carrier's minute, which has seen the old pace, holds no more than the new one."""
    kept = imposed(pace, pace.cut_at) / max(1.0, pace.refused)
    return pace.cut_at + timedelta(seconds=60 * max(0.0, 1 - kept))


def resting(paces: Mapping[PaceKey, Pace], now: datetime) -> dict[PaceKey, datetime]:
    """Use cases that rest after a cut, by channel, and until when."""
    ends = {key: rests_until(pace) for key, pace in paces.items()}
    return {key: at for key, at in ends.items() if now < at}


def cut(
    known: Pace | None, limit: int | None, seen: float, claimed_at: datetime, now: datetime
) -> Pace | None:
    """The pace after the carrier refused a text that was claimed then; None: nothing changes.

    `limit` is the lowest cap a minute that somebody told, `seen` what was handed over in the last
    minute, for where there is none. What was claimed before the last cut, or in its rest, went at
    a pace that has been cut already.
    """
    going = max(seen, GUESS_LEAST) if limit is None else float(limit)
    since = now
    if known is not None:
        rested_at = rests_until(known)
        if claimed_at < rested_at:
            return None
        again = CUT_AGAIN if claimed_at - rested_at < SOON else 1.0
        slower = again * imposed(known, claimed_at)
        going = slower if limit is None else min(going, slower)
    elif limit is None:
        # It may have gone all at once: the carrier's minute is full until it is over.
        since += timedelta(seconds=60 * CUT)
    return Pace(max(1.0, going), since)


def governing(
    key: PaceKey, told: Mapping[str, Limits], default: Limits
) -> tuple[Limits, int | None]:
    """The limits whose unit counts for a use case, and the lowest cap a minute among its and its
    organization's."""
    use_case_id, channel = key
    both = applying(use_case_id, told, default)
    caps = [cap for one in both if (cap := one.per_minute(channel)) is not None]
    return both[-1], min(caps, default=None)


def slowed(
    told: Mapping[str, Limits], default: Limits, paces: Mapping[PaceKey, Pace], now: datetime
) -> Mapping[str, Limits]:
    """The limits with the paces that are imposed in them, as limits of their use cases."""
    result = dict(told)
    for key in _below_limits(told, default, paces, now):
        use_case_id, channel = key
        unit, _ = governing(key, told, default)
        own = result.get(use_case_id) or Limits(
            use_case_id, None, unit.sms_unit, None, None, unit.day_zone
        )
        # The default holds only where nobody told anything: next to a pace it has to stand itself.
        if use_case_id not in told and ORGANIZATION not in told:
            result[ORGANIZATION] = default
        per_minute = int(imposed(paces[key], now))
        result[use_case_id] = (
            replace(own, sms_per_minute=per_minute, sms_cost_most=per_minute)
            if channel == "sms"
            else replace(own, mms_per_minute=per_minute)
        )
    return result


def over(
    told: Mapping[str, Limits], default: Limits, paces: Mapping[PaceKey, Pace], now: datetime
) -> set[PaceKey]:
    """Paces that are imposed no longer, since their limit is reached again."""
    return paces.keys() - set(_below_limits(told, default, paces, now))


def _below_limits(
    told: Mapping[str, Limits], default: Limits, paces: Mapping[PaceKey, Pace], now: datetime
) -> Iterator[PaceKey]:
    for key, pace in paces.items():
        _, limit = governing(key, told, default)
        if imposed(pace, now) < (RECOVERED * pace.refused if limit is None else limit):
            yield key
