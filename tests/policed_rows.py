"""A row of every organization in every table there is, made from what the schema itself says."""

import hashlib
import re
from dataclasses import dataclass

from asyncpg.pool import PoolConnectionProxy

from shared.database import Database

MINE, THEIRS, ELSEWHERE = "mine", "theirs", "elsewhere"
# What has rows of the operators' own as well.
WITH_OPERATORS = {"people", "tokens", "audit", "kept_answers"}
# Where the first of those that a check allows is not the one to take.
SAID = {("people", "role"): "sender"}

_TYPES = {
    "text": "'{name}-{org}'",
    "text[]": "'{{}}'",
    "jsonb": "'{{}}'",
    "bytea": "'\\x{hash}'",
    "boolean": "false",
    "timestamp with time zone": "now()",
    "time without time zone": "'9:00'",
    "date": "now()",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column that has to be given, and what a check asks of it, if one does."""

    name: str
    kind: str
    one_of: str | None


def hash_of(org_id: str) -> bytes:
    """What stands in this organization's columns of hashes."""
    return hashlib.sha256(org_id.encode()).digest()


def person_of(org_id: str) -> str:
    """The person of this organization."""
    return f"person_id-{org_id}"


async def tables(database: Database) -> list[str]:
    """All of the schema's."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            """
            SELECT relname FROM pg_class
            WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') ORDER BY relname
            """,
            database.schema,
        )
    return [row["relname"] for row in rows]


async def policies(database: Database) -> list[tuple[str, str, str]]:
    """All of the schema's: the table, the name, and for which command."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT tablename, policyname, cmd FROM pg_policies WHERE schemaname = $1",
            database.schema,
        )
    return [tuple(row) for row in rows]


async def columns_of(connection: PoolConnectionProxy, table: str) -> list[Column]:
    """Those that a row cannot do without."""
    rows = await connection.fetch(
        """
        SELECT attname, format_type(atttypid, atttypmod) AS kind,
               (SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint
                WHERE conrelid = attrelid AND contype = 'c') AS checks
        FROM pg_attribute
        WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
          AND attnotnull AND NOT atthasdef AND attidentity = '' ORDER BY attnum
        """,
        table,
    )
    found = []
    for row in rows:
        name = row["attname"]
        allowed = re.search(rf"\(\(?{name} = ANY \(ARRAY\['([^']*)'", row["checks"] or "")
        said = SAID.get((table, name), allowed and allowed[1])
        found.append(Column(name, row["kind"], said or None))
    return found


def insert(table: str, columns: list[Column], org_id: str, **differs: str) -> str:
    """A statement that writes this organization's row."""
    names = ", ".join(column.name for column in columns)
    values = ", ".join(_value(column, org_id, differs) for column in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({values})"


def _value(column: Column, org_id: str, differs: dict[str, str]) -> str:
    said = differs.get(column.name)
    if said is None and column.name == "org_id":
        said = org_id
    if said is None:
        said = column.one_of
    if said is not None:
        return f"'{said}'"
    return _TYPES.get(column.kind, "1").format(
        name=column.name, org=org_id, hash=hash_of(org_id).hex()
    )


async def fill(database: Database) -> None:
    """Write them all, whatever refers to what. MINE's person has a place ELSEWHERE too."""
    found = await tables(database)
    async with database.transaction() as tx:
        # Foreign keys are held by triggers, which rest meanwhile.
        await tx.sql.execute("SET LOCAL session_replication_role = replica")
        for table in found:
            columns = await columns_of(tx.sql, table)
            if not any(column.name == "org_id" for column in columns):
                continue
            await tx.sql.execute(f"DELETE FROM {table}")
            for org_id in (MINE, THEIRS, ELSEWHERE):
                await tx.sql.execute(insert(table, columns, org_id))
            if table in WITH_OPERATORS:
                role = {"role": "operator"} if table == "people" else {}
                await tx.sql.execute(insert(table, columns, "", **role))
            if table in ("people", "kept_answers"):
                await tx.sql.execute(insert(table, columns, MINE, person_id="somebody", email="x"))
            if table == "people":
                await tx.sql.execute(
                    insert(table, columns, ELSEWHERE, person_id=person_of(MINE), email="x")
                )
