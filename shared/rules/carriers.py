"""Which of our carriers is meant by a name, as number look-ups and receipts give it.

They name the brand ("AT&T", "Verizon Wireless"), the routing entry ("Verizon Wireless:6006 -
SVR/2") or the company that holds the block of numbers ("CELLCO PARTNERSHIP DBA VERIZON WIRELESS -
OH", "NEW CINGULAR WIRELESS PCS, LLC - IL"): the names of the number administrator's tables of
assigned codes, and those that Telnyx's usage reports and look-ups show.
"""

import re

from shared.fields import Carrier

# Words that say whose network it is, wherever they stand in the name. Those that other carriers
# have bought come with their owner: the limits that count are those of the network.
_WORDS: tuple[tuple[str, Carrier], ...] = (
    # First: they name a network beside their own, or hold a word of another's name.
    ("united states cellular", "other"),
    ("us cellular", "other"),
    ("u s cellular", "other"),
    ("uscellular", "other"),
    ("dish wireless", "other"),
    ("boost", "other"),
    ("cellular south", "other"),
    ("c spire", "other"),
    ("general communication", "other"),
    ("appalachian wireless", "other"),
    ("viaero", "other"),
    ("union wireless", "other"),
    ("t mobile", "tmobile"),
    ("tmobile", "tmobile"),
    ("metropcs", "tmobile"),
    ("metro pcs", "tmobile"),
    ("sprint", "tmobile"),
    ("nextel", "tmobile"),
    ("omnipoint", "tmobile"),
    ("powertel", "tmobile"),
    ("voicestream", "tmobile"),
    ("suncom", "tmobile"),
    ("verizon", "verizon"),
    ("cellco", "verizon"),
    ("vzw", "verizon"),
    ("at t", "att"),
    ("att", "att"),
    ("new cingular", "att"),
    ("cingular", "att"),
    ("cricket", "att"),
    ("firstnet", "att"),
)


def carrier_named(name: str) -> Carrier | None:
    """The carrier of this name; None for a name that says nothing to us."""
    words = f" {re.sub(r'[^a-z0-9]+', ' ', name.lower()).strip()} "
    return next((carrier for known, carrier in _WORDS if f" {known} " in words), None)
