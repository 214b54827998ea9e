"""Which notices people want, and where an organization's webhooks go."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from services.campaign.domain import Refused
from shared.database import Transaction


async def next_version(tx: Transaction, org_id: str) -> int:
    """The version of what is told next of an organization's notices; holds its row."""
    version = await tx.sql.fetchval(
        """
        UPDATE organizations SET notice_version = notice_version + 1 WHERE org_id = $1
        RETURNING notice_version
        """,
        org_id,
    )
    assert isinstance(version, int)
    return version


async def chosen(tx: Transaction, org_id: str, person_id: str) -> Record:
    """Somebody's address, and what they want there (null: they have never said)."""
    row = await tx.sql.fetchrow(
        "SELECT email, notices FROM people WHERE org_id = $1 AND person_id = $2",
        org_id,
        person_id,
    )
    assert row is not None, "who asks is there"
    return row


async def choose(tx: Transaction, org_id: str, person_id: str, notices: Sequence[str]) -> None:
    """Write what somebody wants; hold the organization's row."""
    await tx.sql.execute(
        "UPDATE people SET notices = $3 WHERE org_id = $1 AND person_id = $2",
        org_id,
        person_id,
        notices,
    )


async def webhook(tx: Transaction, org_id: str) -> Record:
    """Where an organization's webhooks go. Raises Refused where they go nowhere."""
    row = await find_webhook(tx, org_id)
    if row is None:
        raise Refused("missing", "There is no webhook")
    return row


async def find_webhook(tx: Transaction, org_id: str) -> Record | None:
    """Where an organization's webhooks go, if they go anywhere."""
    return await tx.sql.fetchrow(
        """
        SELECT url, notices, time_zone, secret_version, changed_at FROM webhooks
        WHERE org_id = $1 AND url IS NOT NULL
        """,
        org_id,
    )


async def put_webhook(
    tx: Transaction,
    org_id: str,
    *,
    url: str,
    notices: Sequence[str],
    time_zone: str,
    at: datetime,
) -> None:
    """Write where they go from now on; hold the organization's row."""
    await tx.sql.execute(
        """
        INSERT INTO webhooks (org_id, url, notices, time_zone, changed_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (org_id) DO UPDATE SET
            url = EXCLUDED.url, notices = EXCLUDED.notices, time_zone = EXCLUDED.time_zone,
            changed_at = EXCLUDED.changed_at
        """,
        org_id,
        url,
        notices,
        time_zone,
        at,
    )


async def remove_webhook(tx: Transaction, org_id: str, at: datetime) -> None:
    """Write that they go nowhere; hold the organization's row."""
    await tx.sql.execute(
        "UPDATE webhooks SET url = NULL, notices = '{}', changed_at = $2 WHERE org_id = $1",
        org_id,
        at,
    )


async def replace_secret(tx: Transaction, org_id: str, at: datetime) -> None:
    """Write that the next secret signs from now on; hold the organization's row."""
    await tx.sql.execute(
        """
        UPDATE webhooks SET secret_version = secret_version + 1, changed_at = $2
        WHERE org_id = $1
        """,
        org_id,
        at,
    )
