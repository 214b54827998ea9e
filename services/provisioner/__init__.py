"""The provisioner buys each campaign its number and follows it until the carriers confirm it.

Owns:  use cases as the provider knows them, number orders, phone numbers, carrier confirmations.
Hears: UseCaseRegistered, CampaignLaunched, WindowChanged.
Does:  search by area code in the admin's order, purchase, messaging profile, attachment to the use
       case, and then asks after each carrier's word until all have confirmed or one has refused.
Tells: NumberPurchased, CarrierAnswered (one for each carrier, as it comes),
       NumberProvisioned (complete or failed).
"""
