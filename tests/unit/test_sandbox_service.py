"""The sandbox's pump, which lets happen what is due."""

import asyncio

import pytest

from services.sandbox.behaviour import Behaviour
from services.sandbox.service import Sandbox


@pytest.mark.parametrize("turns", range(6))
async def test_a_request_at_the_last_moment_does_not_keep_the_sandbox_from_stopping(
    turns: int,
) -> None:
    sandbox = Sandbox(Behaviour(), "seed", "key")
    sandbox.world.agenda.after(sandbox.now(), 3600, lambda at: None)
    await sandbox.start()
    # Until the pump has nothing to do for an hour, or until it is woken.
    await asyncio.sleep(0.1)
    sandbox.now()
    for _ in range(turns):
        await asyncio.sleep(0)
    stopping = asyncio.create_task(sandbox.stop())
    # A time-out around it would cancel the pump a second time, and hide that the first was lost.
    stopped, _ = await asyncio.wait([stopping], timeout=2)
    assert stopped
