"""Recipients' carriers, the phones in line for a look-up, and the texts that wait for them.

These tables grow from nothing to millions within a minute, so the statements leave the planner no
choice but to go by key: a plan that was made while a table was empty reads all of it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.collider.carriers import LOOKED_UP_FOR, Known
from services.collider.domain import Receipt
from services.collider.store.intake import Text
from shared.database import Transaction, columns
from shared.fields import Carrier

PhoneKey = tuple[str, str]
"""Organization and phone."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A phone that was taken from the line."""

    org_id: str
    phone: str
    asked_at: datetime
    tries: int
    carrier: Carrier | None
    """Known by now: another organization asked, or a receipt came."""
    is_wanted: bool
    """Whether a text or a list still waits for it."""
    for_text: bool
    """Whether it was taken from the line of those that texts wait for."""

    @property
    def key(self) -> PhoneKey:
        """Organization and phone."""
        return (self.org_id, self.phone)


async def known_carriers(tx: Transaction, phones: Collection[str]) -> dict[str, Known]:
    """What receipts, or look-ups not too long ago, have told of these phones."""
    rows = await tx.sql.fetch(
        """
        SELECT known.* FROM unnest($1::text[]) AS key (phone) CROSS JOIN LATERAL (
            SELECT phone, carrier, source = 'receipt' AS corrected FROM recipients
            WHERE recipients.phone = key.phone AND (source = 'receipt' OR known_at > $2)
            LIMIT 1) AS known
        """,
        list(phones),
        await tx.now() - LOOKED_UP_FOR,
    )
    return {row["phone"]: Known(row["carrier"], row["corrected"]) for row in rows}


async def ask(tx: Transaction, keys: Collection[PhoneKey]) -> None:
    """Put phones into the line for which texts wait.

    Where one stands there already, its row is locked all the same: who has just been answered
    waits for the texts of this transaction, or this one finds the row gone and writes it anew. So
    no text is left behind without a row.
    """
    await tx.sql.execute(
        """
        INSERT INTO look_ups AS known (org_id, phone, asked_at, due_at)
        SELECT org_id, phone, $3::timestamptz, $3 FROM unnest($1::text[], $2::text[])
            AS asked (org_id, phone) ORDER BY org_id, phone
        ON CONFLICT (org_id, phone) DO UPDATE
        SET for_text = true,
            asked_at = CASE WHEN known.for_text THEN known.asked_at ELSE excluded.asked_at END
        """,
        *columns(sorted(keys), 2),
        await tx.now(),
    )


async def ask_for_lists(tx: Transaction, keys: Collection[PhoneKey]) -> None:
    """Put phones into the line of which it is to be told what is found."""
    await tx.sql.execute(
        """
        INSERT INTO look_ups (org_id, phone, asked_at, due_at, for_text, for_list)
        SELECT org_id, phone, $3::timestamptz, $3, false, true
        FROM unnest($1::text[], $2::text[]) AS asked (org_id, phone) ORDER BY org_id, phone
        ON CONFLICT (org_id, phone) DO UPDATE SET for_list = true
        """,
        *columns(sorted(keys), 2),
        await tx.now(),
    )


async def organizations(tx: Transaction, *, for_text: bool, after: str, most: int) -> list[str]:
    """The next organizations that have phones in this line, in the order of their ids."""
    rows = await tx.sql.fetch(
        """
        WITH RECURSIVE in_line AS (
            (SELECT org_id FROM look_ups WHERE for_text = $3 AND org_id > $1
             ORDER BY org_id LIMIT 1)
            UNION ALL
            SELECT next.org_id FROM in_line CROSS JOIN LATERAL (
                SELECT org_id FROM look_ups WHERE for_text = $3 AND look_ups.org_id > in_line.org_id
                ORDER BY org_id LIMIT 1) AS next)
        SELECT org_id FROM in_line LIMIT $2
        """,
        after,
        most,
        for_text,
    )
    return [row["org_id"] for row in rows]


async def take(
    tx: Transaction,
    org_ids: Sequence[str],
    *,
    for_text: bool,
    each: int,
    asked_by: datetime,
    lease_s: float,
) -> list[Asked]:
    """Take the phones that these organizations asked for first, so many of each from this line, for
    `lease_s` seconds; only those asked for by then."""
    rows = await tx.sql.fetch(
        """
        WITH due AS (
            SELECT one.* FROM unnest($1::text[]) AS turn (org_id) CROSS JOIN LATERAL (
                SELECT org_id, phone FROM look_ups
                WHERE for_text = $7 AND look_ups.org_id = turn.org_id
                  AND due_at <= $2 AND asked_at <= $3
                ORDER BY asked_at LIMIT $4 FOR UPDATE SKIP LOCKED) AS one),
        taken AS (
            UPDATE look_ups
            SET tries = tries + 1, due_at = $2::timestamptz + make_interval(secs => $5)
            FROM due WHERE look_ups.org_id = due.org_id AND look_ups.phone = due.phone
            RETURNING look_ups.org_id, look_ups.phone, asked_at, tries, for_list)
        SELECT org_id, phone, asked_at, tries, $7 AS for_text,
               (SELECT carrier FROM recipients
                WHERE recipients.phone = taken.phone AND (source = 'receipt' OR known_at > $6)),
               for_list OR (
                   SELECT true FROM messages
                   WHERE messages.org_id = taken.org_id AND messages.phone = taken.phone
                     AND status = 'unrouted' AND awaits_carrier LIMIT 1) IS NOT NULL AS is_wanted
        FROM taken
        """,
        org_ids,
        await tx.now(),
        asked_by,
        each,
        lease_s,
        await tx.now() - LOOKED_UP_FOR,
        for_text,
    )
    return [Asked(**row) for row in rows]


async def lock(tx: Transaction, keys: Collection[PhoneKey]) -> set[PhoneKey]:
    """Lock phones in line, in one order for all who do, and before anything that hangs on them;
    those that lists wait for."""
    rows = await tx.sql.fetch(
        """
        SELECT one.* FROM unnest($1::text[], $2::text[]) AS key (org_id, phone)
        CROSS JOIN LATERAL (
            SELECT org_id, phone, for_list FROM look_ups
            WHERE look_ups.org_id = key.org_id AND look_ups.phone = key.phone
            LIMIT 1 FOR UPDATE) AS one
        """,
        *columns(sorted(keys), 2),
    )
    return {(row["org_id"], row["phone"]) for row in rows if row["for_list"]}


async def put_off(tx: Transaction, rows: Collection[tuple[str, str, datetime, int]]) -> None:
    """When these (organization, phone) are tried again, and how many tries count."""
    await tx.sql.execute(
        """
        UPDATE look_ups SET due_at = new.due_at, tries = new.tries
        FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::int[])
            AS new (org_id, phone, due_at, tries)
        WHERE look_ups.org_id = new.org_id AND look_ups.phone = new.phone
        """,
        *columns(sorted(rows), 4),
    )


async def learn(tx: Transaction, carriers: Mapping[str, Carrier]) -> None:
    """Remember what look-ups found; what a receipt has said meanwhile stands above it."""
    await tx.sql.execute(
        """
        INSERT INTO recipients AS known (phone, carrier, source, known_at)
        SELECT phone, carrier, 'look-up', $3
        FROM unnest($1::text[], $2::text[]) AS found (phone, carrier) ORDER BY phone
        ON CONFLICT (phone) DO UPDATE
        SET carrier = excluded.carrier, known_at = excluded.known_at
        WHERE known.source <> 'receipt'
        """,
        *columns(sorted(carriers.items()), 2),
        await tx.now(),
    )


async def lock_waiting(
    tx: Transaction, carriers: Mapping[PhoneKey, Carrier], *, most: int
) -> list[Text]:
    """Texts to these (organization, phone) that wait for their carrier, with the carrier."""
    rows = await tx.sql.fetch(
        """
        SELECT org_id, message_id, campaign_id, kind, channel, found.carrier, phone, segments,
               queued_at, false AS awaits_carrier
        FROM unnest($1::text[], $2::text[], $3::text[]) AS found (org_id, phone, carrier)
        CROSS JOIN LATERAL (
            SELECT message_id, campaign_id, kind, channel, segments, queued_at FROM messages
            WHERE messages.org_id = found.org_id AND messages.phone = found.phone
              AND status = 'unrouted' AND awaits_carrier
            LIMIT $4 FOR UPDATE SKIP LOCKED) AS waiting
        LIMIT $4
        """,
        *columns([(*key, carrier) for key, carrier in sorted(carriers.items())], 3),
        most,
    )
    return [Text(**row) for row in rows]


async def leave(tx: Transaction, keys: Collection[PhoneKey]) -> None:
    """Take locked phones out of the line of which all is told, and for which no text waits any
    more; the others are due."""
    await tx.sql.execute(
        """
        WITH key AS (
            SELECT org_id, phone, (
                SELECT true FROM messages
                WHERE messages.org_id = key.org_id AND messages.phone = key.phone
                  AND status = 'unrouted' AND awaits_carrier LIMIT 1) IS NOT NULL AS is_wanted
            FROM unnest($1::text[], $2::text[]) AS key (org_id, phone)),
        left_over AS (
            UPDATE look_ups SET due_at = $3, for_text = true, for_list = false FROM key
            WHERE look_ups.org_id = key.org_id AND look_ups.phone = key.phone AND is_wanted)
        DELETE FROM look_ups USING key
        WHERE look_ups.org_id = key.org_id AND look_ups.phone = key.phone AND NOT is_wanted
        """,
        *columns(sorted(keys), 2),
        await tx.now(),
    )


async def correct(tx: Transaction, receipts: Sequence[Receipt]) -> int:
    """Remember carriers that receipts name, where the text went by another, or where another is
    stored; how many were."""
    said = [
        (one.org_id, one.message_id, one.attempt, one.provider_id, one.carrier)
        for one in receipts
        if one.carrier is not None
    ]
    if not said:
        return 0
    rows = await tx.sql.fetch(
        """
        INSERT INTO recipients AS known (phone, carrier, source, known_at)
        SELECT DISTINCT ON (phone) phone, said.carrier, 'receipt', $6::timestamptz
        FROM messages
        JOIN unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[]) WITH ORDINALITY
            AS said (org_id, message_id, attempt, provider_id, carrier, place)
            USING (org_id, message_id, attempt)
        LEFT JOIN LATERAL (
            SELECT carrier, source FROM recipients WHERE recipients.phone = messages.phone
            LIMIT 1) AS stored ON true
        WHERE CASE WHEN stored.source = 'receipt' THEN stored.carrier <> said.carrier
                   ELSE messages.carrier <> said.carrier OR stored.carrier <> said.carrier END
          AND (messages.provider_id IS NULL OR said.provider_id IS NULL
               OR messages.provider_id = said.provider_id)
        ORDER BY phone, place DESC
        ON CONFLICT (phone) DO UPDATE
        SET carrier = excluded.carrier, source = excluded.source, known_at = excluded.known_at
        RETURNING phone
        """,
        *columns(said, 5),
        await tx.now(),
    )
    return len(rows)
