"""The provisioner buys each campaign its number and follows it until the carriers confirm it.

Owns:  use cases as the provider knows them and the places on each, number orders, phone numbers,
       carrier confirmations.
Hears: UseCaseRegistered, CampaignLaunched, WindowChanged, CampaignArchived.
Does:  takes a place on the use case (49 of them, pending numbers too), search by area code in the
       admin's order, purchase, messaging profile, attachment to the use case, and then hears or
       asks after each carrier's word until all have confirmed or one has refused; a failure may
       be confirmed late. A campaign that comes with its number buys none, nor one for which its
       use case keeps a dedicated number. When the last campaign on another number is archived: off
       the use case at once, and after a day, when the last receipts are in, back to the provider.
       Once an hour: holds its rows against the provider's lists.
Tells: NumberPurchased, CarrierAnswered (one for each carrier, as it comes),
       ProvisioningDelayed, NumberProvisioned (complete or failed), NumberReleased.
"""
