"""The facts that services tell each other. Public contract: later versions only add.

Every event carries `org_id`; those about a campaign carry `campaign_id` too. Times are aware UTC.
Unknown fields are ignored when an event is read, so that an older reader survives a newer writer.
"""

from shared.events.base import CampaignEvent, Event, MessageEvent, Person, event_data, instant
from shared.events.carriers import BucketState, CarriersAsked, CarriersFound, FoundCarrier
from shared.events.decisions import (
    CampaignArchived,
    CampaignLaunched,
    CampaignPaused,
    CampaignResumed,
    LimitsChanged,
    QueueWithdrawn,
    UnclearSettled,
    UseCaseRegistered,
    WindowAtRisk,
    WindowChanged,
    WindowClosed,
)
from shared.events.numbers import (
    CampaignHeld,
    CarrierAnswered,
    Carriers,
    CarrierState,
    NumberProvisioned,
    NumberPurchased,
    NumberReleased,
)
from shared.events.texts import (
    ContactOptedIn,
    ContactOptedOut,
    MessageDelivered,
    MessageFailed,
    MessageOutcome,
    MessageQueued,
    MessageReceived,
    MessageSent,
    MessageUnclear,
)

EVENTS: dict[str, type[Event]] = {
    event.__name__: event
    for event in (
        UseCaseRegistered,
        LimitsChanged,
        CampaignLaunched,
        WindowChanged,
        WindowClosed,
        WindowAtRisk,
        CampaignPaused,
        CampaignResumed,
        QueueWithdrawn,
        CampaignArchived,
        UnclearSettled,
        NumberPurchased,
        CarrierAnswered,
        NumberProvisioned,
        NumberReleased,
        CampaignHeld,
        MessageQueued,
        MessageSent,
        MessageDelivered,
        MessageFailed,
        MessageUnclear,
        MessageReceived,
        ContactOptedOut,
        ContactOptedIn,
        CarriersAsked,
        CarriersFound,
        BucketState,
    )
}

__all__ = [
    "EVENTS",
    "BucketState",
    "CampaignArchived",
    "CampaignEvent",
    "CampaignHeld",
    "CampaignLaunched",
    "CampaignPaused",
    "CampaignResumed",
    "CarrierAnswered",
    "CarrierState",
    "Carriers",
    "CarriersAsked",
    "CarriersFound",
    "ContactOptedIn",
    "ContactOptedOut",
    "Event",
    "FoundCarrier",
    "LimitsChanged",
    "MessageDelivered",
    "MessageEvent",
    "MessageFailed",
    "MessageOutcome",
    "MessageQueued",
    "MessageReceived",
    "MessageSent",
    "MessageUnclear",
    "NumberProvisioned",
    "NumberPurchased",
    "NumberReleased",
    "Person",
    "QueueWithdrawn",
    "UnclearSettled",
    "UseCaseRegistered",
    "WindowAtRisk",
    "WindowChanged",
    "WindowClosed",
    "event_data",
    "instant",
]
