"""Whose initials and whose talks are whose.

What goes from one to another is picked with SKIP LOCKED: two who ask at once never get the same
text, and one that is being sent in this very moment stays with its sender.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from services.campaign.store.senders import Idle
from shared.database import Transaction

# A campaign may have a million texts, and one request may move them all.
MANY_S = 180

Unsent = Literal["unassigned", "assigned", "skipped"]


async def take_time(tx: Transaction) -> None:
    """Let this transaction's statements take as long as a million texts do."""
    await tx.sql.execute(f"SET LOCAL statement_timeout = '{MANY_S}s'")


async def hand_over(
    tx: Transaction,
    org_id: str,
    campaign_id: str,
    *,
    status: Unsent,
    holder: str,
    to: str,
    most: int | None,
    at: datetime,
) -> int:
    """Give initials of this status and holder to somebody; how many, `most` None for all.

    Nobody is ''; what nobody has is unassigned.
    """
    done = await tx.sql.execute(
        """
        WITH picked AS MATERIALIZED (
            SELECT message_id FROM messages
            WHERE org_id = $1 AND campaign_id = $2 AND status = $3 AND sender_id = $4
              AND kind = 'initial'
            ORDER BY message_id LIMIT $6 FOR NO KEY UPDATE SKIP LOCKED)
        UPDATE messages AS m SET status = CASE $5 WHEN '' THEN 'unassigned' ELSE 'assigned' END,
                                 sender_id = $5, status_at = $7
        FROM picked
        WHERE m.org_id = $1 AND m.campaign_id = $2 AND m.message_id = picked.message_id
        """,
        org_id,
        campaign_id,
        status,
        holder,
        to,
        most,
        at,
        timeout=MANY_S + 5,
    )
    return int(done.split()[-1])


async def hand_over_those(
    tx: Transaction,
    org_id: str,
    campaign_id: str,
    message_ids: Sequence[str],
    *,
    to: str,
    at: datetime,
) -> int:
    """Give these initials to somebody, whoever had them; how many had not been sent."""
    done = await tx.sql.execute(
        """
        WITH picked AS MATERIALIZED (
            SELECT message_id FROM messages
            WHERE org_id = $1 AND campaign_id = $2 AND message_id = ANY($3::text[])
              AND status IN ('unassigned', 'assigned', 'skipped') AND kind = 'initial'
            ORDER BY message_id FOR NO KEY UPDATE SKIP LOCKED)
        UPDATE messages AS m SET status = CASE $4 WHEN '' THEN 'unassigned' ELSE 'assigned' END,
                                 sender_id = $4, status_at = $5
        FROM picked
        WHERE m.org_id = $1 AND m.campaign_id = $2 AND m.message_id = picked.message_id
        """,
        org_id,
        campaign_id,
        message_ids,
        to,
        at,
    )
    return int(done.split()[-1])


async def held_by(
    tx: Transaction, org_id: str, campaign_id: str, sender_id: str, *, most: int
) -> int:
    """How many initials a sender has still to send, counted up to so many."""
    count = await tx.sql.fetchval(
        """
        SELECT count(*) FROM (
            SELECT FROM messages
            WHERE org_id = $1 AND campaign_id = $2 AND sender_id = $3 AND status = 'assigned'
            LIMIT $4) AS held
        """,
        org_id,
        campaign_id,
        sender_id,
        most,
    )
    assert isinstance(count, int)
    return count


async def free_all(
    tx: Transaction, org_id: str, campaign_id: str, sender_id: str, at: datetime
) -> int:
    """Unassign all that a sender has not sent; how many. What is being sent is waited for."""
    done = await tx.sql.execute(
        """
        WITH picked AS MATERIALIZED (
            SELECT message_id FROM messages
            WHERE org_id = $1 AND campaign_id = $2 AND sender_id = $3
              AND status IN ('assigned', 'skipped') AND kind = 'initial'
            ORDER BY message_id FOR NO KEY UPDATE)
        UPDATE messages AS m SET status = 'unassigned', sender_id = '', status_at = $4
        FROM picked
        WHERE m.org_id = $1 AND m.campaign_id = $2 AND m.message_id = picked.message_id
        """,
        org_id,
        campaign_id,
        sender_id,
        at,
        timeout=MANY_S + 5,
    )
    return int(done.split()[-1])


async def free_untouched(
    tx: Transaction, idle: Sequence[Idle], *, most: int | None, at: datetime
) -> dict[Idle, int]:
    """Unassign what has lain with these senders since their cutoffs; how many texts of each.

    At most so many in all, None for all. Hold the senders.
    """
    rows = await tx.sql.fetch(
        """
        WITH picked AS MATERIALIZED (
            SELECT m.org_id, m.campaign_id, m.message_id, place
            FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) WITH ORDINALITY
                 AS i (org_id, campaign_id, person_id, cutoff, place)
            JOIN messages AS m
              ON m.org_id = i.org_id AND m.campaign_id = i.campaign_id
                 AND m.sender_id = i.person_id AND m.status = 'assigned'
                 AND m.status_at <= i.cutoff
            LIMIT $5 FOR NO KEY UPDATE OF m SKIP LOCKED
        ), freed AS (
            UPDATE messages AS m SET status = 'unassigned', sender_id = '', status_at = $6
            FROM picked
            WHERE m.org_id = picked.org_id AND m.campaign_id = picked.campaign_id
              AND m.message_id = picked.message_id
            RETURNING place)
        SELECT place, count(*) AS texts FROM freed GROUP BY place
        """,
        [one.org_id for one in idle],
        [one.campaign_id for one in idle],
        [one.person_id for one in idle],
        [one.cutoff for one in idle],
        most,
        at,
        timeout=MANY_S + 5,
    )
    return {idle[row["place"] - 1]: row["texts"] for row in rows}


# --- talks ----------------------------------------------------------------------------------


async def hand_over_talks(
    tx: Transaction, org_id: str, campaign_id: str, *, holder: str, to: str, most: int | None
) -> int:
    """Give conversations of this holder to somebody, oldest first; how many, `most` None for all.

    Nobody is ''.
    """
    done = await tx.sql.execute(
        """
        WITH picked AS MATERIALIZED (
            SELECT conversation_id FROM conversations
            WHERE org_id = $1 AND campaign_id = $2 AND sender_id = $3
            ORDER BY conversation_id LIMIT $5 FOR NO KEY UPDATE SKIP LOCKED)
        UPDATE conversations AS c SET sender_id = $4
        FROM picked WHERE c.org_id = $1 AND c.conversation_id = picked.conversation_id
        """,
        org_id,
        campaign_id,
        holder,
        to,
        most,
    )
    return int(done.split()[-1])


async def leave_talks(
    tx: Transaction, org_id: str, campaign_id: str, *, holder: str, to: str
) -> int:
    """Give all conversations of this holder to somebody; how many. What is being answered is
    waited for."""
    # In the order of phones, as whoever writes what contacts said.
    done = await tx.sql.execute(
        """
        WITH picked AS MATERIALIZED (
            SELECT conversation_id FROM conversations
            WHERE org_id = $1 AND campaign_id = $2 AND sender_id = $3
            ORDER BY phone FOR NO KEY UPDATE)
        UPDATE conversations AS c SET sender_id = $4
        FROM picked WHERE c.org_id = $1 AND c.conversation_id = picked.conversation_id
        """,
        org_id,
        campaign_id,
        holder,
        to,
    )
    return int(done.split()[-1])


async def hand_over_those_talks(
    tx: Transaction, org_id: str, campaign_id: str, conversation_ids: Sequence[str], *, to: str
) -> int:
    """Give these conversations to somebody, whoever had them; how many the campaign has."""
    done = await tx.sql.execute(
        """
        WITH picked AS MATERIALIZED (
            SELECT conversation_id FROM conversations
            WHERE org_id = $1 AND campaign_id = $2 AND conversation_id = ANY($3::text[])
            ORDER BY phone FOR NO KEY UPDATE)
        UPDATE conversations AS c SET sender_id = $4
        FROM picked WHERE c.org_id = $1 AND c.conversation_id = picked.conversation_id
        """,
        org_id,
        campaign_id,
        conversation_ids,
        to,
    )
    return int(done.split()[-1])
