"""Whose rows a transaction of the API sees: what row-level security goes by.

The policies (migrations/0005_row_level_security.sql) read settings that last as long as the
transaction. Here alone they are set. Statements name the organization all the same: the policies
are for the one that forgets to.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.campaign.domain import Caller
from shared.database import Transaction

API_ROLE = "sluice_campaign_api"
"""Whom the API's pool acts as; it owns nothing, and the policies bind it."""


async def narrow(tx: Transaction, caller: Caller, org_id: str) -> None:
    """Show one organization's rows, and the answers that were kept for this caller."""
    await tx.sql.execute(
        """
        SELECT set_config('sluice.org_id', $1, true), set_config('sluice.role', $2, true),
               set_config('sluice.asker_org_id', $3, true), set_config('sluice.asker_id', $4, true)
        """,
        org_id,
        caller.role,
        caller.org_id,
        caller.person_id,
    )


@asynccontextmanager
async def within(tx: Transaction, org_id: str) -> AsyncIterator[None]:
    """Show another organization's rows for a while: who asks has been found to have a place there.

    Not undone by an error, which ends the transaction.
    """
    before = await tx.sql.fetchval("SELECT current_setting('sluice.org_id', true)")
    await _move(tx, org_id)
    yield
    await _move(tx, before)


async def _move(tx: Transaction, org_id: str) -> None:
    await tx.sql.execute("SELECT set_config('sluice.org_id', $1, true)", org_id)


async def present(tx: Transaction, digest: bytes) -> None:
    """Show the one row that is known by this hash of a secret (a token's, an invite's): whose
    it is tells the organization."""
    await tx.sql.execute("SELECT set_config('sluice.presented', $1, true)", digest.hex())


async def places_of(tx: Transaction, person_id: str) -> None:
    """Show one person's places in all organizations, to read."""
    await tx.sql.execute("SELECT set_config('sluice.places_of', $1, true)", person_id)
