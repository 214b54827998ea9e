"""Texts to oneself: whose phone is whose, and what was sent to it."""

from datetime import datetime

from asyncpg import Record

from services.campaign.domain import RANKS, Caller, Campaign, Carrier
from shared.database import Transaction


async def own_phone(tx: Transaction, caller: Caller) -> str | None:
    """The caller's own phone, where they have said it."""
    found: str | None = await tx.sql.fetchval(
        "SELECT phone FROM people WHERE org_id = $1 AND person_id = $2",
        caller.org_id,
        caller.person_id,
    )
    return found


async def set_own_phone(tx: Transaction, caller: Caller, phone: str | None) -> None:
    """Keep the caller's own phone, or, with None, forget it."""
    await tx.sql.execute(
        "UPDATE people SET phone = $3 WHERE org_id = $1 AND person_id = $2",
        caller.org_id,
        caller.person_id,
        phone,
    )


async def contact(
    tx: Transaction, org_id: str, contact_list_id: str, phone: str | None
) -> Record | None:
    """What a script may name of one of a list's contacts; of the first where none is named."""
    return await tx.sql.fetchrow(
        """
        SELECT phone, first_name, last_name, fields FROM contacts
        WHERE org_id = $1 AND contact_list_id = $2 AND ($3::text IS NULL OR phone = $3)
        ORDER BY contact_id LIMIT 1
        """,
        org_id,
        contact_list_id,
        phone,
    )


async def add(
    tx: Transaction,
    caller: Caller,
    campaign: Campaign,
    message_id: str,
    *,
    to: str,
    text: str,
    segments: int,
    at: datetime,
) -> tuple[bool, Carrier | None]:
    """Write a text to oneself as queued; the phone's carrier, where an earlier text told it.

    False: not to a phone that has opted out.
    """
    row = await tx.sql.fetchrow(
        """
        INSERT INTO messages (org_id, campaign_id, message_id, kind, channel, phone, sender_id,
                              status, rank, status_at, queued_at, text, segments, carrier)
        SELECT $1, $2, $3, 'test', $4, $5, $6, 'queued', $7, $8, $8, $9, $10, (
            SELECT carrier FROM messages
            WHERE org_id = $1 AND phone = $5 AND carrier IS NOT NULL
            ORDER BY status_at DESC LIMIT 1)
        WHERE NOT EXISTS (
            SELECT FROM opt_outs AS o WHERE o.org_id = $1 AND o.phone = $5 AND o.stands)
        RETURNING carrier
        """,
        caller.org_id,
        campaign.campaign_id,
        message_id,
        campaign.plan.channel,
        to,
        caller.person_id,
        RANKS["queued"],
        at,
        text,
        segments,
    )
    return (False, None) if row is None else (True, row["carrier"])
