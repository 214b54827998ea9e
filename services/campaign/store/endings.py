"""Windows that end, and campaigns that are over for good."""

from dataclasses import dataclass
from datetime import datetime

from services.campaign.domain import RANKS, Campaign
from shared.database import Transaction


@dataclass(frozen=True, slots=True)
class Closing:
    """A campaign whose window has ended at this revision."""

    org_id: str
    campaign_id: str
    closes_at: datetime
    revision: int


async def take_closed(tx: Transaction, now: datetime, *, most: int) -> list[Closing]:
    """Campaigns whose end has come since it was last told; they are not due any more."""
    rows = await tx.sql.fetch(
        """
        WITH due AS MATERIALIZED (
            SELECT org_id, campaign_id FROM campaigns WHERE close_due_at <= $1
            ORDER BY close_due_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
        UPDATE campaigns AS c SET close_due_at = NULL
        FROM due WHERE c.org_id = due.org_id AND c.campaign_id = due.campaign_id
        RETURNING c.org_id, c.campaign_id, closes_at, revision
        """,
        now,
        most,
    )
    return [Closing(**row) for row in rows]


# --- the archive ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ending:
    """An archived campaign, whose unsent texts are ended up to this one."""

    org_id: str
    campaign_id: str
    ended_up_to: str


async def archive(tx: Transaction, campaign: Campaign, at: datetime) -> None:
    """End a campaign for good. What it never sent is due to be ended."""
    await tx.sql.execute(
        """
        UPDATE campaigns SET state = 'archived', archived_at = $3::timestamptz, close_due_at = NULL,
                             ending_due_at = CASE WHEN launched_at IS NOT NULL
                                                  THEN $3::timestamptz END
        WHERE org_id = $1 AND campaign_id = $2
        """,
        campaign.org_id,
        campaign.campaign_id,
        at,
    )


async def take_ending(tx: Transaction, now: datetime) -> Ending | None:
    """An archived campaign with texts to end, held until the end; None when there is none."""
    row = await tx.sql.fetchrow(
        """
        SELECT org_id, campaign_id, ended_up_to FROM campaigns WHERE ending_due_at <= $1
        ORDER BY ending_due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
        """,
        now,
    )
    return None if row is None else Ending(**row)


async def end_unsent(tx: Transaction, ending: Ending, at: datetime, *, most: int) -> None:
    """End up to so many of its unsent texts as `campaign closed`, and write how far that is.

    Read along the primary key, each text once: those that were ended are not walked again. A
    sender's click that is under way is waited for, and looked at as it left the text.
    """
    rows = await tx.sql.fetch(
        """
        SELECT message_id FROM messages
        WHERE org_id = $1 AND campaign_id = $2 AND message_id > $3
          AND status IN ('unassigned', 'assigned', 'skipped')
        ORDER BY message_id LIMIT $4 FOR NO KEY UPDATE
        """,
        ending.org_id,
        ending.campaign_id,
        ending.ended_up_to,
        most,
    )
    await tx.sql.execute(
        """
        UPDATE messages SET status = 'campaign closed', rank = $4, status_at = $5, failed_at = $5,
                            reason = 'the campaign was archived'
        WHERE org_id = $1 AND campaign_id = $2 AND message_id = ANY($3::text[])
        """,
        ending.org_id,
        ending.campaign_id,
        [row["message_id"] for row in rows],
        RANKS["campaign closed"],
        at,
    )
    last = rows[-1]["message_id"] if len(rows) == most else None
    await tx.sql.execute(
        """
        UPDATE campaigns SET ended_up_to = coalesce($3, ended_up_to),
                             ending_due_at = CASE WHEN $3::text IS NOT NULL THEN ending_due_at END
        WHERE org_id = $1 AND campaign_id = $2
        """,
        ending.org_id,
        ending.campaign_id,
        last,
    )
