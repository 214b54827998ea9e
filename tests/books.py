"""The collider's three ledgers held against each other: the texts it accepted, the events it told,
and the requests that the sandbox saw. What comes back is what is wrong, in words."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from asyncpg import Record

from services.collider.domain import SETTLED_AS_FAILED
from services.sandbox.domain import MAY_GO_AGAIN
from services.sandbox.hours import PromisedHours
from services.sandbox.judge import Entry
from services.sandbox.minutes import day_of
from shared.events import (
    MessageDelivered,
    MessageFailed,
    MessageOutcome,
    MessageQueued,
    MessageSent,
    MessageUnclear,
)
from shared.rules.meters import SPREAD_S
from tests.engine import Engine

GRACE = timedelta(seconds=1)
"""An edit holds within a second."""
SPREAD = timedelta(seconds=SPREAD_S)
TICK = timedelta(microseconds=1)

Key = tuple[str, str]
"""Organization and message, campaign or phone."""

FINAL = {"sent", "delivered", "sending failed", "campaign closed", "failed", "unclear"}
# As the ledger writes them: too fast for the account, the day used up, the number not ready.
_NOT_TAKEN = {"429", "403", "40305"}
_FAILED = {"sending failed", "campaign closed", "failed"}


@dataclass
class Switch:
    """Something that is on or off since an instant: a pause, an opt-out."""

    turns: list[tuple[datetime, bool]] = field(default_factory=list)

    def turn(self, at: datetime, on: bool) -> None:
        self.turns.append((at, on))

    def forbids(self, at: datetime) -> bool:
        """Whether it was on already when this instant began: the last look before a call sees it,
        and a call that had been started by then has arrived by then."""
        before = [on for when, on in self.turns if when < at]
        recent = [on for when, on in self.turns if when == at]
        return bool(before) and before[-1] and all(recent)


@dataclass
class Said:
    """What was told to the collider, and when: what its doings are held against."""

    accepted: dict[Key, MessageQueued] = field(default_factory=dict)
    accepted_at: dict[Key, datetime] = field(default_factory=dict)
    promised: dict[str, list[tuple[datetime, PromisedHours]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By number."""
    paused: dict[Key, Switch] = field(default_factory=lambda: defaultdict(Switch))
    held: dict[Key, Switch] = field(default_factory=lambda: defaultdict(Switch))
    """By campaign: until its number is provisioned."""
    opted_out: dict[Key, Switch] = field(default_factory=lambda: defaultdict(Switch))
    withdrawn: dict[Key, list[tuple[datetime, datetime]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By campaign: when it was told, and up to when what was queued is not to go."""

    def trespasses(self, entry: Entry) -> Iterator[str]:
        """What an arrival at the provider should not have been, besides what the judge knows."""
        if entry.message is None:
            yield f"a request without a receipt address: {entry.line()}"
            return
        text, at = self.accepted.get(entry.message), entry.arrived_at
        if text is None:
            yield f"never queued: {entry.line()}"
            return
        campaign = (text.org_id, text.campaign_id)
        if self.paused[campaign].forbids(at):
            yield f"its campaign is paused: {entry.line()}"
        if self.held[campaign].forbids(at):
            yield f"its campaign waits for its number's provisioning: {entry.line()}"
        if self.opted_out[text.org_id, text.to].forbids(at):
            yield f"its contact has opted out: {entry.line()}"
        if any(
            told_at <= at - GRACE and text.queued_at <= by
            for told_at, by in self.withdrawn[campaign]
        ):
            yield f"it was withdrawn: {entry.line()}"
        if not self._has_time_left(entry):
            yield f"it started in the last moments before a close: {entry.line()}"

    def _has_time_left(self, entry: Entry) -> bool:
        """Whether a call that starts now may take a spread to arrive, by hours in force within the
        last second."""
        at, told = entry.arrived_at, self.promised[entry.text.number]
        if not told:
            return True
        ends = [since for since, _ in told[1:]] + [None]
        in_force = [
            hours
            for (since, hours), end in zip(told, ends, strict=True)
            if since <= at and (end is None or end > at - GRACE)
        ]
        return any(
            hours.allow(entry.kind, at) and hours.allow(entry.kind, at + SPREAD - TICK)
            for hours in in_force
        )


async def losses(engine: Engine, said: Said) -> list[str]:
    """I1: each accepted text is in one final status, and what was told agrees with it."""
    rows = {(row["org_id"], row["message_id"]): row for row in await _messages(engine)}
    told: dict[Key, Counter[type[MessageOutcome]]] = defaultdict(Counter)
    for kind in (MessageSent, MessageDelivered, MessageFailed, MessageUnclear):
        for event in engine.told(kind):
            told[event.org_id, event.message_id][kind] += 1
    found = [f"not recorded: {key}" for key in said.accepted.keys() - rows.keys()]
    found += [f"never accepted: {key}" for key in rows.keys() - said.accepted.keys()]
    for key, row in rows.items():
        status, of = row["status"], told[key]
        if status not in FINAL:
            found.append(f"ends as {status}: {dict(row)}")
        elif not _agrees(status, row["attempt"], of):
            counts = {kind.__name__: count for kind, count in of.items()}
            found.append(f"{status} at attempt {row['attempt']}, but told {counts}: {dict(row)}")
    return found


def _agrees(status: str, attempts: int, told: Mapping[type[MessageOutcome], int]) -> bool:
    sent, delivered = told.get(MessageSent, 0), told.get(MessageDelivered, 0)
    failed, unclear = told.get(MessageFailed, 0), told.get(MessageUnclear, 0)
    return (
        sent <= attempts
        and unclear <= attempts
        and delivered == (status == "delivered")
        and failed == (status in _FAILED)
        and (sent > 0 or status not in ("sent", "delivered"))
        and (unclear > 0 or status != "unclear")
    )


# What is spent of the days around now stands with the bucket; of days that are over, and what was
# given back, beside it.
_QUOTAS = """
    SELECT org_id, carrier, use_case_id, day, sum(spent) AS spent, sum(given_back) AS given_back
    FROM (
        SELECT org_id, carrier, use_case_id, day, spent, given_back FROM day_quotas
        UNION ALL
        SELECT org_id, carrier, one->>0, (one->>1)::date, (one->>2)::int, 0
        FROM standings CROSS JOIN LATERAL jsonb_array_elements(spent) AS one) AS entry
    GROUP BY org_id, carrier, use_case_id, day
"""


async def imbalances(engine: Engine, said: Said) -> list[str]:
    """I6: what each day was charged and not given back is what went, or may have gone, on it."""
    last: dict[Key, Entry] = {}
    for entry in engine.world.judge.page(0, 10**9):
        if entry.message is not None:
            last[entry.message] = entry
    used: Counter[tuple[Any, ...]] = Counter()
    found = []
    for row in await _messages(engine):
        if not _is_charged(row, last.get((row["org_id"], row["message_id"]))):
            continue
        bucket = (row["org_id"], row["carrier"])
        used[(*bucket, "", row["quota_day"])] += row["segments"]
        used[(*bucket, row["use_case_id"], row["use_case_quota_day"])] += row["segments"]
    async with engine.database.connection() as connection:
        quotas = await connection.fetch(_QUOTAS)
    for quota in quotas:
        key = (quota["org_id"], quota["carrier"], quota["use_case_id"], quota["day"])
        if quota["spent"] - quota["given_back"] != used.pop(key, 0):
            found.append(f"{dict(quota)}, but used otherwise: {key}")
    found += [f"{count} used and not charged: {key}" for key, count in used.items() if count]
    return found


def _is_charged(row: Record, entry: Entry | None) -> bool:
    """Whether the text's last attempt has to stand in the books."""
    if row["status"] in ("claimed", "calling", "sent", "delivered", "unclear"):
        return True
    if row["reason"] == SETTLED_AS_FAILED:
        # By hand: nobody knows for sure.
        return True
    if row["status"] != "failed" or entry is None or entry.attempt != str(row["attempt"]):
        # It waited when it ended: whatever it was charged has been given back.
        return False
    return entry.receipt_code not in MAY_GO_AGAIN and entry.code not in _NOT_TAKEN


async def misdated(engine: Engine, zone: str) -> list[str]:
    """Texts that arrived on another day than the one that they were charged to."""
    rows = {(row["org_id"], row["message_id"]): row for row in await _messages(engine)}
    return [
        f"charged to {row['quota_day']}: {entry.line()}"
        for entry in engine.world.judge.page(0, 10**9)
        if entry.message is not None
        and (row := rows[entry.message])["attempt"] == int(entry.attempt or 0)
        and row["quota_day"] != day_of(entry.arrived_at, zone)
    ]


async def _messages(engine: Engine) -> list[Record]:
    async with engine.database.connection() as connection:
        return await connection.fetch(
            "SELECT messages.*, campaigns.use_case_id FROM messages "
            "LEFT JOIN campaigns USING (org_id, campaign_id)"
        )
