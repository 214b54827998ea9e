"""People, and their places in organizations."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record, UniqueViolationError

from services.campaign.domain import Refused, Role
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


async def change(
    tx: Transaction, org_id: str, person_id: str, *, role: Role, name: str, email: str
) -> None:
    """Write who somebody is in an organization. Raises Refused as `add` does."""
    try:
        await tx.sql.execute(
            """
            UPDATE people SET role = $3, name = $4, email = $5
            WHERE org_id = $1 AND person_id = $2
            """,
            org_id,
            person_id,
            role,
            name,
            email,
        )
    except UniqueViolationError:
        raise Refused("conflict", "somebody has this address already", field="email") from None


async def listed(tx: Transaction, org_id: str, *, after: str, most: int) -> Sequence[Record]:
    """An organization's people, oldest first."""
    return await tx.sql.fetch(
        """
        SELECT person_id, role, name, email, created_at FROM people
        WHERE org_id = $1 AND person_id > $2 ORDER BY person_id LIMIT $3
        """,
        org_id,
        after,
        most,
    )


async def find(tx: Transaction, org_id: str, person_id: str) -> Record | None:
    """Somebody of an organization, if there is anybody like that."""
    return await tx.sql.fetchrow(
        """
        SELECT person_id, role, name, email, created_at FROM people
        WHERE org_id = $1 AND person_id = $2
        """,
        org_id,
        person_id,
    )


async def get(tx: Transaction, org_id: str, person_id: str) -> Record:
    """Somebody of an organization. Raises Refused when there is nobody like that."""
    row = await find(tx, org_id, person_id)
    if row is None:
        raise Refused("missing", "There is no such person")
    return row


async def places(tx: Transaction, person_id: str) -> Sequence[Record]:
    """A person's places in all organizations, oldest first; see scope.places_of."""
    return await tx.sql.fetch(
        """
        SELECT org_id AS organization_id, organizations.name AS organization, role,
               people.name, email
        FROM people JOIN organizations USING (org_id)
        WHERE person_id = $1 AND org_id <> '' ORDER BY people.created_at, org_id
        """,
        person_id,
    )


async def known(tx: Transaction, org_id: str, person_ids: Sequence[str]) -> set[str]:
    """Which of these people the organization has."""
    rows = await tx.sql.fetch(
        "SELECT person_id FROM people WHERE org_id = $1 AND person_id = ANY($2::text[])",
        org_id,
        person_ids,
    )
    return {row["person_id"] for row in rows}
