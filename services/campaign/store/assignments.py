"""Whose initials are whose."""

from datetime import datetime

from shared.database import Transaction


async def assign_batch(
    tx: Transaction, org_id: str, campaign_id: str, *, sender_id: str, most: int, at: datetime
) -> int:
    """Give a sender up to so many unassigned initials; how many they got.

    Two senders who ask at once skip each other's rows.
    """
    status = await tx.sql.execute(
        """
        WITH picked AS MATERIALIZED (
            SELECT message_id FROM messages
            WHERE org_id = $1 AND campaign_id = $2 AND status = 'unassigned' AND sender_id = ''
            ORDER BY message_id LIMIT $4 FOR UPDATE SKIP LOCKED)
        UPDATE messages SET status = 'assigned', sender_id = $3, status_at = $5
        FROM picked
        WHERE org_id = $1 AND campaign_id = $2 AND messages.message_id = picked.message_id
        """,
        org_id,
        campaign_id,
        sender_id,
        most,
        at,
    )
    return int(status.split()[-1])
