"""Carriers' words on our numbers, however they come: each is written down, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace

from services.provisioner.domain import CarrierFact
from services.provisioner.rules import words
from services.provisioner.store import facts as store
from shared.database import Transaction


async def record_facts(
    tx: Transaction,
    facts: Sequence[CarrierFact],
    changed: Sequence[str] = (),
    *,
    asked_by: str | None = None,
) -> None:
    """Keep what carriers said, and let the orders that it concerns weigh it. `changed`: numbers of
    which nobody says what is new, so that their carriers are asked soon. `asked_by`: the order that
    has asked, and weighs the answer by itself.

    The same facts lead to the same end in whichever order, late and often they come. Numbers that
    are not in our books are left out.
    """
    news = await store.put(tx.sql, [replace(fact, reason=words.why(fact)) for fact in facts])
    if changed:
        news |= await store.in_books(tx.sql, changed)
    if news:
        # All in one: replicas that woke orders one after the other could wait for each other.
        await store.wake(tx.sql, news, await tx.now(), besides=asked_by)
