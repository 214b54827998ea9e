"""Contact lists as they are shown and used, and who has opted out."""

from collections.abc import Sequence
from dataclasses import dataclass

from asyncpg import Record

from services.campaign.domain import Refused
from shared.database import Transaction

SHOWN_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class ContactList:
    """What a script needs to know of a list. `longest`: of each field the value that costs most."""

    contacts: int
    fields: list[str]
    longest: dict[str, str]


async def report(tx: Transaction, org_id: str, contact_list_id: str) -> Record | None:
    """A list with the report of its upload; of what was left out the first few rows."""
    return await tx.sql.fetchrow(
        """
        SELECT contact_list_id, name, created_at, contacts, duplicates, opted_out, bad_row_count,
               fields,
               (SELECT count(*) FROM contacts AS c JOIN opt_outs AS o USING (org_id, phone)
                WHERE c.org_id = $1 AND c.contact_list_id = $2 AND stands) AS opted_out_since,
               (SELECT coalesce(jsonb_object_agg(carrier, of_it), '{}') FROM (
                    SELECT coalesce(carrier, 'unknown') AS carrier, count(*) AS of_it
                    FROM contacts WHERE org_id = $1 AND contact_list_id = $2
                    GROUP BY 1 ORDER BY 1) AS each) AS carriers,
               (SELECT coalesce(jsonb_agg(to_jsonb(first)), '[]') FROM (
                    SELECT line, what, field, reason FROM rows_left_out
                    WHERE org_id = $1 AND contact_list_id = $2
                    ORDER BY line LIMIT $3) AS first) AS rows_left_out
        FROM contact_lists WHERE org_id = $1 AND contact_list_id = $2 AND ready
        """,
        org_id,
        contact_list_id,
        SHOWN_AT_ONCE,
    )


async def listed(tx: Transaction, org_id: str, *, after: str, most: int) -> Sequence[Record]:
    """Lists of an organization, newest first; `after` is the last one of the page before."""
    return await tx.sql.fetch(
        """
        SELECT contact_list_id, name, created_at, contacts, duplicates, opted_out, bad_row_count,
               fields
        FROM contact_lists
        WHERE org_id = $1 AND ready AND ($2 = '' OR (created_at, contact_list_id) < (
            SELECT created_at, contact_list_id FROM contact_lists
            WHERE org_id = $1 AND contact_list_id = $2))
        -- Not by their ids: those of uploads with a key do not tell when they were made.
        ORDER BY created_at DESC, contact_list_id DESC LIMIT $3
        """,
        org_id,
        after,
        most,
    )


async def is_there(tx: Transaction, org_id: str, contact_list_id: str) -> bool:
    """Whether the organization has such a list, all of it."""
    return bool(
        await tx.sql.fetchval(
            "SELECT ready FROM contact_lists WHERE org_id = $1 AND contact_list_id = $2",
            org_id,
            contact_list_id,
        )
    )


async def left_out(
    tx: Transaction, org_id: str, contact_list_id: str, *, what: str | None, after: int, most: int
) -> Sequence[Record]:
    """Rows of the file that are not in the list, behind line `after`; `what`: only these."""
    return await tx.sql.fetch(
        """
        SELECT line, what, field, reason FROM rows_left_out
        WHERE org_id = $1 AND contact_list_id = $2 AND line > $3 AND ($4::text IS NULL OR what = $4)
        ORDER BY line LIMIT $5
        """,
        org_id,
        contact_list_id,
        after,
        what,
        most,
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
