"""Sandbox: a provider and its carriers over HTTP, in memory. Not for production.

Owns   numbers for sale and sold, messages, what the carriers let through, the judge's ledger.
Hears  the provider API that the production adapters speak (Telnyx v2: /v2), and what tests and
       demonstrations tell it (/sandbox, /judge).
Does   sells numbers, confirms or refuses them carrier by carrier, takes texts, enforces the
       limits it was told, lets phones answer, plays scripted faults, judges the senders.
Tells  signed webhooks (message.sent, message.finalized, message.received,
       10dlc.phone_number.update) and the verdict at /judge.

Which carrier a phone is with stands in its digits (`domain.carrier_of`). How an adapter reads
the carriers' confirmations stands in `registry`. The same world runs without HTTP on a manual
clock: see `world`; its parts `Judge` and `Carriers` run alone: see `judge` and `carriers`.
"""
