"""Contacts who want no texts, or want them again; and whose number a contact has texted."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from asyncpg import Record

from shared.database import Transaction, columns

Contact = tuple[str, str]
"""Organization and phone."""


async def remember(tx: Transaction, words: Mapping[Contact, datetime]) -> set[Contact]:
    """Remember these opt-outs, each with its time; those of contacts whom texts were welcome to.

    The later word counts, whichever comes first. A word from the future is one from now: it must
    not outlast what is said next.
    """
    said = columns([(*contact, at) for contact, at in sorted(words.items())], 3)
    rows = await tx.sql.fetch(
        """
        INSERT INTO opt_outs AS known (org_id, phone, opted_out_at)
        SELECT org_id, phone, least(at, $4) FROM unnest($1::text[], $2::text[], $3::timestamptz[])
            AS said (org_id, phone, at)
        ON CONFLICT (org_id, phone) DO UPDATE SET opted_out_at = excluded.opted_out_at
        WHERE known.opted_in_at > known.opted_out_at
          AND excluded.opted_out_at >= known.opted_in_at
        RETURNING org_id, phone
        """,
        *said,
        await tx.now(),
    )
    # Said again, it outlasts an opt-in from in between that is still on its way.
    await tx.sql.execute(
        """
        UPDATE opt_outs SET opted_out_at = least(said.at, $4)
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS said (org_id, phone, at)
        WHERE opt_outs.org_id = said.org_id AND opt_outs.phone = said.phone
          AND opted_out_at < least(said.at, $4)
        """,
        *said,
        await tx.now(),
    )
    return {(row["org_id"], row["phone"]) for row in rows}


async def welcome(tx: Transaction, words: Mapping[Contact, datetime]) -> set[Contact]:
    """Remember these opt-ins, each with its time; those of contacts who had opted out.

    One who never opted out is remembered too: an older opt-out may still be on its way.
    """
    said = columns([(*contact, at) for contact, at in sorted(words.items())], 3)
    rows = await tx.sql.fetch(
        """
        INSERT INTO opt_outs AS known (org_id, phone, opted_out_at, opted_in_at)
        SELECT org_id, phone, '-infinity', least(at, $4)
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS said (org_id, phone, at)
        ON CONFLICT (org_id, phone) DO UPDATE SET opted_in_at = excluded.opted_in_at
        WHERE coalesce(known.opted_out_at >= known.opted_in_at, true)
          AND excluded.opted_in_at > known.opted_out_at
        RETURNING org_id, phone, opted_out_at > '-infinity' AS had_opted_out
        """,
        *said,
        await tx.now(),
    )
    await tx.sql.execute(
        """
        UPDATE opt_outs SET opted_in_at = least(said.at, $4)
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS said (org_id, phone, at)
        WHERE opt_outs.org_id = said.org_id AND opt_outs.phone = said.phone
          AND (opted_in_at IS NULL OR opted_in_at < least(said.at, $4))
        """,
        *said,
        await tx.now(),
    )
    return {(row["org_id"], row["phone"]) for row in rows if row["had_opted_out"]}


async def conversations(
    tx: Transaction, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Record]:
    """For these (our number, contact's phone) the campaign that texted the contact last from that
    number, archived or not; for a contact whom none of them texted, the one that was launched last
    and is not archived.

    By when a text went, not by when it was queued: a follow-up's may have waited for days. One that
    came to nothing counts less than any that may have arrived. A number that was given back and
    bought again means its present owner.
    """
    rows = await tx.sql.fetch(
        """
        SELECT key.number, key.phone, found.org_id, found.campaign_id
        FROM unnest($1::text[], $2::text[]) AS key (number, phone)
        CROSS JOIN LATERAL (
            SELECT campaigns.org_id, campaigns.campaign_id FROM campaigns
            LEFT JOIN numbers USING (org_id, number)
            LEFT JOIN LATERAL (
                SELECT status IN ('calling', 'sent', 'delivered', 'unclear') AS may_be_there,
                       claimed_at
                FROM messages
                WHERE messages.org_id = campaigns.org_id AND messages.phone = key.phone
                  AND messages.campaign_id = campaigns.campaign_id AND attempt > 0
                ORDER BY may_be_there DESC, claimed_at DESC LIMIT 1) AS texted ON true
            WHERE campaigns.number = key.number
            ORDER BY coalesce(released_at > coalesce(numbers.provisioned_at, '-infinity'), false),
                may_be_there DESC NULLS LAST,
                claimed_at DESC NULLS LAST, archived_at IS NOT NULL,
                launched_at DESC NULLS LAST, campaign_id DESC LIMIT 1) AS found
        """,
        *columns(pairs, 2),
    )
    return {(row["number"], row["phone"]): row for row in rows}
