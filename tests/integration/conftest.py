"""A collider on a morning in Los Angeles, for the stories in virtual time."""

from collections.abc import AsyncIterator

import pytest

from tests.engine import MORNING, Engine, engine


@pytest.fixture
async def collider(database_url: str) -> AsyncIterator[Engine]:
    """Nothing limits AT&T there; the other carriers have the operator's defaults."""
    async with engine(database_url, MORNING) as one:
        await one.limit("att")
        yield one
