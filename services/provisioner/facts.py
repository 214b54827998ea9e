"""Carriers' words on our numbers, however they come: each is written down, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace

from services.provisioner.domain import CarrierFact
from services.provisioner.rules import words
from services.provisioner.store import facts as store
from shared.database import Transaction


async def record_facts(tx: Transaction, facts: Sequence[CarrierFact]) -> None:
    """Keep what carriers said, and let the orders that it concerns weigh it.

    The same facts lead to the same end in whichever order, late and often they come. Those about a
    number that is not in our books are left out.
    """
    news = await store.put(tx.sql, [replace(fact, reason=words.why(fact)) for fact in facts])
    if news:
        await store.wake(tx.sql, news, await tx.now())


async def look_again(tx: Transaction, numbers: Sequence[str]) -> None:
    """Something changed about these numbers, nobody says what: their carriers are asked soon."""
    await store.look_again(tx.sql, numbers, await tx.now())
