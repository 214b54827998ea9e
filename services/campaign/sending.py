"""A sender's work: send an initial, answer. Each a transaction's work."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.campaign import assigning, scripts
from services.campaign.domain import (
    Caller,
    Campaign,
    Channel,
    Refused,
    check_active,
    check_words,
)
from services.campaign.store import campaigns, contacts, conversations, messages, numbers
from services.campaign.store.messages import Initial
from services.campaign.window import when_it_goes, why_no_initials
from shared.database import Transaction
from shared.events import MessageQueued
from shared.rules.segments import segments_of

TEXT_MOST = 1600


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a sender can send now, with the texts as they would go. `why`: why it is nothing."""

    initials: list[tuple[Initial, str]]
    why: str | None


@dataclass(frozen=True, slots=True)
class Queued:
    """A text that is on its way. `goes_at`: not before then, by the campaign's hours."""

    message_id: str
    status: Literal["queued"]
    text: str
    segments: int
    queued_at: datetime
    goes_at: datetime
    note: str


async def assignment(tx: Transaction, caller: Caller, campaign_id: str, most: int) -> Assignment:
    """The initials that the caller can send now: none outside of the window."""
    campaign = await assigning.campaign_of_sender(tx, caller, campaign_id)
    why = why_no_initials(campaign.state, campaign.plan.window, await tx.now())
    if why is not None:
        return Assignment([], why)
    listed = await _to_send(tx, caller, campaign, most)
    return Assignment(listed, None if listed else "Inbox Zero: nothing to send.")


async def _to_send(
    tx: Transaction, caller: Caller, campaign: Campaign, most: int
) -> list[tuple[Initial, str]]:
    found = await messages.assigned(
        tx, caller.org_id, campaign.campaign_id, sender_id=caller.person_id, most=most
    )
    return [(one, scripts.render(campaign.plan.script, one.values())) for one in found]


async def send(tx: Transaction, caller: Caller, message_id: str, text: str | None) -> Queued:
    """Queue an initial, once. Raises Refused when it is not the caller's, or not to be sent now."""
    initial = await messages.hold_initial(tx, caller.org_id, message_id)
    campaign = await campaigns.get(tx, caller.org_id, initial.campaign_id)
    if initial.status == "unassigned":
        raise Refused("conflict", "The message is assigned to nobody: assign it to yourself first")
    if initial.sender_id != caller.person_id:
        raise Refused("forbidden", "The message is assigned to somebody else")
    if initial.status != "assigned":
        raise Refused("conflict", f"The message cannot be sent again: it is {initial.status}")
    now = await tx.now()
    why = why_no_initials(campaign.state, campaign.plan.window, now)
    if why is not None:
        raise Refused("conflict", why)
    if await contacts.opted_out(tx, caller.org_id, initial.phone):
        raise Refused("conflict", "The contact has opted out")
    plan = campaign.plan
    words = text if text is not None else scripts.render(plan.script, initial.values())
    _check(plan.channel, words)
    segments = segments_of(plan.channel, words)
    await messages.queue(tx, initial, caller.org_id, text=words, segments=segments, at=now)
    tx.tell(
        MessageQueued(
            org_id=caller.org_id,
            campaign_id=initial.campaign_id,
            message_id=message_id,
            kind="initial",
            channel=plan.channel,
            to=initial.phone,
            text=words,
            media_urls=plan.media_urls,
            carrier=initial.carrier,
            queued_at=now,
        )
    )
    goes_at, note = when_it_goes(
        "initial",
        plan.window,
        plan.hours,
        now,
        paused=campaign.paused_at is not None,
        held=await numbers.holds_all(tx, campaign),
    )
    return Queued(message_id, "queued", words, segments, now, goes_at, note)


async def reply(
    tx: Transaction, caller: Caller, conversation_id: str, message_id: str, text: str
) -> Queued:
    """Queue an answer; replies are bound by open hours, never by the window."""
    conversation = await conversations.get(tx, caller.org_id, conversation_id)
    check_partner(caller, conversation["sender_id"])
    if conversation["opted_out"]:
        raise Refused("conflict", "The contact has opted out")
    campaign = await campaigns.get(tx, caller.org_id, conversation["campaign_id"])
    check_active(campaign.state)
    now = await tx.now()
    _check("sms", text)
    segments = segments_of("sms", text)
    carrier = await messages.add_reply(
        tx,
        caller.org_id,
        message_id,
        conversation=conversation,
        sender_id=caller.person_id,
        text=text,
        segments=segments,
        at=now,
    )
    await conversations.answer(tx, caller.org_id, conversation_id)
    tx.tell(
        MessageQueued(
            org_id=caller.org_id,
            campaign_id=campaign.campaign_id,
            message_id=message_id,
            kind="reply",
            channel="sms",
            to=conversation["phone"],
            text=text,
            carrier=carrier,
            queued_at=now,
        )
    )
    goes_at, note = when_it_goes(
        "reply",
        campaign.plan.window,
        campaign.plan.hours,
        now,
        paused=campaign.paused_at is not None,
        held=await numbers.holds_all(tx, campaign),
    )
    return Queued(message_id, "queued", text, segments, now, goes_at, note)


def check_partner(caller: Caller, sender_id: str) -> None:
    """Raise Refused unless the conversation is the caller's; admins may join in any."""
    if caller.role == "sender" and sender_id != caller.person_id:
        raise Refused("forbidden", "The conversation is somebody else's")


def _check(channel: Channel, text: str) -> None:
    check_words(channel, text, field="text")
    if len(text) > TEXT_MOST:
        raise Refused("invalid", f"longer than {TEXT_MOST} characters", field="text")
