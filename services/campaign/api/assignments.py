"""A sender's assignments: what to send, batches, the click that sends."""

from datetime import datetime
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from services.campaign.acts import assigning, sending
from services.campaign.api.calls import (
    PAGE,
    SENDERS,
    Answer,
    Body,
    Call,
    Page,
    Route,
    answer,
)
from services.campaign.api.conversations import ConversationLine, Queued
from services.campaign.api.fields import Whole
from services.campaign.domain import Status
from services.campaign.rules.window import why_no_initials
from services.campaign.store import campaigns, inbox, reports
from services.campaign.store.inbox import Part
from services.campaign.store.messages import Initial
from shared.fields import Body as Text
from shared.fields import OpenHours


class BatchWanted(Body):
    """How many; at most the campaign's batch size, which is also the default."""

    count: Annotated[Whole, Field(ge=1, le=1000)] | None = None


class AssignmentQuery(Body):
    """How many to list; `skipped`: those texts that the caller has skipped, to bring them back."""

    limit: Annotated[int, Field(ge=1, le=1000)] = PAGE
    skipped: bool = False


class TextWanted(Body):
    """The text, where it is to differ from the script's: where the campaign lets senders do so."""

    text: Text | None = None


class ContactShown(Answer):
    """Whom a text is for."""

    phone: str
    first_name: str
    last_name: str
    fields: dict[str, str]


class InitialShown(Answer):
    """A text that waits for a click, as it would go."""

    message_id: str
    to: str
    contact: ContactShown
    text: str


class Assigned(Answer):
    """How many were assigned now, and the caller's next texts, at most the campaign's batch size.

    None left is an answer, not an error.
    """

    assigned: int
    messages: list[InitialShown]
    note: str | None


class Assignment(Answer):
    """What waits for a sender in one campaign."""

    campaign_id: str
    inbox_zero: bool
    note: str | None
    messages: list[InitialShown]
    conversations: list[ConversationLine]


class Put(Answer):
    """A text that was skipped, or is back."""

    message_id: str
    campaign_id: str
    status: Status


class AssignmentLine(Answer):
    """A campaign that the caller sends for, with what waits for them there."""

    campaign_id: str
    name: str
    opens_at: datetime
    closes_at: datetime
    hours: OpenHours
    initials_open: bool
    self_assign: bool
    batch_size: int
    assigned: int
    any_unassigned: bool
    waiting: int


class Assignments(Page):
    """All campaigns that the caller sends for, on one page."""

    items: list[AssignmentLine]


async def show_all(call: Call) -> web.StreamResponse:
    """The active campaigns that the caller sends for."""
    org_id, person_id = call.caller.org_id, call.caller.person_id
    async with call.transaction() as tx:
        found = await campaigns.sent_for_by(tx, org_id, person_id)
        ids = [campaign.campaign_id for campaign in found]
        work = await reports.work_of_sender(tx, org_id, ids, person_id)
        now = await tx.now()
    lines = [
        AssignmentLine(
            campaign_id=campaign.campaign_id,
            name=campaign.plan.name,
            opens_at=campaign.plan.window.opens_at,
            closes_at=campaign.plan.window.closes_at,
            hours=campaign.plan.hours,
            initials_open=why_no_initials(campaign.state, campaign.plan.window, now) is None,
            self_assign=campaign.plan.self_assign,
            batch_size=campaign.plan.batch_size,
            **_counts(work[campaign.campaign_id]),
        )
        for campaign in found
    ]
    return answer(Assignments(items=lines))


def _counts(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in ("assigned", "any_unassigned", "waiting")}


async def assign_batch(call: Call) -> web.StreamResponse:
    """Take a batch of unassigned texts."""
    campaign_id = call.id("campaign_id")
    wanted = await call.body(BatchWanted)
    async with call.transaction() as tx:
        got = await assigning.take_batch(tx, call.caller, campaign_id, wanted.count)
        found = await sending.assignment(tx, call.caller, campaign_id, got.batch_size)
    return answer(
        Assigned(
            assigned=got.assigned,
            messages=[_shown(*one) for one in found.initials],
            note=got.why or found.why,
        )
    )


async def show(call: Call) -> web.StreamResponse:
    """What the caller can do in a campaign now: texts to send, contacts who wait."""
    campaign_id = call.id("campaign_id")
    asked = call.query(AssignmentQuery)
    mine = Part(most=asked.limit, sender_id=call.caller.person_id, campaign_id=campaign_id)
    async with call.transaction() as tx:
        found = await sending.assignment(
            tx,
            call.caller,
            campaign_id,
            asked.limit,
            status="skipped" if asked.skipped else "assigned",
        )
        waiting = await inbox.talks(tx, call.caller.org_id, mine, waiting=True)
        now = await tx.now()
    return answer(
        Assignment(
            campaign_id=campaign_id,
            inbox_zero=not found.initials,
            note=found.why,
            messages=[_shown(*one) for one in found.initials],
            conversations=[ConversationLine.of(row, now) for row in waiting],
        )
    )


def _shown(initial: Initial, text: str) -> InitialShown:
    return InitialShown(
        message_id=initial.message_id,
        to=initial.phone,
        contact=ContactShown.model_validate(initial),
        text=text,
    )


async def send(call: Call) -> web.StreamResponse:
    """The click: the text is queued, once."""
    message_id = call.id("message_id")
    wanted = await call.body(TextWanted)
    async with call.transaction() as tx:
        queued = await sending.send(tx, call.caller, message_id, wanted.text)
    return answer(Queued.model_validate(queued), status=202, location=f"/messages/{message_id}")


async def skip(call: Call) -> web.StreamResponse:
    """Put a text by."""
    async with call.transaction() as tx:
        initial = await sending.skip(tx, call.caller, call.id("message_id"))
    return _put(initial, "skipped")


async def unskip(call: Call) -> web.StreamResponse:
    """Bring a skipped text back."""
    async with call.transaction() as tx:
        initial, status = await sending.bring_back(tx, call.caller, call.id("message_id"))
    return _put(initial, status)


def _put(initial: Initial, status: Status) -> web.StreamResponse:
    return answer(
        Put(message_id=initial.message_id, campaign_id=initial.campaign_id, status=status)
    )


ROUTES = (
    Route("GET", "/assignments", SENDERS, show_all, gives=Assignments),
    Route(
        "POST",
        "/campaigns/{campaign_id}/assignments",
        SENDERS,
        assign_batch,
        takes=BatchWanted,
        gives=Assigned,
    ),
    Route(
        "GET",
        "/campaigns/{campaign_id}/assignment",
        SENDERS,
        show,
        asks=AssignmentQuery,
        gives=Assignment,
    ),
    Route(
        "POST",
        "/messages/{message_id}/send",
        SENDERS,
        send,
        takes=TextWanted,
        gives=Queued,
        status=202,
    ),
    Route("POST", "/messages/{message_id}/skip", SENDERS, skip, gives=Put),
    Route("POST", "/messages/{message_id}/unskip", SENDERS, unskip, gives=Put),
)
