"""What is known of campaigns, and the lanes that follow from it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from asyncpg import Record

from services.collider import domain
from services.collider.domain import Campaign
from shared.database import Transaction, columns
from shared.events import (
    CampaignArchived,
    CampaignLaunched,
    CampaignPaused,
    CampaignResumed,
    NumberPurchased,
    QueueWithdrawn,
    WindowChanged,
    WindowClosed,
)
from shared.rules.hours import Hours, Window

CampaignKey = tuple[str, str]


async def learn_launches(tx: Transaction, events: Sequence[CampaignLaunched]) -> None:
    """Remember launches: write-once, but for window and hours, which a later revision may have
    changed before this came."""
    now = await tx.now()
    await tx.sql.executemany(
        """
        INSERT INTO campaigns AS known (org_id, campaign_id, use_case_id, launched_at, number)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (org_id, campaign_id) DO UPDATE
        SET use_case_id = coalesce(known.use_case_id, excluded.use_case_id),
            launched_at = coalesce(known.launched_at, excluded.launched_at),
            number = coalesce(known.number,
                              CASE WHEN NOT known.has_no_number THEN excluded.number END)
        """,
        [
            (event.org_id, event.campaign_id, event.use_case_id, now, event.number)
            for event in events
        ],
    )
    await learn_windows(tx, events)
    await learn_holds(tx, events)


async def learn_windows(
    tx: Transaction, events: Sequence[CampaignLaunched | WindowChanged]
) -> None:
    """Remember windows and hours, unless a later revision is known."""
    await tx.sql.executemany(
        """
        INSERT INTO campaigns AS known (
            org_id, campaign_id, revision,
            window_opens_at, window_closes_at, opens, closes, time_zone)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (org_id, campaign_id) DO UPDATE
        SET revision = excluded.revision,
            window_opens_at = excluded.window_opens_at,
            window_closes_at = excluded.window_closes_at,
            opens = excluded.opens, closes = excluded.closes, time_zone = excluded.time_zone
        WHERE known.revision < excluded.revision
        """,
        [
            (
                event.org_id,
                event.campaign_id,
                event.revision,
                event.window.opens_at,
                event.window.closes_at,
                event.hours.opens,
                event.hours.closes,
                event.hours.time_zone,
            )
            for event in events
        ],
    )


async def learn_holds(tx: Transaction, events: Sequence[CampaignLaunched | WindowChanged]) -> None:
    """Remember which campaigns wait for their number's provisioning, unless a later word on that
    is known: a change of the window may say nothing of it."""
    await tx.sql.executemany(
        """
        INSERT INTO campaigns AS known (
            org_id, campaign_id, hold_until_provisioned, hold_revision)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (org_id, campaign_id) DO UPDATE
        SET hold_until_provisioned = excluded.hold_until_provisioned,
            hold_revision = excluded.hold_revision
        WHERE known.hold_revision < excluded.hold_revision
        """,
        [
            (event.org_id, event.campaign_id, event.hold_until_provisioned, event.revision)
            for event in events
            if event.hold_until_provisioned is not None
        ],
    )


async def learn_closings(tx: Transaction, events: Sequence[WindowClosed]) -> None:
    """Remember that windows were said to have closed, at their revision."""
    await tx.sql.executemany(
        """
        INSERT INTO campaigns AS known (org_id, campaign_id, closed_at, closed_revision)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (org_id, campaign_id) DO UPDATE
        SET closed_at = excluded.closed_at, closed_revision = excluded.closed_revision
        WHERE known.closed_revision < excluded.closed_revision
        """,
        [(event.org_id, event.campaign_id, event.closed_at, event.revision) for event in events],
    )


async def learn_pauses(tx: Transaction, events: Sequence[CampaignPaused | CampaignResumed]) -> None:
    """Remember which campaigns are paused, unless a later word is known."""
    await tx.sql.executemany(
        """
        INSERT INTO campaigns AS known (org_id, campaign_id, paused, paused_revision)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (org_id, campaign_id) DO UPDATE
        SET paused = excluded.paused, paused_revision = excluded.paused_revision
        WHERE known.paused_revision < excluded.paused_revision
        """,
        [
            (event.org_id, event.campaign_id, isinstance(event, CampaignPaused), event.revision)
            for event in events
        ],
    )


async def learn_withdrawals(tx: Transaction, events: Sequence[QueueWithdrawn]) -> None:
    """Remember until when queued texts were withdrawn, and have them looked for."""
    sweep_until = await tx.now() + domain.CLOSING_TAIL
    await tx.sql.executemany(
        """
        INSERT INTO campaigns AS known (org_id, campaign_id, withdrawn_at, sweep_until)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (org_id, campaign_id) DO UPDATE
        SET withdrawn_at = greatest(known.withdrawn_at, excluded.withdrawn_at),
            sweep_until = excluded.sweep_until
        """,
        [(event.org_id, event.campaign_id, event.withdrawn_at, sweep_until) for event in events],
    )


async def learn_archives(tx: Transaction, events: Sequence[CampaignArchived]) -> None:
    """Remember which campaigns are over for good, and have what is left of them looked for."""
    sweep_until = await tx.now() + domain.CLOSING_TAIL
    await tx.sql.executemany(
        """
        INSERT INTO campaigns AS known (org_id, campaign_id, archived_at, sweep_until)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (org_id, campaign_id) DO UPDATE
        SET archived_at = coalesce(known.archived_at, excluded.archived_at),
            sweep_until = excluded.sweep_until
        """,
        [(event.org_id, event.campaign_id, event.archived_at, sweep_until) for event in events],
    )


async def learn_numbers(tx: Transaction, events: Sequence[NumberPurchased]) -> None:
    """Remember campaigns' numbers."""
    await tx.sql.executemany(
        """
        INSERT INTO campaigns AS known (org_id, campaign_id, number) VALUES ($1, $2, $3)
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET number = excluded.number
        """,
        [(event.org_id, event.campaign_id, event.number) for event in events],
    )


async def learn_no_numbers(tx: Transaction, keys: Collection[CampaignKey]) -> None:
    """Remember which campaigns have no number, and cannot have the one they were launched with."""
    await tx.sql.execute(
        """
        INSERT INTO campaigns AS known (org_id, campaign_id, has_no_number)
        SELECT org_id, campaign_id, true
        FROM unnest($1::text[], $2::text[]) AS told (org_id, campaign_id)
        ORDER BY org_id, campaign_id
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET number = NULL, has_no_number = true
        """,
        *columns(sorted(keys), 2),
    )


async def learn_provisioned(tx: Transaction, known: Mapping[CampaignKey, datetime]) -> None:
    """Remember since when all carriers know the numbers that were bought for these campaigns."""
    await tx.sql.execute(
        """
        INSERT INTO campaigns AS known (org_id, campaign_id, provisioned_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
            AS said (org_id, campaign_id, at) ORDER BY org_id, campaign_id
        ON CONFLICT (org_id, campaign_id) DO UPDATE
        SET provisioned_at = coalesce(known.provisioned_at, excluded.provisioned_at)
        """,
        *columns([(*key, at) for key, at in sorted(known.items())], 3),
    )


async def lock_buckets(tx: Transaction, keys: Collection[tuple[str, str]]) -> None:
    """Lock buckets (organization, carrier) for a change of what stands under them.

    In one order, and before anything under them is touched: so claims, which skip a locked bucket
    and wait for none, and changes, which do wait, cannot deadlock.
    """
    await tx.sql.execute(
        """
        SELECT FROM buckets JOIN unnest($1::text[], $2::text[]) AS key (org_id, carrier)
            USING (org_id, carrier)
        ORDER BY org_id, carrier FOR UPDATE OF buckets
        """,
        *columns(sorted(keys), 2),
    )


async def known(
    tx: Transaction, keys: Collection[CampaignKey], *, steady: bool = False
) -> dict[CampaignKey, Campaign]:
    """What is known of those of these campaigns that any fact has come of.

    With `steady` no edit can slip in before this transaction ends.
    """
    rows = await tx.sql.fetch(_KNOWN_STEADY if steady else _KNOWN, *columns(keys, 2))
    return {(row["org_id"], row["campaign_id"]): campaign_of(row) for row in rows}


_KNOWN = """
    SELECT campaigns.* FROM campaigns
    JOIN unnest($1::text[], $2::text[]) AS key (org_id, campaign_id) USING (org_id, campaign_id)
"""
_KNOWN_STEADY = """
    SELECT campaigns.* FROM campaigns
    JOIN unnest($1::text[], $2::text[]) AS key (org_id, campaign_id) USING (org_id, campaign_id)
    ORDER BY org_id, campaign_id FOR SHARE OF campaigns
"""


async def reschedule(tx: Transaction, keys: Collection[CampaignKey]) -> None:
    """Bring the lanes of these campaigns in line with what is known of them now, wake their
    buckets, and have what is left behind a window's end marked."""
    rows = await tx.sql.fetch(
        """
        SELECT campaigns.* FROM campaigns
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, campaign_id)
            USING (org_id, campaign_id)
        ORDER BY org_id, campaign_id FOR UPDATE OF campaigns
        """,
        *columns(keys, 2),
    )
    await _set_schedules(tx, [campaign_of(row) for row in rows])


async def turn_schedules(tx: Transaction, *, most: int) -> int:
    """Find the next opening of campaigns whose last has passed; how many were found."""
    rows = await tx.sql.fetch(
        """
        SELECT * FROM campaigns WHERE turn_at <= $1
        ORDER BY turn_at LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        await tx.now(),
        most,
    )
    await _set_schedules(tx, [campaign_of(row) for row in rows])
    return len(rows)


async def _set_schedules(tx: Transaction, campaigns: Sequence[Campaign]) -> None:
    if not campaigns:
        return
    await _lock_buckets_of(tx, [(one.org_id, one.campaign_id) for one in campaigns])
    now = await tx.now(afresh=True)
    lanes: list[tuple[Any, ...]] = []
    turns: list[tuple[Any, ...]] = []
    for campaign in campaigns:
        key = (campaign.org_id, campaign.campaign_id)
        initial = domain.schedule(campaign, "initial", now)
        reply = domain.schedule(campaign, "reply", now)
        for kind, one in (("initial", initial), ("reply", reply)):
            lanes.append((*key, kind, one.opens_at, one.closes_at, one.last_sendable_at))
        turn_at = domain.turn_at([initial, reply])
        turns.append((*key, turn_at, campaign.closes_at, campaign.sweep_at(now)))
    await tx.sql.execute(
        """
        UPDATE campaigns SET turn_at = new.turn_at,
            -- What is due and has not been done stays due, however long nobody was there to do it.
            close_due_at = CASE WHEN close_due_at <= $6 THEN close_due_at ELSE new.sweep_at END,
            ended_at = CASE WHEN new.closes_at > $6 THEN NULL
                            WHEN ended_at >= new.closes_at THEN ended_at ELSE $6 END
        FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[],
                    $5::timestamptz[])
            AS new (org_id, campaign_id, turn_at, closes_at, sweep_at)
        WHERE campaigns.org_id = new.org_id AND campaigns.campaign_id = new.campaign_id
        """,
        *columns(turns, 5),
        now,
    )
    await tx.sql.execute(
        """
        WITH changed AS (
            UPDATE lanes SET opens_at = new.opens_at, closes_at = new.closes_at,
                             last_sendable_at = new.last_sendable_at
            FROM unnest($1::text[], $2::text[], $3::text[],
                        $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
                AS new (org_id, campaign_id, kind, opens_at, closes_at, last_sendable_at)
            WHERE lanes.org_id = new.org_id AND lanes.campaign_id = new.campaign_id
              AND lanes.kind = new.kind
            RETURNING lanes.org_id, lanes.carrier)
        INSERT INTO wakes (org_id, carrier) SELECT DISTINCT org_id, carrier FROM changed
        """,
        *columns(lanes, 6),
    )


async def _lock_buckets_of(tx: Transaction, keys: Sequence[CampaignKey]) -> None:
    """Lock the buckets in which these campaigns have lanes."""
    await tx.sql.execute(
        """
        SELECT FROM buckets WHERE (org_id, carrier) IN (
            SELECT lanes.org_id, lanes.carrier FROM lanes
            JOIN unnest($1::text[], $2::text[]) AS key (org_id, campaign_id)
                USING (org_id, campaign_id))
        ORDER BY org_id, carrier FOR UPDATE
        """,
        *columns(keys, 2),
    )


def campaign_of(row: Record) -> Campaign:
    """The campaign in a row of its table."""
    known = row["window_opens_at"] is not None
    return Campaign(
        org_id=row["org_id"],
        campaign_id=row["campaign_id"],
        use_case_id=row["use_case_id"],
        number=row["number"],
        window=Window(row["window_opens_at"], row["window_closes_at"]) if known else None,
        hours=Hours(row["opens"], row["closes"], row["time_zone"]) if known else None,
        revision=row["revision"],
        closed_at=row["closed_at"],
        closed_revision=row["closed_revision"],
        ended_at=row["ended_at"],
        paused=row["paused"],
        hold_until_provisioned=row["hold_until_provisioned"],
        provisioned_at=row["provisioned_at"],
        withdrawn_at=row["withdrawn_at"],
        archived_at=row["archived_at"],
        sweep_until=row["sweep_until"],
    )
