"""Contacts who want no texts, and whose number a contact has texted."""

from collections.abc import Collection, Sequence

from asyncpg import Record

from shared.database import Transaction, columns


async def remember(tx: Transaction, contacts: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Remember these (organization, phone); those that were not known before."""
    rows = await tx.sql.fetch(
        """
        INSERT INTO opt_outs (org_id, phone, opted_out_at)
        SELECT org_id, phone, $3 FROM unnest($1::text[], $2::text[]) AS contact (org_id, phone)
        ON CONFLICT DO NOTHING RETURNING org_id, phone
        """,
        *columns(sorted(contacts), 2),
        await tx.now(),
    )
    return {(row["org_id"], row["phone"]) for row in rows}


async def conversations(
    tx: Transaction, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Record]:
    """For these (our number, contact's phone) the campaign that texted the contact last from that
    number, or the last that has it."""
    rows = await tx.sql.fetch(
        """
        SELECT key.number, key.phone, found.org_id, found.campaign_id
        FROM unnest($1::text[], $2::text[]) AS key (number, phone)
        CROSS JOIN LATERAL (
            SELECT campaigns.org_id, campaigns.campaign_id FROM campaigns
            LEFT JOIN LATERAL (
                SELECT position FROM messages
                WHERE messages.org_id = campaigns.org_id AND messages.phone = key.phone
                  AND messages.campaign_id = campaigns.campaign_id AND attempt > 0
                ORDER BY position DESC LIMIT 1) AS texted ON true
            WHERE campaigns.number = key.number
            ORDER BY position DESC NULLS LAST, launched_at DESC NULLS LAST LIMIT 1) AS found
        """,
        *columns(pairs, 2),
    )
    return {(row["number"], row["phone"]): row for row in rows}
