"""Contacts' texts: recorded once each, told to the campaign they belong to, STOP obeyed."""

from collections.abc import Sequence

import structlog

from services.collider import domain, outcomes
from services.collider.domain import Inbound
from services.collider.store import optouts
from shared import inbox
from shared.database import Transaction
from shared.events import MessageReceived
from shared.ids import id_from

log = structlog.get_logger(__name__)


async def record_inbound(tx: Transaction, texts: Sequence[Inbound]) -> None:
    """Tell of contacts' texts; one that asks to stop is obeyed in the same transaction."""
    if not texts:
        return
    keys = {f"inbound {text.event_id}": text for text in texts}
    fresh = await inbox.unheard(tx.sql, list(keys))
    new = [text for key, text in keys.items() if key in fresh]
    campaigns = await optouts.conversations(tx, [(text.to, text.sender) for text in new])
    stopping = set()
    for text in new:
        campaign = campaigns.get((text.to, text.sender))
        if campaign is None:
            log.warning("text to a number of no campaign", number=text.to)
            continue
        tx.tell(
            MessageReceived(
                org_id=campaign["org_id"],
                campaign_id=campaign["campaign_id"],
                sender=text.sender,
                to=text.to,
                text=text.text,
                received_at=await tx.now(),
            ),
            event_id=id_from("inbound", text.event_id),
        )
        if domain.asks_to_stop(text.text):
            stopping.add((campaign["org_id"], text.sender))
    await outcomes.opt_out(tx, stopping)
