"""All SQL of the provisioner, each statement beside the function that runs it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from services.provisioner.domain import Carrier, Launch, Order, UseCase
from shared.events import (
    CampaignLaunched,
    CarrierState,
    Person,
    UseCaseRegistered,
    WindowChanged,
)
from shared.rules.hours import Window

Key = tuple[str, str]
"""Organization, and an id within it."""


# --- use cases -----------------------------------------------------------------------------------


async def put_use_cases(sql: PoolConnectionProxy, events: Iterable[UseCaseRegistered]) -> None:
    """Remember use cases as they were registered last."""
    last = {(event.org_id, event.use_case_id): event for event in events}
    rows = [last[key] for key in sorted(last)]
    await sql.execute(
        """
        INSERT INTO use_cases (org_id, use_case_id, provider_campaign_id, messaging_profile_id)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
        ON CONFLICT (org_id, use_case_id) DO UPDATE SET
            provider_campaign_id = excluded.provider_campaign_id,
            messaging_profile_id = excluded.messaging_profile_id
        """,
        [row.org_id for row in rows],
        [row.use_case_id for row in rows],
        [row.provider_campaign_id for row in rows],
        [row.messaging_profile_id for row in rows],
    )


async def wake_waiting(sql: PoolConnectionProxy, keys: Collection[Key], now: datetime) -> None:
    """Let orders that wait for these use cases go on at once."""
    await sql.execute(
        """
        UPDATE orders SET due_at = $3, lease = NULL
        FROM unnest($1::text[], $2::text[]) AS known (org_id, use_case_id)
        WHERE orders.org_id = known.org_id AND orders.use_case_id = known.use_case_id
          AND step = 'waiting'
        """,
        *_columns(keys),
        now,
    )


async def use_cases(sql: PoolConnectionProxy, keys: Collection[Key]) -> dict[Key, UseCase]:
    """Those of these use cases that are known."""
    rows = await sql.fetch(
        """
        SELECT org_id, use_case_id, provider_campaign_id, messaging_profile_id
        FROM unnest($1::text[], $2::text[]) AS wanted (org_id, use_case_id)
        JOIN use_cases USING (org_id, use_case_id)
        """,
        *_columns(keys),
    )
    return {
        (row["org_id"], row["use_case_id"]): UseCase(
            row["provider_campaign_id"], row["messaging_profile_id"]
        )
        for row in rows
    }


# --- windows -------------------------------------------------------------------------------------


async def put_windows(
    sql: PoolConnectionProxy, events: Sequence[CampaignLaunched | WindowChanged]
) -> None:
    """Remember campaigns' windows, unless a later revision is known."""
    await sql.executemany(
        """
        INSERT INTO windows AS known (org_id, campaign_id, revision, opens_at, closes_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (org_id, campaign_id) DO UPDATE
        SET revision = excluded.revision, opens_at = excluded.opens_at,
            closes_at = excluded.closes_at
        WHERE known.revision < excluded.revision
        """,
        [
            (
                event.org_id,
                event.campaign_id,
                event.revision,
                event.window.opens_at,
                event.window.closes_at,
            )
            for event in events
        ],
    )


async def windows(
    sql: PoolConnectionProxy, keys: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Window]:
    """The latest windows of these campaigns."""
    rows = await sql.fetch(
        """
        SELECT org_id, campaign_id, opens_at, closes_at FROM windows
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, campaign_id)
            USING (org_id, campaign_id)
        """,
        [org_id for org_id, _ in keys],
        [campaign_id for _, campaign_id in keys],
    )
    return {
        (row["org_id"], row["campaign_id"]): Window(row["opens_at"], row["closes_at"])
        for row in rows
    }


# --- orders --------------------------------------------------------------------------------------


async def unconfirmed(sql: PoolConnectionProxy, keys: Collection[Key]) -> set[Key]:
    """Those of these numbers that are in our books, but not confirmed by all carriers."""
    rows = await sql.fetch(
        """
        SELECT org_id, number FROM unnest($1::text[], $2::text[]) AS wanted (org_id, number)
        JOIN orders USING (org_id, number) WHERE purchased_at IS NOT NULL
        GROUP BY org_id, number HAVING NOT bool_or(step = 'complete')
        """,
        *_columns(keys),
    )
    return {(row["org_id"], row["number"]) for row in rows}


async def add_orders(sql: PoolConnectionProxy, orders: Sequence[Order]) -> set[str]:
    """Write fresh orders, one a campaign; the ids of those whose campaign had none."""
    rows = await sql.fetch(
        """
        INSERT INTO orders (
            org_id, order_id, campaign_id, use_case_id, name, launched_by_name,
            launched_by_email, area_codes, launched_number,
            launched_at, step, step_since, tries, refusals, error, preference, candidates,
            number, purchase, ask, purchased_at, due_at)
        SELECT org_id, order_id, campaign_id, use_case_id, name, launched_by_name,
            launched_by_email, string_to_array(area_codes, ' '), launched_number, launched_at,
            step, step_since, 0, 0, error, 0, '{}', launched_number, 0, 'new', purchased_at, due_at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::text[], $8::text[], $9::text[], $10::timestamptz[], $11::text[],
            $12::timestamptz[], $13::text[], $14::timestamptz[], $15::timestamptz[])
          AS fresh (org_id, order_id, campaign_id, use_case_id, name, launched_by_name,
            launched_by_email, area_codes, launched_number,
            launched_at, step, step_since, error, purchased_at, due_at)
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
        UPDATE orders SET due_at = $3, lease = $2
        FROM (
            SELECT org_id, order_id FROM orders WHERE due_at <= $1
            ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED) AS due
        WHERE orders.org_id = due.org_id AND orders.order_id = due.order_id
        RETURNING orders.*
        """,
        now,
        lease,
        now + timedelta(seconds=lease_s),
        most,
    )
    known = await use_cases(sql, {(row["org_id"], row["use_case_id"]) for row in rows})
    edited = await windows(sql, {(row["org_id"], row["campaign_id"]) for row in rows})
    said = await _confirmations(sql, {(row["org_id"], row["order_id"]) for row in rows})
    return [
        _order(
            row,
            known.get((row["org_id"], row["use_case_id"])),
            said[row["order_id"]],
            edited[row["org_id"], row["campaign_id"]],
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


async def put_order(sql: PoolConnectionProxy, order: Order, lease: str) -> bool:
    """Write an order and give its lease back; False, and nothing written, if that has run out."""
    org_id = order.launch.org_id
    status = await sql.execute(
        """
        UPDATE orders SET step = $4, step_since = $5, tries = $6, refusals = $7, error = $8,
            preference = $9, candidates = $10, number = $11, purchase = $12, ask = $13,
            asked_at = $14, provider_order_id = $15, purchased_at = $16, due_at = $17, lease = NULL
        WHERE org_id = $1 AND order_id = $2 AND lease = $3
        """,
        org_id,
        order.order_id,
        lease,
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
    )
    if status != "UPDATE 1":
        return False
    await _put_confirmations(sql, [order])
    return True


async def put_number(sql: PoolConnectionProxy, order: Order) -> None:
    """Book the number that an order has bought."""
    await sql.execute(
        """
        INSERT INTO numbers (org_id, number, use_case_id, order_id, purchased_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (org_id, number) DO UPDATE SET use_case_id = excluded.use_case_id,
            order_id = excluded.order_id, purchased_at = excluded.purchased_at
        """,
        order.launch.org_id,
        order.number,
        order.launch.use_case_id,
        order.order_id,
        order.purchased_at,
    )


# --- confirmations -------------------------------------------------------------------------------


async def _confirmations(
    sql: PoolConnectionProxy, keys: Collection[Key]
) -> dict[str, dict[Carrier, CarrierState]]:
    rows = await sql.fetch(
        """
        SELECT order_id, carrier, state, at, reason
        FROM unnest($1::text[], $2::text[]) AS wanted (org_id, order_id)
        JOIN confirmations USING (org_id, order_id)
        """,
        *_columns(keys),
    )
    found: dict[str, dict[Carrier, CarrierState]] = defaultdict(dict)
    for row in rows:
        found[row["order_id"]][row["carrier"]] = CarrierState(
            state=row["state"], at=row["at"], reason=row["reason"]
        )
    return found


async def _put_confirmations(sql: PoolConnectionProxy, orders: Sequence[Order]) -> None:
    rows = [
        (order.launch.org_id, order.order_id, carrier, said.state, said.at, said.reason)
        for order in orders
        for carrier, said in order.carriers.items()
    ]
    if not rows:
        return
    await sql.execute(
        """
        INSERT INTO confirmations (org_id, order_id, carrier, state, at, reason)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[],
            $6::text[])
        ON CONFLICT (org_id, order_id, carrier) DO UPDATE
            SET state = excluded.state, at = excluded.at, reason = excluded.reason
            WHERE confirmations.state <> excluded.state
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


# --- rows and values -----------------------------------------------------------------------------


def _columns(keys: Collection[Key]) -> tuple[list[str], list[str]]:
    ordered = sorted(keys)
    return [first for first, _ in ordered], [second for _, second in ordered]


def _order(
    row: Record, use_case: UseCase | None, carriers: dict[Carrier, CarrierState], window: Window
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
    )
    return Order(
        order_id=row["order_id"],
        launch=launch,
        use_case=use_case,
        step=row["step"],
        step_since=row["step_since"],
        carriers=carriers,
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
        error=row["error"],
    )
