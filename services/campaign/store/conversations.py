"""Contacts' answers, and the conversations that they begin."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from services.campaign.domain import Refused
from services.campaign.store import messages
from shared.database import Transaction
from shared.events import ContactOptedIn, ContactOptedOut, MessageReceived
from shared.ids import id_from, new_id


async def receive(tx: Transaction, events: Sequence[MessageReceived]) -> None:
    """Write contacts' texts, each into its conversation.

    A conversation is the work of the sender who texted that contact before it began, and stays
    theirs when an admin joins in. It waits for an answer, unless the contact wants no more texts.
    """
    await tx.sql.execute(
        """
        WITH told AS (
            SELECT e.* FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[],
                                   $5::text[], $6::text[], $7::text[])
                AS e (org_id, campaign_id, phone, received_at, received_id, text, conversation_id)
            JOIN campaigns USING (org_id, campaign_id)
        ), fresh AS (
            INSERT INTO received (org_id, campaign_id, phone, received_at, received_id, text)
            SELECT DISTINCT ON (received_id)
                   org_id, campaign_id, phone, received_at, received_id, text
            FROM told ORDER BY received_id
            ON CONFLICT DO NOTHING
            RETURNING org_id, campaign_id, phone, received_at
        ), answered AS (
            SELECT org_id, campaign_id, phone, max(received_at) AS received_at,
                   (SELECT min(conversation_id) FROM told
                    WHERE (told.org_id, told.campaign_id, told.phone)
                        = (fresh.org_id, fresh.campaign_id, fresh.phone)) AS conversation_id
            FROM fresh GROUP BY org_id, campaign_id, phone
        )
        INSERT INTO conversations (org_id, conversation_id, campaign_id, phone, contact_id,
                                   sender_id, waiting, last_received_at)
        SELECT a.org_id, a.conversation_id, a.campaign_id, a.phone, last.contact_id,
               coalesce(last.sender_id, ''),
               NOT EXISTS (SELECT FROM opt_outs AS o
                           WHERE o.org_id = a.org_id AND o.phone = a.phone AND o.stands),
               a.received_at
        FROM answered AS a LEFT JOIN LATERAL (
            SELECT contact_id, sender_id FROM messages AS m
            WHERE m.org_id = a.org_id AND m.phone = a.phone AND m.campaign_id = a.campaign_id
            ORDER BY queued_at DESC NULLS LAST LIMIT 1) AS last ON true
        -- In one order, so that two replicas cannot deadlock.
        ORDER BY a.org_id, a.campaign_id, a.phone
        ON CONFLICT (org_id, campaign_id, phone) DO UPDATE SET
            waiting = EXCLUDED.waiting,
            sender_id = coalesce(nullif(conversations.sender_id, ''), EXCLUDED.sender_id),
            contact_id = coalesce(conversations.contact_id, EXCLUDED.contact_id),
            last_received_at = greatest(conversations.last_received_at, EXCLUDED.last_received_at)
        """,
        [event.org_id for event in events],
        [event.campaign_id for event in events],
        [event.sender for event in events],
        [event.received_at for event in events],
        [
            id_from(e.org_id, e.campaign_id, e.sender, e.received_at.isoformat(), e.text)
            for e in events
        ],
        [event.text for event in events],
        [new_id() for _ in events],
    )


async def opt_out(tx: Transaction, events: Sequence[ContactOptedOut], at: datetime) -> None:
    """Remember who wants no more texts, and withdraw what was not sent to them yet.

    One that is older than the contact's opt-in changes nothing. One from the future is from now: it
    must not outlast what is said next.
    """
    known = await tx.sql.fetch(
        """
        INSERT INTO opt_outs (org_id, phone, opted_out_at)
        SELECT org_id, e.phone, least(max(e.opted_out_at), $4)
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS e (org_id, phone, opted_out_at)
        JOIN organizations USING (org_id)
        GROUP BY org_id, e.phone ORDER BY org_id, e.phone
        ON CONFLICT (org_id, phone) DO UPDATE
            SET opted_out_at = greatest(opt_outs.opted_out_at, EXCLUDED.opted_out_at)
        RETURNING org_id, phone, stands
        """,
        [event.org_id for event in events],
        [event.phone for event in events],
        [event.opted_out_at for event in events],
        at,
    )
    organizations = [row["org_id"] for row in known if row["stands"]]
    phones = [row["phone"] for row in known if row["stands"]]
    await messages.withdraw(tx, organizations, phones, at)
    await tx.sql.execute(
        """
        UPDATE conversations AS c SET waiting = false
        FROM unnest($1::text[], $2::text[]) AS gone (org_id, phone)
        WHERE c.org_id = gone.org_id AND c.phone = gone.phone AND c.waiting
        """,
        organizations,
        phones,
    )


async def opt_in(tx: Transaction, events: Sequence[ContactOptedIn], at: datetime) -> None:
    """Remember who wants texts again. What was withdrawn from them before stays so.

    One that is older than the contact's opt-out changes nothing, one from the future is from now.
    """
    known = await tx.sql.fetch(
        """
        INSERT INTO opt_outs (org_id, phone, opted_in_at)
        SELECT org_id, e.phone, least(max(e.opted_in_at), $4)
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS e (org_id, phone, opted_in_at)
        JOIN organizations USING (org_id)
        GROUP BY org_id, e.phone ORDER BY org_id, e.phone
        ON CONFLICT (org_id, phone) DO UPDATE
            SET opted_in_at = greatest(opt_outs.opted_in_at, EXCLUDED.opted_in_at)
        RETURNING org_id, phone, opted_in_at, stands
        """,
        [event.org_id for event in events],
        [event.phone for event in events],
        [event.opted_in_at for event in events],
        at,
    )
    welcome = [row for row in known if not row["stands"]]
    # Their START may have been read before this was known, when it waited for nobody.
    await tx.sql.execute(
        """
        UPDATE conversations AS c SET waiting = true
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS back (org_id, phone, opted_in_at)
        WHERE c.org_id = back.org_id AND c.phone = back.phone
          AND c.last_received_at >= back.opted_in_at AND NOT c.waiting
          AND NOT EXISTS (
              SELECT FROM messages AS m
              WHERE m.org_id = c.org_id AND m.phone = c.phone AND m.campaign_id = c.campaign_id
                AND m.queued_at > c.last_received_at)
        """,
        [row["org_id"] for row in welcome],
        [row["phone"] for row in welcome],
        [row["opted_in_at"] for row in welcome],
    )


async def listed(
    tx: Transaction,
    org_id: str,
    *,
    sender_id: str | None,
    campaign_id: str | None,
    waiting: bool | None,
    after: str,
    most: int,
) -> Sequence[Record]:
    """Conversations in the order in which they began, with the contact's last words.

    `sender_id` None is everybody's; `after` is the last id of the page before.
    """
    return await tx.sql.fetch(
        """
        SELECT conversation_id, c.campaign_id, c.phone, first_name, last_name, sender_id, waiting,
               last_received_at, (
                   SELECT text FROM received AS r
                   WHERE r.org_id = c.org_id AND r.campaign_id = c.campaign_id
                     AND r.phone = c.phone
                   ORDER BY received_at DESC LIMIT 1) AS last_text
        FROM conversations AS c
        JOIN campaigns USING (org_id, campaign_id)
        LEFT JOIN contacts USING (org_id, contact_list_id, contact_id)
        WHERE org_id = $1 AND conversation_id > $2 AND ($3::text IS NULL OR sender_id = $3)
          AND ($4::text IS NULL OR campaign_id = $4) AND ($5::boolean IS NULL OR waiting = $5)
        ORDER BY conversation_id LIMIT $6
        """,
        org_id,
        after,
        sender_id,
        campaign_id,
        waiting,
        most,
    )


async def get(tx: Transaction, org_id: str, conversation_id: str) -> Record:
    """A conversation, held until the end. Raises Refused when there is none."""
    row = await tx.sql.fetchrow(
        """
        SELECT conversation_id, c.campaign_id, c.phone, c.contact_id, first_name, last_name,
               sender_id, waiting, last_received_at,
               EXISTS (SELECT FROM opt_outs AS o
                       WHERE o.org_id = c.org_id AND o.phone = c.phone AND o.stands)
                   AS opted_out
        FROM conversations AS c
        JOIN campaigns USING (org_id, campaign_id)
        LEFT JOIN contacts USING (org_id, contact_list_id, contact_id)
        WHERE org_id = $1 AND conversation_id = $2 FOR NO KEY UPDATE OF c
        """,
        org_id,
        conversation_id,
    )
    if row is None:
        raise Refused("missing", "There is no such conversation")
    return row


async def texts(tx: Transaction, org_id: str, conversation: Record) -> Sequence[Record]:
    """The texts of a conversation both ways, oldest first."""
    return await tx.sql.fetch(
        """
        SELECT 'out' AS direction, message_id, kind, sender_id, text, status, reason,
               queued_at AS at
        FROM messages
        WHERE org_id = $1 AND phone = $3 AND campaign_id = $2 AND queued_at IS NOT NULL
        UNION ALL
        SELECT 'in', received_id, 'received', '', text, 'received', NULL, received_at
        FROM received WHERE org_id = $1 AND campaign_id = $2 AND phone = $3
        ORDER BY at, direction DESC
        """,
        org_id,
        conversation["campaign_id"],
        conversation["phone"],
    )


async def answer(tx: Transaction, org_id: str, conversation_id: str) -> None:
    """The conversation waits no more."""
    await tx.sql.execute(
        "UPDATE conversations SET waiting = false WHERE org_id = $1 AND conversation_id = $2",
        org_id,
        conversation_id,
    )
