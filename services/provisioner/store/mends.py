"""Differences that are mended: rows are made due, if they are still as they were when looked at.

Each is decided anew by the statement that writes, under the number's lock. What has come between
(a launch, an archive, another run) leaves it alone.
"""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from services.provisioner.rules.reconcile import Difference
from services.provisioner.store.keys import Key


async def attach(sql: PoolConnectionProxy, found: Sequence[Difference], now: datetime) -> set[Key]:
    """Have held numbers put on their use cases again; those for which it was written down."""
    rows = await sql.fetch(
        """
        UPDATE numbers SET astray_since = $4, due_at = $4
        FROM (
            SELECT org_id, number
            FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS seen (org_id, number, since)
            JOIN numbers USING (org_id, number)
            WHERE step = 'held' AND step_since = since AND lease IS NULL
              AND EXISTS (
                SELECT FROM orders WHERE orders.org_id = seen.org_id
                    AND orders.number = seen.number AND orders.purchased_at IS NOT NULL
                    AND orders.step = 'complete' AND orders.step_since >= on_since)
              AND NOT EXISTS (
                SELECT FROM orders WHERE orders.org_id = seen.org_id
                    AND orders.number = seen.number AND orders.purchased_at IS NOT NULL
                    AND orders.step NOT IN ('complete', 'failed'))
            ORDER BY org_id, number FOR UPDATE OF numbers) AS astray
        WHERE numbers.org_id = astray.org_id AND numbers.number = astray.number
        RETURNING numbers.org_id, numbers.number
        """,
        *_columns(found),
        now,
    )
    return _keys(rows)


async def detach(sql: PoolConnectionProxy, found: Sequence[Difference], now: datetime) -> set[Key]:
    """Have resting numbers taken off their use cases once more. Until they are off they have their
    places there again: the provider counts them too."""
    rows = await sql.fetch(
        """
        UPDATE numbers SET step = 'detach', step_since = $4, off_at = NULL, tries = 0,
            error = NULL, due_at = $4
        FROM (
            SELECT org_id, number
            FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS seen (org_id, number, since)
            JOIN numbers USING (org_id, number)
            WHERE step = 'rest' AND step_since = since AND lease IS NULL
              AND NOT EXISTS (
                SELECT FROM orders WHERE orders.org_id = seen.org_id
                    AND orders.launched_number = seen.number
                    AND orders.step NOT IN ('complete', 'failed'))
            ORDER BY org_id, number FOR UPDATE OF numbers) AS resting
        WHERE numbers.org_id = resting.org_id AND numbers.number = resting.number
        RETURNING numbers.org_id, numbers.number
        """,
        *_columns(found),
        now,
    )
    return _keys(rows)


async def give_back(
    sql: PoolConnectionProxy, found: Sequence[Difference], now: datetime
) -> set[Key]:
    """Have numbers given back once more that are gone by our rows."""
    rows = await sql.fetch(
        """
        UPDATE numbers SET step = 'return', step_since = $4, tries = 0, error = NULL, due_at = $4
        FROM (
            SELECT org_id, number
            FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS seen (org_id, number, since)
            JOIN numbers USING (org_id, number)
            WHERE step = 'gone' AND step_since = since
              AND NOT EXISTS (
                SELECT FROM numbers AS held
                WHERE held.number = seen.number AND held.step <> 'gone')
              AND NOT EXISTS (
                SELECT FROM orders WHERE orders.number = seen.number
                    AND (orders.step NOT IN ('complete', 'failed')
                         OR (orders.purchased_at IS NOT NULL AND orders.archived_at IS NULL)))
            ORDER BY org_id, number FOR UPDATE OF numbers) AS there
        WHERE numbers.org_id = there.org_id AND numbers.number = there.number
        RETURNING numbers.org_id, numbers.number
        """,
        *_columns(found),
        now,
    )
    return _keys(rows)


async def seek(sql: PoolConnectionProxy, found: Sequence[Difference], now: datetime) -> set[Key]:
    """Have numbers looked for that were bought for orders which are on other ones: if the provider
    says so too, they are given back."""
    rows = await sql.fetch(
        """
        INSERT INTO numbers AS known (org_id, number, use_case_id, order_id, purchased_at, on_since,
            step, step_since, off_at, let_go_at, reference, due_at)
        SELECT org_id, seen.number, orders.use_case_id, order_id, $5, $5, 'seek', $5, $5, $5,
            reference, $5
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
          AS seen (org_id, number, order_id, reference)
        JOIN orders USING (org_id, order_id)
        WHERE NOT EXISTS (
                SELECT FROM numbers WHERE numbers.number = seen.number AND numbers.step <> 'gone')
          AND NOT EXISTS (
                SELECT FROM orders AS other WHERE other.number = seen.number
                    AND (other.step NOT IN ('complete', 'failed')
                         OR (other.purchased_at IS NOT NULL AND other.archived_at IS NULL)))
        ORDER BY org_id, seen.number
        ON CONFLICT (org_id, number) DO NOTHING
        RETURNING org_id, number
        """,
        [one.org_id for one in found],
        [one.number for one in found],
        [one.order_id for one in found],
        [one.reference for one in found],
        now,
    )
    return _keys(rows)


def _columns(found: Sequence[Difference]) -> tuple[list[str], list[str], list[datetime | None]]:
    return (
        [one.org_id for one in found],
        [one.number for one in found],
        [one.since for one in found],
    )


def _keys(rows: Sequence[Record]) -> set[Key]:
    return {(row["org_id"], row["number"]) for row in rows}
