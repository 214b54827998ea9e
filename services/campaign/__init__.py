"""The campaign service: what operators, admins and senders do, over HTTP.

Owns   organizations, limits, use cases, people and tokens, contacts, campaigns, assignments,
       conversations, the audit trail.
Hears  NumberPurchased, CarrierAnswered, NumberProvisioned, MessageSent, MessageDelivered,
       MessageFailed, MessageUnclear, MessageReceived, ContactOptedOut, ContactOptedIn,
       CampaignHeld, BucketState, NumberReleased, CarriersFound, ProvisioningDelayed,
       WebhookStateChanged.
Does   shows what came of each campaign, number and text; says when a window has closed, or will
       close too early; takes untouched texts back; ends what archives leave; reports each day.
Tells  LimitsChanged, UseCaseRegistered, CampaignLaunched, WindowChanged, WindowClosed,
       CampaignPaused, CampaignResumed, CampaignArchived, QueueWithdrawn, UnclearSettled,
       MessageQueued, ContactOptedOut, WindowAtRisk, CarriersAsked, NoticeSettingsChanged,
       DeliverabilityReported.
"""
