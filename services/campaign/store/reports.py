"""What the details, the lists and the exports show of texts."""

from collections.abc import Sequence

from asyncpg import Record

from shared.database import Transaction


async def counts(
    tx: Transaction, org_id: str, campaign_ids: Sequence[str]
) -> dict[str, dict[str, dict[str, int]]]:
    """How many texts stand where: by campaign, carrier ("unknown" where none is) and status.

    Those that somebody has sent to themselves do not count.
    """
    rows = await tx.sql.fetch(
        """
        SELECT campaign_id, coalesce(carrier, 'unknown') AS carrier, status, count(*) AS texts
        FROM messages
        WHERE org_id = $1 AND campaign_id = ANY($2::text[]) AND kind <> 'test'
        GROUP BY campaign_id, carrier, status ORDER BY campaign_id, carrier, status
        """,
        org_id,
        campaign_ids,
    )
    found: dict[str, dict[str, dict[str, int]]] = {}
    for row in rows:
        by_carrier = found.setdefault(row["campaign_id"], {})
        by_carrier.setdefault(row["carrier"], {})[row["status"]] = row["texts"]
    return found


async def never_handed_over(tx: Transaction, org_id: str, campaign_id: str) -> dict[str, int]:
    """How many texts failed before a provider or a carrier had a word in it, by carrier."""
    rows = await tx.sql.fetch(
        """
        SELECT coalesce(carrier, 'unknown') AS carrier, count(*) AS texts FROM messages
        WHERE org_id = $1 AND campaign_id = $2 AND status = 'failed' AND code IS NULL
          AND kind <> 'test'
        GROUP BY carrier
        """,
        org_id,
        campaign_id,
    )
    return {row["carrier"]: row["texts"] for row in rows}


async def queued(tx: Transaction, org_id: str, campaign_id: str) -> int:
    """How many texts of a campaign wait in the collider, as far as was heard."""
    count = await tx.sql.fetchval(
        """
        SELECT count(*) FROM messages
        WHERE org_id = $1 AND campaign_id = $2 AND status = 'queued'
        """,
        org_id,
        campaign_id,
    )
    assert isinstance(count, int)
    return count


async def page(
    tx: Transaction, org_id: str, campaign_id: str, *, status: str | None, after: str, most: int
) -> Sequence[Record]:
    """Texts of a campaign in the order of their ids; `after` is the last id of the page before."""
    return await tx.sql.fetch(
        """
        SELECT message_id, kind, phone AS to, carrier, status, reason, code, segments,
               nullif(sender_id, '') AS sender_id, queued_at, sent_at, delivered_at, failed_at,
               provider_id, text
        FROM messages
        WHERE org_id = $1 AND campaign_id = $2 AND message_id > $3
          AND ($4::text IS NULL OR status = $4)
        ORDER BY message_id LIMIT $5
        """,
        org_id,
        campaign_id,
        after,
        status,
        most,
    )


async def one(tx: Transaction, org_id: str, message_id: str) -> Record | None:
    """A text of an organization."""
    return await tx.sql.fetchrow(
        """
        SELECT message_id, campaign_id, kind, phone AS to, carrier, status, reason, code, segments,
               nullif(sender_id, '') AS sender_id, queued_at, sent_at, delivered_at, failed_at,
               provider_id, text
        FROM messages WHERE org_id = $1 AND message_id = $2
        """,
        org_id,
        message_id,
    )


async def work_of_sender(
    tx: Transaction, org_id: str, campaign_ids: Sequence[str], person_id: str
) -> dict[str, Record]:
    """What waits for a sender in each of these campaigns."""
    # Whether any is unassigned: one step along messages_by_status, to where they would begin. By
    # EXISTS the planner, which knows of a million such texts, looks for one anywhere, and reads
    # them all for each campaign that has none (3 s for twenty).
    rows = await tx.sql.fetch(
        """
        SELECT campaign_id,
               (SELECT count(*) FROM messages AS m
                WHERE m.org_id = $1 AND m.campaign_id = c.campaign_id AND status = 'assigned'
                  AND sender_id = $3) AS assigned,
               coalesce((SELECT m.status = 'unassigned' AND m.campaign_id = c.campaign_id
                         FROM messages AS m
                         WHERE m.org_id = $1
                           AND (m.status, m.campaign_id) >= ('unassigned', c.campaign_id)
                         ORDER BY m.status, m.campaign_id LIMIT 1), false) AS any_unassigned,
               (SELECT count(*) FROM conversations AS v
                WHERE v.org_id = $1 AND v.campaign_id = c.campaign_id AND v.sender_id = $3
                  AND waiting) AS waiting
        FROM unnest($2::text[]) AS c (campaign_id)
        """,
        org_id,
        campaign_ids,
        person_id,
    )
    return {row["campaign_id"]: row for row in rows}
