"""A contact list while its file comes in. Nobody sees it before `finish`.

Each try of an upload has an id of its own, which the list bears: one that was taken for dead, and
comes to life again after another has begun, finds its writing refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.campaign.domain import Refused
from services.campaign.rules.contact_rows import BadRow, Contact
from shared.database import Transaction
from shared.ids import new_id

STOOD_STILL = "The upload stood still for too long and was given up"
UNDER_WAY = "The same upload is under way: wait for its end, or ask again when it has broken off"


@dataclass(frozen=True, slots=True)
class Begun:
    """A try of an upload. `fingerprint`: of the one that has come in whole before, if any."""

    org_id: str
    contact_list_id: str
    upload_id: str
    ready: bool = False
    fingerprint: bytes | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of rows."""

    contacts: int = 0
    duplicates: int = 0
    opted_out: int = 0


async def begin(
    tx: Transaction,
    org_id: str,
    contact_list_id: str,
    *,
    name: str,
    at: datetime,
    dead_before: datetime,
) -> Begun:
    """Write a list that is not ready yet, or say that it is there already.

    One that another try has left unfinished is taken over when it was last touched before
    `dead_before`: it has to be cleared first. Raises Refused while that may be alive.
    """
    mine = Begun(org_id, contact_list_id, new_id())
    made = await tx.sql.execute(
        """
        INSERT INTO contact_lists (org_id, contact_list_id, upload_id, name, fields, touched_at,
                                   created_at)
        VALUES ($1, $2, $3, $4, '{}', $5, $5) ON CONFLICT DO NOTHING
        """,
        org_id,
        contact_list_id,
        mine.upload_id,
        name,
        at,
    )
    if made == "INSERT 0 1":
        return mine
    known = await tx.sql.fetchrow(
        """
        UPDATE contact_lists SET
            upload_id = CASE WHEN NOT ready AND touched_at < $4 THEN $3 ELSE upload_id END,
            touched_at = CASE WHEN NOT ready AND touched_at < $4 THEN $5 ELSE touched_at END
        WHERE org_id = $1 AND contact_list_id = $2
        RETURNING upload_id, ready, fingerprint
        """,
        org_id,
        contact_list_id,
        mine.upload_id,
        dead_before,
        at,
    )
    if known is None or not (known["ready"] or known["upload_id"] == mine.upload_id):
        raise Refused("conflict", UNDER_WAY)
    return Begun(org_id, contact_list_id, **known)


async def add(
    tx: Transaction,
    begun: Begun,
    contacts: Sequence[Contact],
    bad_rows: Sequence[BadRow],
    at: datetime,
) -> Taken:
    """Write rows: those that are left out, because their number has opted out or stands in an
    earlier line, with that as their reason.

    Raises Refused when the upload was given up in the meantime.
    """
    await _touch(tx, begun, at)
    await _leave_out(tx, begun, bad_rows)
    if not contacts:
        return Taken()
    row = await tx.sql.fetchrow(
        """
        WITH file AS MATERIALIZED (
            SELECT f.*, opt_outs.phone IS NOT NULL AS gone
            FROM unnest($3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                        $9::jsonb[])
                 AS f (line, contact_id, phone, carrier, first_name, last_name, fields)
            LEFT JOIN opt_outs ON opt_outs.org_id = $1 AND opt_outs.phone = f.phone AND stands
        ), fresh AS (
            INSERT INTO contacts (org_id, contact_list_id, contact_id, line, phone, carrier,
                                  first_name, last_name, fields)
            SELECT $1, $2, contact_id, line, phone, carrier, first_name, last_name, fields
            -- In the file's order: of two rows with one number the first counts.
            FROM file WHERE NOT gone ORDER BY line
            ON CONFLICT (org_id, contact_list_id, phone) DO NOTHING
            RETURNING line, phone
        ), others AS (
            INSERT INTO rows_left_out (org_id, contact_list_id, line, what, field, reason)
            SELECT $1, $2, file.line, CASE WHEN gone THEN 'opted out' ELSE 'duplicate' END, 'phone',
                   CASE WHEN gone THEN 'the contact has opted out'
                        -- Looked for row by row: a join could read the whole list for each chunk.
                        ELSE 'the number of line ' || coalesce(first.line, (
                            SELECT line FROM contacts AS earlier
                            WHERE earlier.org_id = $1 AND earlier.contact_list_id = $2
                              AND earlier.phone = file.phone)) END
            FROM file LEFT JOIN fresh AS first ON first.phone = file.phone
            WHERE first.line IS DISTINCT FROM file.line
            RETURNING what
        )
        SELECT (SELECT count(*) FROM fresh) AS contacts,
               count(*) FILTER (WHERE what = 'duplicate') AS duplicates,
               count(*) FILTER (WHERE what = 'opted out') AS opted_out
        FROM others
        """,
        begun.org_id,
        begun.contact_list_id,
        [contact.line for contact in contacts],
        [new_id() for _ in contacts],
        [contact.phone for contact in contacts],
        [contact.carrier for contact in contacts],
        [contact.first_name for contact in contacts],
        [contact.last_name for contact in contacts],
        [contact.fields for contact in contacts],
    )
    assert row is not None
    return Taken(**row)


async def _touch(tx: Transaction, begun: Begun, at: datetime) -> None:
    touched = await tx.sql.execute(
        """
        UPDATE contact_lists SET touched_at = $4
        WHERE org_id = $1 AND contact_list_id = $2 AND upload_id = $3 AND NOT ready
        """,
        begun.org_id,
        begun.contact_list_id,
        begun.upload_id,
        at,
    )
    if touched != "UPDATE 1":
        raise Refused("conflict", STOOD_STILL)


async def _leave_out(tx: Transaction, begun: Begun, bad_rows: Sequence[BadRow]) -> None:
    if not bad_rows:
        return
    await tx.sql.execute(
        """
        INSERT INTO rows_left_out (org_id, contact_list_id, line, what, field, reason)
        SELECT $1, $2, line, 'bad', field, reason
        FROM unnest($3::int[], $4::text[], $5::text[]) AS bad (line, field, reason)
        """,
        begun.org_id,
        begun.contact_list_id,
        [bad.line for bad in bad_rows],
        [bad.field for bad in bad_rows],
        [bad.reason for bad in bad_rows],
    )


async def finish(
    tx: Transaction,
    begun: Begun,
    taken: Taken,
    *,
    bad_row_count: int,
    fields: Sequence[str],
    longest: Mapping[str, str],
    fingerprint: bytes,
) -> None:
    """Make a list ready, with what came of its file.

    Raises Refused when the upload was given up in the meantime.
    """
    status = await tx.sql.execute(
        """
        UPDATE contact_lists SET ready = true, contacts = $4, duplicates = $5, opted_out = $6,
                                 bad_row_count = $7, fields = $8, longest = $9, fingerprint = $10
        WHERE org_id = $1 AND contact_list_id = $2 AND upload_id = $3 AND NOT ready
        """,
        begun.org_id,
        begun.contact_list_id,
        begun.upload_id,
        taken.contacts,
        taken.duplicates,
        taken.opted_out,
        bad_row_count,
        fields,
        longest,
        fingerprint,
    )
    if status != "UPDATE 1":
        raise Refused("conflict", STOOD_STILL)


async def clear(tx: Transaction, begun: Begun, *, most: int) -> bool:
    """Delete up to `most` rows of this try's list; True when none are left, or it is not its."""
    held = await tx.sql.fetchval(
        """
        SELECT true FROM contact_lists
        WHERE org_id = $1 AND contact_list_id = $2 AND upload_id = $3 AND NOT ready
        FOR NO KEY UPDATE
        """,
        begun.org_id,
        begun.contact_list_id,
        begun.upload_id,
    )
    if not held:
        return True
    of_list = begun.org_id, begun.contact_list_id, most
    contacts = await tx.sql.execute(
        """
        DELETE FROM contacts WHERE org_id = $1 AND contact_list_id = $2 AND contact_id IN (
            SELECT contact_id FROM contacts WHERE org_id = $1 AND contact_list_id = $2 LIMIT $3)
        """,
        *of_list,
    )
    rows = await tx.sql.execute(
        """
        DELETE FROM rows_left_out WHERE org_id = $1 AND contact_list_id = $2 AND line IN (
            SELECT line FROM rows_left_out WHERE org_id = $1 AND contact_list_id = $2 LIMIT $3)
        """,
        *of_list,
    )
    return max(int(status.split()[-1]) for status in (contacts, rows)) < most


async def give_up(tx: Transaction, begun: Begun, *, most: int) -> bool:
    """Delete this try's list, up to `most` rows at once; True when all of it is gone."""
    if not await clear(tx, begun, most=most):
        return False
    await tx.sql.execute(
        """
        DELETE FROM contact_lists
        WHERE org_id = $1 AND contact_list_id = $2 AND upload_id = $3 AND NOT ready
        """,
        begun.org_id,
        begun.contact_list_id,
        begun.upload_id,
    )
    return True


async def stalled(tx: Transaction, before: datetime) -> Begun | None:
    """An unfinished list that was last touched before then: taken away from its upload, which may
    be alive after all, and held."""
    row = await tx.sql.fetchrow(
        """
        UPDATE contact_lists SET upload_id = ''
        WHERE (org_id, contact_list_id) = (
            SELECT org_id, contact_list_id FROM contact_lists
            WHERE NOT ready AND touched_at < $1
            ORDER BY touched_at LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING org_id, contact_list_id, upload_id
        """,
        before,
    )
    return None if row is None else Begun(**row)
