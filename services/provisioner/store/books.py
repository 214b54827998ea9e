"""What our rows say of numbers, over all organizations, to be held against the provider's lists.

Read in chunks, each in a statement or a few, without locks: nothing is decided here for good.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from services.provisioner.domain import SETTLED
from services.provisioner.rules.listed import ListedAttachment, ListedNumber
from services.provisioner.rules.reconcile import Gone, Ours, Purchase, Unheld, order_of
from services.provisioner.store.keys import Key
from shared.events import CarrierState


async def ours_after(sql: PoolConnectionProxy, key: Key, most: int) -> list[Ours]:
    """The next numbers that are not gone, in the order of their keys."""
    rows = await sql.fetch(
        """
        WITH chunk AS (
            SELECT * FROM numbers WHERE (org_id, number) > ($1, $2) AND step <> 'gone'
            ORDER BY org_id, number LIMIT $3)
        SELECT chunk.org_id, chunk.number, chunk.step, chunk.step_since, chunk.on_since,
            greatest(chunk.step_since, chunk.on_since, on_it.stepped_at) AS changed_at,
            chunk.lease IS NOT NULL OR coalesce(on_it.under_way, false) OR EXISTS (
                -- Launched with it, and it is to be had back first.
                SELECT FROM orders WHERE orders.org_id = chunk.org_id
                    AND orders.launched_number = chunk.number
                    AND orders.step NOT IN ('complete', 'failed')) AS is_busy,
            coalesce(on_it.was_confirmed, false) AS was_confirmed,
            known.carriers, known.states, known.times,
            use_cases.provider_campaign_id, use_cases.messaging_profile_id
        FROM chunk LEFT JOIN use_cases USING (org_id, use_case_id)
        CROSS JOIN LATERAL (
            SELECT max(step_since) AS stepped_at,
                bool_or(step NOT IN ('complete', 'failed')) AS under_way,
                bool_or(step = 'complete' AND step_since >= chunk.on_since) AS was_confirmed
            FROM orders WHERE orders.org_id = chunk.org_id AND orders.number = chunk.number
                AND orders.purchased_at IS NOT NULL) AS on_it
        CROSS JOIN LATERAL (
            SELECT array_agg(carrier) AS carriers, array_agg(state) AS states,
                array_agg(at) AS times
            FROM orders JOIN confirmations USING (org_id, order_id)
            WHERE orders.org_id = chunk.org_id AND orders.number = chunk.number
                AND orders.purchased_at IS NOT NULL AND orders.archived_at IS NULL
                AND orders.step IN ('complete', 'failed')) AS known
        ORDER BY chunk.org_id, chunk.number
        """,
        *key,
        most,
    )
    return [_ours(row) for row in rows]


def _ours(row: Record) -> Ours:
    words = zip(row["carriers"] or (), row["states"] or (), row["times"] or (), strict=True)
    return Ours(
        org_id=row["org_id"],
        number=row["number"],
        step=row["step"],
        step_since=row["step_since"],
        changed_at=row["changed_at"],
        is_busy=row["is_busy"],
        was_confirmed=row["was_confirmed"],
        on_since=row["on_since"],
        words=[(carrier, CarrierState(state=state, at=at)) for carrier, state, at in words],
        provider_campaign_id=row["provider_campaign_id"],
        messaging_profile_id=row["messaging_profile_id"],
    )


async def unheld(
    sql: PoolConnectionProxy,
    listed: Sequence[ListedNumber],
    attachments: Collection[ListedAttachment],
) -> dict[str, Unheld]:
    """What is known of those of these numbers that no row holds by now."""
    numbers = [one.number for one in listed]
    rows = await sql.fetch(
        "SELECT org_id, number, step, step_since FROM numbers WHERE number = ANY($1::text[])",
        numbers,
    )
    held = {row["number"] for row in rows if row["step"] != "gone"}
    gone: dict[str, list[Gone]] = defaultdict(list)
    for row in rows:
        gone[row["number"]].append(Gone(row["org_id"], row["step_since"]))
    used = await _used(sql, numbers)
    named = {one.number: order_of(one.reference) for one in listed}
    orders = await _purchases(sql, {name[0] for name in named.values() if name is not None})
    use_cases = await _use_cases(sql, {name for one in attachments for name in one.campaigns})
    return {
        one.number: Unheld(
            is_used=one.number in used,
            gone=gone[one.number],
            bought_for=orders.get(name[0]) if (name := named[one.number]) is not None else None,
            counted_on=use_cases,
        )
        for one in listed
        if one.number not in held
    }


async def _used(sql: PoolConnectionProxy, numbers: Sequence[str]) -> set[str]:
    """Those that a campaign is on, or that are being bought."""
    rows = await sql.fetch(
        """
        SELECT DISTINCT number FROM orders
        WHERE number = ANY($1::text[])
          AND (step <> ALL($2::text[]) OR (purchased_at IS NOT NULL AND archived_at IS NULL))
        """,
        numbers,
        list(SETTLED),
    )
    return {row["number"] for row in rows}


async def _purchases(sql: PoolConnectionProxy, order_ids: Collection[str]) -> dict[str, Purchase]:
    rows = await sql.fetch(
        """
        SELECT org_id, order_id, purchase, step_since FROM orders
        WHERE order_id = ANY($1::text[])
        """,
        list(order_ids),
    )
    return {
        row["order_id"]: Purchase(
            row["org_id"], row["order_id"], row["purchase"], row["step_since"]
        )
        for row in rows
    }


async def _use_cases(sql: PoolConnectionProxy, names: Collection[str]) -> dict[str, str]:
    rows = await sql.fetch(
        """
        SELECT provider_campaign_id, min(org_id) AS org_id FROM use_cases
        WHERE provider_campaign_id = ANY($1::text[]) GROUP BY provider_campaign_id
        """,
        list(names),
    )
    return {row["provider_campaign_id"]: row["org_id"] for row in rows}
