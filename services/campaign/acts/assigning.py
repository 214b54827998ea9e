"""Who sends for a campaign, and whose its texts and talks are: each a transaction's work."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.campaign.acts import messenger
from services.campaign.domain import Caller, Campaign, Refused, check_active
from services.campaign.rules.window import why_no_initials
from services.campaign.store import assignments, audit, campaigns, people, senders
from shared.database import Transaction

NOBODY = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """How many initials a sender took, and how many they may have. `why`: why it is none."""

    assigned: int
    batch_size: int
    why: str | None


@dataclass(frozen=True, slots=True)
class Texts:
    """Which unsent initials are to change hands: these, or `most` (None: all) of a holder's.

    The holder's skipped ones come last, and only `with_skipped`.
    """

    holder: str = NOBODY
    most: int | None = None
    with_skipped: bool = False
    message_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Talks:
    """Which conversations are to change hands: these, or `most` (None: all) of a holder's."""

    holder: str = NOBODY
    most: int | None = None
    conversation_ids: tuple[str, ...] = ()


async def campaign_of_sender(tx: Transaction, caller: Caller, campaign_id: str) -> Campaign:
    """A campaign that the caller sends for. Raises Refused for everybody else."""
    campaign = await campaigns.get(tx, caller.org_id, campaign_id)
    if not await senders.is_sender(tx, caller.org_id, campaign_id, caller.person_id):
        raise _not_yours()
    return campaign


async def take_batch(tx: Transaction, caller: Caller, campaign_id: str, count: int | None) -> Batch:
    """Give the caller unassigned initials: so many that they have a batch to send, at most `count`.

    Who has one in hand gets no other: a second click, or one sender in a hurry, takes nothing from
    the others.
    """
    campaign = await campaigns.get(tx, caller.org_id, campaign_id)
    # Held: two clicks of one sender come one after the other, and the second counts the first's.
    if not await senders.hold(tx, caller.org_id, campaign_id, [caller.person_id]):
        raise _not_yours()
    size = campaign.plan.batch_size
    if not campaign.plan.self_assign:
        raise Refused("conflict", "Self-assign is off for this campaign: ask an admin for texts")
    now = await tx.now(afresh=True)
    why = why_no_initials(campaign.state, campaign.plan.window, now)
    if why is None:
        why = await messenger.replies_first(tx, caller, campaign)
    if why is not None:
        return Batch(0, size, why)
    mine = (caller.org_id, campaign_id, caller.person_id)
    held = await assignments.held_by(tx, *mine, most=size)
    if held >= size:
        return Batch(0, size, "You have a batch in hand: send or skip its texts first.")
    got = await assignments.hand_over(
        tx, caller.org_id, campaign_id, status="unassigned", holder=NOBODY, to=caller.person_id,
        most=min(count or size, size - held), at=now,
    )  # fmt: skip
    if not got:
        return Batch(0, size, "None are left to assign.")
    await senders.note_given(tx, *mine, now, by_themselves=True)
    return Batch(got, size, None)


def _not_yours() -> Refused:
    return Refused("forbidden", "You are not a sender of this campaign")


# --- what admins do -------------------------------------------------------------------------


async def add_senders(
    tx: Transaction, caller: Caller, campaign_id: str, person_ids: Sequence[str]
) -> None:
    """Let people of the organization send. Raises Refused with the first who is unknown."""
    campaign = await campaigns.hold(tx, caller.org_id, campaign_id)
    known = await people.known(tx, caller.org_id, person_ids)
    for place, person_id in enumerate(person_ids):
        if person_id not in known:
            raise Refused("invalid", "there is no such person", field=f"person_ids.{place}")
    added = await senders.add(tx, campaign, person_ids, await tx.now())
    if added:
        await audit.add(tx, caller, "senders added", campaign_id, after={"person_ids": added})


async def remove_sender(
    tx: Transaction, caller: Caller, campaign_id: str, person_id: str, *, heir_id: str
) -> tuple[int, int]:
    """Take a sender off; how many texts they had not sent, which are unassigned again, and how
    many conversations they had, which are `heir_id`'s from now on ('': nobody's)."""
    campaign = await campaigns.hold(tx, caller.org_id, campaign_id)
    both = await senders.hold(tx, caller.org_id, campaign_id, [person_id, heir_id])
    if heir_id != NOBODY and (heir_id not in both or heir_id == person_id):
        raise Refused(
            "invalid", "they are no other sender of this campaign", field="conversations_to"
        )
    now = await tx.now()
    await assignments.take_time(tx)
    await senders.remove(tx, campaign, person_id, heir_id=heir_id)
    freed = await assignments.free_all(tx, caller.org_id, campaign_id, person_id, now)
    talks = await assignments.leave_talks(
        tx, caller.org_id, campaign_id, holder=person_id, to=heir_id
    )
    await audit.add(
        tx, caller, "sender removed", campaign_id,
        before={"person_id": person_id},
        after={"unassigned": freed, "conversations": talks, "conversations_to": heir_id or None},
    )  # fmt: skip
    return freed, talks


async def assign(tx: Transaction, caller: Caller, campaign_id: str, texts: Texts, to: str) -> int:
    """Give unsent initials to a sender, or to nobody (''); how many.

    Raises Refused where `to` is no sender of the campaign, or nothing of it can be sent any more.
    """
    await _check_open(tx, caller, campaign_id, to)
    now = await tx.now(afresh=True)
    await assignments.take_time(tx)
    moved = await _hand_over(tx, caller.org_id, campaign_id, texts, to, now)
    if moved and to != NOBODY:
        await senders.note_given(tx, caller.org_id, campaign_id, to, now)
    if moved:
        await audit.add(
            tx, caller, "texts assigned" if to else "texts unassigned", campaign_id,
            before=None if texts.message_ids else {"person_id": texts.holder or None},
            after={"texts": moved, "person_id": to or None},
        )  # fmt: skip
    return moved


async def _hand_over(
    tx: Transaction, org_id: str, campaign_id: str, texts: Texts, to: str, now: datetime
) -> int:
    if texts.message_ids:
        return await assignments.hand_over_those(
            tx, org_id, campaign_id, texts.message_ids, to=to, at=now
        )
    if texts.holder == to:
        return 0
    first: assignments.Unsent = "assigned" if texts.holder else "unassigned"
    statuses: tuple[assignments.Unsent, ...] = (first,)
    if texts.holder and texts.with_skipped:
        statuses += ("skipped",)
    moved = 0
    for status in statuses:
        moved += await assignments.hand_over(
            tx, org_id, campaign_id, status=status, holder=texts.holder, to=to,
            most=None if texts.most is None else texts.most - moved, at=now,
        )  # fmt: skip
    return moved


async def assign_talks(
    tx: Transaction, caller: Caller, campaign_id: str, talks: Talks, to: str
) -> int:
    """Give conversations to a sender of the campaign; how many have changed hands."""
    await _check_open(tx, caller, campaign_id, to)
    if talks.conversation_ids:
        moved = await assignments.hand_over_those_talks(
            tx, caller.org_id, campaign_id, talks.conversation_ids, to=to
        )
    elif talks.holder == to:
        moved = 0
    else:
        moved = await assignments.hand_over_talks(
            tx, caller.org_id, campaign_id, holder=talks.holder, to=to, most=talks.most
        )
    if moved:
        await audit.add(
            tx, caller, "conversations assigned", campaign_id,
            before=None if talks.conversation_ids else {"person_id": talks.holder or None},
            after={"conversations": moved, "person_id": to},
        )  # fmt: skip
    return moved


async def _check_open(tx: Transaction, caller: Caller, campaign_id: str, to: str) -> Campaign:
    campaign = await campaigns.get(tx, caller.org_id, campaign_id)
    check_active(campaign.state)
    if to != NOBODY and not await senders.hold(tx, caller.org_id, campaign_id, [to]):
        raise Refused("invalid", "they are not a sender of this campaign", field="to")
    return campaign


async def take_back(
    tx: Transaction, caller: Caller, campaign_id: str, untouched_min: int | None
) -> int:
    """Unassign what its senders have not touched for so long; how many texts.

    `untouched_min` None: as long as the campaign itself waits. Raises Refused where it does not.
    """
    campaign = await _check_open(tx, caller, campaign_id, NOBODY)
    minutes = campaign.plan.take_back_after_min if untouched_min is None else untouched_min
    if minutes is None:
        raise Refused(
            "invalid", "say for how long: the campaign has no time of its own",
            field="untouched_min",
        )  # fmt: skip
    now = await tx.now()
    await assignments.take_time(tx)
    idle = await senders.hold_idle(
        tx, caller.org_id, campaign_id, cutoff=now - timedelta(minutes=minutes)
    )
    return await take_back_from(tx, caller, idle, most=None)


async def take_back_from(
    tx: Transaction, caller: Caller | None, idle: Sequence[senders.Idle], *, most: int | None
) -> int:
    """Unassign what these senders, who are held, have not touched; how many texts, `most` or fewer.

    `caller` None: nobody asked for it but the campaign's own option.
    """
    if not idle:
        return 0
    freed = await assignments.free_untouched(tx, idle, most=most, at=await tx.now())
    await senders.looked_at(tx, idle)
    for one, texts in sorted(freed.items(), key=lambda item: item[0].person_id):
        await audit.add(
            tx, caller or Caller(one.org_id, "", "service", "", ""), "texts taken back",
            one.campaign_id, before={"person_id": one.person_id}, after={"unassigned": texts},
        )  # fmt: skip
    return sum(freed.values())
