"""The provider tells of each step of a number, with real processes."""

import asyncpg

from tests.flow.test_admin_in_control import campaign, until

STEPS = 4
"""Assigned by the registry, then confirmed by three carriers."""


async def test_each_step_of_a_number_is_told_once_and_taken_at_once(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with campaign(database_url, amqp_url, bus_prefix) as run:
        shown = await until(
            run.details, lambda found: found["provisioning"]["status"] == "complete", 30
        )
        connection = await asyncpg.connect(database_url)

        async def taken() -> int:
            return int(await connection.fetchval("SELECT count(*) FROM provisioner.webhooks_seen"))

        try:
            await until(taken, lambda count: count == STEPS)
            facts = await connection.fetch("SELECT carrier, state, at FROM provisioner.facts")
        finally:
            await connection.close(timeout=10)
        assert {(row["carrier"], row["state"]) for row in facts} == {
            (carrier, "confirmed") for carrier in shown["provisioning"]["carriers"]
        }
        posted = await run.sandbox.get("/sandbox/webhooks")
        assert (posted["retried"], posted["given_up"]) == (0, 0)
