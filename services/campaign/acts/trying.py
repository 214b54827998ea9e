"""A script tried out on oneself: a transaction's work."""

from services.campaign.acts.sending import Queued
from services.campaign.domain import Caller, Refused, check_active, check_words
from services.campaign.rules import scripts
from services.campaign.rules.expected import Text, expected
from services.campaign.store import campaigns, numbers, trials
from shared.database import Transaction
from shared.events import MessageQueued
from shared.rules.segments import segments_of


async def send_to_oneself(
    tx: Transaction, caller: Caller, campaign_id: str, message_id: str, contact_phone: str | None
) -> Queued:
    """Queue the script, as one of the contacts would get it, to the caller's own phone.

    From the campaign's number, and so not before its launch. Told as a reply, which the window does
    not bind: a script is tried out before it opens; open hours, limits and pauses hold for it too.
    """
    campaign = await campaigns.get(tx, caller.org_id, campaign_id)
    if campaign.state == "draft":
        raise Refused(
            "conflict",
            "A draft has no number to text from: launch it first, without senders. Nothing goes to "
            "contacts before somebody sends it",
        )
    check_active(campaign.state)
    to = await trials.own_phone(tx, caller)
    if to is None:
        raise Refused("conflict", "You have not said what your phone is: PATCH /me", field="phone")
    plan = campaign.plan
    contact = await trials.contact(tx, caller.org_id, plan.contact_list_id, contact_phone)
    if contact is None:
        raise Refused("invalid", "there is no such contact in its list", field="contact_phone")
    text = scripts.render(plan.script, scripts.values_of(contact))
    check_words(plan.channel, text, field="contact_phone")
    segments, now = segments_of(plan.channel, text), await tx.now()
    written, carrier = await trials.add(
        tx, caller, campaign, message_id, to=to, text=text, segments=segments, at=now
    )
    if not written:
        raise Refused("conflict", "Your phone has opted out: text START to the number first")
    tx.tell(
        MessageQueued(
            org_id=caller.org_id,
            campaign_id=campaign_id,
            message_id=message_id,
            kind="reply",
            channel=plan.channel,
            to=to,
            text=text,
            media_urls=plan.media_urls,
            carrier=carrier,
            queued_at=now,
        )
    )
    held = await numbers.holds_all(tx, campaign)
    when = expected(campaign, Text("reply", plan.channel, segments, carrier), None, now, held=held)
    return Queued(
        message_id, "queued", text, segments, now, when.goes_at, when.expected_at, when.note
    )
