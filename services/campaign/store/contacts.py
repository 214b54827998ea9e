"""Contact lists, their contacts, and who has opted out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from asyncpg import Record

from services.campaign.contact_rows import BadRow, Contact
from services.campaign.domain import Refused
from shared.database import Transaction

BAD_ROWS_KEPT = 1000
STOOD_STILL = "The upload stood still for too long and was given up"


@dataclass(frozen=True, slots=True)
class ContactList:
    """What a script needs to know of a list. `longest`: of each field the value that costs most."""

    contacts: int
    fields: list[str]
    longest: dict[str, str]


async def begin(
    tx: Transaction,
    org_id: str,
    contact_list_id: str,
    *,
    name: str,
    fields: Sequence[str],
    at: datetime,
) -> None:
    """Write a list that is not ready yet: nobody sees it before `finish`."""
    await tx.sql.execute(
        """
        INSERT INTO contact_lists (org_id, contact_list_id, name, fields, touched_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $5)
        """,
        org_id,
        contact_list_id,
        name,
        fields,
        at,
    )


async def add(
    tx: Transaction,
    org_id: str,
    contact_list_id: str,
    contacts: Sequence[tuple[str, Contact]],
    at: datetime,
) -> int:
    """Write contacts with their ids; how many were not in the list before.

    Raises Refused when the upload was given up in the meantime.
    """
    touched = await tx.sql.execute(
        """
        UPDATE contact_lists SET touched_at = $3
        WHERE org_id = $1 AND contact_list_id = $2 AND NOT ready
        """,
        org_id,
        contact_list_id,
        at,
    )
    if touched != "UPDATE 1":
        raise Refused("conflict", STOOD_STILL)
    status = await tx.sql.execute(
        """
        INSERT INTO contacts (org_id, contact_list_id, contact_id, phone, carrier,
                              first_name, last_name, fields)
        SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                                     $8::jsonb[])
        ON CONFLICT (org_id, contact_list_id, phone) DO NOTHING
        """,
        org_id,
        contact_list_id,
        [contact_id for contact_id, _ in contacts],
        [contact.phone for _, contact in contacts],
        [contact.carrier for _, contact in contacts],
        [contact.first_name for _, contact in contacts],
        [contact.last_name for _, contact in contacts],
        [contact.fields for _, contact in contacts],
    )
    return int(status.split()[-1])


async def finish(
    tx: Transaction,
    org_id: str,
    contact_list_id: str,
    *,
    contacts: int,
    duplicates: int,
    bad_rows: Sequence[BadRow],
    bad_row_count: int,
    longest: dict[str, str],
) -> None:
    """Make a list ready, with the report of its upload.

    Raises Refused when the upload was given up in the meantime.
    """
    status = await tx.sql.execute(
        """
        UPDATE contact_lists SET ready = true, contacts = $3, duplicates = $4, bad_rows = $5,
                                 bad_row_count = $6, longest = $7
        WHERE org_id = $1 AND contact_list_id = $2 AND NOT ready
        """,
        org_id,
        contact_list_id,
        contacts,
        duplicates,
        [asdict(bad) for bad in bad_rows],
        bad_row_count,
        longest,
    )
    if status != "UPDATE 1":
        raise Refused("conflict", STOOD_STILL)


async def give_up(tx: Transaction, org_id: str, contact_list_id: str, *, most: int) -> bool:
    """Delete up to `most` contacts of a list that is not ready; True when all of it is gone."""
    status = await tx.sql.execute(
        """
        DELETE FROM contacts WHERE org_id = $1 AND contact_list_id = $2 AND contact_id IN (
            SELECT contact_id FROM contacts JOIN contact_lists USING (org_id, contact_list_id)
            WHERE org_id = $1 AND contact_list_id = $2 AND NOT ready LIMIT $3)
        """,
        org_id,
        contact_list_id,
        most,
    )
    if int(status.split()[-1]) == most:
        return False
    await tx.sql.execute(
        "DELETE FROM contact_lists WHERE org_id = $1 AND contact_list_id = $2 AND NOT ready",
        org_id,
        contact_list_id,
    )
    return True


async def stalled(tx: Transaction, before: datetime) -> tuple[str, str] | None:
    """An unfinished list that was last touched before then: organization and list; held."""
    row = await tx.sql.fetchrow(
        """
        SELECT org_id, contact_list_id FROM contact_lists
        WHERE NOT ready AND touched_at < $1
        ORDER BY touched_at LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        before,
    )
    return None if row is None else (row["org_id"], row["contact_list_id"])


async def report(tx: Transaction, org_id: str, contact_list_id: str) -> Record | None:
    """A list with the report of its upload."""
    return await tx.sql.fetchrow(
        """
        SELECT contact_list_id, name, created_at, contacts, duplicates, bad_row_count, bad_rows,
               fields, (SELECT count(*) FROM contacts JOIN opt_outs USING (org_id, phone)
                        WHERE org_id = $1 AND contact_list_id = $2 AND stands) AS opted_out,
               (SELECT coalesce(jsonb_object_agg(carrier, of_it), '{}') FROM (
                    SELECT coalesce(carrier, 'unknown') AS carrier, count(*) AS of_it
                    FROM contacts WHERE org_id = $1 AND contact_list_id = $2
                    GROUP BY 1 ORDER BY 1) AS each) AS carriers
        FROM contact_lists WHERE org_id = $1 AND contact_list_id = $2 AND ready
        """,
        org_id,
        contact_list_id,
    )


async def listed(tx: Transaction, org_id: str) -> Sequence[Record]:
    """An organization's lists, newest first."""
    return await tx.sql.fetch(
        """
        SELECT contact_list_id, name, created_at, contacts, duplicates, bad_row_count, fields
        FROM contact_lists WHERE org_id = $1 AND ready ORDER BY contact_list_id DESC
        """,
        org_id,
    )


async def list_for_script(tx: Transaction, org_id: str, contact_list_id: str) -> ContactList:
    """What a script needs to know. Raises Refused when the organization has no such list."""
    row = await tx.sql.fetchrow(
        """
        SELECT contacts, fields, longest FROM contact_lists
        WHERE org_id = $1 AND contact_list_id = $2 AND ready
        """,
        org_id,
        contact_list_id,
    )
    if row is None:
        raise Refused("invalid", "there is no such contact list", field="contact_list_id")
    return ContactList(**row)


async def opted_out(tx: Transaction, org_id: str, phone: str) -> bool:
    """Whether this number wants no more texts from the organization."""
    return bool(
        await tx.sql.fetchval(
            "SELECT stands FROM opt_outs WHERE org_id = $1 AND phone = $2", org_id, phone
        )
    )
