"""Numbered SQL files, each applied once, in order, under a lock."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import asyncpg

SHARED = Path(__file__).parent / "migrations"


class MigrationChanged(Exception):
    """A file that was applied reads differently now."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; `name` tells where it comes from as well."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Of the text, to notice a file that was edited after it had been applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def found(*folders: Path) -> list[Migration]:
    """The migrations of these folders, in the order in which they apply."""
    return [
        Migration(f"{folder.parent.name}/{file.name}", file.read_text(encoding="utf-8"))
        for folder in folders
        for file in sorted(folder.glob("[0-9]*.sql"))
    ]


async def migrate(url: str, schema: str, *folders: Path) -> list[str]:
    """Bring a schema up to date; the names that were applied now.

    Any number of replicas may start at once: the lock lets one of them do it. Raises
    MigrationChanged when an applied file was edited.
    """
    connection = await asyncpg.connect(url, timeout=10, command_timeout=300)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('sluice migrations'))")
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        await connection.execute(f'SET search_path = "{schema}"')
        await connection.execute(
            """
            CREATE TABLE IF NOT EXISTS migrations (
                name text PRIMARY KEY, checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT clock_timestamp())
            """
        )
        rows = await connection.fetch("SELECT name, checksum FROM migrations")
        applied: dict[str, str] = {row["name"]: row["checksum"] for row in rows}
        fresh = []
        for migration in found(SHARED, *folders):
            known = applied.get(migration.name)
            if known is None:
                await _apply(connection, migration)
                fresh.append(migration.name)
            elif known != migration.checksum:
                raise MigrationChanged(f"{migration.name} was edited after it had been applied")
        return fresh
    finally:
        # Closing the session gives the lock back.
        await connection.close()


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO migrations (name, checksum) VALUES ($1, $2)",
            migration.name,
            migration.checksum,
        )
