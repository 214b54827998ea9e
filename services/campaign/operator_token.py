"""Print a new operator's token: python -m services.campaign.operator_token

Needs SLUICE_DATABASE_URL alone, and brings the schema up to date. Every call makes one more token.
"""

import asyncio
import sys
from pathlib import Path

from pydantic import PostgresDsn
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.campaign.store import people
from services.campaign.tokens import digest, new_token
from shared.database import Database
from shared.ids import new_id
from shared.migrate import migrate


class DatabaseSettings(BaseSettings):
    """The one variable that this command reads."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_", hide_input_in_errors=True)

    database_url: PostgresDsn


async def make(database_url: str) -> str:
    """A token of a new operator."""
    await migrate(database_url, "campaign", Path(__file__).parent / "migrations")
    database = await Database.open(database_url, "campaign", size=2)
    token, person_id = new_token(), new_id()
    try:
        async with database.transaction() as tx:
            now = await tx.now()
            await people.add(
                tx, people.OPERATORS, person_id, role="operator", name="operator", email="", at=now
            )
            await people.add_token(
                tx,
                people.OPERATORS,
                new_id(),
                person_id=person_id,
                digest=digest(token),
                at=now,
            )
    finally:
        await database.close()
    return token


def main() -> None:
    """Print the token, and nothing else, on stdout."""
    settings = DatabaseSettings()
    sys.stdout.write(asyncio.run(make(str(settings.database_url))) + "\n")


if __name__ == "__main__":
    main()
