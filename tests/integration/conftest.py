"""What the stories in virtual time begin with: a collider, or a campaign service."""

from collections.abc import AsyncIterator

import pytest

from tests.campaign_desk import Desk, desk
from tests.engine import MORNING, Engine, engine


@pytest.fixture
async def collider(database_url: str) -> AsyncIterator[Engine]:
    """Nothing limits AT&T there; the other carriers have the operator's defaults."""
    async with engine(database_url, MORNING) as one:
        await one.limit("att")
        yield one


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Desk]:
    """A campaign service with nobody in it yet."""
    async with desk(database_url) as found:
        yield found
