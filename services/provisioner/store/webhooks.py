"""Webhooks that were taken: the same signed bytes are taken once."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from asyncpg.pool import PoolConnectionProxy

FORGET_MOST = 1000
# Another replica may have read the clock a moment ago, and look only after this has forgotten.
FORGET_AFTER = timedelta(minutes=1)


async def remember(sql: PoolConnectionProxy, fresh_until: Mapping[bytes, datetime]) -> set[bytes]:
    """Keep these digests, each until its signature is too old by itself; those that were not known.

    Where another transaction has just kept one of them, this waits for its end.
    """
    digests = sorted(fresh_until)
    rows = await sql.fetch(
        """
        INSERT INTO webhooks_seen (digest, fresh_until)
        SELECT * FROM unnest($1::bytea[], $2::timestamptz[])
        ON CONFLICT (digest) DO NOTHING
        RETURNING digest
        """,
        digests,
        [fresh_until[digest] for digest in digests],
    )
    return {row["digest"] for row in rows}


async def forget(sql: PoolConnectionProxy, now: datetime) -> None:
    """Drop those that nobody needs any more, a bounded number of them."""
    await sql.execute(
        """
        DELETE FROM webhooks_seen WHERE digest IN (
            SELECT digest FROM webhooks_seen WHERE fresh_until < $1
            ORDER BY fresh_until LIMIT $2 FOR UPDATE SKIP LOCKED)
        """,
        now - FORGET_AFTER,
        FORGET_MOST,
    )
