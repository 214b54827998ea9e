"""Row-level security: a statement that forgets its WHERE shows the API nobody else's rows."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from services.campaign.domain import Caller
from services.campaign.store import scope
from services.campaign.store.scope import API_ROLE
from shared.database import Database, Transaction
from tests.campaign_desk import desk
from tests.policed_rows import (
    ELSEWHERE,
    MINE,
    THEIRS,
    columns_of,
    fill,
    hash_of,
    insert,
    person_of,
    policies,
    tables,
)

# Whose rows nobody reads through the API, or changes: what it tells, what it hears, its schema.
INNER = {"outbox", "heard", "migrations"}
# Rows that are written once.
WRITTEN_ONCE = {"audit"}
ME = Caller(MINE, person_of(MINE), "admin", "Ada", "ada@example.org")
OPERATOR = Caller("", person_of(""), "operator", "Olga", "olga@example.org")


class Undone(Exception):
    """Ends a transaction that is to leave nothing."""


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Database]:
    """The schema with rows of several organizations in every table."""
    async with (
        desk(database_url) as office,
        await Database.open(database_url, office.database.schema, size=2) as database,
    ):
        await fill(database)
        yield database


@asynccontextmanager
async def as_api(owner: Database, *sabotage: str) -> AsyncIterator[Transaction]:
    """A transaction of the API's, in a schema that was harmed first; nothing of it stays."""
    try:
        async with owner.transaction() as tx:
            for statement in sabotage:
                await tx.sql.execute(statement)
            await tx.sql.execute(f"SET LOCAL ROLE {API_ROLE}")
            yield tx
            raise Undone
    except Undone:
        pass


async def organizations_seen(tx: Transaction, table: str) -> set[str]:
    """Whose rows a statement shows that has no WHERE."""
    return {row["org_id"] for row in await tx.sql.fetch(f"SELECT org_id FROM {table}")}


async def refused(tx: Transaction, statement: str) -> None:
    """Try what must be refused: with whatever other answer it was not held back."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with tx.sql.transaction():
            await tx.sql.execute(statement)


async def probe(tx: Transaction, table: str) -> None:
    """All that must hold of a table for the API; fails where one row too many or too few shows."""
    if table in INNER:
        await refused(tx, f"SELECT FROM {table}")
        await refused(tx, f"DELETE FROM {table}")
        if table == "outbox":
            await tx.sql.execute("INSERT INTO outbox (topic, count, body) VALUES ('x', 1, '{}')")
        return
    assert await organizations_seen(tx, table) == set()
    for opening in OPENINGS.get(table, ()):
        async with tx.sql.transaction():
            await opening(tx)
        await forget(tx)
    await scope.narrow(tx, ME, MINE)
    assert await organizations_seen(tx, table) == {MINE}
    columns = await columns_of(tx.sql, table)
    await refused(tx, insert(table, columns, THEIRS))
    if table in WRITTEN_ONCE:
        await refused(tx, f"UPDATE {table} SET org_id = org_id")
        await refused(tx, f"DELETE FROM {table}")
        return
    changed = await tx.sql.fetch(f"UPDATE {table} SET org_id = org_id RETURNING org_id")
    assert {row["org_id"] for row in changed} == {MINE}
    await refused(tx, f"UPDATE {table} SET org_id = '{THEIRS}'")


async def forget(tx: Transaction) -> None:
    """Leave the settings as a transaction finds them on a connection that others have used."""
    for name in ("org_id", "role", "asker_org_id", "asker_id", "presented", "places_of"):
        await tx.sql.execute(f"SELECT set_config('sluice.{name}', '', true)")


async def a_token_shows_itself(tx: Transaction) -> None:
    await scope.present(tx, hash_of(MINE))
    rows = await tx.sql.fetch("SELECT org_id, hash FROM tokens")
    assert [tuple(row) for row in rows] == [(MINE, hash_of(MINE))]


async def a_token_shows_whose_it_is(tx: Transaction) -> None:
    await scope.present(tx, hash_of(MINE))
    rows = await tx.sql.fetch("SELECT org_id, person_id FROM people")
    assert [tuple(row) for row in rows] == [(MINE, person_of(MINE))]


async def a_link_shows_itself(tx: Transaction) -> None:
    await scope.present(tx, hash_of(MINE))
    rows = await tx.sql.fetch("SELECT org_id, hash FROM invites")
    assert [tuple(row) for row in rows] == [(MINE, hash_of(MINE))]


async def a_person_has_places(tx: Transaction) -> None:
    await scope.places_of(tx, person_of(MINE))
    rows = await tx.sql.fetch("SELECT org_id, person_id FROM people ORDER BY org_id")
    assert [tuple(row) for row in rows] == [
        (org_id, person_of(MINE)) for org_id in sorted((MINE, ELSEWHERE))
    ]


async def the_places_have_names(tx: Transaction) -> None:
    await scope.places_of(tx, person_of(MINE))
    assert await organizations_seen(tx, "organizations") == {MINE, ELSEWHERE}


async def an_operator_sees_all_organizations(tx: Transaction) -> None:
    await scope.narrow(tx, OPERATOR, "")
    assert await organizations_seen(tx, "organizations") == {MINE, ELSEWHERE, THEIRS}


async def an_operators_own_rows(tx: Transaction, table: str) -> None:
    await scope.narrow(tx, Caller("", "", "stranger", "", ""), "")
    assert await organizations_seen(tx, table) == set()
    await scope.narrow(tx, OPERATOR, "")
    assert await organizations_seen(tx, table) == {""}


async def only_the_asker_gets_an_answer_again(tx: Transaction) -> None:
    # Whatever organization is in hand: an operator names one after another.
    for org_id in (MINE, THEIRS):
        await scope.narrow(tx, ME, org_id)
        rows = await tx.sql.fetch("SELECT org_id, person_id FROM kept_answers")
        assert [tuple(row) for row in rows] == [(MINE, person_of(MINE))]


def owned(table: str) -> Callable[[Transaction], Awaitable[None]]:
    async def opening(tx: Transaction) -> None:
        await an_operators_own_rows(tx, table)

    return opening


OPENINGS: dict[str, tuple[Callable[[Transaction], Awaitable[None]], ...]] = {
    "tokens": (a_token_shows_itself, owned("tokens")),
    "people": (a_token_shows_whose_it_is, a_person_has_places, owned("people")),
    "audit": (owned("audit"),),
    "invites": (a_link_shows_itself,),
    "organizations": (the_places_have_names, an_operator_sees_all_organizations),
    "kept_answers": (only_the_asker_gets_an_answer_again,),
}


async def test_a_forgotten_where_shows_nobody_elses_rows_of_any_table(owner: Database) -> None:
    found = await tables(owner)
    assert {"messages", "people", "tokens", "outbox"} <= set(found)
    for table in found:
        async with as_api(owner) as tx:
            await probe(tx, table)


async def test_each_policy_is_missed_where_it_is_dropped_or_opened(owner: Database) -> None:
    found = await policies(owner)
    assert len(found) >= 20
    for table, policy, command in found:
        assert not await holds(owner, table, f"DROP POLICY {policy} ON {table}")
        if command != "INSERT":
            harm = f"ALTER POLICY {policy} ON {table} USING (true)"
            assert not await holds(owner, table, harm)
        if command == "ALL":
            harm = f"ALTER POLICY {policy} ON {table} WITH CHECK (true)"
            assert not await holds(owner, table, harm)


async def test_each_table_is_missed_where_its_policies_do_not_bind(owner: Database) -> None:
    for table in set(await tables(owner)) - INNER:
        harm = f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"
        assert not await holds(owner, table, harm)


async def holds(owner: Database, table: str, harm: str) -> bool:
    """Whether nobody notices."""
    try:
        async with as_api(owner, harm) as tx:
            await probe(tx, table)
    except (AssertionError, asyncpg.PostgresError, pytest.fail.Exception):
        return False
    return True


async def test_every_table_has_a_policy_so_that_a_later_one_cannot_forget(owner: Database) -> None:
    async with owner.connection() as connection:
        rows = await connection.fetch(
            """
            SELECT relname, relrowsecurity AS bound, has_any_column_privilege($1, oid, 'SELECT')
                   OR has_table_privilege($1, oid, 'INSERT, UPDATE, DELETE, TRUNCATE') AS opened,
                   ARRAY(SELECT polname FROM pg_policy WHERE polrelid = pg_class.oid) AS policies
            FROM pg_class
            WHERE relnamespace = $2::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
            """,
            API_ROLE,
            owner.schema,
        )
    assert len(rows) >= 20
    for row in rows:
        assert row["bound"], row
        assert bool(row["policies"]) == row["opened"], row
        assert row["opened"] or row["relname"] in INNER, row


async def test_the_apis_role_owns_nothing_and_no_policy_passes_it_by(owner: Database) -> None:
    async with owner.connection() as connection:
        role = await connection.fetchrow(
            """
            SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin,
                   EXISTS (SELECT FROM pg_class WHERE relowner = r.oid) AS owns,
                   EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid) AS belongs
            FROM pg_roles r WHERE rolname = $1
            """,
            API_ROLE,
        )
    assert role is not None
    assert not any(role.values()), role


async def test_the_apis_pool_acts_as_its_role_again_and_again(
    database_url: str, owner: Database
) -> None:
    async with await Database.open(database_url, "campaign", size=2, role=API_ROLE) as api:
        for _ in range(3):
            async with api.transaction() as tx:
                assert await tx.sql.fetchval("SELECT current_user") == API_ROLE
                assert await tx.sql.fetchval("SELECT row_security_active('messages')")
                assert await organizations_seen(tx, "messages") == set()
                await scope.narrow(tx, ME, MINE)
                assert await organizations_seen(tx, "messages") == {MINE}


async def test_what_was_written_down_cannot_be_changed_through_the_api(owner: Database) -> None:
    for statement in (
        "UPDATE audit SET act = 'nothing'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "DROP TABLE audit",
        "ALTER TABLE audit DISABLE ROW LEVEL SECURITY",
    ):
        async with as_api(owner) as tx:
            await scope.narrow(tx, ME, MINE)
            await refused(tx, statement)


async def test_another_organizations_rows_are_shown_for_a_while_and_no_longer(
    owner: Database,
) -> None:
    async with as_api(owner) as tx:
        await scope.narrow(tx, ME, MINE)
        async with scope.within(tx, THEIRS):
            assert await organizations_seen(tx, "campaigns") == {THEIRS}
            # What is kept for the asker stays theirs meanwhile.
            assert await organizations_seen(tx, "kept_answers") == {MINE}
        assert await organizations_seen(tx, "campaigns") == {MINE}
