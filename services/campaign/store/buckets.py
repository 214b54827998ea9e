"""How the collider is doing with each carrier, as it last told."""

from collections.abc import Sequence

from asyncpg import Record

from shared.database import Transaction
from shared.events import BucketState
from shared.rules.forecast import BucketSeen


async def keep(tx: Transaction, events: Sequence[BucketState]) -> None:
    """Keep the latest of each organization and carrier, whatever comes late."""
    await tx.sql.execute(
        """
        INSERT INTO bucket_states (org_id, carrier, backlog, replies, oldest_queued_at,
                                   sent_per_minute, room, day_quota_left, slowed, at)
        SELECT DISTINCT ON (org_id, carrier) e.*
        FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::timestamptz[], $6::int[],
                    $7::int[], $8::int[], $9::boolean[], $10::timestamptz[])
             AS e (org_id, carrier, backlog, replies, oldest_queued_at, sent_per_minute, room,
                   day_quota_left, slowed, at)
        JOIN organizations USING (org_id)
        ORDER BY org_id, carrier, at DESC
        ON CONFLICT (org_id, carrier) DO UPDATE SET
            backlog = EXCLUDED.backlog, replies = EXCLUDED.replies,
            oldest_queued_at = EXCLUDED.oldest_queued_at,
            sent_per_minute = EXCLUDED.sent_per_minute, room = EXCLUDED.room,
            day_quota_left = EXCLUDED.day_quota_left, slowed = EXCLUDED.slowed, at = EXCLUDED.at
        WHERE bucket_states.at < EXCLUDED.at
        """,
        [event.org_id for event in events],
        [event.carrier for event in events],
        [event.backlog for event in events],
        [event.replies for event in events],
        [event.oldest_queued_at for event in events],
        [event.sent_per_minute for event in events],
        [event.room for event in events],
        [event.day_quota_left for event in events],
        [event.slowed for event in events],
        [event.at for event in events],
    )


async def listed(tx: Transaction, org_id: str, *, after: str, most: int) -> Sequence[Record]:
    """An organization's buckets; a carrier that nothing was queued for has none."""
    return await tx.sql.fetch(
        """
        SELECT carrier, backlog, replies, oldest_queued_at, sent_per_minute, room, day_quota_left,
               slowed, at
        FROM bucket_states WHERE org_id = $1 AND carrier > $2 ORDER BY carrier LIMIT $3
        """,
        org_id,
        after,
        most,
    )


def seen_of(row: Record) -> BucketSeen:
    """A bucket as it was last told, for what is forecast of it."""
    return BucketSeen(
        row["at"],
        row["backlog"],
        row["replies"],
        row["sent_per_minute"],
        row["room"],
        row["day_quota_left"],
        row["slowed"],
    )
