"""Who did what, as it was before and after."""

from collections.abc import Mapping
from typing import Any

from services.campaign.domain import Caller
from shared.database import Transaction
from shared.ids import new_id


async def add(
    tx: Transaction,
    caller: Caller,
    act: str,
    subject_id: str,
    *,
    org_id: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write down an act, in the past tense ("campaign launched"), in its own transaction.

    `org_id`: whose it is, where an operator did it. `before` and `after` are JSON, and hold no
    secret.
    """
    await tx.sql.execute(
        """
        INSERT INTO audit (org_id, audit_id, at, person_id, role, act, subject_id, before, after)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        caller.org_id if org_id is None else org_id,
        new_id(),
        await tx.now(),
        caller.person_id,
        caller.role,
        act,
        subject_id,
        before,
        after,
    )
