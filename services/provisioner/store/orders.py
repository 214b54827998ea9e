"""Orders, and each carrier's word on them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from services.provisioner.domain import CarrierFact, Launch, Order, UseCase
from services.provisioner.store import campaigns, facts
from services.provisioner.store.keys import Key, columns_of
from shared.events import CarrierState, Person
from shared.rules.hours import Window


async def wake_waiting(sql: PoolConnectionProxy, keys: Collection[Key], now: datetime) -> None:
    """Let orders that wait for these use cases go on at once."""
    await sql.execute(
        """
        UPDATE orders SET due_at = $3, lease = NULL
        FROM unnest($1::text[], $2::text[]) AS known (org_id, use_case_id)
        WHERE orders.org_id = known.org_id AND orders.use_case_id = known.use_case_id
          AND step = 'waiting'
        """,
        *columns_of(keys),
        now,
    )


async def add(sql: PoolConnectionProxy, orders: Sequence[Order]) -> set[str]:
    """Write fresh orders, one a campaign that was met; the ids of those whose campaign had none."""
    rows = await sql.fetch(
        """
        INSERT INTO orders (
            org_id, order_id, campaign_id, use_case_id, name, launched_by_name,
            launched_by_email, area_codes, launched_number,
            launched_at, nearby, dedicated, step, step_since, tries, refusals, error, preference,
            candidates, number, purchase, ask, purchased_at, due_at, archived_at)
        SELECT org_id, order_id, campaign_id, use_case_id, name, launched_by_name,
            launched_by_email, string_to_array(area_codes, ' '), launched_number, launched_at,
            nearby, dedicated, step, step_since, 0, 0, error, 0, '{}', launched_number, 0, 'new',
            purchased_at, due_at, archived_at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::text[], $8::text[], $9::text[], $10::timestamptz[], $11::text[],
            $12::timestamptz[], $13::text[], $14::timestamptz[], $15::timestamptz[],
            $16::boolean[], $17::boolean[])
          AS fresh (org_id, order_id, campaign_id, use_case_id, name, launched_by_name,
            launched_by_email, area_codes, launched_number,
            launched_at, step, step_since, error, purchased_at, due_at, nearby, dedicated)
        JOIN campaigns USING (org_id, campaign_id)
        ORDER BY org_id, campaign_id
        ON CONFLICT (org_id, campaign_id) DO NOTHING
        RETURNING order_id
        """,
        [order.launch.org_id for order in orders],
        [order.order_id for order in orders],
        [order.launch.campaign_id for order in orders],
        [order.launch.use_case_id for order in orders],
        [order.launch.name for order in orders],
        [order.launch.launched_by.name for order in orders],
        [order.launch.launched_by.email for order in orders],
        [" ".join(order.launch.area_codes) for order in orders],
        [order.launch.number for order in orders],
        [order.launch.launched_at for order in orders],
        [order.step for order in orders],
        [order.step_since for order in orders],
        [order.error for order in orders],
        [order.purchased_at for order in orders],
        [order.due_at for order in orders],
        [order.launch.nearby for order in orders],
        [order.launch.dedicated for order in orders],
    )
    added = {row["order_id"] for row in rows}
    await _put_confirmations(sql, [order for order in orders if order.order_id in added])
    return added


async def lease_due(
    sql: PoolConnectionProxy, *, now: datetime, lease: str, lease_s: float, most: int
) -> list[Order]:
    """Take orders that are due, those that have waited longest first."""
    rows = await sql.fetch(
        """
        UPDATE orders SET due_at = $3, lease = $2, heard = false
        FROM (
            SELECT org_id, order_id FROM orders WHERE due_at <= $1
            ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED) AS due
        WHERE orders.org_id = due.org_id AND orders.order_id = due.order_id
        RETURNING orders.*, EXISTS (
            SELECT FROM orders AS others
            WHERE others.org_id = orders.org_id AND others.number = orders.number
              AND others.purchased_at IS NOT NULL AND others.archived_at IS NULL
              AND others.order_id <> orders.order_id) AS is_followed
        """,
        now,
        lease,
        now + timedelta(seconds=lease_s),
        most,
    )
    known = await campaigns.use_cases(sql, {(row["org_id"], row["use_case_id"]) for row in rows})
    edited = await campaigns.windows(sql, {(row["org_id"], row["campaign_id"]) for row in rows})
    said = await _confirmations(sql, {(row["org_id"], row["order_id"]) for row in rows})
    # After the lease, which has forgotten that they were heard.
    numbers = {(row["org_id"], row["number"]) for row in rows if row["purchased_at"] is not None}
    on_since, heard = await facts.of_numbers(sql, numbers)
    return [
        _order(
            row,
            known.get((row["org_id"], row["use_case_id"])),
            said[row["order_id"]],
            edited[row["org_id"], row["campaign_id"]],
            heard=heard.get((row["org_id"], row["number"]), ()),
            on_since=on_since.get((row["org_id"], row["number"])),
        )
        for row in rows
    ]


async def put_intents(sql: PoolConnectionProxy, orders: Sequence[Order]) -> None:
    """Write down what is about to be asked of the provider, in the transaction of the lease."""
    await sql.execute(
        """
        UPDATE orders SET step = intent.step, step_since = intent.step_since, ask = intent.ask,
            asked_at = intent.asked_at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[],
            $6::timestamptz[]) AS intent (org_id, order_id, step, step_since, ask, asked_at)
        WHERE orders.org_id = intent.org_id AND orders.order_id = intent.order_id
        """,
        [order.launch.org_id for order in orders],
        [order.order_id for order in orders],
        [order.step for order in orders],
        [order.step_since for order in orders],
        [order.ask for order in orders],
        [order.asked_at for order in orders],
    )


async def hold(sql: PoolConnectionProxy, order: Order, lease: str) -> Order | None:
    """The order, and whether its campaign is archived by now; until the end of the transaction
    nobody changes that. None: the lease has run out."""
    archived = await sql.fetchval(
        """
        SELECT archived_at IS NOT NULL FROM orders
        WHERE org_id = $1 AND order_id = $2 AND lease = $3 FOR UPDATE
        """,
        order.launch.org_id,
        order.order_id,
        lease,
    )
    return None if archived is None else replace(order, archived=archived)


async def put(sql: PoolConnectionProxy, order: Order, now: datetime) -> None:
    """Write an order that is held, and give its lease back. It is due at once where a carrier's
    word on its number came meanwhile."""
    await sql.execute(
        """
        UPDATE orders SET step = $3, step_since = $4, tries = $5, refusals = $6, error = $7,
            preference = $8, candidates = $9, number = $10, purchase = $11, ask = $12,
            asked_at = $13, provider_order_id = $14, purchased_at = $15, lease = NULL,
            waits_for = $18,
            due_at = CASE WHEN heard AND archived_at IS NULL
                               AND $3 IN ('confirm', 'complete', 'failed') THEN $17
                          ELSE $16::timestamptz END
        WHERE org_id = $1 AND order_id = $2
        """,
        order.launch.org_id,
        order.order_id,
        order.step,
        order.step_since,
        order.tries,
        order.refusals,
        order.error,
        order.preference,
        list(order.candidates),
        order.number,
        order.purchase,
        order.ask,
        order.asked_at,
        order.provider_order_id,
        order.purchased_at,
        order.due_at,
        now,
        order.waits_for,
    )
    await _put_confirmations(sql, [order])


async def archive(
    sql: PoolConnectionProxy, archived_at: Mapping[Key, datetime], now: datetime
) -> set[Key]:
    """Bring the orders of these campaigns to an end as soon as nobody is at them; the numbers that
    the campaigns are on."""
    keys = sorted(archived_at)
    rows = await sql.fetch(
        """
        UPDATE orders SET archived_at = over.archived_at,
            due_at = CASE WHEN lease IS NOT NULL THEN due_at
                          WHEN step NOT IN ('complete', 'failed') THEN $4 END
        FROM (
            -- In one order, as whoever brings carriers' words takes those on one number.
            SELECT org_id, order_id, over.archived_at
            FROM unnest($1::text[], $2::text[], $3::timestamptz[])
              AS over (org_id, campaign_id, archived_at)
            JOIN orders USING (org_id, campaign_id)
            WHERE orders.archived_at IS NULL
            ORDER BY org_id, order_id FOR UPDATE OF orders) AS over
        WHERE orders.org_id = over.org_id AND orders.order_id = over.order_id
        RETURNING orders.org_id, orders.number, orders.purchased_at
        """,
        *columns_of(keys),
        [archived_at[key] for key in keys],
        now,
    )
    return {(row["org_id"], row["number"]) for row in rows if row["purchased_at"] is not None}


async def _confirmations(
    sql: PoolConnectionProxy, keys: Collection[Key]
) -> dict[str, list[Record]]:
    rows = await sql.fetch(
        """
        SELECT order_id, carrier, state, at, reason, coalesce(since, at) AS since
        FROM unnest($1::text[], $2::text[]) AS wanted (org_id, order_id)
        JOIN confirmations USING (org_id, order_id)
        """,
        *columns_of(keys),
    )
    found: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        found[row["order_id"]].append(row)
    return found


async def _put_confirmations(sql: PoolConnectionProxy, orders: Sequence[Order]) -> None:
    rows = [
        (
            order.launch.org_id,
            order.order_id,
            carrier,
            said.state,
            said.at,
            said.reason,
            order.told_word(carrier).at,
        )
        for order in orders
        for carrier, said in order.carriers.items()
    ]
    if not rows:
        return
    await sql.execute(
        """
        INSERT INTO confirmations (org_id, order_id, carrier, state, at, reason, since)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[],
            $6::text[], $7::timestamptz[])
        ON CONFLICT (org_id, order_id, carrier) DO UPDATE
            SET state = excluded.state, at = excluded.at, reason = excluded.reason,
                since = excluded.since
            WHERE (confirmations.state, confirmations.at, confirmations.reason)
                IS DISTINCT FROM (excluded.state, excluded.at, excluded.reason)
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


def _order(
    row: Record,
    use_case: UseCase | None,
    said: Sequence[Record],
    window: Window,
    *,
    heard: tuple[CarrierFact, ...],
    on_since: datetime | None,
) -> Order:
    launch = Launch(
        org_id=row["org_id"],
        campaign_id=row["campaign_id"],
        use_case_id=row["use_case_id"],
        name=row["name"],
        launched_by=Person(name=row["launched_by_name"], email=row["launched_by_email"]),
        area_codes=tuple(row["area_codes"]),
        window=window,
        number=row["launched_number"],
        launched_at=row["launched_at"],
        nearby=row["nearby"],
        dedicated=row["dedicated"],
    )
    return Order(
        order_id=row["order_id"],
        launch=launch,
        use_case=use_case,
        step=row["step"],
        step_since=row["step_since"],
        carriers={
            one["carrier"]: CarrierState(state=one["state"], at=one["at"], reason=one["reason"])
            for one in said
        },
        since={one["carrier"]: one["since"] for one in said},
        due_at=row["due_at"],
        tries=row["tries"],
        preference=row["preference"],
        refusals=row["refusals"],
        candidates=tuple(row["candidates"]),
        number=row["number"],
        purchase=row["purchase"],
        ask=row["ask"],
        asked_at=row["asked_at"],
        provider_order_id=row["provider_order_id"],
        purchased_at=row["purchased_at"],
        archived=row["archived_at"] is not None,
        is_followed=row["is_followed"],
        facts=heard,
        on_since=on_since,
        waits_for=row["waits_for"],
        error=row["error"],
    )
