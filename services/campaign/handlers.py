"""What the campaign service makes of what it hears. Each handler takes all events of its type."""

from collections.abc import Sequence

from services.campaign.domain import latest_of_each
from services.campaign.store import buckets, conversations, look_ups, messages, notices, numbers
from shared.consumer import Handlers
from shared.database import Transaction
from shared.events import (
    BucketState,
    CampaignHeld,
    CarrierAnswered,
    CarriersFound,
    ContactOptedIn,
    ContactOptedOut,
    MessageDelivered,
    MessageFailed,
    MessageOutcome,
    MessageReceived,
    MessageSent,
    MessageUnclear,
    NumberProvisioned,
    NumberPurchased,
    NumberReleased,
    ProvisioningDelayed,
    WebhookStateChanged,
)


async def show_number(tx: Transaction, events: Sequence[NumberPurchased]) -> None:
    """A campaign has its number."""
    await numbers.purchased(tx, events)


async def show_carriers_answer(tx: Transaction, events: Sequence[CarrierAnswered]) -> None:
    """A carrier has confirmed or refused."""
    await numbers.answered(tx, events)


async def show_delay(tx: Transaction, events: Sequence[ProvisioningDelayed]) -> None:
    """A number takes longer than it should."""
    await numbers.delayed(tx, events)


async def raise_flag(tx: Transaction, events: Sequence[NumberProvisioned]) -> None:
    """The flag turns green or red."""
    await numbers.provisioned(tx, events)


async def show_holds(tx: Transaction, events: Sequence[CampaignHeld]) -> None:
    """A carrier takes no texts from a campaign's number."""
    await numbers.held(tx, events)


async def show_release(tx: Transaction, events: Sequence[NumberReleased]) -> None:
    """A number is not the organization's any longer."""
    await numbers.released(tx, events)


async def show_outcome(tx: Transaction, events: Sequence[MessageOutcome]) -> None:
    """A text was sent, has arrived, or will not."""
    await messages.record_outcomes(tx, latest_of_each(events))


async def continue_conversation(tx: Transaction, events: Sequence[MessageReceived]) -> None:
    """A contact has answered."""
    await conversations.receive(tx, events)


async def withdraw_texts(tx: Transaction, events: Sequence[ContactOptedOut]) -> None:
    """A contact wants no more texts."""
    await conversations.opt_out(tx, events, await tx.now())


async def welcome_back(tx: Transaction, events: Sequence[ContactOptedIn]) -> None:
    """A contact wants texts again."""
    await conversations.opt_in(tx, events, await tx.now())


async def show_buckets(tx: Transaction, events: Sequence[BucketState]) -> None:
    """How much waits for a carrier, and how fast it goes."""
    await buckets.keep(tx, events)


async def fill_in_carriers(tx: Transaction, events: Sequence[CarriersFound]) -> None:
    """It was found out which carriers contacts are with."""
    await look_ups.keep(tx, events, await tx.now())


async def show_webhooks(tx: Transaction, events: Sequence[WebhookStateChanged]) -> None:
    """What is posted to an organization's webhook gets there, or does not."""
    await notices.put_states(tx, events)


HANDLERS: Handlers = {
    NumberPurchased: show_number,
    CarrierAnswered: show_carriers_answer,
    ProvisioningDelayed: show_delay,
    NumberProvisioned: raise_flag,
    NumberReleased: show_release,
    CampaignHeld: show_holds,
    MessageSent: show_outcome,
    MessageDelivered: show_outcome,
    MessageFailed: show_outcome,
    MessageUnclear: show_outcome,
    ContactOptedOut: withdraw_texts,
    ContactOptedIn: welcome_back,
    MessageReceived: continue_conversation,
    BucketState: show_buckets,
    CarriersFound: fill_in_carriers,
    WebhookStateChanged: show_webhooks,
}
