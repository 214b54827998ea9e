"""`python -m services.provisioner.reconcile_now`, as a process of its own."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.provisioner_bench import Bench, open_bench

ROOT = Path(__file__).parents[2]
STRANGER = "+13125550199"


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as one:
        await one.hear(one.use_case())
        yield one


async def command(bench: Bench, database_url: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("SLUICE_")},
        "SLUICE_DATABASE_URL": database_url,
        "SLUICE_AMQP_URL": "amqp://127.0.0.1:1",
        "SLUICE_TELNYX_URL": str(bench.provider._url),
        "SLUICE_TELNYX_API_KEY": "key",
        "SLUICE_TELNYX_PROFILE_ID": "profile",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.provisioner.reconcile_now", *arguments,
        cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def an_hour_ago(bench: Bench) -> None:
    """As if all that was done so far had been done then."""
    for number in bench.sandbox.world.numbers.owned():
        number.purchased_at -= timedelta(hours=1)
    async with bench.database.connection() as connection:
        await connection.execute("UPDATE orders SET step_since = step_since - interval '1 hour'")
        await connection.execute(
            "UPDATE numbers SET step_since = step_since - interval '1 hour',"
            " on_since = on_since - interval '2 hours'"
        )


async def test_the_command_says_what_differs_and_whether_it_is_mended(
    bench: Bench, database_url: str
) -> None:
    number = await bench.complete()
    code, out, err = await command(bench, database_url)
    assert (code, err) == (0, "")
    count, rest = out.splitlines()
    assert count == "1 number at the provider, 0 differences, 0 of them being mended from now on."
    # Who has just changed something by hand would wonder why it is not listed.
    assert re.fullmatch(r"What changed in the last [0-9.]+ minutes is left to the next run\.", rest)

    bench.sandbox.world.registry.drop(number)
    await an_hour_ago(bench)
    code, out, _ = await command(bench, database_url, "--dry-run")
    assert code == 1
    head, line, count, _ = out.splitlines()
    assert head.split() == ["kind", "number", "organization", "mended", "what"]
    assert line.startswith(
        f"unattached  {number}  {bench.org_id}  would be  The provider has it on"
    )
    assert count == "1 number at the provider, 1 difference."
    assert (await bench.number(number))["due_at"] is None

    code, out, _ = await command(bench, database_url)
    assert (code, "begun" in out) == (0, True)
    assert (await bench.number(number))["due_at"] is not None

    bench.sandbox.world.numbers.own(datetime.now(UTC), STRANGER, None, "profile")
    await an_hour_ago(bench)
    code, out, _ = await command(bench, database_url)
    assert (code, STRANGER in out, "not again" in out) == (1, True, False)


async def test_the_command_says_why_it_could_not_be_done(bench: Bench, database_url: str) -> None:
    for arguments in ((), ("--dry-run",)):
        bench.sandbox.api_key = "another"
        code, out, err = await command(bench, database_url, *arguments)
        assert (code, out, err.splitlines()[-1][:9]) == (2, "", "401 10009")
    async with bench.database.connection() as connection:
        await connection.execute("UPDATE reconciliations SET lease = 'x', due_at = 'infinity'")
    code, _, err = await command(bench, database_url)
    assert (code, "Another run is under way" in err) == (2, True)
    code, _, err = await command(bench, "postgresql://127.0.0.1:1/none")
    assert (code, "ConnectionRefusedError" in err) == (2, True)
