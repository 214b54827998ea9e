"""What a statement reads: how many blocks, however large the tables are."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from services.campaign.domain import Caller
from services.campaign.store import scope
from shared.database import Database, Transaction


async def blocks_read(
    url: str, org_id: str, ask: Callable[[Transaction], Awaitable[Any]]
) -> tuple[int, Any, Any]:
    """The blocks that the last statement of a question reads, what it finds, and its plan.

    As the API's own role asks, whose policies must not keep the planner from an index.
    """
    async with (
        await Database.open(url, "campaign", size=1, role=scope.API_ROLE) as database,
        database.transaction() as tx,
    ):
        await scope.narrow(tx, Caller(org_id, "a", "admin", "Ada", ""), org_id)
        await asyncio.sleep(0)
        asked: list[Any] = []
        tx.sql.add_query_logger(asked.append)
        found = await ask(tx)
        # asyncpg tells of a statement a turn of the loop later.
        await asyncio.sleep(0)
        plan = await tx.sql.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {asked[-1].query}", *asked[-1].args
        )
    top = json.loads(plan)[0]["Plan"]
    return top["Shared Hit Blocks"] + top["Shared Read Blocks"], found, plan
