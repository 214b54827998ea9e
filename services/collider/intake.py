"""Where each text is put as it comes in, or once its campaign and its carrier are known."""

from collections.abc import Sequence
from datetime import datetime

from services.collider import carriers, domain
from services.collider.domain import Campaign
from services.collider.store import campaigns, intake, recipients
from services.collider.store.intake import LaneKey, Place, Text
from shared.database import Transaction
from shared.events import MessageFailed, MessageQueued
from shared.fields import Carrier
from shared.rules.limits import CAUTIOUS, Limits, applying
from shared.rules.segments import segments_of


async def texts_of(tx: Transaction, events: Sequence[MessageQueued]) -> list[Text]:
    """What decides where these texts wait. Recipients whose carrier nobody has told are put into
    the line for a look-up."""
    known = await recipients.known_carriers(tx, {event.to for event in events})
    texts = [
        _text_of(event, carriers.carrier_of(event.carrier, known.get(event.to))) for event in events
    ]
    # First of all that is locked: who answers a look-up locks its row, and then makes lanes too.
    asked = {(text.org_id, text.phone) for text in texts if text.awaits_carrier}
    if asked:
        await recipients.ask(tx, asked)
    return texts


def _text_of(event: MessageQueued, carrier: Carrier | None) -> Text:
    return Text(
        event.org_id,
        event.message_id,
        event.campaign_id,
        event.kind,
        event.channel,
        carrier or "other",
        event.to,
        segments_of(event.channel, event.text),
        event.queued_at,
        awaits_carrier=carrier is None,
    )


async def place(tx: Transaction, texts: Sequence[Text]) -> list[Place]:
    """Find each text's lane; or why it fails at once; or that its campaign or its carrier is not
    known yet."""
    known = await campaigns.known(tx, {(text.org_id, text.campaign_id) for text in texts})
    told = await intake.limits_of(tx, {(text.org_id, text.carrier) for text in texts})
    silent = await intake.opted_out(tx, {(text.org_id, text.phone) for text in texts})
    now = await tx.now()
    places = [
        Place("failed", reason=domain.OPTED_OUT)
        if (text.org_id, text.phone) in silent
        else _refusal(
            text,
            known.get((text.org_id, text.campaign_id)),
            told[text.org_id, text.carrier],
            now,
        )
        for text in texts
    ]
    waiting = {_lane_key(text) for text, found in zip(texts, places, strict=True) if found is None}
    lanes = await _lanes(tx, waiting) if waiting else {}
    return [
        found or Place("queued", lanes[_lane_key(text)])
        for text, found in zip(texts, places, strict=True)
    ]


async def _lanes(tx: Transaction, keys: set[LaneKey]) -> dict[LaneKey, int]:
    """The lanes of these keys, made where they are new."""
    found = await intake.lane_ids(tx, keys)
    missing = sorted(keys - found.keys())
    if missing:
        # Steady: a lane made from a schedule that an edit changes meanwhile would keep the old one.
        known = await campaigns.known(tx, {(key[0], key[2]) for key in missing}, steady=True)
        # That may have waited for a turn of the day.
        now = await tx.now(afresh=True)
        fresh = []
        for key in missing:
            org_id, _, campaign_id, kind, _ = key
            campaign = known[org_id, campaign_id]
            fresh.append((key, campaign.use_case_id or "", domain.schedule(campaign, kind, now)))
        await intake.open_lanes(tx, fresh)
        found = await intake.lane_ids(tx, keys)
    return found


def _refusal(
    text: Text, campaign: Campaign | None, told: dict[str, Limits], now: datetime
) -> Place | None:
    """Why a text cannot wait in a lane; None when it can."""
    # Before its launch, too: that may never come now.
    if campaign is not None and campaign.archived_at is not None:
        return Place("campaign closed", reason=domain.CAMPAIGN_CLOSED)
    if campaign is None or campaign.use_case_id is None:
        return Place("unrouted")
    if campaign.has_withdrawn(text.queued_at):
        return Place("failed", reason=domain.WITHDRAWN)
    if text.kind == "initial" and campaign.closes_at <= now:
        return Place("sending failed", reason=domain.SENDING_FAILED)
    if text.awaits_carrier:
        return Place("unrouted")
    limits = applying(campaign.use_case_id, told, CAUTIOUS[text.carrier])
    refusal = domain.too_large(limits, text.channel, text.segments)
    return Place("failed", reason=refusal) if refusal else None


def _lane_key(text: Text) -> LaneKey:
    return (text.org_id, text.carrier, text.campaign_id, text.kind, text.channel)


async def tell_failed(tx: Transaction, texts: Sequence[Text], places: Sequence[Place]) -> None:
    """Tell of those that failed."""
    now = await tx.now()
    for text, found in zip(texts, places, strict=True):
        if found.reason is not None:
            tx.tell(
                MessageFailed(
                    org_id=text.org_id,
                    campaign_id=text.campaign_id,
                    message_id=text.message_id,
                    carrier=text.carrier,
                    segments=text.segments,
                    reason=found.reason,
                    at=now,
                )
            )
