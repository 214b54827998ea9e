"""Who sends for a campaign."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from services.campaign.domain import Campaign, Refused
from shared.database import Transaction


async def add(tx: Transaction, campaign: Campaign, person_ids: Sequence[str], at: datetime) -> None:
    """Let these people send for a campaign; those who do already stay."""
    await tx.sql.execute(
        """
        INSERT INTO campaign_senders (org_id, campaign_id, person_id, added_at)
        SELECT $1, $2, person_id, $4 FROM unnest($3::text[]) AS person_id
        ON CONFLICT DO NOTHING
        """,
        campaign.org_id,
        campaign.campaign_id,
        person_ids,
        at,
    )


async def remove(tx: Transaction, campaign: Campaign, person_id: str) -> int:
    """Take a sender off; how many texts they had not sent, which are unassigned again."""
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
    freed = await tx.sql.execute(
        """
        UPDATE messages SET status = 'unassigned', sender_id = ''
        WHERE org_id = $1 AND campaign_id = $2 AND status = 'assigned' AND sender_id = $3
        """,
        campaign.org_id,
        campaign.campaign_id,
        person_id,
    )
    return int(freed.split()[-1])


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


async def listed(tx: Transaction, campaign: Campaign) -> Sequence[Record]:
    """A campaign's senders, with what they have still to send and what they have sent."""
    return await tx.sql.fetch(
        """
        SELECT person_id, name, email,
               count(message_id) FILTER (WHERE status = 'assigned') AS assigned,
               count(message_id) FILTER (WHERE queued_at IS NOT NULL) AS sent
        FROM campaign_senders AS s
        JOIN people USING (org_id, person_id)
        LEFT JOIN messages AS m
               ON m.org_id = s.org_id AND m.campaign_id = s.campaign_id
                  AND m.sender_id = s.person_id
        WHERE s.org_id = $1 AND s.campaign_id = $2
        GROUP BY person_id, name, email ORDER BY person_id
        """,
        campaign.org_id,
        campaign.campaign_id,
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
