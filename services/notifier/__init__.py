"""The notifier tells people by e-mail what became of what they started.

Owns:  notices (one for each campaign and outcome) and their deliveries; what it has heard of
       campaigns.
Hears: CampaignLaunched, WindowChanged, NumberProvisioned.
Does:  writes an e-mail to the admin who launched the campaign, once, and tries again while the
       mail server is away; never again where a server may have taken it.
Tells: nothing.
"""
