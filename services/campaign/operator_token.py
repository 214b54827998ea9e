"""Print a new operator's token: python -m services.campaign.operator_token

Needs SLUICE_DATABASE_URL alone, and brings the schema up to date. Every call makes one more token,
good for SLUICE_TOKEN_DAYS.
"""

import asyncio
import sys
from pathlib import Path

from pydantic import Field, PostgresDsn
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.campaign.settings import TOKEN_DAYS
from services.campaign.store import people
from services.campaign.tokens import issue
from shared.database import Database
from shared.ids import new_id
from shared.migrate import migrate
from shared.settings import from_environment


class TokenSettings(BaseSettings):
    """The variables that this command reads."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_", hide_input_in_errors=True)

    database_url: PostgresDsn
    token_days: int = Field(TOKEN_DAYS, ge=1, le=3650)


async def make(database_url: str, *, days: int = TOKEN_DAYS) -> str:
    """A token of a new operator, good for so many days."""
    await migrate(database_url, "campaign", Path(__file__).parent / "migrations")
    database = await Database.open(database_url, "campaign", size=2)
    person_id = new_id()
    try:
        async with database.transaction() as tx:
            now = await tx.now()
            await people.add(
                tx, people.OPERATORS, person_id, role="operator", name="operator", email="", at=now
            )
            issued = await issue(tx, people.OPERATORS, person_id, days=days, issued_by=person_id)
    finally:
        await database.close()
    return issued.token


def main() -> None:
    """Print the token, and nothing else, on stdout."""
    settings = from_environment(TokenSettings)
    token = asyncio.run(make(str(settings.database_url), days=settings.token_days))
    sys.stdout.write(token + "\n")


if __name__ == "__main__":
    main()
