"""Texts whose answer was lost, and who settled what became of them."""

from datetime import datetime

from services.campaign.domain import Caller, Outcome, Status
from shared.database import Transaction


async def campaign_and_status(
    tx: Transaction, org_id: str, message_id: str
) -> tuple[str, Status] | None:
    """Whose text this is, and where it stands; None when the organization has no such one."""
    row = await tx.sql.fetchrow(
        "SELECT campaign_id, status FROM messages WHERE org_id = $1 AND message_id = $2",
        org_id,
        message_id,
    )
    return None if row is None else (row["campaign_id"], row["status"])


async def unclear(tx: Transaction, org_id: str, campaign_id: str) -> int:
    """How many texts of a campaign are unclear."""
    count = await tx.sql.fetchval(
        """
        SELECT count(*) FROM messages
        WHERE org_id = $1 AND campaign_id = $2 AND status = 'unclear'
        """,
        org_id,
        campaign_id,
    )
    assert isinstance(count, int)
    return count


async def add(
    tx: Transaction,
    caller: Caller,
    settlement_id: str,
    campaign_id: str,
    *,
    outcome: Outcome,
    at: datetime,
    message_id: str = "",
) -> None:
    """Write who settled a text; without `message_id`, all of the campaign that were unclear."""
    await tx.sql.execute(
        """
        INSERT INTO settlements (org_id, campaign_id, settlement_id, message_id, outcome,
                                 settled_by, settled_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        caller.org_id,
        campaign_id,
        settlement_id,
        message_id,
        outcome,
        caller.person_id,
        at,
    )
