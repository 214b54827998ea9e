"""The daily digest of deliverability: how a civil day's texts arrived, told once."""

from collections.abc import Sequence

from asyncpg import Record

from services.campaign.rules.digests import day_after, day_of, due_at
from services.campaign.store import digests
from services.campaign.store.digests import Due
from shared.database import Transaction
from shared.events import CarrierDeliverability, DeliverabilityReported, FailureCount
from shared.ids import id_from

_CARRIERS = ("att", "tmobile", "verizon", "other")


async def report(tx: Transaction, due: Due) -> None:
    """Tell how the day's texts arrived, if any went; the day after is next.

    Counted first, which may take seconds: what is held is held for the last statement alone.
    """
    found = await digests.counts(tx, due.org_id, day_of(due.time_zone, due.day))
    following = day_after(due.time_zone, due.day)
    is_ours = await digests.done(
        tx, due, next_day=following, due_at=due_at(due.time_zone, following)
    )
    if found and is_ours:
        report_id = id_from("DeliverabilityReported", due.org_id, due.day.isoformat())
        tx.tell(
            DeliverabilityReported(
                org_id=due.org_id,
                report_id=report_id,
                day=due.day,
                time_zone=due.time_zone,
                carriers=_carriers(found),
                failures=_failures(found),
                reported_at=await tx.now(),
            ),
            event_id=report_id,
        )


def _carriers(found: Sequence[Record]) -> tuple[CarrierDeliverability, ...]:
    by_carrier = {row["carrier"]: row for row in found if row["reason"] is None}
    return tuple(
        CarrierDeliverability(
            carrier=row["carrier"],
            sent=row["texts"],
            delivered=row["delivered"],
            undelivered=row["undelivered"],
            unclear=row["unclear"],
        )
        for row in (by_carrier[name] for name in _CARRIERS if name in by_carrier)
    )


def _failures(found: Sequence[Record]) -> tuple[FailureCount, ...]:
    rows = [row for row in found if row["reason"] is not None]
    rows.sort(key=lambda row: (-row["texts"], row["carrier"], row["code"]))
    return tuple(
        FailureCount(
            carrier=row["carrier"], code=row["code"], reason=row["reason"], texts=row["texts"]
        )
        for row in rows
    )
