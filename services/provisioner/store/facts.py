"""Carriers' words on numbers of ours, as the provider told them."""

from collections.abc import Collection, Sequence
from datetime import datetime

from asyncpg.pool import PoolConnectionProxy

from services.provisioner.domain import CarrierFact
from services.provisioner.store.keys import Key, columns_of


async def put(sql: PoolConnectionProxy, facts: Sequence[CarrierFact]) -> set[Key]:
    """Keep each carrier's last word on each number in our books; the numbers of which something new
    was heard.

    Last by the provider's time, as `words.rank` says: what is kept is the same in whichever order
    they come.
    """
    rows = await sql.fetch(
        """
        INSERT INTO facts AS known
            (org_id, number, carrier, provider_campaign_id, state, at, reason)
        SELECT DISTINCT ON (org_id, number, carrier, provider_campaign_id)
            org_id, number, carrier, provider_campaign_id, state, at, reason
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
          AS told (number, carrier, provider_campaign_id, state, at, reason)
        JOIN (SELECT org_id, number FROM numbers WHERE step <> 'gone') AS ours USING (number)
        ORDER BY org_id, number, carrier, provider_campaign_id,
            at DESC, state = 'confirmed' DESC, reason COLLATE "C" DESC
        ON CONFLICT (org_id, number, carrier, provider_campaign_id) DO UPDATE
            SET state = excluded.state, at = excluded.at, reason = excluded.reason
            WHERE (known.at, known.state = 'confirmed', known.reason)
                < (excluded.at, excluded.state = 'confirmed', excluded.reason)
        RETURNING org_id, number
        """,
        [fact.number for fact in facts],
        [fact.carrier for fact in facts],
        [fact.provider_campaign_id or "" for fact in facts],
        [fact.state for fact in facts],
        [fact.at for fact in facts],
        [fact.reason or "" for fact in facts],
    )
    return {(row["org_id"], row["number"]) for row in rows}


async def in_books(sql: PoolConnectionProxy, numbers: Sequence[str]) -> set[Key]:
    """The rows of these numbers, whosever they are."""
    rows = await sql.fetch(
        "SELECT org_id, number FROM numbers WHERE number = ANY($1::text[])", list(numbers)
    )
    return {(row["org_id"], row["number"]) for row in rows}


async def of_numbers(
    sql: PoolConnectionProxy, keys: Collection[Key]
) -> tuple[dict[Key, datetime], dict[Key, tuple[CarrierFact, ...]]]:
    """Since when these numbers are on their use cases, and what was heard of them."""
    columns = columns_of(keys)
    rows = await sql.fetch(
        """
        SELECT org_id, number, on_since
        FROM unnest($1::text[], $2::text[]) AS wanted (org_id, number)
        JOIN numbers USING (org_id, number)
        """,
        *columns,
    )
    on_since = {(row["org_id"], row["number"]): row["on_since"] for row in rows}
    rows = await sql.fetch(
        """
        SELECT org_id, number, carrier, provider_campaign_id, state, at, reason
        FROM unnest($1::text[], $2::text[]) AS wanted (org_id, number)
        JOIN facts USING (org_id, number)
        """,
        *columns,
    )
    facts: dict[Key, tuple[CarrierFact, ...]] = {}
    for row in rows:
        fact = CarrierFact(
            number=row["number"],
            carrier=row["carrier"],
            state=row["state"],
            at=row["at"],
            reason=row["reason"] or None,
            provider_campaign_id=row["provider_campaign_id"] or None,
        )
        key = (row["org_id"], row["number"])
        facts[key] = (*facts.get(key, ()), fact)
    return on_since, facts


async def forget(sql: PoolConnectionProxy, org_id: str, number: str) -> None:
    """Drop what was heard of a number that is not held: it is of an earlier time on its use case,
    even where the provider's clock, being ahead, has it later than that."""
    await sql.execute(
        """
        DELETE FROM facts WHERE org_id = $1 AND number = $2 AND NOT EXISTS (
            SELECT FROM numbers WHERE org_id = $1 AND number = $2 AND step = 'held')
        """,
        org_id,
        number,
    )


async def wake(
    sql: PoolConnectionProxy, keys: Collection[Key], now: datetime, *, besides: str | None
) -> None:
    """Let the orders on these numbers, `besides` one, weigh what was heard, or ask: at once where
    nobody is at them, else as soon as they wait for carriers and nobody is."""
    await sql.execute(
        """
        UPDATE orders SET heard = true,
            due_at = CASE WHEN lease IS NULL AND step IN ('confirm', 'complete', 'failed')
                          THEN $3 ELSE due_at END
        FROM (
            SELECT org_id, order_id FROM unnest($1::text[], $2::text[]) AS heard_of (org_id, number)
            JOIN orders USING (org_id, number)
            WHERE purchased_at IS NOT NULL AND archived_at IS NULL
            ORDER BY org_id, order_id FOR UPDATE OF orders) AS concerned
        WHERE orders.org_id = concerned.org_id AND orders.order_id = concerned.order_id
          AND orders.order_id IS DISTINCT FROM $4
        """,
        *columns_of(keys),
        now,
        besides,
    )
