"""Which buckets are to be looked at: those that are due, and those that have been woken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.collider.bucket import BucketKey
from shared.database import Transaction, columns

# However many wake-ups wait, finding the oldest of them takes the same time.
WAKES_MOST = 2000
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Floor:
    """Where to look from: no bucket is due from before this instant, and no wake-up waits with a
    lower number. What is dead and not swept up yet lies below, and is not walked again."""

    due_at: datetime = LONG_AGO
    wake_id: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """Buckets that were locked; and of all that wait, locked or not, the oldest due time and
    wake-up, where there are any."""

    keys: list[BucketKey]
    oldest_due_at: datetime | None = None
    oldest_wake_id: int | None = None


async def paused_until(tx: Transaction, provider: str) -> datetime | None:
    """Until when the provider's account asked not to be called."""
    until = await tx.sql.fetchval("SELECT paused_until FROM pauses WHERE provider = $1", provider)
    assert until is None or isinstance(until, datetime)
    return until


async def lock_due(
    tx: Transaction, now: datetime, *, floor: Floor, most: int, without: Sequence[str] = ()
) -> Due:
    """Lock buckets that are due or have been woken, those first that have waited longest, but none
    `without` organizations': the only lock a claim takes, and it never waits for one."""
    rows = await tx.sql.fetch(
        """
        WITH due AS (
            SELECT org_id, carrier, due_at, row_number() OVER (ORDER BY due_at) AS place
            FROM standings
            WHERE due_at <= $1 AND due_at >= $5 AND org_id <> ALL($4::text[])
            ORDER BY due_at LIMIT $7),
        oldest AS (
            SELECT org_id, carrier, wake_id FROM wakes
            WHERE wake_id >= $6 AND org_id <> ALL($4::text[])
            ORDER BY wake_id LIMIT $3),
        woken AS (
            SELECT org_id, carrier, row_number() OVER (ORDER BY min(wake_id)) AS place
            FROM oldest GROUP BY org_id, carrier),
        candidates AS (
            SELECT org_id, carrier, min(place) AS place
            FROM (SELECT org_id, carrier, place FROM due UNION ALL SELECT * FROM woken) AS one
            GROUP BY org_id, carrier)
        SELECT org_id, carrier,
               (SELECT min(due_at) FROM standings WHERE due_at >= $5) AS oldest_due_at,
               (SELECT min(wake_id) FROM wakes WHERE wake_id >= $6) AS oldest_wake_id
        FROM buckets JOIN candidates USING (org_id, carrier)
        ORDER BY place LIMIT $2 FOR UPDATE OF buckets SKIP LOCKED
        """,
        now,
        most,
        WAKES_MOST,
        without,
        floor.due_at,
        floor.wake_id,
        # Those that another replica has locked must not hide the others.
        4 * most,
    )
    keys = [(row["org_id"], row["carrier"]) for row in rows]
    if not keys:
        return Due([])
    return Due(keys, rows[0]["oldest_due_at"], rows[0]["oldest_wake_id"])


async def consume_wakes(
    tx: Transaction, keys: Sequence[BucketKey], *, floor: Floor
) -> tuple[set[BucketKey], dict[int, int]]:
    """Mark the lanes that wake-ups of these buckets name as having backlog; which buckets were
    woken, and from which positions on their lanes are to be read.

    What is queued under a wake-up that is seen here is seen by the reading that follows; what
    commits later brings a wake-up of its own.
    """
    rows = await tx.sql.fetch(
        """
        WITH woken AS (
            DELETE FROM wakes USING unnest($1::text[], $2::text[]) AS key (org_id, carrier)
            WHERE wakes.org_id = key.org_id AND wakes.carrier = key.carrier AND wake_id >= $3
            RETURNING wakes.org_id, wakes.carrier, lane_id, position)
        SELECT org_id, carrier, lane_id, min(position) AS position FROM woken
        GROUP BY org_id, carrier, lane_id
        """,
        *columns(keys, 2),
        floor.wake_id,
    )
    positions = {row["lane_id"]: row["position"] for row in rows if row["lane_id"] is not None}
    if positions:
        await tx.sql.execute(
            """
            UPDATE lanes SET backlog = true WHERE lane_id = ANY($1::bigint[]) AND NOT backlog
            """,
            sorted(positions),
        )
    return {(row["org_id"], row["carrier"]) for row in rows}, positions
