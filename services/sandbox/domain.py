"""The sandbox's own words: carriers, limits, one text's cost, error codes, time.

Nothing here is shared with the services under test: the sandbox is the judge, and a judge
that borrows the accused's arithmetic proves nothing.

Times are aware UTC `datetime`s at every border. Inside, meters compare whole microseconds
(`micros`): exactly 60 s apart must come out as exactly 60 s, which floats do not promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

Carrier = Literal["att", "tmobile", "verizon", "other"]
Channel = Literal["sms", "mms"]
Unit = Literal["segment", "message"]
Kind = Literal["initial", "reply"]
Registration = Literal["unattached", "pending", "confirmed"]

CARRIERS: tuple[Carrier, ...] = ("att", "tmobile", "verizon", "other")
"""Every carrier a phone can be with."""

REGISTRARS: tuple[Carrier, ...] = ("att", "tmobile", "verizon")
"""The carriers that confirm or refuse a number on a 10DLC campaign."""

MINUTE_US = 60_000_000

_CARRIER_OF_EXCHANGE: dict[str, Carrier] = {
    "2": "att",
    "3": "att",
    "4": "tmobile",
    "5": "tmobile",
    "6": "verizon",
    "7": "verizon",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def carrier_of(phone: str) -> Carrier:
    """The carrier of an E.164 phone, by the first digit of its exchange (the sixth character).

    2, 3: att. 4, 5: tmobile. 6, 7: verizon. Anything else: other. Real phones are ported at
    will; a rule that a test can read off the number beats a table.
    """
    return _CARRIER_OF_EXCHANGE.get(phone[5:6], "other")


def is_us_phone(phone: object) -> bool:
    """Whether `phone` is text of the form +1 and ten digits."""
    return (
        isinstance(phone, str)
        and len(phone) == 12
        and phone.startswith("+1")
        and phone[1:].isascii()
        and phone[1:].isdigit()
    )


def micros(at: datetime) -> int:
    """Whole microseconds since 1970 of an aware time."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(at_us: int) -> datetime:
    """The aware UTC time of `micros`."""
    return _EPOCH + timedelta(microseconds=at_us)


def iso(at: datetime | None) -> str | None:
    """ISO 8601 in UTC with microseconds and a trailing Z, as everything here is written."""
    if at is None:
        return None
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Limit:
    """What one carrier lets one brand (or one use case) send. None means no cap.

    `sms_per_minute` counts in `sms_unit`, `mms_per_minute` in messages, `segments_per_day` in
    SMS segments and MMS messages together over a civil day of `day_zone` (23, 24 or 25 hours).
    `used_elsewhere_per_day` are segments of that day that other vendors have already spent for
    the brand: the carrier counts them, we cannot see them.
    """

    sms_per_minute: int | None = None
    sms_unit: Unit = "segment"
    mms_per_minute: int | None = None
    segments_per_day: int | None = None
    day_zone: str = "America/Los_Angeles"
    used_elsewhere_per_day: int = 0


@dataclass(frozen=True, slots=True)
class Submission:
    """One text as the carriers see it: who sends to whom, on whose account, at what cost."""

    number: str
    phone: str
    carrier: Carrier
    brand: str
    use_case: str | None
    channel: Channel
    segments: int

    def cost(self, unit: Unit) -> int:
        """What it costs a minute limit: segments or one message. An MMS always counts as one."""
        return self.segments if unit == "segment" and self.channel == "sms" else 1


@dataclass(frozen=True, slots=True)
class Webhook:
    """An event to post to `url`. `data` is the event as Telnyx writes it, without `meta`."""

    url: str
    data: dict[str, object]


SPAM = "40002"
UNREGISTERED = "40010"
RATE_EXCEEDED = "40011"
DAY_SPENT = "40016"
ATT_RATE_EXCEEDED = "40018"
ATT_UNREGISTERED = "40019"
STOPPED = "40300"
BAD_FROM = "40305"
BAD_TO = "40310"
QUEUE_FULL = "40318"
EXPIRED = "40014"
TOO_MANY_REQUESTS = "10011"
NOT_FOUND = "10005"
BAD_REQUEST = "10015"
MISSING_PARAMETER = "10004"
AUTHENTICATION_FAILED = "10009"
UNEXPECTED = "10007"
# Telnyx does not publish the code for a number that is sold already: adapters must not need it.
NUMBER_GONE = "85001"

MAY_GO_AGAIN = frozenset(
    {
        UNREGISTERED,
        RATE_EXCEEDED,
        EXPIRED,
        DAY_SPENT,
        ATT_RATE_EXCEEDED,
        ATT_UNREGISTERED,
        QUEUE_FULL,
    }
)
"""Receipt codes that say "not delivered: limit, or not registered yet": the same message may
be sent once more without being a double."""

SPENDS_NO_DAY = frozenset(
    {UNREGISTERED, ATT_UNREGISTERED, RATE_EXCEEDED, ATT_RATE_EXCEEDED, EXPIRED, QUEUE_FULL}
)
"""Receipt codes of texts that never reached a carrier's day quota: turned away before it was
touched, or left in the provider's own queue."""

TITLES: dict[str, str] = {
    "40001": "Not routable",
    SPAM: "Blocked as spam - temporary",
    "40003": "Blocked as spam - permanent",
    "40008": "Undeliverable",
    UNREGISTERED: "Unregistered 10DLC message",
    RATE_EXCEEDED: "Rate limit exceeded (upstream)",
    "40012": "Invalid messaging destination number",
    EXPIRED: "Message expired in queue",
    "40015": "Blocked as spam - internal",
    DAY_SPENT: "T-Mobile 10DLC daily message limit reached",
    "40017": "AT&T 10DLC spam message rejected",
    ATT_RATE_EXCEEDED: "AT&T 10DLC sending limit reached",
    ATT_UNREGISTERED: "Number not provisioned on AT&T",
    STOPPED: "Blocked due to STOP message",
    BAD_FROM: "Invalid 'from' address",
    BAD_TO: "Invalid 'to' address",
    QUEUE_FULL: "Message queue is full",
    TOO_MANY_REQUESTS: "Too many requests",
    NOT_FOUND: "Resource not found",
    BAD_REQUEST: "Bad Request",
    MISSING_PARAMETER: "Missing required parameter",
    AUTHENTICATION_FAILED: "Authentication failed",
    UNEXPECTED: "Unexpected error",
    NUMBER_GONE: "Number not available",
}


class Refused(Exception):
    """The provider's own refusal of one request: HTTP status, Telnyx code and words.

    `retry_after_s` goes out as a Retry-After header where it is set.
    """

    def __init__(
        self, status: int, code: str, detail: str, retry_after_s: int | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.title = TITLES.get(code, "Error")
        self.detail = detail
        self.retry_after_s = retry_after_s
