"""Tables that have grown are analyzed before plans are made for what they were."""

from shared.database import Database
from shared.migrate import migrate
from shared.statistics import GROWN_BY, keep_up


async def grown(database: Database, rows: int) -> None:
    """So many rows more; counted by the server at once, and not within its next second."""
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO heard (key) SELECT gen_random_uuid()::text FROM generate_series(1, $1)",
            rows,
        )
        await connection.execute("SELECT pg_stat_force_next_flush()")


async def known_rows(database: Database) -> float:
    async with database.connection() as connection:
        rows: float = await connection.fetchval(
            "SELECT reltuples FROM pg_class WHERE oid = 'heard'::regclass"
        )
        return rows


async def test_a_table_that_has_doubled_is_analyzed_and_one_that_has_not_is_left(
    database_url: str,
) -> None:
    await migrate(database_url, "growing")
    database = await Database.open(database_url, "growing", size=1)
    try:
        async with database.connection() as connection:
            await connection.execute("ALTER TABLE heard SET (autovacuum_enabled = off)")
        await grown(database, GROWN_BY // 2)
        await keep_up(database)
        assert await known_rows(database) < 0
        await grown(database, 2 * GROWN_BY)
        await keep_up(database)
        assert await known_rows(database) == 2.5 * GROWN_BY
        await grown(database, GROWN_BY)
        await keep_up(database)
        assert await known_rows(database) == 2.5 * GROWN_BY
        await grown(database, 4 * GROWN_BY)
        await keep_up(database)
        assert await known_rows(database) == 7.5 * GROWN_BY
    finally:
        await database.close()
