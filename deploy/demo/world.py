"""Who and what the demonstration is about: carriers and their limits, people, contacts, a place
where it is the middle of the day. Pure: the same world on every run."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from shared.fields import Carrier

ORGANIZATION = "Riverbend Parks"
ADMIN = ("Ada Marsh", "ada@riverbend.example.com")
SENDERS = ("Grace", "Omar", "Lena", "Theo", "Priya", "Sam")
BATCH_SIZE = 50

CAMPAIGN = "Spring planting"
SCRIPT = (
    "Hi {first_name}, this is Riverbend Parks. On Saturday we plant trees in {town}. "
    "Can you join us at 10? Reply STOP to opt out."
)
ANSWERS = {
    "Yes, I'm in!": "Wonderful, thank you! We meet at the north gate at 10.",
    "Who is this?": "Riverbend Parks: we look after the parks in town. Hope to see you there!",
    "Can you tell me more?": "Gladly: bring gloves, we have the spades and the soup.",
}
SOLD_OUT_AREA_CODE, AREA_CODE = "303", "720"

REFUSED_CAMPAIGN = "Autumn planting"
REFUSED_AREA_CODE = "719"
REFUSED_CARRIER: Carrier = "verizon"

REPLY_SHARE = 0.06

_FIRST_NAMES = (
    "Alex", "Bea", "Carlos", "Dana", "Eli", "Fay", "Gus", "Hana", "Ivan", "José", "Kim", "Luis",
    "Mia", "Noor", "Otto", "Pam", "Quinn", "Renée", "Sid", "Tess", "Uma", "Vic", "Wes", "Ximena",
    "Zoë",  # not in GSM-7: a text with it takes two segments
)  # fmt: skip
_LAST_NAMES = ("Abbot", "Brook", "Castle", "Dale", "Everett", "Field", "Grove", "Hill", "Lake")
_TOWNS = ("Elm Park", "Mill Creek", "Fairview", "Oak Hollow")
_CONTACTS_AREA_CODES = ("303", "720", "970")


@dataclass(frozen=True)
class Line:
    """A carrier of the demonstration, how many contacts are with it, and what it allows.

    `exchanges` are the digits by which the sandbox knows whose customer a phone is; `csv_name` is
    what a look-up service would have written into the contact list.
    """

    carrier: Carrier
    name: str
    csv_name: str
    exchanges: str
    contacts: int
    per_minute: int | None = None
    unit: str = "segment"
    segments_per_day: int | None = None

    def allows(self) -> str:
        """Its limit, in words."""
        if self.per_minute is not None:
            return f"{self.per_minute} {self.unit}s a minute"
        return f"{self.segments_per_day} segments a day"

    def allows_shortly(self) -> str:
        """Its limit, where there is little room."""
        if self.per_minute is not None:
            return f"{self.per_minute}/min"
        return f"{self.segments_per_day}/day"

    def limits(self, day_zone: str) -> dict[str, object]:
        """Its limits as the API and the sandbox take them; null is no cap."""
        return {
            "sms_per_minute": self.per_minute,
            "sms_unit": self.unit,
            "mms_per_minute": None,
            "segments_per_day": self.segments_per_day,
            "day_zone": day_zone,
        }


# A minute's limit is a little less than what there is to send, so that each is used up for a whole
# minute and the judge's highest minute has something to prove.
LINES = (
    Line("att", "AT&T", "AT&T Mobility", "23", 390, per_minute=420),
    Line("tmobile", "T-Mobile", "T-Mobile", "45", 530, segments_per_day=350),
    Line("verizon", "Verizon", "Verizon Wireless", "67", 480, per_minute=500, unit="message"),
    Line("other", "U.S. Cellular", "U.S. Cellular", "89", 100, per_minute=105),
)
NAMES: dict[str, str] = {line.carrier: line.name for line in LINES}
CONTACTS = sum(line.contacts for line in LINES)

# Rows that a real list has: each is reported by its line and left out.
_BAD_ROWS = {
    204: "Pat,Quill,303-55,T-Mobile,Elm Park",
    777: "Robin,Reed,ask her brother,AT&T Mobility,Fairview",
    1301: "Kit,Vale,+13032345678,AT&T Mobility,Oak Hollow,and a cell too many",
}


def contacts_csv() -> bytes:
    """The admin's contact list: CONTACTS good rows in no order, and a few that are bad."""
    rows = list(_contacts(random.Random(1)))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("first_name", "last_name", "phone", "carrier", "town"))
    for line, row in enumerate(rows, start=2):
        if line in _BAD_ROWS:
            table.write(_BAD_ROWS[line] + "\n")
        writer.writerow(row)
    return table.getvalue().encode()


def short_csv() -> bytes:
    """The few contacts of the campaign that a carrier will refuse."""
    return b"\n".join(contacts_csv().splitlines()[:26]) + b"\n"


def _contacts(dice: random.Random) -> Iterator[tuple[str, ...]]:
    taken: set[str] = set()
    lines = [line for line in LINES for _ in range(line.contacts)]
    dice.shuffle(lines)
    for line in lines:
        yield (
            dice.choice(_FIRST_NAMES),
            dice.choice(_LAST_NAMES),
            _phone(dice, line, taken),
            line.csv_name,
            dice.choice(_TOWNS),
        )


def _phone(dice: random.Random, line: Line, taken: set[str]) -> str:
    while True:
        area_code, exchange = dice.choice(_CONTACTS_AREA_CODES), dice.choice(line.exchanges)
        phone = f"+1{area_code}{exchange}{dice.randrange(1_000_000):06d}"
        if phone not in taken:
            taken.add(phone)
            return phone


BEHAVIOUR: dict[str, Any] = {
    # Drawn alike on every run; the numbers for sale are not, so that a database that is kept from
    # one run to the next meets no number twice.
    "seed": "demo",
    "sold_out_area_codes": [SOLD_OUT_AREA_CODE],
    "confirmation_delay_s": {"att": 1, "verizon": 2.2, "tmobile": 3.4},
    "refusals": [{"carrier": REFUSED_CARRIER, "area_code": REFUSED_AREA_CODE}],
    "arrival_latency_ms": {"median": 10, "p99": 50},
    "call_latency_ms": {"median": 30, "p99": 150},
    "reply_share": REPLY_SHARE,
    "reply_delay_s": {"min": 1, "max": 4},
    "reply_texts": list(ANSWERS),
}
"""The provider and its carriers, as sandbox."""


# --- the middle of the day -----------------------------------------------------------------

# The United States as long as it is day there, then around the globe.
_ZONES = (
    "America/Denver", "America/New_York", "America/Los_Angeles", "Pacific/Honolulu",
    "Pacific/Guam", "Asia/Kolkata", "Europe/Berlin", "Europe/London",
)  # fmt: skip
_FROM_HOUR, _TO_HOUR = 10, 18


def daytime_zone(now: datetime) -> str:
    """A time zone in which it is between 10:00 and 18:00: open hours (9:00 to 21:00) last on, and
    midnight is at least six hours away, in both directions."""
    for zone in _ZONES:
        if _FROM_HOUR <= now.astimezone(ZoneInfo(zone)).hour < _TO_HOUR:
            return zone
    raise AssertionError("the zones leave no gap around the globe")
