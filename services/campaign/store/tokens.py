"""Tokens, by which people are known: until when, and when they were last.

Their times are the database's own, in the statements themselves: who asks is found out with every
request, before anything else.
"""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from services.campaign.domain import Caller, Refused
from services.campaign.store import scope
from shared.database import Transaction


async def add(
    tx: Transaction,
    org_id: str,
    token_id: str,
    *,
    person_id: str,
    digest: bytes,
    days: int,
    issued_by: str,
    name: str,
    roams: bool,
) -> tuple[datetime, datetime]:
    """Write a token, by its hash alone; when it was issued and when it ends."""
    row = await tx.sql.fetchrow(
        """
        INSERT INTO tokens (org_id, token_id, person_id, hash, issued_by, name, roams,
                            issued_at, expires_at)
        SELECT $1, $2, $3, $4, $5, $6, $7, now, now + make_interval(days => $8)
        FROM clock_timestamp() AS now
        RETURNING issued_at, expires_at
        """,
        org_id,
        token_id,
        person_id,
        digest,
        issued_by,
        name,
        roams,
        days,
    )
    assert row is not None
    return row["issued_at"], row["expires_at"]


async def bearer(tx: Transaction, digest: bytes) -> Caller | None:
    """Who has this token, unless its time is up. Notes that it was used, once an hour at most."""
    await scope.present(tx, digest)
    row = await tx.sql.fetchrow(
        """
        SELECT org_id, person_id, role, people.name, email, token_id,
               coalesce(last_used_at < clock_timestamp() - interval '1 hour', true) AS unnoted
        FROM tokens JOIN people USING (org_id, person_id)
        WHERE hash = $1 AND (expires_at IS NULL OR expires_at > clock_timestamp())
        """,
        digest,
    )
    if row is None:
        return None
    found = dict(row)
    unnoted = found.pop("unnoted")
    caller = Caller(**found)
    if unnoted:
        await scope.narrow(tx, caller, caller.org_id)
        await _note(tx, caller)
    return caller


async def _note(tx: Transaction, caller: Caller) -> None:
    # Of many requests at once one writes, and none waits.
    await tx.sql.execute(
        """
        UPDATE tokens SET last_used_at = clock_timestamp()
        WHERE (org_id, token_id) IN (
            SELECT org_id, token_id FROM tokens
            WHERE org_id = $1 AND token_id = $2
              AND coalesce(last_used_at < clock_timestamp() - interval '1 hour', true)
            FOR NO KEY UPDATE SKIP LOCKED)
        """,
        caller.org_id,
        caller.token_id,
    )


async def listed(
    tx: Transaction, org_id: str, person_id: str, *, after: str, most: int
) -> Sequence[Record]:
    """A person's tokens, oldest first: those too whose time is up."""
    return await tx.sql.fetch(
        """
        SELECT token_id, name, issued_by, issued_at, expires_at, last_used_at, roams,
               coalesce(expires_at <= clock_timestamp(), false) AS expired
        FROM tokens WHERE org_id = $1 AND person_id = $2 AND token_id > $3
        ORDER BY token_id LIMIT $4
        """,
        org_id,
        person_id,
        after,
        most,
    )


async def roams(tx: Transaction, caller: Caller) -> bool:
    """Whether the token that is asked with opens its person's other places."""
    found: bool = await tx.sql.fetchval(
        "SELECT roams FROM tokens WHERE org_id = $1 AND token_id = $2",
        caller.org_id,
        caller.token_id,
    )
    return bool(found)


async def revoke(tx: Transaction, org_id: str, person_id: str, token_id: str) -> Record:
    """Delete a token; what it was. Raises Refused when the person has none like that."""
    row = await tx.sql.fetchrow(
        """
        DELETE FROM tokens WHERE org_id = $1 AND person_id = $2 AND token_id = $3
        RETURNING token_id, name, issued_by, issued_at, expires_at, last_used_at, roams,
                  coalesce(expires_at <= clock_timestamp(), false) AS expired
        """,
        org_id,
        person_id,
        token_id,
    )
    if row is None:
        raise Refused("missing", "There is no such token")
    return row
