"""Who sends for a campaign, and since when what is theirs lies untouched.

A click marks its sender's row where nobody holds it, and never waits for it; all else holds the
rows of senders first, in the order of their ids, and then their texts. So nobody waits in a ring.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncpg import Record

from services.campaign.domain import Campaign, Refused
from shared.database import Transaction


@dataclass(frozen=True, slots=True)
class Idle:
    """A sender who has touched nothing of their texts after `cutoff`, or has none."""

    org_id: str
    campaign_id: str
    person_id: str
    cutoff: datetime


async def add(
    tx: Transaction, campaign: Campaign, person_ids: Sequence[str], at: datetime
) -> list[str]:
    """Let these people send for a campaign; those who did not before."""
    rows = await tx.sql.fetch(
        """
        INSERT INTO campaign_senders (org_id, campaign_id, person_id, added_at, untouched_since)
        SELECT DISTINCT $1, $2, person_id, $4::timestamptz, $4::timestamptz
        FROM unnest($3::text[]) AS person_id ORDER BY person_id
        ON CONFLICT DO NOTHING RETURNING person_id
        """,
        campaign.org_id,
        campaign.campaign_id,
        person_ids,
        at,
    )
    added = [row["person_id"] for row in rows]
    # Who is back gets the answers of those whom they texted.
    await tx.sql.execute(
        """
        DELETE FROM heirs
        WHERE org_id = $1 AND campaign_id = $2 AND person_id = ANY($3::text[])
        """,
        campaign.org_id,
        campaign.campaign_id,
        added,
    )
    return added


async def remove(tx: Transaction, campaign: Campaign, person_id: str, *, heir_id: str) -> None:
    """Take a sender off, with who has the talks from now on that would be theirs ('': nobody)."""
    removed = await tx.sql.execute(
        """
        DELETE FROM campaign_senders WHERE org_id = $1 AND campaign_id = $2 AND person_id = $3
        """,
        campaign.org_id,
        campaign.campaign_id,
        person_id,
    )
    if removed == "DELETE 0":
        raise Refused("missing", "This person is not a sender of this campaign")
    await tx.sql.execute(
        """
        UPDATE heirs SET heir_id = $4
        WHERE org_id = $1 AND campaign_id = $2 AND heir_id = $3
        """,
        campaign.org_id,
        campaign.campaign_id,
        person_id,
        heir_id,
    )
    await tx.sql.execute(
        """
        INSERT INTO heirs (org_id, campaign_id, person_id, heir_id) VALUES ($1, $2, $3, $4)
        ON CONFLICT (org_id, campaign_id, person_id) DO UPDATE SET heir_id = EXCLUDED.heir_id
        """,
        campaign.org_id,
        campaign.campaign_id,
        person_id,
        heir_id,
    )


async def ids(tx: Transaction, campaign: Campaign) -> list[str]:
    """A campaign's senders, in the order of their ids."""
    rows = await tx.sql.fetch(
        """
        SELECT person_id FROM campaign_senders
        WHERE org_id = $1 AND campaign_id = $2 ORDER BY person_id
        """,
        campaign.org_id,
        campaign.campaign_id,
    )
    return [row["person_id"] for row in rows]


async def listed(
    tx: Transaction, campaign: Campaign, *, after: str = "", most: int = 100
) -> Sequence[Record]:
    """A campaign's senders in the order of their ids, with their initials and who waits for them.

    `after` is the last id of the page before, '' for the first page.
    """
    return await tx.sql.fetch(
        """
        SELECT person_id, name, email, added_at, active_at, assigned, skipped, sent, waiting
        FROM (
            SELECT * FROM campaign_senders
            WHERE org_id = $1 AND campaign_id = $2 AND person_id > $3
            ORDER BY person_id LIMIT $4
        ) AS s
        JOIN people USING (org_id, person_id)
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE status = 'assigned') AS assigned,
                   count(*) FILTER (WHERE status = 'skipped') AS skipped,
                   count(*) FILTER (WHERE queued_at IS NOT NULL) AS sent
            FROM messages AS m
            WHERE m.org_id = $1 AND m.campaign_id = $2 AND m.sender_id = s.person_id
              AND kind = 'initial'
        ) AS texts
        CROSS JOIN LATERAL (
            SELECT count(*) AS waiting FROM conversations AS v
            WHERE v.org_id = $1 AND v.campaign_id = $2 AND v.sender_id = s.person_id AND v.waiting
        ) AS talks
        ORDER BY person_id
        """,
        campaign.org_id,
        campaign.campaign_id,
        after,
        most,
    )


async def is_sender(tx: Transaction, org_id: str, campaign_id: str, person_id: str) -> bool:
    """Whether this person sends for this campaign."""
    return bool(
        await tx.sql.fetchval(
            """
            SELECT true FROM campaign_senders
            WHERE org_id = $1 AND campaign_id = $2 AND person_id = $3
            """,
            org_id,
            campaign_id,
            person_id,
        )
    )


async def hold(
    tx: Transaction, org_id: str, campaign_id: str, person_ids: Collection[str]
) -> set[str]:
    """Which of these people send for this campaign, which they do until the end."""
    rows = await tx.sql.fetch(
        """
        SELECT person_id FROM campaign_senders
        WHERE org_id = $1 AND campaign_id = $2 AND person_id = ANY($3::text[])
        ORDER BY person_id FOR NO KEY UPDATE
        """,
        org_id,
        campaign_id,
        person_ids,
    )
    return {row["person_id"] for row in rows}


async def note_given(
    tx: Transaction,
    org_id: str,
    campaign_id: str,
    person_id: str,
    at: datetime,
    *,
    by_themselves: bool = False,
) -> None:
    """Write down that texts lie with a sender from now on, if none did before."""
    await tx.sql.execute(
        """
        UPDATE campaign_senders SET untouched_since = coalesce(untouched_since, $4),
                                    active_at = CASE WHEN $5 THEN $4 ELSE active_at END
        WHERE org_id = $1 AND campaign_id = $2 AND person_id = $3
        """,
        org_id,
        campaign_id,
        person_id,
        at,
        by_themselves,
    )


async def note_active(
    tx: Transaction, org_id: str, campaign_id: str, person_id: str, at: datetime
) -> None:
    """Write down that a sender is at work on what is theirs: with a click, in its transaction.

    To ten seconds; and not where somebody holds the row: a click must not wait for that.
    """
    await tx.sql.execute(
        """
        WITH free AS MATERIALIZED (
            SELECT person_id FROM campaign_senders
            WHERE org_id = $1 AND campaign_id = $2 AND person_id = $3
              AND (active_at IS NULL OR untouched_since IS NULL
                   OR least(active_at, untouched_since) < $4::timestamptz - interval '10 seconds')
            FOR NO KEY UPDATE SKIP LOCKED)
        UPDATE campaign_senders AS s SET active_at = $4, untouched_since = $4
        FROM free WHERE s.org_id = $1 AND s.campaign_id = $2 AND s.person_id = free.person_id
        """,
        org_id,
        campaign_id,
        person_id,
        at,
    )


# --- who has touched nothing ----------------------------------------------------------------


async def hold_idle(
    tx: Transaction, org_id: str, campaign_id: str, *, cutoff: datetime
) -> list[Idle]:
    """A campaign's senders who have touched nothing after `cutoff`, held until the end."""
    rows = await tx.sql.fetch(
        """
        SELECT org_id, campaign_id, person_id, $3::timestamptz AS cutoff FROM campaign_senders
        WHERE org_id = $1 AND campaign_id = $2 AND untouched_since <= $3
        ORDER BY person_id FOR NO KEY UPDATE
        """,
        org_id,
        campaign_id,
        cutoff,
    )
    return [Idle(**row) for row in rows]


async def hold_overdue(tx: Transaction, now: datetime, *, most: int) -> list[Idle]:
    """Senders who have touched nothing for as long as their campaigns wait, held until the end.

    Only of campaigns whose senders could: active, not paused, and for so long inside the window.
    """
    rows = await tx.sql.fetch(
        """
        SELECT s.org_id, s.campaign_id, s.person_id, cutoff
        FROM campaigns AS c
        CROSS JOIN LATERAL (
            SELECT $1::timestamptz - make_interval(mins => take_back_after_min)) AS due (cutoff)
        JOIN campaign_senders AS s
          ON s.org_id = c.org_id AND s.campaign_id = c.campaign_id AND s.untouched_since <= cutoff
        WHERE c.state = 'active' AND c.take_back_after_min IS NOT NULL AND c.closes_at > $1
          AND c.opens_at <= cutoff AND c.paused_at IS NULL
        LIMIT $2 FOR NO KEY UPDATE OF s SKIP LOCKED
        """,
        now,
        most,
    )
    return [Idle(**row) for row in rows]


async def looked_at(tx: Transaction, idle: Sequence[Idle]) -> None:
    """Write since when what is left with these senders lies untouched, now that the rest is not."""
    await tx.sql.execute(
        """
        UPDATE campaign_senders AS s SET untouched_since = (
            SELECT min(status_at) FROM messages AS m
            WHERE m.org_id = s.org_id AND m.campaign_id = s.campaign_id
              AND m.sender_id = s.person_id AND m.status = 'assigned')
        FROM unnest($1::text[], $2::text[], $3::text[]) AS i (org_id, campaign_id, person_id)
        WHERE s.org_id = i.org_id AND s.campaign_id = i.campaign_id AND s.person_id = i.person_id
        """,
        [one.org_id for one in idle],
        [one.campaign_id for one in idle],
        [one.person_id for one in idle],
    )
