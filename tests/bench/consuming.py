"""The collider's intake alone, as a process: its consumers, and none of its workers.

`python -m tests.bench.consuming`, so that another process's claims can be measured beside it.
"""

from __future__ import annotations

import asyncio

from services.collider.handlers import HANDLERS
from shared import logs
from shared.bus import queues_for
from shared.consumer import Consumer
from shared.database import Database
from shared.settings import Settings


async def main() -> None:
    """Consume until killed."""
    settings = Settings()
    database = await Database.open(str(settings.database_url), "collider", size=settings.pool_size)
    url, prefix = str(settings.amqp_url), settings.bus_prefix
    await asyncio.gather(
        *(
            Consumer(database, url, prefix, "collider", queue, HANDLERS).run()
            for queue in queues_for(prefix, "collider", HANDLERS)
        )
    )


if __name__ == "__main__":
    logs.configure("collider", "warning")
    asyncio.run(main())
