"""What comes of messages, written down and told: by calls' answers, by receipts, by time."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from services.collider import domain, holds, pace
from services.collider.domain import Meaning, Outbound, Outcome, Receipt
from services.collider.store import campaigns, intake, optouts, paces, results, standings
from services.collider.store.optouts import Contact
from services.collider.store.results import AttemptKey, Ended, Message
from shared.database import Transaction
from shared.events import (
    ContactOptedIn,
    ContactOptedOut,
    MessageDelivered,
    MessageFailed,
    MessageOutcome,
    MessageSent,
    MessageUnclear,
)
from shared.rules.limits import CAUTIOUS

# What is told of a message that has come to this status.
_TELLS: dict[str, type[MessageOutcome]] = {
    "sent": MessageSent,
    "delivered": MessageDelivered,
    "failed": MessageFailed,
    "sending failed": MessageFailed,
    "campaign closed": MessageFailed,
    "unclear": MessageUnclear,
}
_STATUSES = {"accepted": "sent", "rejected": "failed", "unclear": "unclear"}
# A bucket whose texts the provider does not take in is tried again after this.
BACK_OFF = timedelta(seconds=60)

REFUSALS = Counter(
    "sluice_refusals_total",
    "Texts that the provider or the carrier did not take",
    ["org_id", "carrier", "code"],
)

log = structlog.get_logger(__name__)


async def end(tx: Transaction, ends: Sequence[Ended]) -> None:
    """Write statuses of locked messages, and tell them."""
    if not ends:
        return
    await results.write_ends(tx, ends)
    now = await tx.now()
    for one in ends:
        tells = [_TELLS[one.status]]
        if one.status == "delivered" and one.message.status != "sent":
            # The receipt was quicker than the call's answer, or an admin's "not sent" was wrong.
            tells.insert(0, MessageSent)
        tx.tell(
            *(
                event(
                    org_id=one.message.org_id,
                    campaign_id=one.message.campaign_id,
                    message_id=one.message.message_id,
                    carrier=one.message.carrier,
                    segments=one.message.segments,
                    provider_id=one.provider_id or one.message.provider_id,
                    code=one.code,
                    reason=one.reason,
                    at=now,
                )
                for event in tells
            )
        )


def attempt_key(of: Outbound | Receipt) -> AttemptKey:
    """Which attempt this speaks of."""
    return (of.org_id, of.message_id, of.attempt)


async def record_outcomes(
    tx: Transaction, provider: str, outcomes: Sequence[tuple[Outbound, Outcome]]
) -> None:
    """Write down what came of calls. Results of attempts that were fenced off change nothing."""
    if not outcomes:
        return
    locked = await results.lock_attempts(tx, [attempt_key(text) for text, _ in outcomes])
    ends: list[Ended] = []
    meanings: dict[AttemptKey, Meaning] = {}
    for text, outcome in outcomes:
        key = attempt_key(text)
        message = locked.get(key)
        # Unclear too: the lease ran out while the call was still on its way, and this is the truth.
        if message is None or domain.is_settled(message.status, message.reason, outcome.verdict):
            continue
        if outcome.code is not None and outcome.verdict in ("rejected", "not taken"):
            _count_refusal(message, outcome.code)
        if outcome.means is not None:
            meanings[key] = outcome.means
        elif outcome.verdict == "not taken":
            meanings[key] = Meaning("put back", outcome.reason)
        if outcome.verdict != "not taken" and not outcome.verdict == "unclear" == message.status:
            status = _STATUSES[outcome.verdict]
            ends.append(Ended(message, status, outcome.provider_id, outcome.code, outcome.reason))
    await end(tx, ends)
    codes = {attempt_key(text): outcome.code for text, outcome in outcomes}
    await _apply(tx, locked, meanings, codes)
    pause_s = max(outcome.pause_s for _, outcome in outcomes)
    if pause_s:
        until = await tx.now() + timedelta(seconds=pause_s)
        await results.pause_provider(tx, provider, until)


def _count_refusal(message: Message, code: str | None) -> None:
    # A code that we do not know may be any text; a label for each would never end.
    known = code if code in domain.MEANINGS else "other"
    REFUSALS.labels(message.org_id, message.carrier, known).inc()


async def record_receipts(tx: Transaction, receipts: Sequence[Receipt]) -> None:
    """Write down receipts: twice, out of order or before the call's answer, they come out the
    same, because each status says what may still follow it."""
    locked = await results.lock_attempts(tx, {attempt_key(receipt) for receipt in receipts})
    states = {
        key: domain.SETTLED if message.reason == domain.SETTLED_AS_FAILED else message.status
        for key, message in locked.items()
    }
    last: dict[AttemptKey, tuple[Receipt, Meaning]] = {}
    for receipt in receipts:
        key = attempt_key(receipt)
        if key not in states or not _is_of(receipt, locked[key]):
            continue
        means = domain.meaning(receipt)
        verdict = domain.follows(states[key], means.verdict)
        if verdict != "nothing":
            states[key] = verdict
            last[key] = (receipt, means)
    ends = []
    for key, (receipt, means) in last.items():
        if receipt.state == "failed":
            _count_refusal(locked[key], receipt.code)
        if means.verdict != "put back":
            status = "failed" if means.verdict == "opted out" else means.verdict
            ends.append(Ended(locked[key], status, receipt.provider_id, receipt.code, means.reason))
    await end(tx, ends)
    meanings = {key: means for key, (_, means) in last.items()}
    codes = {key: receipt.code for key, (receipt, _) in last.items()}
    await _apply(tx, locked, meanings, codes)


def _is_of(receipt: Receipt, message: Message) -> bool:
    """Whether it is of the message that its address names: the signature does not cover that."""
    return message.provider_id is None or receipt.provider_id in (None, message.provider_id)


async def _apply(
    tx: Transaction,
    locked: Mapping[AttemptKey, Message],
    meanings: Mapping[AttemptKey, Meaning],
    codes: Mapping[AttemptKey, str | None],
) -> None:
    """What answers and receipts mean beyond their message: for its day, bucket, lane, contact."""

    def those(wanted: str) -> list[AttemptKey]:
        return [key for key, means in meanings.items() if getattr(means, wanted)]

    if any(means.touches_bucket for means in meanings.values()):
        await campaigns.lock_buckets(tx, {locked[key].bucket for key in meanings})
    if keys := those("fills_day"):
        await results.fill_days(tx, keys)
    if keys := those("holds_lane"):
        await holds.hold(tx, {locked[key].registration: codes[key] for key in keys})
    if keys := those("rests_lane"):
        await holds.rest(tx, {locked[key].registration for key in keys})
    if keys := those("pauses_bucket"):
        buckets = {locked[key].bucket for key in keys}
        await results.pause_buckets(tx, buckets, await tx.now() + BACK_OFF)
    if keys := those("slows"):
        await _slow_down(tx, keys)
    back = [locked[key] for key, means in meanings.items() if means.verdict == "put back"]
    if back:
        await results.put_back(tx, back)
    refused = [locked[key] for key, means in meanings.items() if means.verdict == "opted out"]
    # True when the text was refused, whatever the contact has said since.
    now = await tx.now()
    await opt_out(tx, {(one.org_id, one.phone): one.claimed_at or now for one in refused})


async def _slow_down(tx: Transaction, attempts: Sequence[AttemptKey]) -> None:
    """The carrier said of these attempts: too fast. Cut the paces at which they went."""
    now = await tx.now()
    refused = await paces.refused(tx, attempts)
    buckets = {one.bucket for one in refused}
    known = await paces.read(tx, buckets)
    told = await intake.limits_of(tx, buckets)
    stands = await standings.read(tx, sorted(buckets))
    cuts = {}
    for one in refused:
        unit, limit = pace.governing(one.scope, told[one.bucket], CAUTIOUS[one.carrier])
        cost = one.mean_segments if unit.cost(one.channel, 2) == 2 else 1
        before = known.get(one.bucket, {}).get(one.scope)
        seen = cost * stands[one.bucket].handed_over(now)
        cut = pace.cut(before, limit, seen, one.claimed_at, now)
        if cut is not None:
            cuts[*one.bucket, *one.scope] = cut
            log.info(
                "slowed down",
                org_id=one.org_id,
                carrier=one.carrier,
                use_case_id=one.use_case_id,
                channel=one.channel,
                refused_per_minute=round(cut.refused),
            )
    if cuts:
        await paces.write(tx, cuts)


async def opt_out(tx: Transaction, words: Mapping[Contact, datetime], *, tell: bool = True) -> None:
    """Remember since when these contacts want no texts, and withdraw what is queued for those who
    have not come back since."""
    if not words:
        return
    fresh = await optouts.remember(tx, words)
    now = await tx.now()
    if tell:
        tx.tell(
            *(
                ContactOptedOut(org_id=org_id, phone=phone, opted_out_at=min(at, now))
                for (org_id, phone), at in sorted(words.items())
                if (org_id, phone) in fresh
            )
        )
    withdrawn = await results.lock_queued_to(tx, await intake.opted_out(tx, words))
    await end(tx, [Ended(one, "failed", reason=domain.OPTED_OUT) for one in withdrawn])


async def opt_in(tx: Transaction, words: Mapping[Contact, datetime], *, tell: bool = True) -> None:
    """Remember since when these contacts want texts again; what was withdrawn stays so."""
    if not words:
        return
    fresh = await optouts.welcome(tx, words)
    now = await tx.now()
    if tell:
        tx.tell(
            *(
                ContactOptedIn(org_id=org_id, phone=phone, opted_in_at=min(at, now))
                for (org_id, phone), at in sorted(words.items())
                if (org_id, phone) in fresh
            )
        )
