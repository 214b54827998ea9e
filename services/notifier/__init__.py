"""The notifier tells people by e-mail what became of what they started.

Owns:  notices (one for each campaign and outcome) and their deliveries.
Hears: NumberProvisioned.
Does:  writes a plain-text e-mail to the admin who launched the campaign, once, and tries again
       while the mail server is away; never again where a server may have taken it.
Tells: nothing.
"""
