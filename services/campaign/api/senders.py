"""Who sends for a campaign, and whose its texts and conversations are."""

from datetime import datetime
from typing import Annotated

from aiohttp import web
from pydantic import Field

from services.campaign.acts import assigning
from services.campaign.api.calls import (
    ADMINS,
    PAGE_MOST,
    Answer,
    Body,
    Call,
    Page,
    PageQuery,
    Route,
    answer,
    page_of,
)
from services.campaign.api.details import CampaignDetails, details_of
from services.campaign.api.fields import Flag, Whole
from services.campaign.domain import Refused
from services.campaign.store import campaigns
from services.campaign.store import senders as store
from shared.fields import Id

Count = Annotated[Whole, Field(ge=1, le=1_000_000)]
Ids = Annotated[tuple[Id, ...], Field(min_length=1, max_length=PAGE_MOST)]
NOT_BOTH = "name ids, or say from and count: not both"


class NewSenders(Body):
    """People of the organization who are to send."""

    person_ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=1000)]


class RemovalQuery(Body):
    """Which sender of the campaign has the removed one's conversations from now on; none: nobody,
    until an admin gives them away."""

    conversations_to: Id | None = None


class Removed(Answer):
    """How many texts of a removed sender are unassigned again, and how many conversations have
    changed hands."""

    unassigned: int
    conversations: int


class SenderLine(Answer):
    """A sender of a campaign: their initials, how many replies wait for them, when they last sent,
    skipped or took any."""

    person_id: str
    name: str
    email: str
    added_at: datetime
    assigned: int
    skipped: int
    sent: int
    waiting: int
    active_at: datetime | None


class Senders(Page):
    """A part of a campaign's senders."""

    items: list[SenderLine]


class TextsChosen(Body):
    """Which unsent initials: `message_ids`, or `count` (none: all) of those that `from` has.

    Without `from` those that nobody has. With `skipped`, what that sender skipped comes last.
    """

    from_: Annotated[Id | None, Field(alias="from")] = None
    count: Count | None = None
    skipped: Flag = False
    message_ids: Ids | None = None

    def texts(self) -> assigning.Texts:
        """What was chosen, as the rules take it."""
        if self.message_ids and (self.from_ or self.count):
            raise Refused("invalid", NOT_BOTH, field="message_ids")
        return assigning.Texts(
            self.from_ or assigning.NOBODY, self.count, self.skipped, self.message_ids or ()
        )


class TextsGiven(TextsChosen):
    """Unsent initials, and the sender to whom they go."""

    to: Id


class ConversationsGiven(Body):
    """Which conversations, `conversation_ids` or `count` (none: all) of those that `from` has, and
    the sender to whom they go. Without `from` those that nobody has."""

    to: Id
    from_: Annotated[Id | None, Field(alias="from")] = None
    count: Count | None = None
    conversation_ids: Ids | None = None

    def talks(self) -> assigning.Talks:
        """What was chosen, as the rules take it."""
        if self.conversation_ids and (self.from_ or self.count):
            raise Refused("invalid", NOT_BOTH, field="conversation_ids")
        return assigning.Talks(
            self.from_ or assigning.NOBODY, self.count, self.conversation_ids or ()
        )


class TakenBack(Body):
    """For how many minutes they have lain untouched; none: as the campaign itself waits."""

    untouched_min: Annotated[Whole, Field(ge=1, le=525_600)] | None = None


class Given(Answer):
    """How many have changed hands."""

    assigned: int


class Freed(Answer):
    """How many have no sender any more."""

    unassigned: int


async def show(call: Call) -> web.StreamResponse:
    """A campaign's senders, and how far each one is."""
    campaign_id, asked = call.id("campaign_id"), call.query(PageQuery)
    async with call.transaction() as tx:
        campaign = await campaigns.get(tx, call.org_id, campaign_id)
        rows = await store.listed(tx, campaign, after=asked.after, most=asked.limit + 1)
    page, after = page_of(rows, asked.limit, lambda row: str(row["person_id"]))
    return answer(Senders(items=[SenderLine(**row) for row in page], next=after))


async def add_senders(call: Call) -> web.StreamResponse:
    """Let people send."""
    campaign_id = call.id("campaign_id")
    wanted = await call.body(NewSenders)
    async with call.transaction() as tx:
        await assigning.add_senders(tx, call.caller, campaign_id, wanted.person_ids)
        details = await details_of(tx, call.caller.org_id, campaign_id)
    return answer(details)


async def remove_sender(call: Call) -> web.StreamResponse:
    """Take a sender off; what they had not sent is unassigned again."""
    campaign_id, person_id = call.id("campaign_id"), call.id("person_id")
    heir_id = call.query(RemovalQuery).conversations_to or assigning.NOBODY
    async with call.transaction() as tx:
        freed, talks = await assigning.remove_sender(
            tx, call.caller, campaign_id, person_id, heir_id=heir_id
        )
    return answer(Removed(unassigned=freed, conversations=talks))


async def assign(call: Call) -> web.StreamResponse:
    """Give unsent initials to a sender, from those that nobody has or from another's.

    What was sent meanwhile stays where it is, and is not counted.
    """
    campaign_id = call.id("campaign_id")
    wanted = await call.body(TextsGiven)
    async with call.transaction() as tx:
        moved = await assigning.assign(tx, call.caller, campaign_id, wanted.texts(), wanted.to)
    return answer(Given(assigned=moved))


async def unassign(call: Call) -> web.StreamResponse:
    """Take unsent initials from their senders."""
    campaign_id = call.id("campaign_id")
    wanted = await call.body(TextsChosen)
    if not (wanted.from_ or wanted.message_ids):
        raise Refused("invalid", "say whose, or name message_ids", field="from")
    async with call.transaction() as tx:
        moved = await assigning.assign(
            tx, call.caller, campaign_id, wanted.texts(), assigning.NOBODY
        )
    return answer(Freed(unassigned=moved))


async def take_back(call: Call) -> web.StreamResponse:
    """Unassign the initials that lie untouched.

    That is: assigned for so long, to a sender who has sent and skipped nothing here since.
    """
    campaign_id = call.id("campaign_id")
    wanted = await call.body(TakenBack)
    async with call.transaction() as tx:
        freed = await assigning.take_back(tx, call.caller, campaign_id, wanted.untouched_min)
    return answer(Freed(unassigned=freed))


async def assign_conversations(call: Call) -> web.StreamResponse:
    """Give conversations to a sender, from those that nobody has or from another's."""
    campaign_id = call.id("campaign_id")
    wanted = await call.body(ConversationsGiven)
    async with call.transaction() as tx:
        moved = await assigning.assign_talks(
            tx, call.caller, campaign_id, wanted.talks(), wanted.to
        )
    return answer(Given(assigned=moved))


ONE = "/campaigns/{campaign_id}"

ROUTES = (
    Route("GET", ONE + "/senders", ADMINS, show, asks=PageQuery, gives=Senders),
    Route("POST", ONE + "/senders", ADMINS, add_senders, takes=NewSenders, gives=CampaignDetails),
    Route(
        "DELETE",
        ONE + "/senders/{person_id}",
        ADMINS,
        remove_sender,
        asks=RemovalQuery,
        gives=Removed,
    ),
    Route("POST", ONE + "/assign", ADMINS, assign, takes=TextsGiven, gives=Given),
    Route("POST", ONE + "/unassign", ADMINS, unassign, takes=TextsChosen, gives=Freed),
    Route("POST", ONE + "/take-back", ADMINS, take_back, takes=TakenBack, gives=Freed),
    Route(
        "POST",
        ONE + "/conversations/assign",
        ADMINS,
        assign_conversations,
        takes=ConversationsGiven,
        gives=Given,
    ),
)
