"""People, and the tokens by which they are known."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record, UniqueViolationError

from services.campaign.domain import Caller, Refused, Role
from services.campaign.store import scope
from shared.database import Transaction

OPERATORS = ""
"""The operators' place: no organization has this id."""


async def add(
    tx: Transaction,
    org_id: str,
    person_id: str,
    *,
    role: Role,
    name: str,
    email: str,
    at: datetime,
) -> None:
    """Write a person. Raises Refused when the organization knows their address already."""
    try:
        await tx.sql.execute(
            """
            INSERT INTO people (org_id, person_id, role, name, email, created_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            """,
            org_id,
            person_id,
            role,
            name,
            email,
            at,
        )
    except UniqueViolationError:
        raise Refused("conflict", "somebody has this address already", field="email") from None


async def add_token(
    tx: Transaction, org_id: str, token_id: str, *, person_id: str, digest: bytes, at: datetime
) -> None:
    """Write a token, by its hash alone."""
    await tx.sql.execute(
        """
        INSERT INTO tokens (org_id, token_id, person_id, hash, issued_at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        org_id,
        token_id,
        person_id,
        digest,
        at,
    )


async def with_token(tx: Transaction, digest: bytes) -> Caller | None:
    """Who has this token."""
    await scope.present(tx, digest)
    row = await tx.sql.fetchrow(
        """
        SELECT org_id, person_id, role, people.name, email
        FROM tokens JOIN people USING (org_id, person_id) WHERE hash = $1
        """,
        digest,
    )
    return None if row is None else Caller(**row)


async def listed(tx: Transaction, org_id: str) -> Sequence[Record]:
    """An organization's people, oldest first."""
    return await tx.sql.fetch(
        """
        SELECT person_id, role, name, email, created_at FROM people
        WHERE org_id = $1 ORDER BY person_id
        """,
        org_id,
    )


async def get(tx: Transaction, org_id: str, person_id: str) -> Record:
    """Somebody of an organization. Raises Refused when there is nobody like that."""
    row = await tx.sql.fetchrow(
        """
        SELECT person_id, role, name, email, created_at FROM people
        WHERE org_id = $1 AND person_id = $2
        """,
        org_id,
        person_id,
    )
    if row is None:
        raise Refused("missing", "There is no such person")
    return row


async def known(tx: Transaction, org_id: str, person_ids: Sequence[str]) -> set[str]:
    """Which of these people the organization has."""
    rows = await tx.sql.fetch(
        "SELECT person_id FROM people WHERE org_id = $1 AND person_id = ANY($2::text[])",
        org_id,
        person_ids,
    )
    return {row["person_id"] for row in rows}
