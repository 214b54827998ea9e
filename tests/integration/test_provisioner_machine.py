"""The provisioner on a real database against whatever may happen to it, in any order: a Hypothesis
state machine with the clock in its hand, the provider's adapter, the sandbox and its carriers.

`SLUICE_HUNT=2000` looks through so many stories instead of a few, and through others each time.
"""

import os

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
from tests.number_books import forgotten, losses, trespasses
from tests.number_line import FATES, Fate
from tests.number_stage import TROUBLES, Commit, Stage
from tests.numbers_at_odds import STRIDES_S, USE_CASES, NumbersAtOdds, Plan

HUNT = int(os.environ.get("SLUICE_HUNT", "0"))

indexes = st.integers(0, 8)
use_cases = st.sampled_from(USE_CASES)
plans = st.sampled_from(("own", "own", "dedicated"))
later_plans = st.sampled_from(("own", "dedicated", "follow-up", "follow-up"))
area_codes = st.sampled_from((("212", "646"), ("212",), ()))
replicas = st.integers(0, 1)
shares = st.sampled_from((0.5, 0.25, 0.8, 0.0))
dices = st.integers(0, 2**32)
fates = st.lists(st.sampled_from(FATES), min_size=1, max_size=5)
order_steps = st.sampled_from(("order", "attach", "place", "search", "confirm", "failed"))
number_steps = st.sampled_from(("return", "detach", "leaving", "held", "seek", "rest"))
words = st.sampled_from(("confirmed", "confirmed", "refused"))
rarely = st.sampled_from((False, False, False, True))


class Machine(RuleBasedStateMachine):
    """Rules: what admins, time, the provider, its carriers and misfortune do. Each is one call of
    the world's; what may never be is looked for after each."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.world = NumbersAtOdds(self.stage)
        self.run = self.stage.run

    @initialize(first=st.lists(plans, min_size=3, max_size=5),
                trouble=st.sampled_from(sorted(TROUBLES)), share=shares, dice=dices)  # fmt: skip
    def begin(self, first: list[Plan], trouble: str, share: float, dice: int) -> None:
        self.run(self.world.begin())
        self.world.trouble(trouble)
        for plan in first:
            self.run(self.world.launch("votes", plan))
        self.run(self.world.all_at_once([]))
        self.run(self.world.go_on(10, share=share, dice=dice))

    # --- people ------------------------------------------------------------------------------

    @rule(use_case_id=use_cases, plan=later_plans, area_codes=area_codes, of=indexes, again=rarely)
    def launch(
        self, use_case_id: str, plan: Plan, area_codes: tuple[str, ...], of: int, again: bool
    ) -> None:
        self.run(self.world.launch(use_case_id, plan, area_codes=area_codes, of=of, again=again))

    @rule(use_case_id=use_cases, plan=plans, count=st.integers(2, 4))
    def crowd(self, use_case_id: str, plan: Plan, count: int) -> None:
        self.run(self.world.register(use_case_id))
        self.run(self.world.crowd(use_case_id, plan, count))

    @rule(index=indexes, share=shares, dice=dices)
    def clone(self, index: int, share: float, dice: int) -> None:
        self.run(self.world.clone(index))
        self.run(self.world.go_on(30, share=share, dice=dice))

    @rule(index=indexes, early=rarely)
    def archive(self, index: int, early: bool) -> None:
        self.run(self.world.archive(index, early=early))

    @rule(use_case_id=use_cases)
    def undedicate(self, use_case_id: str) -> None:
        self.run(self.world.undedicate(use_case_id))

    # --- time and workers --------------------------------------------------------------------

    @rule(seconds=st.sampled_from(STRIDES_S))
    def wait(self, seconds: float) -> None:
        self.run(self.world.wait(seconds))

    @rule(seconds=st.sampled_from((30, 3, 130, 1300)), share=shares, dice=dices)
    def go_on(self, seconds: float, share: float, dice: int) -> None:
        self.run(self.world.go_on(seconds, share=share, dice=dice))

    @rule(share=shares, dice=dices)
    def live_on(self, share: float, dice: int) -> None:
        self.run(self.world.live_on(share, dice))

    @rule(index=replicas, plan=plans, step=order_steps, drawn=fates, of=indexes, over=rarely)
    def an_order_meets_trouble(
        self, index: int, plan: Plan, step: str, drawn: list[Fate], of: int, over: bool
    ) -> None:
        self.run(self.world.launch("votes", plan))
        self.run(self.world.meet(index, "orders", step, drawn))
        if over:
            self.run(self.world.archive(of))

    @rule(index=replicas, of=indexes, step=number_steps, drawn=fates)
    def a_number_meets_trouble(self, index: int, of: int, step: str, drawn: list[Fate]) -> None:
        self.run(self.world.archive(of))
        self.run(self.world.meet(index, "numbers", step, drawn))

    @rule(index=replicas, step=order_steps, of=indexes)
    def an_archive_meets_a_step(self, index: int, step: str, of: int) -> None:
        self.run(self.world.meet(index, "orders", step, ["hangs"]))
        self.run(self.world.archive(of))
        self.run(self.world.let_go(index))

    @rule(drawn=st.lists(st.sampled_from(FATES), max_size=4))
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

    @rule(share=st.integers(0, 99), dice=dices, lose=rarely)
    def webhooks(self, share: int, dice: int, lose: bool) -> None:
        self.run(self.world.receive(share, dice, lose=lose))

    @rule(commit=st.sampled_from(("unmade", "answer lost")))
    def webhooks_and_their_commit_is_lost(self, commit: Commit) -> None:
        self.run(self.world.lose_webhooks_commit(commit))

    # --- what may never be, and what must be so in the end ----------------------------------------

    @invariant()
    def nothing_is_bought_twice_or_unknown_or_told_otherwise(self) -> None:
        found = trespasses(self.run(self.world.books()))
        assert not found, found

    def teardown(self) -> None:
        self.run(self.world.come_to_rest())
        found = forgotten(self.run(self.world.books()))
        assert not found, found
        self.run(self.world.be_reconciled())
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
                max_examples=HUNT or 40,
                stateful_step_count=25,
                derandomize=not HUNT,
                # Stories of so many steps shrink for minutes; their own steps are read faster.
                phases=(Phase.explicit, Phase.generate),
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
