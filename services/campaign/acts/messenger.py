"""What senders and admins do with contacts besides texting: each a transaction's work."""

from collections.abc import Sequence

from asyncpg import Record

from services.campaign.domain import Caller, Campaign, Refused, check_words
from services.campaign.rules import scripts
from services.campaign.rules.sendable import why_replies_first
from services.campaign.store import (
    audit,
    campaigns,
    canned,
    contacts,
    conversations,
    senders,
    tags,
)
from services.campaign.store.canned import CannedResponse
from shared.database import Transaction
from shared.events import ContactOptedOut


async def put_canned(
    tx: Transaction, caller: Caller, campaign_id: str, responses: Sequence[CannedResponse]
) -> None:
    """Give a campaign these canned responses in place of those it has.

    Raises Refused with the first one whose text is blank or names an unknown field.
    """
    campaign = await campaigns.hold(tx, caller.org_id, campaign_id)
    known = await contacts.list_for_script(tx, caller.org_id, campaign.plan.contact_list_id)
    for place, response in enumerate(responses):
        field = f"items.{place}.text"
        check_words("sms", response.text, field=field)
        scripts.check(response.text, known.fields, field=field)
    await canned.replace(tx, caller.org_id, campaign_id, responses)


async def canned_for(tx: Transaction, org_id: str, talk: Record) -> list[CannedResponse]:
    """A campaign's canned responses, as they read for the contact of a conversation."""
    values = scripts.values_of(talk)
    return [
        CannedResponse(one.name, scripts.render(one.text, values))
        for one in await canned.of_campaign(tx, org_id, talk["campaign_id"])
    ]


async def tag(tx: Transaction, caller: Caller, contact: Record, word: str) -> list[str]:
    """Put a tag on the contact of a text or a conversation; all that they have now there."""
    await check_partner(tx, caller, contact)
    place = (caller.org_id, contact["campaign_id"], contact["phone"])
    await tags.put_on(tx, *place, word, tagged_by=caller.person_id, at=await tx.now())
    return await tags.of_contact(tx, *place)


async def untag(tx: Transaction, caller: Caller, contact: Record, word: str) -> list[str]:
    """Take a tag off the contact of a text or a conversation; those that they have still."""
    await check_partner(tx, caller, contact)
    place = (caller.org_id, contact["campaign_id"], contact["phone"])
    await tags.take_off(tx, *place, word)
    return await tags.of_contact(tx, *place)


async def opt_out(tx: Transaction, caller: Caller, contact: Record) -> int:
    """Let the contact of a text or a conversation get no more texts from the organization.

    Holds here at once, and is told; how many unsent texts to them were withdrawn. They want none
    already: no news.
    """
    await check_partner(tx, caller, contact)
    phone = contact["phone"]
    news = await conversations.opt_out_now(tx, caller.org_id, phone, await tx.now())
    if news is None:
        return 0
    since, withdrawn = news
    tx.tell(ContactOptedOut(org_id=caller.org_id, phone=phone, opted_out_at=since))
    await audit.add(tx, caller, "contact opted out", contact["campaign_id"], after={"phone": phone})
    return withdrawn


async def replies_first(tx: Transaction, caller: Caller, campaign: Campaign) -> str | None:
    """Why the caller has to answer before they get initials of a campaign; None: they need not."""
    over = campaign.plan.replies_first_over
    if over is None:
        return None
    waiting = await conversations.waiting(
        tx, caller.org_id, campaign.campaign_id, sender_id=caller.person_id
    )
    return why_replies_first(waiting, over)


async def check_partner(tx: Transaction, caller: Caller, contact: Record) -> None:
    """Raise Refused unless the contact of a text or a conversation is the caller's; admins may join
    in with any.

    Texts that are out keep the name of who sent them: whoever was taken off the campaign has no
    say over their contacts any more.
    """
    if caller.role != "sender":
        return
    if contact["sender_id"] != caller.person_id:
        raise Refused("forbidden", "The contact is somebody else's")
    if not await senders.is_sender(tx, caller.org_id, contact["campaign_id"], caller.person_id):
        raise Refused("forbidden", "You are not a sender of this campaign")
