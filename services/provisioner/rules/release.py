"""The way of a number that no campaign is on any more: off its use case, a rest, given back.

Pure, and told in the same way as an order's story (`steps`): `intend` is committed before the call,
`follow` after it. A number that may have been bought without anybody saying so is looked for first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from services.provisioner.domain import (
    FAST_FOR_S,
    Absent,
    Answer,
    AskCarriers,
    Attach,
    CarriersSaid,
    Done,
    LookUp,
    Moment,
    NotTaken,
    Ordered,
    Patience,
    Refused,
    Room,
    Standing,
    Unclear,
    seconds,
)
from shared.events import Event, NumberReleased

Step = Literal[
    "held",  # as long as a campaign is on it; due where that may be over
    "seek",  # a purchase may have landed: is it ours?
    "detach",
    "leaving",  # asked to come off its use case; until it is off it has its place there
    "rest",
    "return",
    "gone",
]


@dataclass(frozen=True, slots=True)
class Number:
    """A number on its way back to the provider."""

    org_id: str
    number: str
    use_case_id: str
    step: Step
    step_since: datetime
    let_go_at: datetime
    due_at: datetime | None
    off_at: datetime | None = None
    """Since when it is on no use case for certain."""
    reference: str | None = None
    """Of the purchase that may have landed."""
    attach_asked_at: datetime | None = None
    """When it was last asked to be put on its use case, if a request of that time was not answered:
    that may still happen."""
    attach_doubted: bool = False
    """Whether that holds of an earlier request too, while one is under way."""
    attach_to: str | None = None
    """Its use case, as the provider knows it, where the number was found on none while it is held:
    it is put on it again."""
    tries: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class LetGo:
    """See in our own books whether the number is used still."""


@dataclass(frozen=True, slots=True)
class Detach:
    """Take the number off its use case."""

    number: str


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Let the provider have the number back."""

    number: str


ReleaseCall = Attach | LookUp | Detach | AskCarriers | GiveBack
"""What the provider is asked."""
ReleaseAct = LetGo | ReleaseCall


@dataclass(frozen=True, slots=True)
class Use:
    """Whether a number is used. Kept: no campaign is on it, and it is a use case's last."""

    state: Literal["used", "idle", "kept"]


@dataclass(frozen=True, slots=True)
class Released:
    """A number as it is now, and what is to be told of it."""

    number: Number
    told: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A number that a use case holds, and whether a campaign is on it, or it is kept for many."""

    number: str
    purchased_at: datetime
    is_used: bool


def use_of(number: str, held: Sequence[Held], *, keep_last: bool) -> Use:
    """How a number is used, among all that its use case holds. `keep_last`: of those that no
    campaign is on the newest stays, where there is no other."""
    own = next((one for one in held if one.number == number), None)
    if own is None or own.is_used:
        return Use("used")
    newest = max(held, key=lambda one: (one.purchased_at, one.number))
    is_last = newest is own and not any(one.is_used for one in held)
    return Use("kept" if keep_last and is_last else "idle")


def standing_of(step: Step, *, confirmed: bool) -> Standing:
    """How a number stands for a campaign that is launched with it: until it is being given back, it
    can be had again."""
    if step in ("seek", "return", "gone"):
        return "given back"
    if step != "held":
        return "on its way back"
    return "ready" if confirmed else "unconfirmed"


def room_for(step: Step | None, *, held: int, most: int, leaving: bool) -> Room:
    """What a use case's places mean for an order: one that buys a number (`step` is None), or one
    whose campaign was launched with a number that was on its way back."""
    if step in ("detach", "leaving"):
        # Its place is the one that it is leaving: first it comes off, then it is put on again.
        return Room(most, most, leaving=True)
    if step == "held":
        # Another campaign has taken it back, and it has been counted.
        return Room(held - 1, most, leaving)
    return Room(held, most, leaving, number_is_gone=step in ("seek", "return", "gone"))


def next_act(number: Number, now: datetime, patience: Patience) -> ReleaseAct:
    """What to do for a number that is due."""
    assert number.step != "gone"
    if number.step == "held" and number.attach_to is not None:
        return Attach(number.number, number.attach_to)
    if number.step == "held":
        return LetGo()
    if number.step == "seek":
        return LookUp(number.reference or "")
    # What cannot be taken off its use case comes off it when it is given back.
    if seconds(now, number.let_go_at) < patience.rest_s:
        if number.step == "detach":
            return Detach(number.number)
        if number.step == "leaving":
            return AskCarriers(number.number)
    return GiveBack(number.number)


def intend(number: Number, act: ReleaseAct, now: datetime) -> Number:
    """The number as it is to be committed before the act is done: from then on that it may be gone
    nobody can be promised it any more."""
    if isinstance(act, GiveBack) and number.step != "return":
        return replace(number, step="return", step_since=now, tries=0, error=None)
    if isinstance(act, Attach):
        is_doubted = number.attach_asked_at is not None
        return replace(number, attach_asked_at=now, attach_doubted=is_doubted)
    return number


def follow(number: Number, act: ReleaseAct, answer: Answer | Use, moment: Moment) -> Released:
    """What comes of an act's answer; one that makes no sense for the act is like a fault."""
    now, patience = moment.now, moment.patience
    if isinstance(act, Attach) and not (isinstance(answer, Unclear) or number.attach_doubted):
        number = replace(number, attach_asked_at=None)
    match act, answer:
        case Attach(), Done() | Refused():
            # Refused, it is the operator's: it stays listed. It may have been let go meanwhile.
            return Released(replace(number, attach_to=None, tries=0, error=None, due_at=now))
        case LetGo(), Use("idle"):
            return Released(_to(replace(number, let_go_at=now), "detach", now, due_at=now))
        case LetGo(), Use("kept"):
            due_at = now + timedelta(seconds=patience.poll_most_s)
            return Released(replace(number, tries=0, error=None, due_at=due_at))
        case LetGo(), Use():
            return Released(replace(number, tries=0, error=None, due_at=None))
        case LookUp(), Ordered(_, "success"):
            return Released(_to_rest(replace(number, let_go_at=now), moment))
        case LookUp(), Ordered(_, "failure"):
            return Released(_to(number, "gone", now, due_at=None))
        case LookUp(), Absent() if seconds(now, number.let_go_at) >= patience.rest_s:
            return Released(_to(number, "gone", now, due_at=None))
        case LookUp(), Absent() | Ordered():
            return Released(_poll(number, moment))
        case Detach(), Done():
            return Released(_poll(_to(number, "leaving", now, due_at=now), moment))
        case Detach() | AskCarriers(), Absent() if _may_still_be_attached(number, moment):
            return Released(_poll(number, moment))
        case Detach() | AskCarriers(), Absent():
            return Released(_to_rest(replace(number, off_at=now), moment))
        case AskCarriers(), CarriersSaid():
            if seconds(now, number.step_since) < FAST_FOR_S:
                return Released(_poll(number, moment))
            again = _to(number, "detach", now, due_at=now)
            return Released(replace(again, error="the provider shows it on its use case still"))
        case GiveBack(), Done() | Absent():
            gone = _to(number, "gone", now, due_at=None)
            return Released(replace(gone, off_at=number.off_at or now), (_released(gone, now),))
        case _, NotTaken(reason, after_s):
            return Released(_again(number, moment, reason, after_s))
        case _, Refused(reason) | Unclear(reason):
            return Released(_again(number, moment, reason))
        case _:
            return Released(_again(number, moment, "the provider's answer makes no sense"))


def _may_still_be_attached(number: Number, moment: Moment) -> bool:
    """Whether a request to put it on its use case may be under way, its answer having been lost."""
    asked_at = number.attach_asked_at
    return asked_at is not None and seconds(moment.now, asked_at) < moment.patience.look_up_s


def _to_rest(number: Number, moment: Moment) -> Number:
    due_at = number.let_go_at + timedelta(seconds=moment.patience.rest_s)
    return _to(number, "rest", moment.now, due_at=max(due_at, moment.now))


def _to(number: Number, step: Step, now: datetime, *, due_at: datetime | None) -> Number:
    return replace(number, step=step, step_since=now, tries=0, error=None, due_at=due_at)


def _poll(number: Number, moment: Moment) -> Number:
    delay_s = moment.patience.poll_after_s(seconds(moment.now, number.step_since))
    return replace(number, tries=0, error=None, due_at=moment.now + timedelta(seconds=delay_s))


def _again(number: Number, moment: Moment, why: str, after_s: float | None = None) -> Number:
    """Try again after a fault, for as long as it takes: in the end every few minutes where nobody
    waits for it, as somebody may for a place."""
    delay_s = moment.patience.again_after_s(number.tries, moment.luck, after_s)
    if number.step in ("seek", "return"):
        waited_s = seconds(moment.now, number.step_since)
        delay_s = max(delay_s, moment.patience.poll_after_s(waited_s))
    due_at = moment.now + timedelta(seconds=delay_s)
    return replace(number, tries=number.tries + 1, error=why, due_at=due_at)


def _released(number: Number, now: datetime) -> NumberReleased:
    return NumberReleased(
        org_id=number.org_id,
        use_case_id=number.use_case_id,
        number=number.number,
        released_at=now,
    )
