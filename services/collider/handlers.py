"""Events become rows, one transaction a batch; nothing here touches the network."""

from collections.abc import Sequence
from typing import Literal

from services.collider import holds, intake, lists, outcomes
from services.collider.holds import Word
from services.collider.store import campaigns, limits, numbers, settlements
from services.collider.store import intake as intake_store
from services.collider.store.numbers import NumberKey
from shared.consumer import Handlers
from shared.database import Transaction
from shared.events import (
    CampaignArchived,
    CampaignLaunched,
    CampaignPaused,
    CampaignResumed,
    CarrierAnswered,
    CarriersAsked,
    CarrierState,
    ContactOptedIn,
    ContactOptedOut,
    LimitsChanged,
    MessageQueued,
    NumberProvisioned,
    NumberPurchased,
    NumberReleased,
    QueueWithdrawn,
    UnclearSettled,
    UseCaseRegistered,
    WindowChanged,
    WindowClosed,
)

# The carriers that say whether they know a number.
REGISTRARS: tuple[Literal["att", "tmobile", "verizon"], ...] = ("att", "tmobile", "verizon")

CampaignFact = (
    CampaignLaunched
    | WindowChanged
    | WindowClosed
    | CampaignPaused
    | CampaignResumed
    | QueueWithdrawn
    | CampaignArchived
    | NumberPurchased
)


def _campaigns(events: Sequence[CampaignFact]) -> set[tuple[str, str]]:
    return {(event.org_id, event.campaign_id) for event in events}


def _numbers(
    events: Sequence[CampaignLaunched | CarrierAnswered | NumberProvisioned],
) -> set[NumberKey]:
    return {(event.org_id, event.number) for event in events if event.number is not None}


async def record_use_cases(tx: Transaction, events: Sequence[UseCaseRegistered]) -> None:
    """The provider knows these use cases."""
    await limits.learn_use_cases(tx, events)


async def change_limits(tx: Transaction, events: Sequence[LimitsChanged]) -> None:
    """Limits hold from the next claim on."""
    await limits.learn_limits(tx, events)


async def record_launches(tx: Transaction, events: Sequence[CampaignLaunched]) -> None:
    """Campaigns may send, as soon as they have a number and are open; those that are to wait for
    their number's provisioning, when all carriers know it."""
    lent = {
        (event.org_id, event.campaign_id): event.number
        for event in events
        if event.number is not None
    }
    if lent:
        await numbers.lock(tx, _numbers(events))
    await campaigns.learn_launches(tx, events)
    if lent:
        await numbers.lend(tx, lent)
    await campaigns.reschedule(tx, _campaigns(events))
    if lent:
        await numbers.lend_words(tx, lent)


async def change_windows(tx: Transaction, events: Sequence[WindowChanged]) -> None:
    """Windows and hours hold from the next claim on; so does what they say of waiting for the
    number's provisioning."""
    await campaigns.learn_windows(tx, events)
    await campaigns.learn_holds(tx, events)
    await campaigns.reschedule(tx, _campaigns(events))


async def close_windows(tx: Transaction, events: Sequence[WindowClosed]) -> None:
    """The windows have ended, by the word of another; our own clock would have said so too."""
    await campaigns.learn_closings(tx, events)
    await campaigns.reschedule(tx, _campaigns(events))


async def pause_campaigns(
    tx: Transaction, events: Sequence[CampaignPaused | CampaignResumed]
) -> None:
    """Campaigns rest, or go on, from the next claim on; the later revision counts."""
    await campaigns.learn_pauses(tx, events)
    await campaigns.reschedule(tx, _campaigns(events))


async def withdraw_queues(tx: Transaction, events: Sequence[QueueWithdrawn]) -> None:
    """What was queued by then is passed over from the next claim on, and ended in batches."""
    await campaigns.learn_withdrawals(tx, events)
    await campaigns.reschedule(tx, _campaigns(events))


async def archive_campaigns(tx: Transaction, events: Sequence[CampaignArchived]) -> None:
    """Nothing of these campaigns goes any more, initial or reply."""
    await campaigns.learn_archives(tx, events)
    await campaigns.reschedule(tx, _campaigns(events))


async def record_numbers(tx: Transaction, events: Sequence[NumberPurchased]) -> None:
    """Campaigns have their numbers: they may send, whether or not the carriers confirmed yet."""
    await campaigns.learn_numbers(tx, events)
    await campaigns.reschedule(tx, _campaigns(events))


async def record_answers(tx: Transaction, events: Sequence[CarrierAnswered]) -> None:
    """A carrier that knows the number now takes what was held for it; one that has refused it
    keeps it held."""
    words = [
        Word(
            (event.org_id, event.campaign_id, event.carrier),
            event.answer,
            event.answered_at,
            event.number,
        )
        for event in events
    ]
    await numbers.lock(tx, _numbers(events))
    await holds.hear(tx, words)


async def record_provisioning(tx: Transaction, events: Sequence[NumberProvisioned]) -> None:
    """The last word of provisioning, carrier by carrier; when it is complete, what waited for that
    may go, also after a failure. A campaign that has no number sends from none."""
    words = []
    for event in events:
        for carrier in REGISTRARS:
            said: CarrierState = getattr(event.carriers, carrier)
            if said.state != "pending":
                key = (event.org_id, event.campaign_id, carrier)
                words.append(Word(key, said.state, said.at, event.number))
    await numbers.lock(tx, _numbers(events))
    await holds.settle(tx, events)
    await holds.hear(tx, words)


async def release_numbers(tx: Transaction, events: Sequence[NumberReleased]) -> None:
    """These numbers may be bought again, by any organization: what was known of them is over, and
    who texts them means their next owner."""
    await numbers.learn_released(tx, events)


async def settle_unclear(tx: Transaction, events: Sequence[UnclearSettled]) -> None:
    """An admin says what became of texts whose answer was lost: carried out in batches."""
    await settlements.record(tx, events)


async def ask_carriers(tx: Transaction, events: Sequence[CarriersAsked]) -> None:
    """What is known of these phones is told at once; the others are looked up in the background,
    behind those that texts wait for."""
    await lists.ask(tx, events)


async def queue_messages(tx: Transaction, events: Sequence[MessageQueued]) -> None:
    """Texts wait as rows until there is room for them; the same id twice is the same text."""
    unique: dict[tuple[str, str], MessageQueued] = {}
    for event in events:
        unique.setdefault((event.org_id, event.message_id), event)
    first = list(unique.values())
    texts = await intake.texts_of(tx, first)
    places = await intake.place(tx, texts)
    new = await intake_store.insert(tx, first, texts, places)
    kept = [index for index, key in enumerate(unique) if key in new]
    await intake.tell_failed(
        tx, [texts[index] for index in kept], [places[index] for index in kept]
    )


async def opt_contacts_out(tx: Transaction, events: Sequence[ContactOptedOut]) -> None:
    """Nothing more goes to these contacts, from what waits or from what comes."""
    in_turn = sorted(events, key=lambda event: event.opted_out_at)
    words = {(event.org_id, event.phone): event.opted_out_at for event in in_turn}
    # Who told us has told everybody.
    await outcomes.opt_out(tx, words, tell=False)


async def opt_contacts_in(tx: Transaction, events: Sequence[ContactOptedIn]) -> None:
    """Texts are welcome to these contacts again, unless they opted out later than that."""
    in_turn = sorted(events, key=lambda event: event.opted_in_at)
    words = {(event.org_id, event.phone): event.opted_in_at for event in in_turn}
    await outcomes.opt_in(tx, words, tell=False)


HANDLERS: Handlers = {
    UseCaseRegistered: record_use_cases,
    LimitsChanged: change_limits,
    CampaignLaunched: record_launches,
    WindowChanged: change_windows,
    WindowClosed: close_windows,
    CampaignPaused: pause_campaigns,
    CampaignResumed: pause_campaigns,
    QueueWithdrawn: withdraw_queues,
    CampaignArchived: archive_campaigns,
    NumberPurchased: record_numbers,
    CarrierAnswered: record_answers,
    NumberProvisioned: record_provisioning,
    NumberReleased: release_numbers,
    UnclearSettled: settle_unclear,
    ContactOptedOut: opt_contacts_out,
    ContactOptedIn: opt_contacts_in,
    CarriersAsked: ask_carriers,
    MessageQueued: queue_messages,
}
