"""Numbers of ours: what holds them, and the places that they have on use cases."""

from collections.abc import Collection, Sequence
from datetime import datetime

from asyncpg.pool import PoolConnectionProxy

from services.provisioner.domain import BUYING, Dedicated, Order, Room, Standing
from services.provisioner.rules.release import room_for, standing_of
from services.provisioner.store import facts
from services.provisioner.store.keys import Key, columns_of

# --- numbers that campaigns are on ---------------------------------------------------------------


async def standings(sql: PoolConnectionProxy, keys: Collection[Key]) -> dict[Key, Standing]:
    """How those of these numbers stand that are in our books; from here on nobody lets them go."""
    rows = await sql.fetch(
        """
        SELECT org_id, number, step FROM unnest($1::text[], $2::text[]) AS wanted (org_id, number)
        JOIN numbers USING (org_id, number) ORDER BY org_id, number FOR UPDATE OF numbers
        """,
        *columns_of(keys),
    )
    known = {(row["org_id"], row["number"]): row["step"] for row in rows}
    confirmed = await _confirmed(sql, known.keys())
    return {key: standing_of(step, confirmed=key in confirmed) for key, step in known.items()}


async def _confirmed(sql: PoolConnectionProxy, keys: Collection[Key]) -> set[Key]:
    rows = await sql.fetch(
        """
        SELECT DISTINCT org_id, number
        FROM unnest($1::text[], $2::text[]) AS wanted (org_id, number)
        JOIN numbers USING (org_id, number) JOIN orders USING (org_id, number)
        WHERE orders.purchased_at IS NOT NULL AND orders.step = 'complete'
          AND orders.step_since >= on_since
        """,
        *columns_of(keys),
    )
    return {(row["org_id"], row["number"]) for row in rows}


async def book(sql: PoolConnectionProxy, order: Order) -> None:
    """Write down the number that an order has bought, or has taken back; it has its place on its
    use case. What is held has been booked."""
    if order.launch.dedicated:
        await _lock(sql, order.launch.org_id, order.launch.use_case_id)
    assert order.number is not None
    await facts.forget(sql, order.launch.org_id, order.number)
    await sql.execute(
        """
        INSERT INTO numbers AS known (org_id, number, use_case_id, order_id, purchased_at, on_since,
            step, step_since, dedicated)
        VALUES ($1, $2, $3, $4, $5, $5, 'held', $5,
            $6 AND NOT EXISTS (
                SELECT FROM numbers WHERE org_id = $1 AND use_case_id = $3 AND dedicated))
        ON CONFLICT (org_id, number) DO UPDATE SET use_case_id = excluded.use_case_id,
            order_id = excluded.order_id, purchased_at = excluded.purchased_at,
            on_since = excluded.on_since, step = excluded.step, step_since = excluded.step_since,
            off_at = NULL, let_go_at = NULL, reference = NULL, tries = 0, error = NULL,
            due_at = NULL, lease = NULL, astray_since = NULL, dedicated = excluded.dedicated
        WHERE known.step <> 'held'
        """,
        order.launch.org_id,
        order.number,
        order.launch.use_case_id,
        order.order_id,
        order.purchased_at,
        order.launch.dedicated,
    )


async def seek(sql: PoolConnectionProxy, order: Order, now: datetime) -> None:
    """Look for a number that an order has perhaps bought before it came to its end."""
    await sql.execute(
        """
        INSERT INTO numbers AS known (org_id, number, use_case_id, order_id, purchased_at, on_since,
            step, step_since, off_at, let_go_at, reference, due_at)
        VALUES ($1, $2, $3, $4, $5, $5, 'seek', $5, $5, $5, $6, $5)
        ON CONFLICT (org_id, number) DO UPDATE SET use_case_id = excluded.use_case_id,
            order_id = excluded.order_id, purchased_at = excluded.purchased_at,
            on_since = excluded.on_since, step = excluded.step, step_since = excluded.step_since,
            off_at = excluded.off_at, let_go_at = excluded.let_go_at,
            reference = excluded.reference, tries = 0, error = NULL, due_at = excluded.due_at,
            lease = NULL
        -- A number is sold once: what we have by another order was not bought by this one.
        WHERE known.step = 'gone'
        """,
        order.launch.org_id,
        order.number,
        order.launch.use_case_id,
        order.order_id,
        now,
        order.reference,
    )


async def consider(sql: PoolConnectionProxy, keys: Collection[Key], now: datetime) -> None:
    """See soon whether these numbers are used still."""
    await sql.execute(
        """
        UPDATE numbers SET due_at = $3, lease = NULL
        FROM (
            SELECT org_id, number FROM unnest($1::text[], $2::text[]) AS wanted (org_id, number)
            JOIN numbers USING (org_id, number)
            WHERE step = 'held' ORDER BY org_id, number FOR UPDATE OF numbers) AS left_behind
        WHERE numbers.org_id = left_behind.org_id AND numbers.number = left_behind.number
        """,
        *columns_of(keys),
        now,
    )


async def of_any_organization(sql: PoolConnectionProxy, numbers: Sequence[str]) -> set[str]:
    """Those of these numbers that are in our books, and not gone."""
    rows = await sql.fetch(
        "SELECT number FROM numbers WHERE number = ANY($1::text[]) AND step <> 'gone'",
        list(numbers),
    )
    return {row["number"] for row in rows}


# --- places on a use case ------------------------------------------------------------------------


async def room(sql: PoolConnectionProxy, order: Order, most: int) -> Room | Dedicated:
    """How the places of the order's use case stand, or its dedicated number where the order is to
    send from that. Until the end of the transaction nobody else can take a place, buy or end a
    dedicated number, or take the number that the order was launched with off its way back."""
    key = (order.launch.org_id, order.launch.use_case_id)
    # The number before the use case, as whoever takes it off does.
    step = None
    if order.launch.number is not None:
        step = await sql.fetchval(
            "SELECT step FROM numbers WHERE org_id = $1 AND number = $2 FOR UPDATE",
            key[0],
            order.launch.number,
        )
    # A statement of its own: the count must see what was committed while this one waited.
    await _lock(sql, *key)
    if order.launch.dedicated:
        shared = await _dedicated(sql, order)
        if shared is not None:
            return shared
    row = await sql.fetchrow(
        """
        WITH numbers_on AS (
            SELECT due_at FROM numbers WHERE org_id = $1 AND use_case_id = $2 AND off_at IS NULL),
        orders_on AS (
            SELECT step, archived_at FROM orders
            WHERE org_id = $1 AND use_case_id = $2 AND step NOT IN ('complete', 'failed'))
        SELECT (SELECT count(*) FROM numbers_on)
                + (SELECT count(*) FROM orders_on WHERE step = ANY($3::text[])) AS held,
            EXISTS (SELECT FROM numbers_on WHERE due_at IS NOT NULL)
                OR EXISTS (SELECT FROM orders_on
                           WHERE archived_at IS NOT NULL AND step NOT IN ('waiting', 'place'))
                AS leaving
        """,
        *key,
        list(BUYING),
    )
    assert row is not None
    return room_for(step, held=row["held"], most=most, leaving=row["leaving"])


async def is_place_waited_for(sql: PoolConnectionProxy, org_id: str, use_case_id: str) -> bool:
    """Whether an order has been told that no place is free yet."""
    return bool(
        await sql.fetchval(
            """
            SELECT EXISTS (
                SELECT FROM orders WHERE org_id = $1 AND use_case_id = $2 AND step = 'place'
                  AND error IS NOT NULL AND archived_at IS NULL)
            """,
            org_id,
            use_case_id,
        )
    )


async def consider_kept(
    sql: PoolConnectionProxy, org_id: str, use_case_id: str, now: datetime
) -> None:
    """An order waits for a place: see at once whether a number is kept only for being the last."""
    await sql.execute(
        """
        UPDATE numbers SET due_at = $3
        WHERE org_id = $1 AND use_case_id = $2 AND step = 'held' AND due_at > $3
          AND lease IS NULL AND astray_since IS NULL
        """,
        org_id,
        use_case_id,
        now,
    )


async def wake_for_places(
    sql: PoolConnectionProxy, org_id: str, use_case_id: str, now: datetime
) -> None:
    """A place is free: let those that wait for one ask again. Who is leased asks by itself, after
    this."""
    # Who is just now told that there is none must be done with that, or would sleep over this.
    await _lock(sql, org_id, use_case_id)
    await sql.execute(
        """
        UPDATE orders SET due_at = $3
        FROM (
            SELECT org_id, order_id FROM orders
            WHERE org_id = $1 AND use_case_id = $2 AND step = 'place' AND due_at > $3
              AND lease IS NULL
            FOR UPDATE SKIP LOCKED) AS waiting
        WHERE orders.org_id = waiting.org_id AND orders.order_id = waiting.order_id
        """,
        org_id,
        use_case_id,
        now,
    )


async def _lock(sql: PoolConnectionProxy, org_id: str, use_case_id: str) -> None:
    """Hold the use case's places, and its dedicated number, until the end of the transaction."""
    await sql.execute(
        "SELECT FROM use_cases WHERE org_id = $1 AND use_case_id = $2 FOR UPDATE",
        org_id,
        use_case_id,
    )


# --- dedicated numbers ---------------------------------------------------------------------------


async def _dedicated(sql: PoolConnectionProxy, order: Order) -> Dedicated | None:
    """The dedicated number of the order's use case, bought or being bought by another order; None:
    it has none. Its places are held."""
    key = (order.launch.org_id, order.launch.use_case_id)
    number = await sql.fetchval(
        "SELECT number FROM numbers WHERE org_id = $1 AND use_case_id = $2 AND dedicated", *key
    )
    if number is not None:
        confirmed = await _confirmed(sql, {(key[0], number)})
        return Dedicated(number, is_confirmed=bool(confirmed))
    is_coming = await sql.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM orders
            WHERE org_id = $1 AND use_case_id = $2 AND step NOT IN ('complete', 'failed')
              AND dedicated AND step = ANY($3::text[]) AND order_id <> $4)
        """,
        *key,
        list(BUYING),
        order.order_id,
    )
    return Dedicated(None) if is_coming else None


async def rededicate(sql: PoolConnectionProxy, order: Order) -> None:
    """Whether the number of an order that has ended stays its use case's dedicated one. What the
    carriers did not confirm is not for others too; what they confirm after all is, unless the use
    case has got another."""
    await _lock(sql, order.launch.org_id, order.launch.use_case_id)
    await sql.execute(
        """
        UPDATE numbers AS one SET dedicated = EXISTS (
                SELECT FROM orders WHERE org_id = $1 AND number = $2 AND purchased_at IS NOT NULL
                  AND orders.step = 'complete' AND orders.step_since >= one.on_since)
            AND NOT EXISTS (
                SELECT FROM numbers WHERE org_id = $1 AND use_case_id = one.use_case_id
                  AND dedicated AND number <> $2)
        WHERE org_id = $1 AND number = $2 AND step = 'held'
        """,
        order.launch.org_id,
        order.number,
    )


async def undedicate(sql: PoolConnectionProxy, org_id: str, number: str, now: datetime) -> bool:
    """Make a dedicated number one like all others, which goes back when no campaign is on it;
    whether it was a dedicated one."""
    # The number before the use case, as whoever takes it off does.
    use_case_id = await sql.fetchval(
        """
        SELECT use_case_id FROM numbers WHERE org_id = $1 AND number = $2 AND dedicated FOR UPDATE
        """,
        org_id,
        number,
    )
    if use_case_id is None:
        return False
    await _lock(sql, org_id, use_case_id)
    status = await sql.execute(
        """
        UPDATE numbers SET dedicated = false, due_at = $3, lease = NULL
        WHERE org_id = $1 AND number = $2 AND dedicated
        """,
        org_id,
        number,
        now,
    )
    return bool(status == "UPDATE 1")
