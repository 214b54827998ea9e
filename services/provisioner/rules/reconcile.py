"""What the provider has, held against what our rows say: the differences, and how each is mended.

Pure. The lists are not one moment, and rows are read after them. So nothing counts that is younger
than the settled age, by the provider's time or by ours, or that anybody is at: the next run sees
it. A mend only makes a row due: the worker that takes it up asks the provider before it believes
anything, and what has changed since is left alone (store/mends.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from services.provisioner.domain import CARRIER_NAMES, CARRIERS, Carrier, CarrierFact
from services.provisioner.rules.listed import ListedAttachment, ListedNumber
from services.provisioner.rules.release import Step
from services.provisioner.rules.words import rank
from shared.events import CarrierState

Kind = Literal[
    "missing",  # we hold it, the provider does not have it
    "unattached",  # held, and on no use case
    "misattached",  # held, and on another use case than ours
    "still attached",  # at rest by our rows, and on a use case
    "wrong profile",  # held, and on no messaging profile or another one
    "unheard",  # a carrier has spoken, and nobody told us
    "spare",  # bought for an order that is on another number
    "not given back",  # gone by our rows, and the provider has it
    "stranger",  # in the account, and not ours
    "stranger on our use case",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

Mend = Literal[
    "attach",  # put on its use case again
    "detach",  # taken off once more
    "seek",  # looked for by its reference, and given back
    "return",  # given back once more
    "record",  # the carriers' words are written down
]


@dataclass(frozen=True, slots=True)
class Ours:
    """A number in our rows that is not gone, with its use case and what is on it."""

    org_id: str
    number: str
    step: Step
    step_since: datetime
    changed_at: datetime
    """When the number, or an order on it, last came a step further."""
    is_busy: bool
    """Something is under way: the number is due, or an order on it has not ended."""
    was_confirmed: bool
    """All carriers have confirmed it since it was put on its use case."""
    on_since: datetime
    """When it came on its use case: what carriers said before that is of no account."""
    words: Sequence[tuple[Carrier, CarrierState]]
    """Of the campaigns on it that wait for no carrier any more: what they know of each."""
    provider_campaign_id: str | None
    messaging_profile_id: str | None


@dataclass(frozen=True, slots=True)
class Purchase:
    """The order of ours that a number at the provider was bought for, by its reference."""

    org_id: str
    order_id: str
    purchase: int
    """How many numbers it has tried."""
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Gone:
    """A row of ours that says that the number was given back."""

    org_id: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Unheld:
    """What our rows know of a number at the provider that none of them holds."""

    is_used: bool
    """A campaign is on it all the same (it brought it along), or an order is buying it."""
    gone: Sequence[Gone]
    bought_for: Purchase | None
    counted_on: Mapping[str, str]
    """Use cases of ours, as the provider knows them, and their organizations."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One number that stands otherwise at the provider than in our rows."""

    kind: Kind
    number: str
    org_id: str
    """Empty: it is nobody's here."""
    said: str
    """For people."""
    mend: Mend | None = None
    """None: it is the operator's."""
    since: datetime | None = None
    """Of our row: it is only mended while it is as it was."""
    order_id: str | None = None
    reference: str | None = None
    facts: tuple[CarrierFact, ...] = ()


def of_ours(
    ours: Ours,
    listed: ListedNumber | None,
    attachment: ListedAttachment | None,
    *,
    settled_at: datetime,
) -> list[Difference]:
    """The differences of a number in our rows."""
    if ours.is_busy or ours.changed_at > settled_at:
        return []
    if ours.step == "rest":
        return _of_resting(ours, attachment, settled_at)
    if ours.step != "held":
        return []
    if listed is None:
        said = "A use case holds it, and the provider's account does not have it (any more)."
        return [Difference("missing", ours.number, ours.org_id, said)]
    if not listed.is_active:
        return []
    found = [_of_profile(ours, listed), _of_use_case(ours, listed, attachment, settled_at)]
    return [one for one in found if one is not None]


def of_unheld(
    listed: ListedNumber,
    attachment: ListedAttachment | None,
    known: Unheld,
    *,
    settled_at: datetime,
) -> Difference | None:
    """The difference of a number at the provider that no row of ours holds."""
    if known.is_used or not listed.is_active or listed.bought_at > settled_at:
        return None
    bought_for = known.bought_for
    if bought_for is None:
        return _of_stranger(listed, attachment, known)
    gone = next((one for one in known.gone if one.org_id == bought_for.org_id), None)
    if gone is not None:
        return _of_gone(listed, bought_for, gone, settled_at)
    return _of_spare(listed, attachment, bought_for, settled_at)


# --- numbers that we hold ------------------------------------------------------------------------


def _of_resting(
    ours: Ours, attachment: ListedAttachment | None, settled_at: datetime
) -> list[Difference]:
    if attachment is None or attachment.leaving or attachment.changed_at > settled_at:
        return []
    said = f"It is to rest, and the provider has it on use case {_named(attachment)}."
    off = Difference("still attached", ours.number, ours.org_id, said, "detach", ours.step_since)
    return [off]


def _of_profile(ours: Ours, listed: ListedNumber) -> Difference | None:
    wanted, there = ours.messaging_profile_id, listed.messaging_profile_id
    if wanted is None or wanted == there:
        return None
    said = f"It is on {f'messaging profile {there}' if there else 'no messaging profile'}"
    return Difference("wrong profile", ours.number, ours.org_id, f"{said}, not on {wanted}.")


def _of_use_case(
    ours: Ours,
    listed: ListedNumber,
    attachment: ListedAttachment | None,
    settled_at: datetime,
) -> Difference | None:
    wanted = ours.provider_campaign_id
    if wanted is None:
        return None
    if attachment is None:
        # It stood there with all carriers' words, and it is held: whoever took it off, it belongs
        # there, and its place was never given to another.
        profile_id = ours.messaging_profile_id
        certain = ours.was_confirmed and profile_id in (None, listed.messaging_profile_id)
        silent = "" if ours.was_confirmed else ", where its carriers never all confirmed it"
        said = f"The provider has it on no use case; it belongs on {wanted}{silent}."
        mend: Mend | None = "attach" if certain else None
        return Difference("unattached", ours.number, ours.org_id, said, mend, ours.step_since)
    if attachment.leaving or attachment.changed_at > settled_at:
        return None
    if wanted not in attachment.campaigns:
        said = f"The provider has it on use case {_named(attachment)}; it belongs on {wanted}."
        return Difference("misattached", ours.number, ours.org_id, said)
    return _of_words(ours, attachment, wanted)


def _of_words(ours: Ours, attachment: ListedAttachment, wanted: str) -> Difference | None:
    facts = tuple(
        fact
        for carrier in CARRIERS
        if (fact := _news(ours, attachment, wanted, carrier)) is not None
    )
    if not facts:
        return None
    said = ", ".join(f"{CARRIER_NAMES[fact.carrier]} has {fact.state} it" for fact in facts)
    said = f"{said}, which nobody told us."
    return Difference("unheard", ours.number, ours.org_id, said, "record", facts=facts)


def _news(
    ours: Ours, attachment: ListedAttachment, wanted: str, carrier: Carrier
) -> CarrierFact | None:
    state, at = attachment.said.states.get(carrier, "pending"), attachment.changed_at
    if state == "pending" or at < ours.on_since:
        return None
    word = CarrierState(state=state, at=at)
    known = [known for other, known in ours.words if other == carrier and known.state != state]
    if not any(rank(word) > rank(one) for one in known):
        return None
    reason = attachment.said.reason if state == "refused" else None
    return CarrierFact(ours.number, carrier, state, at, reason, provider_campaign_id=wanted)


# --- numbers that we do not hold -----------------------------------------------------------------


def _of_gone(
    listed: ListedNumber, bought_for: Purchase, gone: Gone, settled_at: datetime
) -> Difference | None:
    if gone.since > settled_at:
        return None
    said = "It was given back, and the provider has it still."
    return Difference(
        "not given back", listed.number, gone.org_id, said, "return", gone.since,
        order_id=bought_for.order_id,
    )  # fmt: skip


def _of_spare(
    listed: ListedNumber,
    attachment: ListedAttachment | None,
    bought_for: Purchase,
    settled_at: datetime,
) -> Difference | None:
    if bought_for.changed_at > settled_at:
        return None
    said = "It was bought for an order that has another number, or none."
    # Where the provider knows of more purchases than we do, our rows are older than they should be
    # (restored from a backup, say), and nothing is certain.
    named = order_of(listed.reference)
    certain = attachment is None and named is not None and named[1] <= bought_for.purchase
    return Difference(
        "spare", listed.number, bought_for.org_id, said, "seek" if certain else None,
        order_id=bought_for.order_id, reference=listed.reference,
    )  # fmt: skip


def _of_stranger(
    listed: ListedNumber, attachment: ListedAttachment | None, known: Unheld
) -> Difference:
    ours = attachment.campaigns & known.counted_on.keys() if attachment is not None else None
    if not ours:
        said = "The account has it, and it is not ours: other software may own it."
        return Difference("stranger", listed.number, "", said)
    use_case = min(ours)
    said = f"It is not ours, and takes one of the places on use case {use_case}."
    org_id = known.counted_on[use_case]
    return Difference("stranger on our use case", listed.number, org_id, said)


def order_of(reference: str | None) -> tuple[str, int] | None:
    """The order that a reference names, and which of its purchases, if it may be one of ours; see
    `Order.reference`."""
    order_id, _, purchase = (reference or "").rpartition("-")
    if not order_id or not purchase.isdecimal() or len(purchase) > 9:
        return None
    return order_id, int(purchase)


def _named(attachment: ListedAttachment) -> str:
    return " / ".join(sorted(attachment.campaigns))
