"""Values of a number order: what it is, what may be done next, and what may come of that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from shared.events import CarrierState, Person
from shared.rules.hours import Window

Step = Literal[
    "waiting",  # for its use case to be registered
    "place",  # for one of its use case's places
    "search",
    "order",
    "ordered",  # the provider has the order, and works on it
    "profile",
    "attach",
    "confirm",
    "complete",
    "failed",
]
SETTLED: tuple[Step, ...] = ("complete", "failed")
BUYING: tuple[Step, ...] = ("search", "order", "ordered")
"""An order holds a place on its use case in these; later the number that it bought does."""

Carrier = Literal["att", "tmobile", "verizon"]
CARRIERS: tuple[Carrier, ...] = ("att", "tmobile", "verizon")
CARRIER_NAMES: dict[Carrier, str] = {
    "att": "AT&T",
    "tmobile": "T-Mobile",
    "verizon": "Verizon",
}

# How a number stands that a campaign was launched with.
Standing = Literal[
    "ready",  # confirmed, as far as anybody knows: it is in nobody's books, or theirs say so
    "unconfirmed",
    "on its way back",  # to the provider: it is to be put on its use case again
    "given back",
]

RETRY_MOST_S = 60.0
AFTER_MOST_S = 600.0
"""A provider that asks for more patience than this is asked again all the same."""
FAST_FOR_S = 60.0
"""Most numbers are confirmed within a minute; until then it is worth looking often. As long may one
part of the provider not know yet what another has done."""

# How far the purchase of one certain number has come, and after that its way onto its use case. It
# is what keeps a lost answer from buying a second number: a number can be sold once only, so the
# same one is asked for until the answer is clear, and `gone` is believed only when no earlier
# request of ours can have landed.
Ask = Literal[
    "new",  # not asked for yet
    "asked",  # asked for; until the answer is recorded, look the order up
    "doubted",  # an answer was lost and no order can be found: ask for the same number again
    "asked again",
    "gone",  # asked again and told that it is gone: perhaps to our own first request
]


@dataclass(frozen=True, slots=True)
class CarrierFact:
    """A carrier's word on a number of ours, as the provider told it.

    `at`: when the carrier gave it, by the provider's own clock. `provider_campaign_id`: the use
    case that it is about, as it was registered with us; None where the provider does not say.
    """

    number: str
    carrier: Carrier
    state: Literal["confirmed", "refused"]
    at: datetime
    reason: str | None = None
    provider_campaign_id: str | None = None


@dataclass(frozen=True, slots=True)
class UseCase:
    """A use case (10DLC campaign) as the provider knows it."""

    provider_campaign_id: str
    messaging_profile_id: str | None


@dataclass(frozen=True, slots=True)
class Launch:
    """What the launch said; written once."""

    org_id: str
    campaign_id: str
    use_case_id: str
    name: str
    launched_by: Person
    area_codes: tuple[str, ...]
    window: Window
    number: str | None
    """A number that the campaign has already: nothing is to be bought."""
    launched_at: datetime
    nearby: bool = True
    """Where its area codes are sold out, others of the same state will do."""
    dedicated: bool = False
    """It is to send from the number that the use case keeps for many campaigns."""


@dataclass(frozen=True, slots=True)
class Order:
    """One campaign's number and how far it has come."""

    order_id: str
    launch: Launch
    use_case: UseCase | None
    step: Step
    step_since: datetime
    carriers: Mapping[Carrier, CarrierState]
    """Each carrier's word, at the time when it was last heard to say so: the provider's."""
    due_at: datetime | None
    """When something is to be done next; None: never again."""
    tries: int = 0
    """Faults in this step, in a row; they make the next try wait longer."""
    refusals: int = 0
    """Times that the provider clearly said no in this step."""
    preference: int = 0
    """Which of the searches is made (`area_codes.searches`)."""
    candidates: tuple[str, ...] = ()
    """Numbers that the search found, still to be tried."""
    number: str | None = None
    """The number that is being bought, and once `purchased_at` is set, the campaign's."""
    purchase: int = 0
    """Counts the numbers that were tried; part of the reference that the provider keeps for us."""
    ask: Ask = "new"
    asked_at: datetime | None = None
    provider_order_id: str | None = None
    purchased_at: datetime | None = None
    archived: bool = False
    """Its campaign is over: what is under way is brought to an end."""
    is_followed: bool = False
    """Another campaign sends from its number too."""
    facts: tuple[CarrierFact, ...] = ()
    """What was heard of its number, whether or not it was weighed before."""
    on_since: datetime | None = None
    """Since when its number is (to be) on its use case; None: it is not in our books."""
    waits_for: str | None = None
    """The delay that was told last, unless something else was told since."""
    error: str | None = None
    """What went wrong last, for people."""
    since: Mapping[Carrier, datetime] = field(default_factory=dict)
    """Since when carriers have been saying what they say; one that is missing: since its word."""

    def told_word(self, carrier: Carrier) -> CarrierState:
        """A carrier's word with the time that people are shown: since when it has said so."""
        word = self.carriers[carrier]
        return word.model_copy(update={"at": self.since.get(carrier, word.at)})

    @property
    def reference(self) -> str:
        """What the provider keeps with this purchase, to find it by when its answer was lost."""
        return f"{self.order_id}-{self.purchase}"

    @property
    def may_have_bought(self) -> bool:
        """Whether its number may turn out to be ours although nobody has said so."""
        return self.number is not None and self.purchased_at is None and self.ask != "new"

    @property
    def found_nearby(self) -> bool:
        """Whether the preferences were sold out, and what was bought is of another area code."""
        codes, number = self.launch.area_codes, self.number
        return bool(codes and self.purchase and number) and (number or "")[2:5] not in codes


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds."""

    poll_s: float
    """Between two looks at something that is expected in a moment."""
    poll_most_s: float
    """Between two looks at something that has taken long already."""
    look_up_s: float
    """How long a purchase whose answer was lost is looked for before it is made again."""
    limit_s: float
    """From the launch until the carriers must have confirmed."""
    rest_s: float = 24 * 3600
    """From the archive of the last campaign on a number until it is given back: receipts and
    answers still come."""
    fast_s: float = FAST_FOR_S
    """How long something is expected in a moment; until then it is looked at every `poll_s`."""

    def poll_after_s(self, waited_s: float) -> float:
        """Until the next look: soon at first, then ever later."""
        if waited_s < self.fast_s:
            return self.poll_s
        return min(max(self.poll_s, waited_s / 10), self.poll_most_s)

    def watch_after_s(self, failed_for_s: float, after_s: float | None = None) -> float:
        """Until the next look at the number of an order that has failed: rarely, then ever more
        so. `after_s`: what the provider said itself."""
        return max(self.poll_most_s, failed_for_s / 10, min(after_s or 0, AFTER_MOST_S))

    def again_after_s(self, tries: int, luck: float, after_s: float | None = None) -> float:
        """Until the next try after a fault: later each time, and not all at once. `after_s`: what
        the provider said itself."""
        delay_s = min(RETRY_MOST_S, self.poll_s * 2.0 ** min(tries, 16)) * (0.5 + luck / 2)
        return delay_s if after_s is None else max(delay_s, min(after_s, AFTER_MOST_S))


@dataclass(frozen=True, slots=True)
class Moment:
    """When something came of an act, how long to wait, and a draw from [0, 1)."""

    now: datetime
    patience: Patience
    luck: float


# --- acts: what is to be done next. One call to the provider each, but for the last five. --------


@dataclass(frozen=True, slots=True)
class Search:
    """Find numbers of an area code, or of a state (by its two letters); of neither: any."""

    area_code: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Buy:
    """Order this number."""

    number: str
    reference: str
    messaging_profile_id: str | None


@dataclass(frozen=True, slots=True)
class LookUp:
    """Find the order that an earlier purchase made, if it made one."""

    reference: str


@dataclass(frozen=True, slots=True)
class SeeOrder:
    """Ask how far the provider's order is."""

    provider_order_id: str


@dataclass(frozen=True, slots=True)
class SetProfile:
    """Put the number on the use case's messaging profile."""

    number: str
    messaging_profile_id: str


@dataclass(frozen=True, slots=True)
class Attach:
    """Put the number on the use case."""

    number: str
    provider_campaign_id: str


@dataclass(frozen=True, slots=True)
class AskCarriers:
    """Ask what the carriers have said about the number."""

    number: str


@dataclass(frozen=True, slots=True)
class TakePlace:
    """Take one of the use case's places, if one is free."""


@dataclass(frozen=True, slots=True)
class Weigh:
    """See what comes of the carriers' words that were heard."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done yet."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The time is up."""


@dataclass(frozen=True, slots=True)
class Drop:
    """The campaign was archived."""


Call = Search | Buy | LookUp | SeeOrder | SetProfile | Attach | AskCarriers
"""What the provider is asked; for the other acts nobody is."""
Act = TakePlace | Weigh | Wait | GiveUp | Drop | Call


# --- answers: what came of an act ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """Numbers for sale."""

    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order that the provider has."""

    provider_order_id: str
    state: Literal["pending", "success", "failure"]


@dataclass(frozen=True, slots=True)
class Absent:
    """The provider knows of no such thing."""


@dataclass(frozen=True, slots=True)
class Done:
    """It is as it was asked to be."""


@dataclass(frozen=True, slots=True)
class CarriersSaid:
    """Each carrier's word, and the reasons of those that refuse; `at`: the provider's own time of
    the latest of them, where it says."""

    states: Mapping[Carrier, Literal["confirmed", "refused", "pending"]]
    reason: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will not do it, and did not."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotTaken:
    """It surely did not happen, and may be tried again: `after_s` seconds from now, if it said."""

    reason: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nobody knows whether it happened: the answer was lost or makes no sense."""

    reason: str


@dataclass(frozen=True, slots=True)
class Room:
    """How a use case's places stand, while nobody else can take one."""

    held: int
    """By numbers that are on it, and by orders that will bring one."""
    most: int
    leaving: bool
    """Whether one of them is on its way out, so that it is worth waiting."""
    number_is_gone: bool = False
    """The number that the campaign was launched with cannot be had any more."""


@dataclass(frozen=True, slots=True)
class Dedicated:
    """The number that a use case keeps for many campaigns, while nobody can end it."""

    number: str | None
    """None: another order is buying it."""
    is_confirmed: bool = False


Answer = (
    Found | Ordered | Absent | Done | CarriersSaid | Room | Dedicated | Refused | NotTaken | Unclear
)


def seconds(later: datetime, earlier: datetime) -> float:
    """From `earlier` to `later`, in seconds."""
    return (later - earlier) / timedelta(seconds=1)
