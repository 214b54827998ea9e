"""What a statement reads: how many blocks, however large the tables are."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from services.campaign.domain import Caller
from services.campaign.store import scope
from shared.database import Database, Transaction

TEN_CAMPAIGNS = """
INSERT INTO organizations (org_id, name, created_at) VALUES ('acme', 'Acme', now());
INSERT INTO use_cases (org_id, use_case_id, name, provider_campaign_id, registered_at)
    VALUES ('acme', 'u', 'u', 'C1', now());
INSERT INTO contact_lists (org_id, contact_list_id, name, ready, touched_at, created_at, fields)
    VALUES ('acme', 'l', 'all', true, now(), now(), '{}');
INSERT INTO campaigns (org_id, campaign_id, state, name, use_case_id, contact_list_id, script,
                       channel, media_urls, area_codes, opens_at, closes_at, hours_open,
                       hours_close, time_zone, self_assign, batch_size, created_by, created_at)
    SELECT 'acme', 'c' || c, 'active', 'c', 'u', 'l', 'Hi', 'sms', '{}', '{}', now(),
           now() + interval '1 day', '9:00', '21:00', 'America/New_York', true, 100, 'a', now()
    FROM generate_series(0, 9) AS c;
"""
"""An organization `acme` and its campaigns c0 to c9, all active, on one list `l`."""


async def blocks_read(
    url: str,
    org_id: str,
    ask: Callable[[Transaction], Awaitable[Any]],
    *,
    role: str | None = scope.API_ROLE,
) -> tuple[int, Any, Any]:
    """The blocks that the last statement of a question reads, what it finds, and its plan.

    As the API's own role asks, whose policies must not keep the planner from an index; with no
    `role` as workers do, whom no policy binds.
    """
    async with (
        await Database.open(url, "campaign", size=1, role=role) as database,
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
