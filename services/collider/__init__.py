"""The collider lets texts out as fast as each organization's limits with each carrier allow.

Owns:  queued messages, buckets and their meters, day quotas, send attempts, receipts, opt-outs,
       recipients' carriers.
Hears: LimitsChanged, UseCaseRegistered, CampaignLaunched, WindowChanged, WindowClosed,
       CampaignPaused, CampaignResumed, QueueWithdrawn, CampaignArchived, NumberPurchased,
       CarrierAnswered, NumberProvisioned, NumberReleased, MessageQueued, UnclearSettled,
       ContactOptedOut, ContactOptedIn, CarriersAsked; by HTTP the provider's receipts and the
       contacts' texts.
Does:  looks up recipients' carriers where nobody told them, and those of contact lists; claims
       what may go now, calls the provider, records what came of it; marks what is left at a
       window's end.
Tells: MessageSent, MessageDelivered, MessageFailed, MessageUnclear, MessageReceived,
       ContactOptedOut, ContactOptedIn, CarriersFound, CampaignHeld, BucketState.
"""
