"""The schema's owner need not be a superuser: who makes databases and roles, or only databases."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.local.children import Run
from deploy.local.postgres import make_postgres
from services.campaign import operator_token
from services.campaign.store.scope import API_ROLE
from tests.campaign_desk import desk


@pytest.fixture
def cluster() -> Iterator[str]:
    """A server of this test's own, in which nobody has made the API's role: roles are a server's,
    and the tests' own server has it since its first campaign service."""
    with Run.begin() as run:
        postgres = make_postgres(run, run.folder / "postgres", durable=False)
        postgres.start()
        yield postgres.database_url


async def owned_by(cluster: str, *, roles: bool, given: bool = False) -> str:
    """A new database of a new, lesser owner; `given`: a superuser has given them the API's role."""
    owner, password = f"owner_{secrets.token_hex(4)}", secrets.token_hex(8)
    connection = await asyncpg.connect(cluster)
    try:
        makes = "CREATEROLE" if roles else "NOCREATEROLE"
        await connection.execute(f"CREATE ROLE {owner} LOGIN {makes} PASSWORD '{password}'")
        await connection.execute(f"CREATE DATABASE {owner} OWNER {owner}")
        if given:
            await connection.execute(f"GRANT {API_ROLE} TO {owner}")
    finally:
        await connection.close()
    parts = urlsplit(cluster)
    place = f"{owner}:{password}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=place, path=f"/{owner}"))


async def test_an_owner_who_is_no_superuser_migrates_and_serves(cluster: str) -> None:
    await serves(await owned_by(cluster, roles=True))


async def test_an_owner_who_makes_no_roles_is_told_what_to_do_and_then_serves(cluster: str) -> None:
    url = await owned_by(cluster, roles=False)
    with pytest.raises(asyncpg.RaiseError, match=f"the role {API_ROLE} is missing") as refused:
        await operator_token.make(url)
    assert f"CREATE ROLE {API_ROLE} NOLOGIN" in str(refused.value.hint)
    connection = await asyncpg.connect(cluster)
    try:
        await connection.execute(f"CREATE ROLE {API_ROLE} NOLOGIN")
        await connection.execute(f"GRANT {API_ROLE} TO {urlsplit(url).username}")
    finally:
        await connection.close()
    await serves(url)
    # The next database of this server, of another owner.
    await serves(await owned_by(cluster, roles=False, given=True))


async def serves(url: str) -> None:
    """From an organization to a click, and nothing of one organization for another."""
    async with desk(url) as office:
        async with office.database.connection() as connection:
            assert not await connection.fetchval(
                "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
            )
        acme, zenith = await office.organization("Acme"), await office.organization("Zenith")
        sue = await acme.sender()
        campaign_id = await acme.launch(sue)
        work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
        message_id = work["messages"][0]["message_id"]
        await office.good("POST", f"/messages/{message_id}/send", sue.token)
        assert (await office.call("GET", f"/campaigns/{campaign_id}", zenith.admin)).status == 404
