"""Who did what, as it was before and after."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from asyncpg import Record

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


def differing(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an edit changed, of two of the same shape: as it was, and as it is."""
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


async def listed(
    tx: Transaction,
    org_id: str,
    *,
    subject_id: str | None,
    act: str | None,
    person_id: str | None,
    since: datetime | None,
    until: datetime | None,
    after: str,
    most: int,
) -> Sequence[Record]:
    """What was done in an organization, the latest first; null asks for all."""
    return await tx.sql.fetch(
        """
        SELECT audit_id, at, person_id, role, act, subject_id, before, after
        FROM audit
        WHERE org_id = $1 AND ($2 = '' OR audit_id < $2)
          AND ($3::text IS NULL OR subject_id = $3) AND ($4::text IS NULL OR act = $4)
          AND ($5::text IS NULL OR person_id = $5)
          AND ($6::timestamptz IS NULL OR at >= $6) AND ($7::timestamptz IS NULL OR at < $7)
        ORDER BY audit_id DESC LIMIT $8
        """,
        org_id,
        after,
        subject_id,
        act,
        person_id,
        since,
        until,
        most,
    )
