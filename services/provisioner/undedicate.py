"""End a use case's dedicated number: python -m services.provisioner.undedicate ORGANIZATION NUMBER

It goes back like any other number when the last campaign on it is archived, and the next campaign
that asks for a dedicated number buys one. Needs SLUICE_DATABASE_URL alone.
"""

import asyncio
import sys

from pydantic import PostgresDsn
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.provisioner.store import numbers
from shared.database import Database
from shared.settings import from_environment


class EndSettings(BaseSettings):
    """The variable that this command reads."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_", hide_input_in_errors=True)

    database_url: PostgresDsn


async def end(database_url: str, org_id: str, number: str) -> bool:
    """End it; whether the organization had such a dedicated number."""
    database = await Database.open(database_url, "provisioner", size=1)
    try:
        async with database.transaction() as tx:
            return await numbers.undedicate(tx.sql, org_id, number, await tx.now())
    finally:
        await database.close()


def main(arguments: list[str]) -> str | None:
    """What went wrong, if anything did."""
    if len(arguments) != 2:
        return "Two arguments: the organization's id, and the number (+1...)"
    url = str(from_environment(EndSettings).database_url)
    if not asyncio.run(end(url, *arguments)):
        return "The organization has no such dedicated number"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
