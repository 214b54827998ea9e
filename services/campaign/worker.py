"""What is due: windows that have ended or may end too early, what archives, uploads and untouched
batches leave, contacts to look up, days to report, answers nobody asks for."""

import asyncio
from datetime import timedelta

from services.campaign.acts import assigning, forecasting, reporting
from services.campaign.store import (
    answers,
    digests,
    endings,
    forecasts,
    look_ups,
    senders,
    uploads,
)
from shared.database import Database
from shared.events import CarriersAsked, WindowClosed
from shared.ids import id_from

CLOSED_MOST = 100
ENDED_MOST = 5_000
IDLE_MOST = 50
TAKEN_BACK_MOST = 5_000
CLEARED_MOST = 5_000
ASKED_MOST = 10
PHONES_AN_EVENT = 500
# Far longer than an upload may stand still before its own request ends it.
STALLED = timedelta(minutes=10)
# Who has not asked again by then has given up.
ANSWERS_KEPT = timedelta(hours=24)
LOOKED_AT_EVERY = timedelta(minutes=1)
# Longer than any statement may take: a day that is being counted is nobody else's.
REPORT_LEASE = timedelta(minutes=1)


async def close_windows(database: Database) -> bool:
    """Tell of windows that have ended, once for each revision; whether there may be more."""
    async with database.transaction() as tx:
        closed = await endings.take_closed(tx, await tx.now(), most=CLOSED_MOST)
        for one in closed:
            tx.tell(
                WindowClosed(
                    org_id=one.org_id,
                    campaign_id=one.campaign_id,
                    closed_at=one.closes_at,
                    revision=one.revision,
                ),
                event_id=id_from("WindowClosed", one.org_id, one.campaign_id, str(one.revision)),
            )
    return len(closed) == CLOSED_MOST


async def end_archived(database: Database) -> bool:
    """End a bounded part of what an archived campaign never sent; whether there may be more.

    Nobody can send it since the archive: this only says so of each text.
    """
    async with database.transaction() as tx:
        now = await tx.now()
        ending = await endings.take_ending(tx, now)
        if ending is None:
            return False
        await endings.end_unsent(tx, ending, now, most=ENDED_MOST)
    return True


async def take_back(database: Database) -> bool:
    """Unassign a bounded part of what lies untouched for too long; whether there may be more."""
    async with database.transaction() as tx:
        idle = await senders.hold_overdue(tx, await tx.now(), most=IDLE_MOST)
        freed = await assigning.take_back_from(tx, None, idle, most=TAKEN_BACK_MOST)
    return len(idle) == IDLE_MOST or freed == TAKEN_BACK_MOST


async def forget_answers(database: Database) -> bool:
    """Delete answers that nobody asks for a second time any more; whether there may be more."""
    async with database.transaction() as tx:
        gone = await answers.forget(tx, await tx.now() - ANSWERS_KEPT, most=CLEARED_MOST)
    return gone == CLEARED_MOST


async def clear_uploads(database: Database) -> bool:
    """Delete a bounded part of an upload whose request died; whether there may be more."""
    async with database.transaction() as tx:
        stalled = await uploads.stalled(tx, await tx.now() - STALLED)
        if stalled is None:
            return False
        await uploads.give_up(tx, stalled, most=CLEARED_MOST)
    return True


async def ask_for_carriers(database: Database) -> bool:
    """Have the collider look up a bounded part of what lists do not say; whether there may be more.

    A phone that was told is not told again by the same look-up: what is told and how far that was
    become true together.
    """
    async with database.transaction() as tx:
        due = await look_ups.take_due(tx, await tx.now(), most=ASKED_MOST * PHONES_AN_EVENT)
        if due is None:
            return False
        org_id, phones = due
        for start in range(0, len(phones), PHONES_AN_EVENT):
            part = tuple(phones[start : start + PHONES_AN_EVENT])
            tx.tell(CarriersAsked(org_id=org_id, phones=part))
    return True


async def look_ahead(database: Database) -> bool:
    """Forecast the running campaigns of an organization that is due; whether there may be more.

    Taken, computed, written down: a forecast of a million texts must not hold a transaction open.
    """
    async with database.transaction() as tx:
        now = await tx.now()
        due = await forecasts.take_due(tx, now, now - LOOKED_AT_EVERY)
        if not due:
            return False
        material = await forecasting.gather(tx, due[0].org_id, due)
    found = await asyncio.to_thread(forecasting.look, material, [one.campaign_id for one in due])
    async with database.transaction() as tx:
        await forecasting.write_down(tx, due, found)
    return True


async def report_a_day(database: Database) -> bool:
    """Tell of a civil day that is over how its texts arrived; whether there may be more.

    Taken, counted, written down. Days that were missed while no replica was up are told one by
    one: whoever keeps them has no gap, and each says which day it is of.
    """
    async with database.transaction() as tx:
        due = await digests.take_due(tx, await tx.now(), REPORT_LEASE)
    if due is None:
        return False
    async with database.transaction() as tx:
        await reporting.report(tx, due)
    return True
