"""Events as they are heard: each is written down, and nothing else happens here."""

from collections.abc import Sequence

from services.notifier import store
from services.notifier.domain import notice_of
from shared.consumer import Handlers
from shared.database import Transaction
from shared.events import NumberProvisioned


async def note_outcomes(tx: Transaction, events: Sequence[NumberProvisioned]) -> None:
    """A notice for each campaign and outcome, once."""
    now = await tx.now()
    noted = [notice_of(event, now) for event in events]
    first = {(one.org_id, one.notice_id): (one, delivery) for one, delivery in reversed(noted)}
    await store.add_notices(tx.sql, list(first.values()))


HANDLERS: Handlers = {
    NumberProvisioned: note_outcomes,
}
