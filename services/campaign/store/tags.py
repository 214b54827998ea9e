"""Tags: an organization's own words for contacts, put on them campaign by campaign."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import ForeignKeyViolationError, Record

from services.campaign.domain import Refused
from shared.database import Transaction


async def add(tx: Transaction, org_id: str, tag: str, at: datetime) -> None:
    """Write a tag. Raises Refused when there is such a one already."""
    added = await tx.sql.execute(
        """
        INSERT INTO tags (org_id, tag, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
        """,
        org_id,
        tag,
        at,
    )
    if added == "INSERT 0 0":
        raise Refused("conflict", "there is such a tag already", field="tag")


async def remove(tx: Transaction, org_id: str, tag: str) -> int:
    """Delete a tag; how many contacts it was taken off. Raises Refused when there is none."""
    contacts = await tx.sql.fetchval(
        """
        WITH gone AS (DELETE FROM tags WHERE org_id = $1 AND tag = $2 RETURNING tag)
        SELECT (SELECT count(*) FROM contact_tags WHERE org_id = $1 AND contact_tags.tag = gone.tag)
        FROM gone
        """,
        org_id,
        tag,
    )
    if contacts is None:
        raise Refused("missing", "There is no such tag")
    assert isinstance(contacts, int)
    return contacts


async def page(tx: Transaction, org_id: str, *, after: str, most: int) -> Sequence[Record]:
    """An organization's tags in the order of the alphabet, after that one."""
    return await tx.sql.fetch(
        """
        SELECT tag, created_at FROM tags WHERE org_id = $1 AND tag > $2 ORDER BY tag LIMIT $3
        """,
        org_id,
        after,
        most,
    )


async def put_on(
    tx: Transaction,
    org_id: str,
    campaign_id: str,
    phone: str,
    tag: str,
    *,
    tagged_by: str,
    at: datetime,
) -> None:
    """Put a tag on a contact of a campaign; one that is there stays. Raises Refused when the
    organization has no such tag."""
    try:
        await tx.sql.execute(
            """
            INSERT INTO contact_tags (org_id, campaign_id, phone, tag, tagged_by, tagged_at)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
            """,
            org_id,
            campaign_id,
            phone,
            tag,
            tagged_by,
            at,
        )
    except ForeignKeyViolationError:
        raise Refused("missing", "There is no such tag") from None


async def take_off(tx: Transaction, org_id: str, campaign_id: str, phone: str, tag: str) -> None:
    """Take a tag off a contact of a campaign, if it is there."""
    await tx.sql.execute(
        """
        DELETE FROM contact_tags
        WHERE org_id = $1 AND campaign_id = $2 AND phone = $3 AND tag = $4
        """,
        org_id,
        campaign_id,
        phone,
        tag,
    )


async def of_contact(tx: Transaction, org_id: str, campaign_id: str, phone: str) -> list[str]:
    """A contact's tags in a campaign, in the order of the alphabet."""
    rows = await tx.sql.fetch(
        """
        SELECT tag FROM contact_tags
        WHERE org_id = $1 AND campaign_id = $2 AND phone = $3 ORDER BY tag
        """,
        org_id,
        campaign_id,
        phone,
    )
    return [row["tag"] for row in rows]
