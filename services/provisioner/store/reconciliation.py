"""The run that is due, and the differences that runs have found."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from services.provisioner.rules.reconcile import Difference

DifferenceKey = tuple[str, str, str]
"""Organization, number, kind."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was taken up."""

    begun_at: datetime
    tries: int
    """Runs before it that came to nothing."""


# --- the run -------------------------------------------------------------------------------------


async def take(
    sql: PoolConnectionProxy, *, now: datetime, lease: str, until: datetime, early: bool
) -> Run | None:
    """Take the run up if it is due, and nobody else is at it. `early`: due or not."""
    row = await sql.fetchrow(
        """
        UPDATE reconciliations SET lease = $2, due_at = $3, begun_at = $1
        WHERE one IN (
            SELECT one FROM reconciliations WHERE due_at <= $1 OR ($4 AND lease IS NULL)
            FOR UPDATE SKIP LOCKED)
        RETURNING tries
        """,
        now,
        lease,
        until,
        early,
    )
    return None if row is None else Run(now, row["tries"])


async def keep(sql: PoolConnectionProxy, *, lease: str, until: datetime) -> bool:
    """Hold the run for longer; until the end of the transaction nobody takes it. False: it was
    taken already."""
    status = await sql.execute(
        "UPDATE reconciliations SET due_at = $2 WHERE lease = $1", lease, until
    )
    return bool(status == "UPDATE 1")


async def end(
    sql: PoolConnectionProxy, *, lease: str, now: datetime, due_at: datetime, numbers: int
) -> None:
    """The run has come to its end."""
    await sql.execute(
        """
        UPDATE reconciliations
        SET lease = NULL, due_at = $3, ended_at = $2, numbers = $4, tries = 0, error = NULL
        WHERE lease = $1
        """,
        lease,
        now,
        due_at,
        numbers,
    )


async def fail(sql: PoolConnectionProxy, *, lease: str, due_at: datetime, error: str) -> None:
    """The run has come to nothing."""
    await sql.execute(
        """
        UPDATE reconciliations SET lease = NULL, due_at = $2, tries = tries + 1, error = $3
        WHERE lease = $1
        """,
        lease,
        due_at,
        error,
    )


# --- what runs have found ------------------------------------------------------------------------


async def put(
    sql: PoolConnectionProxy, found: Sequence[Difference], begun_at: datetime
) -> set[DifferenceKey]:
    """Write differences down; those that nobody has begun to mend.

    Where something else differs than before, it is another difference of the same kind.
    """
    rows = await sql.fetch(
        """
        INSERT INTO differences AS known
            (org_id, number, kind, said, first_seen_at, last_seen_at)
        SELECT org_id, number, kind, said, $5, $5
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
          AS seen (org_id, number, kind, said)
        ORDER BY org_id, number, kind
        ON CONFLICT (org_id, number, kind) DO UPDATE
            SET said = excluded.said, last_seen_at = excluded.last_seen_at,
                mended_at = CASE WHEN known.said = excluded.said THEN known.mended_at END
        RETURNING org_id, number, kind, mended_at
        """,
        [one.org_id for one in found],
        [one.number for one in found],
        [one.kind for one in found],
        [one.said for one in found],
        begun_at,
    )
    return {(row["org_id"], row["number"], row["kind"]) for row in rows if row["mended_at"] is None}


async def mark_mended(
    sql: PoolConnectionProxy, keys: Collection[DifferenceKey], now: datetime
) -> None:
    """These are on their way to be mended. Seen again all the same, they are the operator's."""
    await sql.execute(
        """
        UPDATE differences SET mended_at = $4
        FROM unnest($1::text[], $2::text[], $3::text[]) AS mended (org_id, number, kind)
        WHERE differences.org_id = mended.org_id AND differences.number = mended.number
          AND differences.kind = mended.kind
        """,
        [key[0] for key in sorted(keys)],
        [key[1] for key in sorted(keys)],
        [key[2] for key in sorted(keys)],
        now,
    )


async def forget_unseen(sql: PoolConnectionProxy, begun_at: datetime) -> None:
    """Remove what the run that began then has not seen any more."""
    await sql.execute("DELETE FROM differences WHERE last_seen_at < $1", begun_at)


# --- for those who run the service ---------------------------------------------------------------


async def last_run(sql: PoolConnectionProxy) -> Record:
    """How the last run went. `due_at`: of the next one; null: there was none yet."""
    row = await sql.fetchrow(
        """
        SELECT begun_at, ended_at, numbers, tries, error, nullif(due_at, '-infinity') AS due_at,
            lease IS NOT NULL AS being_done
        FROM reconciliations
        """
    )
    assert row is not None
    return row


async def counts(sql: PoolConnectionProxy) -> dict[str, int]:
    """How many differences there are of each kind."""
    rows = await sql.fetch("SELECT kind, count(*) AS count FROM differences GROUP BY kind")
    return {row["kind"]: row["count"] for row in rows}


async def shown(
    sql: PoolConnectionProxy, *, org_id: str | None, kind: str | None, most: int
) -> list[Record]:
    """Differences, those that have been there longest first."""
    return await sql.fetch(
        """
        SELECT org_id, number, kind, said, first_seen_at, last_seen_at, mended_at
        FROM differences
        WHERE ($1::text IS NULL OR org_id = $1) AND ($2::text IS NULL OR kind = $2)
        ORDER BY first_seen_at, org_id, number, kind LIMIT $3
        """,
        org_id,
        kind,
        most,
    )
