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
    theirs when an admin joins in; where they were taken off, it is their heir's. It waits for an
    answer, unless the contact wants no more texts.
    """
    await _hold_texters(tx, events)
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
               coalesce(h.heir_id, last.sender_id, ''),
               NOT EXISTS (SELECT FROM opt_outs AS o
                           WHERE o.org_id = a.org_id AND o.phone = a.phone AND o.stands),
               a.received_at
        FROM answered AS a LEFT JOIN LATERAL (
            SELECT contact_id, sender_id, kind FROM messages AS m
            WHERE m.org_id = a.org_id AND m.phone = a.phone AND m.campaign_id = a.campaign_id
            ORDER BY kind = 'test', queued_at DESC NULLS LAST LIMIT 1) AS last ON true
        LEFT JOIN heirs AS h ON h.org_id = a.org_id AND h.campaign_id = a.campaign_id
                                AND h.person_id = last.sender_id
        -- Who had nothing but a text to themselves from it is no contact.
        WHERE last.kind IS DISTINCT FROM 'test'
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


async def _hold_texters(tx: Transaction, events: Sequence[MessageReceived]) -> None:
    """Hold the senders who texted these contacts: one who is being taken off is waited for, and is
    gone in the next statement; one who is taken off from now on leaves these talks as well."""
    await tx.sql.execute(
        """
        SELECT FROM campaign_senders AS s
        JOIN (SELECT DISTINCT m.org_id, m.campaign_id, m.sender_id
              FROM unnest($1::text[], $2::text[], $3::text[]) AS e (org_id, campaign_id, phone)
              JOIN messages AS m USING (org_id, campaign_id, phone)) AS texted
          ON s.org_id = texted.org_id AND s.campaign_id = texted.campaign_id
             AND s.person_id = texted.sender_id
        ORDER BY s.org_id, s.campaign_id, s.person_id FOR KEY SHARE OF s
        """,
        [event.org_id for event in events],
        [event.campaign_id for event in events],
        [event.sender for event in events],
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
    gone = [row for row in known if row["stands"]]
    await _close(tx, [row["org_id"] for row in gone], [row["phone"] for row in gone], at)


async def opt_out_now(
    tx: Transaction, org_id: str, phone: str, at: datetime
) -> tuple[datetime, int] | None:
    """Remember that a contact wants no more texts from now on; since when, and how many texts were
    withdrawn. None: that was known."""
    since: datetime | None = await tx.sql.fetchval(
        """
        INSERT INTO opt_outs (org_id, phone, opted_out_at) VALUES ($1, $2, $3)
        ON CONFLICT (org_id, phone) DO UPDATE
            SET opted_out_at = greatest(EXCLUDED.opted_out_at, opt_outs.opted_in_at)
            WHERE NOT opt_outs.stands
        RETURNING opted_out_at
        """,
        org_id,
        phone,
        at,
    )
    return None if since is None else (since, await _close(tx, [org_id], [phone], at))


async def _close(
    tx: Transaction, organizations: Sequence[str], phones: Sequence[str], at: datetime
) -> int:
    """Withdraw what was not sent to these numbers, and let no conversation with them wait."""
    withdrawn = await messages.withdraw(tx, organizations, phones, at)
    await tx.sql.execute(
        """
        -- All are held, waiting or not: an answer that is being written is written before this or
        -- finds the opt-out. In one order, so that two replicas cannot deadlock.
        WITH held AS MATERIALIZED (
            SELECT org_id, conversation_id
            FROM conversations JOIN unnest($1::text[], $2::text[]) AS gone (org_id, phone)
                 USING (org_id, phone)
            ORDER BY org_id, campaign_id, phone FOR NO KEY UPDATE OF conversations)
        UPDATE conversations AS c SET waiting = false
        FROM held
        WHERE c.org_id = held.org_id AND c.conversation_id = held.conversation_id AND c.waiting
        """,
        organizations,
        phones,
    )
    return withdrawn


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
        -- In one order, as all others hold them.
        WITH held AS MATERIALIZED (
            SELECT c.org_id, c.conversation_id
            FROM unnest($1::text[], $2::text[], $3::timestamptz[])
                 AS back (org_id, phone, opted_in_at)
            JOIN conversations AS c USING (org_id, phone)
            WHERE c.last_received_at >= back.opted_in_at AND NOT c.waiting
              AND NOT EXISTS (
                  SELECT FROM messages AS m
                  WHERE m.org_id = c.org_id AND m.phone = c.phone
                    AND m.campaign_id = c.campaign_id AND m.queued_at > c.last_received_at)
            ORDER BY c.org_id, c.campaign_id, c.phone FOR NO KEY UPDATE OF c)
        UPDATE conversations AS c SET waiting = true
        FROM held WHERE c.org_id = held.org_id AND c.conversation_id = held.conversation_id
        """,
        [row["org_id"] for row in welcome],
        [row["phone"] for row in welcome],
        [row["opted_in_at"] for row in welcome],
    )


async def get(tx: Transaction, org_id: str, conversation_id: str) -> Record:
    """Whom a conversation is with, in which campaign. Raises Refused when there is none."""
    row = await tx.sql.fetchrow(
        """
        SELECT campaign_id, phone, sender_id FROM conversations
        WHERE org_id = $1 AND conversation_id = $2
        """,
        org_id,
        conversation_id,
    )
    return _found(row)


async def hold(tx: Transaction, org_id: str, conversation_id: str) -> Record:
    """A conversation with its campaign, held until the end. Raises Refused when there is none."""
    row = await tx.sql.fetchrow(
        """
        SELECT c.*, conversation_id, phone, contact_id, sender_id
        FROM conversations AS v JOIN campaigns AS c USING (org_id, campaign_id)
        WHERE org_id = $1 AND conversation_id = $2 FOR NO KEY UPDATE OF v
        """,
        org_id,
        conversation_id,
    )
    return _found(row)


def _found(row: Record | None) -> Record:
    if row is None:
        raise Refused("missing", "There is no such conversation")
    return row


async def texts(tx: Transaction, org_id: str, campaign_id: str, phone: str) -> Sequence[Record]:
    """The texts of a campaign to and from a number, oldest first."""
    return await tx.sql.fetch(
        """
        SELECT 'out' AS direction, message_id, kind, sender_id, text, status, reason,
               queued_at AS at
        FROM messages
        WHERE org_id = $1 AND phone = $3 AND campaign_id = $2 AND queued_at IS NOT NULL
        UNION ALL
        SELECT 'in', received_id, 'answer', '', text, 'received', NULL, received_at
        FROM received WHERE org_id = $1 AND campaign_id = $2 AND phone = $3
        ORDER BY at, direction DESC
        """,
        org_id,
        campaign_id,
        phone,
    )


async def waiting(tx: Transaction, org_id: str, campaign_id: str, *, sender_id: str) -> int:
    """How many of a sender's contacts wait for an answer in a campaign."""
    count = await tx.sql.fetchval(
        """
        SELECT count(*) FROM conversations
        WHERE org_id = $1 AND campaign_id = $2 AND sender_id = $3 AND waiting
        """,
        org_id,
        campaign_id,
        sender_id,
    )
    assert isinstance(count, int)
    return count
