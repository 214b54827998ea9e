"""Numbers that are due: on their way back to the provider, or perhaps used no more."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from asyncpg.pool import PoolConnectionProxy

from services.provisioner.rules.release import Held, Number


async def lease_due(
    sql: PoolConnectionProxy, *, now: datetime, lease: str, lease_s: float, most: int
) -> list[Number]:
    """Take numbers that are due, those that have waited longest first."""
    rows = await sql.fetch(
        """
        UPDATE numbers SET due_at = $3, lease = $2
        FROM (
            SELECT org_id, number FROM numbers WHERE due_at <= $1
            ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED) AS due
        WHERE numbers.org_id = due.org_id AND numbers.number = due.number
        RETURNING numbers.org_id, numbers.number, use_case_id, step, step_since, off_at, let_go_at,
            due_at, reference, tries, error,
            -- Only who has not heard of every request what came of it still has this. What is under
            -- way may hear of it yet.
            greatest(attach_asked_at, (
                SELECT max(asked_at) FROM orders
                WHERE orders.org_id = due.org_id AND orders.number = due.number
                  AND orders.purchased_at IS NOT NULL AND orders.step IN ('complete', 'failed')
                )) AS attach_asked_at,
            (SELECT provider_campaign_id FROM use_cases
             WHERE use_cases.org_id = due.org_id AND use_cases.use_case_id = numbers.use_case_id
               AND astray_since IS NOT NULL) AS attach_to
        """,
        now,
        lease,
        now + timedelta(seconds=lease_s),
        most,
    )
    return [
        Number(
            org_id=row["org_id"],
            number=row["number"],
            use_case_id=row["use_case_id"],
            step=row["step"],
            step_since=row["step_since"],
            let_go_at=row["let_go_at"] or now,
            due_at=row["due_at"],
            off_at=row["off_at"],
            reference=row["reference"],
            attach_asked_at=row["attach_asked_at"],
            attach_to=row["attach_to"],
            tries=row["tries"],
            error=row["error"],
        )
        for row in rows
    ]


async def put_intents(sql: PoolConnectionProxy, numbers: Sequence[Number]) -> None:
    """Write down what is about to be asked of the provider, in the transaction of the lease."""
    await sql.execute(
        """
        UPDATE numbers SET step = intent.step, step_since = intent.step_since,
            attach_asked_at = intent.attach_asked_at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
          AS intent (org_id, number, step, step_since, attach_asked_at)
        WHERE numbers.org_id = intent.org_id AND numbers.number = intent.number
        """,
        [number.org_id for number in numbers],
        [number.number for number in numbers],
        [number.step for number in numbers],
        [number.step_since for number in numbers],
        [number.attach_asked_at for number in numbers],
    )


async def put(sql: PoolConnectionProxy, number: Number, lease: str) -> bool:
    """Write a number and give its lease back; False, and nothing written, if it has run out or the
    number was taken back."""
    status = await sql.execute(
        """
        UPDATE numbers SET step = $4, step_since = $5, off_at = $6, tries = $8, error = $9,
            let_go_at = CASE WHEN $4 = 'held' THEN NULL ELSE $7::timestamptz END,
            dedicated = dedicated AND $4 = 'held', due_at = $10, lease = NULL,
            astray_since = CASE WHEN $11 THEN astray_since END, attach_asked_at = $12
        WHERE org_id = $1 AND number = $2 AND lease = $3
        """,
        number.org_id,
        number.number,
        lease,
        number.step,
        number.step_since,
        number.off_at,
        number.let_go_at,
        number.tries,
        number.error,
        number.due_at,
        number.attach_to is not None,
        number.attach_asked_at,
    )
    return bool(status == "UPDATE 1")


async def held(sql: PoolConnectionProxy, number: Number, *, and_others: bool) -> list[Held]:
    """The number, if it is held, and whether campaigns are on it, or are to come on it as its use
    case's dedicated one; until the end of the transaction none comes on it. `and_others`: all that
    its use case holds."""
    rows = await sql.fetch(
        """
        SELECT number, purchased_at, dedicated FROM numbers
        WHERE org_id = $1 AND use_case_id = $2 AND step = 'held' AND (number = $3 OR $4)
        ORDER BY number FOR UPDATE
        """,
        number.org_id,
        number.use_case_id,
        number.number,
        and_others,
    )
    used = await sql.fetch(
        """
        SELECT DISTINCT number FROM orders
        WHERE org_id = $1 AND number = ANY($2::text[]) AND purchased_at IS NOT NULL
          AND (archived_at IS NULL OR step NOT IN ('complete', 'failed'))
        """,
        number.org_id,
        [row["number"] for row in rows],
    )
    numbers = {row["number"] for row in used}
    return [
        Held(row["number"], row["purchased_at"], row["dedicated"] or row["number"] in numbers)
        for row in rows
    ]
