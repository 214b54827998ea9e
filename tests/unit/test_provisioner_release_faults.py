"""Whatever fails on a number's way back: no place is free too early, and no number is forgotten.

The provider below is as unkind as a real one may be: an attachment whose answer was lost lands
late, the registry takes its time or fails, answers are lost, workers die at any moment.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.provisioner.domain import (
    Absent,
    Answer,
    AskCarriers,
    CarriersSaid,
    Done,
    LookUp,
    Moment,
    NotTaken,
    Ordered,
    Patience,
    Refused,
    Unclear,
)
from services.provisioner.rules.release import (
    Detach,
    GiveBack,
    Number,
    ReleaseAct,
    follow,
    intend,
    next_act,
)
from shared.events import Event, NumberReleased
from tests.unit.test_provisioner_steps import NOW, NUMBER

PATIENCE = Patience(poll_s=20, poll_most_s=30, look_up_s=60, limit_s=3600, rest_s=900)
SILENT = CarriersSaid(dict.fromkeys(("att", "tmobile", "verizon"), "pending"))


class World:
    """The provider's side of one number."""

    def __init__(self, *, owned: bool, attached: bool, lands_after_s: float | None) -> None:
        self.now = NOW
        self.owned = self.was_ours = owned
        self.attached = attached
        self.lands_at = None if lands_after_s is None else NOW + timedelta(seconds=lands_after_s)
        self.listed_at = NOW + timedelta(seconds=lands_after_s or 0)
        self.leaves_at: Any = None
        self.unassignments_failing = 0

    def pass_time(self, s: float) -> None:
        self.now += timedelta(seconds=s)
        if self.lands_at is not None and self.lands_at <= self.now:
            self.attached, self.lands_at = True, None
        if self.leaves_at is not None and self.leaves_at <= self.now:
            self.attached = self.attached and self.unassignments_failing > 0
            self.unassignments_failing = max(0, self.unassignments_failing - 1)
            self.leaves_at = None

    def do(self, act: ReleaseAct, leaves_after_s: float) -> Answer:
        match act:
            case LookUp():
                is_listed = self.owned and self.now >= self.listed_at
                return Ordered("po1", "success") if is_listed else Absent()
            case Detach():
                if not self.attached:
                    return Absent()
                if self.leaves_at is None:
                    self.leaves_at = self.now + timedelta(seconds=leaves_after_s)
                return Done()
            case AskCarriers():
                return SILENT if self.attached else Absent()
            case GiveBack():
                known, self.owned, self.attached = self.owned, False, False
                return Done() if known else Absent()
            case _:
                return Done()


class Return(RuleBasedStateMachine):
    """One number that was let go, its workers, and everything that can go wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(owned=True, attached=True, lands_after_s=None)
        self.number = Number("acme", NUMBER, "votes", "detach", NOW, NOW, NOW)
        self.told: list[Event] = []

    @initialize(
        began=st.sampled_from(["attached", "attaching", "perhaps bought", "never bought"]),
        lands_after_s=st.none() | st.integers(1, 59),
    )
    def begin(self, began: str, lands_after_s: int | None) -> None:
        if began == "attaching":
            self.world = World(owned=True, attached=False, lands_after_s=lands_after_s)
            self.number = replace(self.number, attach_asked_at=NOW)
        elif began != "attached":
            owned = began == "perhaps bought"
            self.world = World(owned=owned, attached=False, lands_after_s=lands_after_s)
            self.world.lands_at = None
            self.number = replace(self.number, step="seek", off_at=NOW, reference="o1-1")

    def take_up(self) -> ReleaseAct:
        assert self.number.due_at is not None
        self.world.pass_time(max(0.0, (self.number.due_at - self.world.now).total_seconds()))
        act = next_act(self.number, self.world.now, PATIENCE)
        self.number = intend(self.number, act, self.world.now)
        return act

    def finish(self, act: ReleaseAct, answer: Answer) -> None:
        released = follow(self.number, act, answer, Moment(self.world.now, PATIENCE, 0.5))
        self.number = released.number
        self.told += released.told

    @precondition(lambda self: self.number.due_at is not None)
    @rule(steps=st.integers(1, 4), leaves_after_s=st.integers(0, 100))
    def all_goes_well(self, steps: int, leaves_after_s: int) -> None:
        for _ in range(steps):
            if self.number.due_at is not None:
                act = self.take_up()
                self.finish(act, self.world.do(act, leaves_after_s))

    @precondition(lambda self: self.number.due_at is not None)
    @rule(leaves_after_s=st.integers(0, 100))
    def the_answer_is_lost(self, leaves_after_s: int) -> None:
        act = self.take_up()
        self.world.do(act, leaves_after_s)
        self.finish(act, Unclear("reset"))

    @precondition(lambda self: self.number.due_at is not None)
    @rule(answer=st.sampled_from([NotTaken("429", 5.0), Refused("422"), Unclear("500")]))
    def it_is_not_done(self, answer: Answer) -> None:
        self.finish(self.take_up(), answer)

    @precondition(lambda self: self.number.due_at is not None)
    @rule(has_called=st.booleans())
    def the_worker_dies(self, has_called: bool) -> None:
        act = self.take_up()
        if has_called:
            self.world.do(act, 0)
        self.world.pass_time(30)  # until the lease has run out

    @rule()
    def the_registry_fails_to_take_it_off(self) -> None:
        self.world.unassignments_failing += 1

    @invariant()
    def a_free_place_is_free(self) -> None:
        if self.number.off_at is not None:
            assert not self.world.attached
            assert self.world.lands_at is None

    @invariant()
    def what_is_said_to_be_gone_is_gone(self) -> None:
        is_gone = self.number.step == "gone"
        assert not (is_gone and self.world.owned)
        assert all(isinstance(event, NumberReleased) for event in self.told)
        assert len(self.told) == (is_gone and self.world.was_ours)

    def teardown(self) -> None:
        """Left alone, every number is given back in the end."""
        for _ in range(200):
            if self.number.due_at is None:
                break
            act = self.take_up()
            self.finish(act, self.world.do(act, 1))
            self.a_free_place_is_free()
        assert self.number.step == "gone"
        self.what_is_said_to_be_gone_is_gone()


TestReturn = pytest.mark.filterwarnings("default")(Return.TestCase)
TestReturn.settings = settings(max_examples=300, stateful_step_count=30)
