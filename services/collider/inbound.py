"""Contacts' texts: recorded once each, told to their campaign, STOP and START obeyed."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from services.collider import domain, outcomes
from services.collider.domain import Inbound
from services.collider.store import optouts
from services.collider.store.optouts import Contact
from shared import inbox
from shared.database import Transaction
from shared.events import MessageReceived
from shared.ids import id_from

log = structlog.get_logger(__name__)


async def record_inbound(tx: Transaction, texts: Sequence[Inbound]) -> None:
    """Tell of contacts' texts; one that is STOP or START is obeyed in the same transaction."""
    if not texts:
        return
    keys = {f"inbound {text.event_id}": text for text in texts}
    fresh = await inbox.unheard(tx.sql, list(keys))
    new = [text for key, text in keys.items() if key in fresh]
    campaigns = await optouts.conversations(tx, [(text.to, text.sender) for text in new])
    now = await tx.now()
    stopping: dict[Contact, datetime] = {}
    coming_back: dict[Contact, datetime] = {}
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
                received_at=now,
            ),
            event_id=id_from("inbound", text.event_id),
        )
        words = {"stop": stopping, "start": coming_back}.get(domain.asks_for(text.text) or "")
        if words is not None:
            contact = (campaign["org_id"], text.sender)
            said_at = text.said_at or now
            words[contact] = max(said_at, words.get(contact, said_at))
    await outcomes.opt_out(tx, stopping)
    await outcomes.opt_in(tx, coming_back)
