"""Answers kept for those who ask a second time, because the first answer may have been lost."""

from dataclasses import dataclass
from datetime import datetime

from services.campaign.domain import Caller
from shared.database import Transaction


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given; `sealed` can be read only by who asked."""

    fingerprint: bytes
    status: int
    location: str | None
    sealed: bytes


async def begin(
    tx: Transaction, caller: Caller, request: bytes, fingerprint: bytes, at: datetime
) -> Kept | None:
    """Take this request as the first of its key; else the answer that the first one got.

    Waits for a first one that is under way, and takes its place when that one fails.
    """
    taken = await tx.sql.execute(
        """
        INSERT INTO kept_answers (org_id, person_id, request, fingerprint, status, sealed, kept_at)
        VALUES ($1, $2, $3, $4, 0, '', $5)
        ON CONFLICT DO NOTHING
        """,
        caller.org_id,
        caller.person_id,
        request,
        fingerprint,
        at,
    )
    if taken == "INSERT 0 1":
        return None
    row = await tx.sql.fetchrow(
        """
        SELECT fingerprint, status, location, sealed FROM kept_answers
        WHERE org_id = $1 AND person_id = $2 AND request = $3
        """,
        caller.org_id,
        caller.person_id,
        request,
    )
    # Forgotten in this very moment: a day has passed, and what was asked is asked anew.
    return None if row is None else Kept(**row)


async def keep(
    tx: Transaction,
    caller: Caller,
    request: bytes,
    *,
    status: int,
    location: str | None,
    sealed: bytes,
) -> None:
    """Write the answer into the row that `begin` made, in the same transaction."""
    await tx.sql.execute(
        """
        UPDATE kept_answers SET status = $4, location = $5, sealed = $6
        WHERE org_id = $1 AND person_id = $2 AND request = $3
        """,
        caller.org_id,
        caller.person_id,
        request,
        status,
        location,
        sealed,
    )


async def forget(tx: Transaction, before: datetime, *, most: int) -> int:
    """Delete up to `most` answers from before then; how many these were."""
    status = await tx.sql.execute(
        """
        DELETE FROM kept_answers WHERE (org_id, person_id, request) IN (
            SELECT org_id, person_id, request FROM kept_answers WHERE kept_at < $1
            ORDER BY kept_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        """,
        before,
        most,
    )
    return int(status.split()[-1])
