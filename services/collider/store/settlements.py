"""What admins decided of texts whose answer was lost, and those texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.collider.store.results import Message, message_of
from shared.database import Transaction
from shared.events import UnclearSettled


@dataclass(frozen=True, slots=True)
class Settlement:
    """A decision that has not been carried out whole; without ids it is of all the campaign's
    texts that were unclear by `settled_at`."""

    settlement_id: int
    org_id: str
    campaign_id: str
    message_ids: Sequence[str] | None
    outcome: Literal["sent", "failed"]
    settled_at: datetime


async def record(tx: Transaction, events: Sequence[UnclearSettled]) -> None:
    """Have these carried out."""
    await tx.sql.executemany(
        """
        INSERT INTO settlements (org_id, campaign_id, message_ids, outcome, settled_at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        [
            (event.org_id, event.campaign_id, event.message_ids, event.outcome, event.settled_at)
            for event in events
        ],
    )


async def lock_next(tx: Transaction) -> Settlement | None:
    """The oldest decision that no other replica is at."""
    row = await tx.sql.fetchrow(
        "SELECT * FROM settlements ORDER BY settlement_id LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    return None if row is None else Settlement(**row)


async def lock_unclear(tx: Transaction, of: Settlement, *, most: int) -> list[Message]:
    """Lock up to `most` texts that it decides: those that are unclear still."""
    rows = await tx.sql.fetch(
        """
        SELECT * FROM messages
        WHERE org_id = $1 AND campaign_id = $2 AND status = 'unclear'
          AND (message_id = ANY($3) OR ($3 IS NULL AND unclear_at <= $4))
        ORDER BY org_id, message_id LIMIT $5 FOR NO KEY UPDATE
        """,
        of.org_id,
        of.campaign_id,
        of.message_ids,
        of.settled_at,
        most,
    )
    return [message_of(row) for row in rows]


async def forget(tx: Transaction, settlement: Settlement) -> None:
    """It has been carried out."""
    await tx.sql.execute(
        "DELETE FROM settlements WHERE settlement_id = $1", settlement.settlement_id
    )
