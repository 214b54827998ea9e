"""Leased rows, each with its act: done all at once, and called only while their lease lasts."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import structlog
from prometheus_client import Counter

from services.provisioner.domain import Answer, NotTaken, Refused, Unclear
from shared.database import PASSING

ACTS = Counter("sluice_provider_acts_total", "Calls to the number provider", ["act", "answer"])

Row = TypeVar("Row")
Act = TypeVar("Act")

log = structlog.get_logger(__name__)


async def all_at_once(
    claimed: Sequence[tuple[Row, Act]],
    do: Callable[[Row, Act], Awaitable[bool]],
    about: Callable[[Row], Mapping[str, object]],
) -> bool:
    """Do them; whether any is due again at once. `about`: what a log says of a row.

    A fault of ours with one is no reason to stop all others: its lease runs out, and it comes up
    again. Raises what passes by itself.
    """
    done = await asyncio.gather(*(do(row, act) for row, act in claimed), return_exceptions=True)
    for (row, act), result in zip(claimed, done, strict=True):
        if isinstance(result, PASSING) or not isinstance(result, Exception | bool):
            raise result
        if isinstance(result, Exception):
            log.error("act failed", act=type(act).__name__, exc_info=result, **about(row))
    return True in done


async def asked(
    call: Act, answer: Callable[[Act], Awaitable[Answer]], *, until_s: float
) -> Answer | None:
    """The provider's answer; None, and nobody was asked, where the lease was over by then.

    `until_s`: by the monotonic clock. A process that was frozen since its claim must not act for a
    row that somebody else has taken up since.
    """
    if time.monotonic() >= until_s:
        log.warning("lease ran out before the call", act=type(call).__name__)
        return None
    found = await answer(call)
    ACTS.labels(type(call).__name__, type(found).__name__).inc()
    if isinstance(found, NotTaken | Refused | Unclear):
        log.warning("provider", act=type(call).__name__, answer=found.reason)
    return found
