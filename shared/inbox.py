"""Which events this service has heard already."""

from collections.abc import Sequence

from asyncpg.pool import PoolConnectionProxy


async def unheard(connection: PoolConnectionProxy, keys: Sequence[str]) -> set[str]:
    """Mark these events as heard, and say which of them were not before."""
    # In one order, so that two replicas with the same redelivered events cannot deadlock.
    rows = await connection.fetch(
        """
        INSERT INTO heard (key) SELECT key FROM unnest($1::text[]) AS key ORDER BY key
        ON CONFLICT DO NOTHING RETURNING key
        """,
        keys,
    )
    return {row["key"] for row in rows}


async def forget(connection: PoolConnectionProxy, *, days: int, most: int) -> int:
    """Forget events heard longer ago than a duplicate may come; how many were forgotten."""
    status = await connection.execute(
        """
        DELETE FROM heard WHERE key IN (
            SELECT key FROM heard
            WHERE heard_at < clock_timestamp() - make_interval(days => $1) LIMIT $2)
        """,
        days,
        most,
    )
    return int(status.split()[-1])
