"""Which carriers are looked up in the background, how far that is, and what was found."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from services.campaign.domain import Caller
from shared.database import Transaction
from shared.events import CarriersFound


async def start(tx: Transaction, caller: Caller, contact_list_id: str, at: datetime) -> None:
    """Have the unknown carriers of a list looked up. One that is still being asked for goes on."""
    await tx.sql.execute(
        """
        INSERT INTO carrier_look_ups AS l (org_id, contact_list_id, asked_by, started_at, contacts,
                                           due_at)
        SELECT $1, $2, $3, $4, count(*), CASE WHEN count(*) > 0 THEN $4::timestamptz END
        FROM contacts WHERE org_id = $1 AND contact_list_id = $2 AND carrier IS NULL
        ON CONFLICT (org_id, contact_list_id) DO UPDATE SET
            asked_by = EXCLUDED.asked_by, started_at = EXCLUDED.started_at,
            contacts = EXCLUDED.contacts, asked = 0, asked_to = '', due_at = EXCLUDED.due_at
        WHERE l.due_at IS NULL
        """,
        caller.org_id,
        contact_list_id,
        caller.person_id,
        at,
    )


async def progress(tx: Transaction, org_id: str, contact_list_id: str) -> Record | None:
    """How far the last look-up of a list is; None when there was none."""
    return await tx.sql.fetchrow(
        """
        SELECT started_at, contacts, asked, greatest(contacts - answered - open, 0) AS found,
               answered AS unknown, open AS left
        FROM carrier_look_ups AS l CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE looked_up_at >= started_at) AS answered,
                   count(*) FILTER (WHERE looked_up_at IS NULL OR looked_up_at < started_at) AS open
            FROM contacts AS c
            WHERE c.org_id = $1 AND c.contact_list_id = $2 AND c.carrier IS NULL) AS still
        WHERE l.org_id = $1 AND l.contact_list_id = $2
        """,
        org_id,
        contact_list_id,
    )


async def take_due(tx: Transaction, now: datetime, *, most: int) -> tuple[str, list[str]] | None:
    """An organization and up to `most` phones whose carriers are to be asked for next."""
    due = await tx.sql.fetchrow(
        """
        SELECT org_id, contact_list_id, asked_to FROM carrier_look_ups WHERE due_at <= $1
        ORDER BY due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
        """,
        now,
    )
    if due is None:
        return None
    rows = await tx.sql.fetch(
        """
        SELECT contact_id, phone FROM contacts
        WHERE org_id = $1 AND contact_list_id = $2 AND carrier IS NULL AND contact_id > $3
        ORDER BY contact_id LIMIT $4
        """,
        *due.values(),
        most,
    )
    await tx.sql.execute(
        """
        UPDATE carrier_look_ups SET asked = asked + $3, asked_to = $4, due_at = $5
        WHERE org_id = $1 AND contact_list_id = $2
        """,
        due["org_id"],
        due["contact_list_id"],
        len(rows),
        rows[-1]["contact_id"] if rows else due["asked_to"],
        # Behind the others that are due: a list of a million lets a short one pass.
        now if len(rows) == most else None,
    )
    return due["org_id"], [row["phone"] for row in rows]


async def keep(tx: Transaction, events: Sequence[CarriersFound], at: datetime) -> None:
    """Write what was found to all lists of an organization, and to texts that wait to be sent.

    What a file or a receipt said of a phone counts for more, and stays. Rows are locked in one
    order, so that two replicas cannot deadlock.
    """
    found = {(event.org_id, one.phone): one.carrier for event in events for one in event.found}
    told = (
        [org_id for org_id, _ in found],
        [phone for _, phone in found],
        list(found.values()),
    )
    await tx.sql.execute(
        """
        WITH known AS MATERIALIZED (
            SELECT c.org_id, c.contact_list_id, c.contact_id, t.carrier
            FROM unnest($1::text[], $2::text[], $3::text[]) AS t (org_id, phone, carrier)
            JOIN contacts AS c ON c.org_id = t.org_id AND c.phone = t.phone
            WHERE c.carrier IS NULL
            ORDER BY c.org_id, c.contact_list_id, c.contact_id FOR NO KEY UPDATE OF c)
        UPDATE contacts AS c SET carrier = known.carrier, looked_up_at = $4
        FROM known
        WHERE (c.org_id, c.contact_list_id, c.contact_id)
            = (known.org_id, known.contact_list_id, known.contact_id)
        """,
        *told,
        at,
    )
    await tx.sql.execute(
        """
        WITH waiting AS MATERIALIZED (
            SELECT m.org_id, m.campaign_id, m.message_id, t.carrier
            FROM unnest($1::text[], $2::text[], $3::text[]) AS t (org_id, phone, carrier)
            JOIN messages AS m ON m.org_id = t.org_id AND m.phone = t.phone
            WHERE t.carrier IS NOT NULL AND m.carrier IS NULL
              AND m.status IN ('unassigned', 'assigned', 'skipped')
            ORDER BY m.org_id, m.campaign_id, m.message_id FOR NO KEY UPDATE OF m)
        UPDATE messages AS m SET carrier = waiting.carrier
        FROM waiting
        WHERE (m.org_id, m.campaign_id, m.message_id)
            = (waiting.org_id, waiting.campaign_id, waiting.message_id)
        """,
        *told,
    )
