"""The notifier tells people what became of what they started: by e-mail, and by webhook.

Owns:  notices (one for each campaign and outcome) and their deliveries; who wants which; what it
       has heard of campaigns.
Hears: CampaignLaunched, WindowChanged, NumberProvisioned, WindowAtRisk, CampaignHeld,
       DeliverabilityReported, NoticeSettingsChanged.
Does:  writes an e-mail to the admin who launched the campaign, once, and tries again while the
       mail server is away; never again where a server may have taken it. Posts the same, signed,
       to the address that the organization has set.
Tells: WebhookStateChanged.
"""
