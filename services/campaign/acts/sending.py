"""A sender's work: send an initial or skip it, answer. Each a transaction's work."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.campaign.acts import assigning, messenger
from services.campaign.acts.messenger import check_partner
from services.campaign.domain import (
    Caller,
    Campaign,
    Channel,
    Refused,
    Status,
    check_active,
    check_words,
)
from services.campaign.rules import scripts
from services.campaign.rules.expected import Expected, Text, expected
from services.campaign.rules.sendable import sendable, why_replies_first
from services.campaign.rules.window import why_no_initials
from services.campaign.store import campaigns, conversations, messages, numbers, outlooks, senders
from services.campaign.store.messages import Held, Initial
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
    """A text that is on its way, and when it goes (see Expected)."""

    message_id: str
    status: Literal["queued"]
    text: str
    segments: int
    queued_at: datetime
    goes_at: datetime
    expected_at: datetime | None
    note: str


async def assignment(
    tx: Transaction,
    caller: Caller,
    campaign_id: str,
    most: int,
    *,
    status: Literal["assigned", "skipped"] = "assigned",
) -> Assignment:
    """The initials that the caller can send now, or those that they have skipped.

    None outside of the window, and none while too many replies wait for the caller.
    """
    campaign = await assigning.campaign_of_sender(tx, caller, campaign_id)
    why = why_no_initials(campaign.state, campaign.plan.window, await tx.now())
    if why is None:
        why = await messenger.replies_first(tx, caller, campaign)
    if why is not None:
        return Assignment([], why)
    found = await messages.unsent(
        tx, campaign, status=status, sender_id=caller.person_id, most=most
    )
    listed = [(one, scripts.render(campaign.plan.script, one.values())) for one in found]
    return Assignment(listed, None if listed else "Inbox Zero: nothing to send.")


async def send(tx: Transaction, caller: Caller, message_id: str, text: str | None) -> Queued:
    """Queue an initial, once. Raises Refused when it is not the caller's, or not to be sent now.

    An admin may send anybody's: one that was nobody's is theirs from then on, all others stay
    whose they are.
    """
    held = await messages.hold_initial(tx, caller.org_id, message_id, caller.person_id)
    initial, plan = held.initial, held.campaign.plan
    _check_mine(caller, initial)
    now = await tx.now()
    _check_sendable(caller, held, now)
    rendered = scripts.render(plan.script, initial.values())
    words = rendered if text is None else text
    _check(plan.channel, words)
    if words != rendered and caller.role == "sender" and not plan.senders_may_edit:
        raise Refused("conflict", "Senders may not change this campaign's texts", field="text")
    segments = segments_of(plan.channel, words)
    if not await messages.queue(
        tx,
        initial,
        caller.org_id,
        sender_id=initial.sender_id or caller.person_id,
        text=words,
        segments=segments,
        at=now,
    ):
        raise _opted_out()
    if held.is_to_note(now):
        await senders.note_active(tx, caller.org_id, initial.campaign_id, caller.person_id, now)
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
    queued = Text("initial", plan.channel, segments, initial.carrier)
    when = await _expected(tx, held.campaign, queued, now)
    return Queued(
        message_id, "queued", words, segments, now, when.goes_at, when.expected_at, when.note
    )


def _check_mine(caller: Caller, initial: Initial) -> None:
    if caller.role != "sender":
        return
    if initial.status == "unassigned":
        raise Refused("conflict", "The message is assigned to nobody: assign it to yourself first")
    if initial.sender_id != caller.person_id:
        raise Refused("forbidden", "The message is assigned to somebody else")


def _check_sendable(caller: Caller, held: Held, now: datetime) -> None:
    status, plan = held.initial.status, held.campaign.plan
    if status == "skipped":
        raise Refused("conflict", "The message is skipped: bring it back to send it")
    if status == "opted out":
        raise _opted_out()
    if status not in ("assigned", "unassigned"):
        raise Refused("conflict", f"The message cannot be sent again: it is {status}")
    why = sendable(status, held.campaign.state, plan.window, now, opted_out=False).warning
    if why is None and caller.role == "sender":
        why = why_replies_first(held.replies_due, plan.replies_first_over)
    if why is not None:
        raise Refused("conflict", why)


async def skip(tx: Transaction, caller: Caller, message_id: str) -> Initial:
    """Put an initial by, which its sender does not want to send. Skipped already: no news."""
    held = await messages.hold_initial(tx, caller.org_id, message_id, caller.person_id)
    initial, now = held.initial, await tx.now()
    _check_mine(caller, initial)
    if initial.status in ("assigned", "unassigned"):
        await messages.put_by(tx, initial, caller.org_id, "skipped", now)
        await senders.note_active(tx, caller.org_id, initial.campaign_id, caller.person_id, now)
    elif initial.status != "skipped":
        raise Refused("conflict", f"The message cannot be skipped: it is {initial.status}")
    return initial


async def bring_back(tx: Transaction, caller: Caller, message_id: str) -> tuple[Initial, Status]:
    """Undo a skip; its status now. Not skipped: no news, while it is still to be sent."""
    held = await messages.hold_initial(tx, caller.org_id, message_id, caller.person_id)
    initial = held.initial
    _check_mine(caller, initial)
    if initial.status not in ("skipped", "assigned", "unassigned"):
        raise Refused("conflict", f"The message is not skipped: it is {initial.status}")
    status: Literal["assigned", "unassigned"] = "assigned" if initial.sender_id else "unassigned"
    if initial.status == "skipped":
        now = await tx.now()
        await messages.put_by(tx, initial, caller.org_id, status, now)
        await senders.note_active(tx, caller.org_id, initial.campaign_id, initial.sender_id, now)
    return initial, status


async def reply(
    tx: Transaction, caller: Caller, conversation_id: str, message_id: str, text: str
) -> Queued:
    """Queue an answer; replies are bound by open hours, never by the window."""
    conversation = await conversations.hold(tx, caller.org_id, conversation_id)
    await check_partner(tx, caller, conversation)
    campaign = campaigns.of_row(conversation)
    check_active(campaign.state)
    now = await tx.now()
    _check("sms", text)
    segments = segments_of("sms", text)
    written, carrier = await messages.add_reply(
        tx,
        caller.org_id,
        message_id,
        campaign_id=campaign.campaign_id,
        conversation=conversation,
        sender_id=caller.person_id,
        text=text,
        segments=segments,
        at=now,
    )
    if not written:
        raise _opted_out()
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
    when = await _expected(tx, campaign, Text("reply", "sms", segments, carrier), now)
    return Queued(
        message_id, "queued", text, segments, now, when.goes_at, when.expected_at, when.note
    )


async def _expected(tx: Transaction, campaign: Campaign, text: Text, now: datetime) -> Expected:
    bucket = None
    if text.carrier is not None:
        bucket = await outlooks.bucket(tx, campaign, text.carrier, now)
    held = await numbers.holds_all(tx, campaign)
    return expected(campaign, text, bucket, now, held=held)


def _opted_out() -> Refused:
    return Refused("conflict", "The contact has opted out")


def _check(channel: Channel, text: str) -> None:
    check_words(channel, text, field="text")
    if len(text) > TEXT_MOST:
        raise Refused("invalid", f"longer than {TEXT_MOST} characters", field="text")
