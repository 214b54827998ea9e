"""The provisioner on a real database against whatever may happen to it, in any order: a Hypothesis
state machine with the clock in its hand, the vendor's adapter, the sandbox's provider and carriers.

`SLUICE_HUNT=2000` looks through so many stories instead of a few, and through others each time.
"""

import os
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from services.provisioner.domain import CARRIERS, Carrier
from services.sandbox.registry import Word
from tests.number_books import losses, trespasses
from tests.number_line import FATES, Fate
from tests.number_stage import TABLES, Commit, Stage, Table
from tests.numbers_at_odds import STRIDES_S, TROUBLES, USE_CASES, NumbersAtOdds, Plan

HUNT = int(os.environ.get("SLUICE_HUNT", "0"))

indexes = st.integers(0, 8)
use_cases = st.sampled_from(USE_CASES)
plans = st.sampled_from(("own", "own", "dedicated"))
later_plans = st.sampled_from(("own", "dedicated", "follow-up", "follow-up"))
area_codes = st.sampled_from((("212", "646"), ("212",), ()))
replicas = st.integers(0, 1)
fates = st.sampled_from((*("answered",) * 4, *FATES))
faults = st.sampled_from([fate for fate in FATES if fate != "answered"])
order_steps = st.sampled_from(
    ("place", "search", *("order",) * 3, "ordered", "profile", "attach", "confirm", "failed")
)
number_steps = st.sampled_from(("held", "seek", "detach", "leaving", "rest", "return"))
lost = st.sampled_from((("unmade",), ("answer lost",), ("made", "unmade"), ("made", "answer lost")))
words = st.sampled_from(("confirmed", "confirmed", "refused"))


class Machine(RuleBasedStateMachine):
    """Rules: what admins, time, the provider, its carriers and misfortune do. Each is one call of
    the world's; what may never be is looked for after each."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.world = NumbersAtOdds(self.stage)
        self.run = self.stage.run

    @initialize(
        first=st.lists(plans, min_size=2, max_size=4), trouble=st.sampled_from(sorted(TROUBLES))
    )
    def begin(self, first: list[Plan], trouble: str) -> None:
        self.run(self.world.begin())
        self.world.trouble(trouble)
        for plan in first:
            self.run(self.world.launch("votes", plan))

    # --- people ------------------------------------------------------------------------------

    @rule(use_case_id=use_cases, plan=later_plans, area_codes=area_codes, of=indexes,
          again=st.sampled_from((False, False, False, True)))  # fmt: skip
    def launch(
        self, use_case_id: str, plan: Plan, area_codes: tuple[str, ...], of: int, again: bool
    ) -> None:
        self.run(self.world.launch(use_case_id, plan, area_codes=area_codes, of=of, again=again))

    @rule(use_case_id=use_cases, plan=plans, count=st.integers(2, 4))
    def crowd(self, use_case_id: str, plan: Plan, count: int) -> None:
        self.run(self.world.crowd(use_case_id, plan, count))

    @rule(index=indexes, seconds=st.sampled_from((0, 10, 30, 400)))
    def clone(self, index: int, seconds: float) -> None:
        self.run(self.world.clone(index))
        self.run(self.world.go_on(seconds))

    @rule(index=indexes, early=st.sampled_from((False, False, False, True)))
    def archive(self, index: int, early: bool) -> None:
        self.run(self.world.archive(index, early=early))

    @rule(use_case_id=use_cases, ends=st.booleans())
    def register_or_undedicate(self, use_case_id: str, ends: bool) -> None:
        if ends:
            self.run(self.world.undedicate(use_case_id))
        else:
            self.run(self.world.register(use_case_id))

    # --- time and workers --------------------------------------------------------------------

    @rule(seconds=st.sampled_from(STRIDES_S))
    def wait(self, seconds: float) -> None:
        self.run(self.world.wait(seconds))

    @rule(seconds=st.sampled_from((10, 30, 130, 1300)))
    def go_on(self, seconds: float) -> None:
        self.run(self.world.go_on(seconds))

    @rule(index=replicas, table=st.sampled_from(TABLES),
          drawn=st.lists(fates, min_size=2, max_size=6), seconds=st.sampled_from((0, 3, 21))
    )  # fmt: skip
    def work(self, index: int, table: Table, drawn: list[Fate], seconds: float) -> None:
        for fate in drawn:
            self.run(self.world.work(index, table, [fate]))
            self.run(self.world.wait(seconds))

    @rule(index=replicas, step=order_steps, first=faults, then=st.lists(fates, max_size=4))
    def an_order_meets_trouble(self, index: int, step: str, first: Fate, then: list[Fate]) -> None:
        self.run(self.world.meet(index, "orders", step, [first, *then]))

    @rule(index=replicas, step=number_steps, first=faults, then=st.lists(fates, max_size=4))
    def a_number_meets_trouble(self, index: int, step: str, first: Fate, then: list[Fate]) -> None:
        self.run(self.world.meet(index, "numbers", step, [first, *then]))

    @rule(index=replicas, step=order_steps, of=indexes)
    def an_archive_meets_a_step(self, index: int, step: str, of: int) -> None:
        self.run(self.world.meet(index, "orders", step, ["hangs"]))
        self.run(self.world.archive(of))
        self.run(self.world.let_go(index))

    @rule(drawn=st.lists(fates, max_size=4))
    def all_at_once(self, drawn: list[Fate]) -> None:
        self.run(self.world.all_at_once(drawn))

    @rule(index=replicas)
    def let_go(self, index: int) -> None:
        self.run(self.world.let_go(index))

    @rule()
    def reconcile(self) -> None:
        self.run(self.world.reconcile())

    # --- the provider and its carriers -------------------------------------------------------

    @rule(name=st.sampled_from(sorted(TROUBLES)))
    def trouble(self, name: str) -> None:
        self.world.trouble(name)

    @rule(index=st.integers(0, 3), carrier=st.sampled_from(CARRIERS), word=words,
          ago_s=st.sampled_from((0, 5, 300)))  # fmt: skip
    def speak(self, index: int, carrier: Carrier, word: Word, ago_s: float) -> None:
        self.world.speak(index, carrier, word, ago_s)

    @rule(
        share=st.integers(0, 99),
        dice=st.integers(0, 2**32),
        lose=st.sampled_from((False, False, True)),
    )
    def webhooks(self, share: int, dice: int, lose: bool) -> None:
        self.run(self.world.receive(share, dice, lose=lose))

    # --- misfortune --------------------------------------------------------------------------

    @rule(index=replicas, what=st.sampled_from(("orders", "orders", "numbers", "webhooks")),
          commits=lost)  # fmt: skip
    def lose_a_commit(
        self, index: int, what: Table | Literal["webhooks"], commits: list[Commit]
    ) -> None:
        self.run(self.world.lose_a_commit(index, what, commits))

    # --- what may never be, and what must be in the end -------------------------------------------

    @invariant()
    def nothing_is_bought_twice_or_unknown_or_told_otherwise(self) -> None:
        books = self.run(self.world.books())
        found = trespasses(books)
        assert not found, found

    def teardown(self) -> None:
        self.run(self.world.come_to_rest())
        books = self.run(self.world.books())
        found = [*trespasses(books), *losses(books)]
        assert not found, found


@pytest.mark.timeout(0 if HUNT else 300)
def test_whatever_happens_no_campaign_has_two_numbers_and_no_number_is_lost(
    database_url: str,
) -> None:
    with Stage(database_url) as stage:
        machine = type("MachineOnStage", (Machine,), {"stage": stage})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=HUNT or 80,
                stateful_step_count=40,
                deadline=None,
                derandomize=not HUNT,
                # Stories of forty steps shrink for minutes; their own steps are read faster.
                phases=(Phase.explicit, Phase.generate),
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
