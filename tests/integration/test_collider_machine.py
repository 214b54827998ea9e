"""The whole engine against whatever may happen to it, in any order: a Hypothesis state machine on a
real database, with the clock in its hand, the sandbox as the judge, and three ledgers to agree.

`SLUICE_HUNT=2000` looks through so many stories instead of a few, and through others each time.
"""

import os
from typing import Any

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

from shared.database import PASSING
from shared.fields import Carrier
from tests.people_at_odds import (
    CAPS,
    CARRIERS,
    EDITS_S,
    HOURS,
    PLACES,
    SEGMENTS,
    WORDS,
    Place,
    Word,
)
from tests.replicas import FATES, Fate
from tests.world_at_odds import CODES, STARTS, STRIDES_S, Stage, WorldAtOdds

HUNT = int(os.environ.get("SLUICE_HUNT", "0"))

places = st.sampled_from(PLACES)
carriers = st.sampled_from(CARRIERS)
caps = st.sampled_from(CAPS)
indexes = st.integers(0, 2)
shares = st.integers(0, 99)
LAST_WORDS: tuple[Word, ...] = ("pause", "hold", "archive", "stop", "close")
fates = st.lists(st.sampled_from(FATES), max_size=4)
queues = st.fixed_dictionaries(
    {
        "carrier": carriers,
        "segments": st.sampled_from(SEGMENTS),
        "count": st.sampled_from((120, 30, 5, 1)),
        "is_reply": st.booleans(),
        "is_mms": st.booleans(),
    }
)


class Machine(RuleBasedStateMachine):
    """Rules: what admins, senders, carriers, time and misfortune do. Each is one call of the
    world's; what may never be is looked for after each.

    Few rules of many kinds, and not many rules: what is drawn most often is work and time.
    """

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.world = WorldAtOdds(self.stage)
        self.run = self.stage.run

    @initialize(
        at=st.sampled_from(STARTS),
        backlog=st.lists(queues, min_size=1, max_size=4),
        caps=st.lists(caps, min_size=4, max_size=4),
        held=places,
    )
    def begin(
        self, at: str, backlog: list[dict[str, Any]], caps: list[int | None], held: Place
    ) -> None:
        self.run(self.world.begin(at, caps))
        self.run(self.world.people.say(held, "hold"))
        for place, texts in zip(PLACES, backlog, strict=False):
            self.run(self.world.people.queue(place, **texts))

    # --- people ------------------------------------------------------------------------------

    @rule(place=places, texts=queues)
    def queue(self, place: Place, texts: dict[str, Any]) -> None:
        self.run(self.world.people.queue(place, **texts))

    @rule(place=places, carrier=carriers, sms=caps, mms=caps, day=caps, own=st.booleans(),
          by_message=st.booleans())  # fmt: skip
    def limit(
        self, place: Place, carrier: Carrier, sms: int | None, mms: int | None, day: int | None,
        own: bool, by_message: bool,
    ) -> None:  # fmt: skip
        self.run(
            self.world.people.limit(place, carrier, sms, mms, day, own=own, by_message=by_message)
        )

    @rule(place=places, closes_in_s=st.sampled_from(EDITS_S), hours=st.sampled_from(HOURS))
    def edit_window(self, place: Place, closes_in_s: float, hours: tuple[str, str, str]) -> None:
        self.run(self.world.people.edit_window(place, closes_in_s, hours))

    @rule(place=places, word=st.sampled_from(WORDS))
    def say(self, place: Place, word: Word) -> None:
        self.run(self.world.people.say(place, word))

    @rule(place=places, carrier=carriers, index=indexes, wants_texts=st.booleans())
    def hear_of_a_contact(
        self, place: Place, carrier: Carrier, index: int, wants_texts: bool
    ) -> None:
        self.run(
            self.world.people.hear_of_a_contact(place, carrier, index, wants_texts=wants_texts)
        )

    # --- time and workers --------------------------------------------------------------------

    @rule(seconds=st.sampled_from(STRIDES_S))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule(before_s=st.sampled_from((-0.1, -0.001, 0, 0.001, 0.1, 0.24, 0.25, 0.251, 0.49, 0.51)))
    def wait_for_a_border(self, before_s: float) -> None:
        self.world.wait_for_a_border(before_s)

    @rule(seconds=st.sampled_from((1, 5, 20, 90)))
    def go_on(self, seconds: float) -> None:
        self.run(self.world.go_on(seconds, every_s=0.25 if seconds < 20 else 1))

    @rule(index=indexes)
    def claim(self, index: int) -> None:
        self.run(self.world.claim(index))

    @rule(
        index=indexes,
        late_s=st.sampled_from((0, 0.1, 0.24, 0.25, 0.26)),
        fates=fates,
        word=st.none() | st.tuples(places, st.sampled_from(LAST_WORDS)),
    )
    def claim_and_dispatch(
        self, index: int, late_s: float, fates: list[Fate], word: tuple[Place, Word] | None
    ) -> None:
        self.run(self.world.claim(index))
        if word is not None:
            self.run(self.world.people.say(*word))
        self.world.wait(late_s)
        self.run(self.world.dispatch(index, fates))

    @rule(fates=fates)
    def all_at_once(self, fates: list[Fate]) -> None:
        self.run(self.world.all_at_once(fates))

    # --- the provider and its carriers -------------------------------------------------------

    @rule(index=indexes, answered=st.booleans())
    def let_go(self, index: int, answered: bool) -> None:
        self.run(self.world.let_go(index, answered=answered))

    @rule(share=shares, dice=st.integers(0, 2**32))
    def receipts(self, share: int, dice: int) -> None:
        self.run(self.world.receipts(share, dice))

    @rule(carrier=carriers, index=indexes, code=st.sampled_from(CODES))
    def spoil(self, carrier: Carrier, index: int, code: str | None) -> None:
        self.world.spoil(carrier, index, code)

    # --- misfortune --------------------------------------------------------------------------

    @rule(index=indexes, calls_most=st.sampled_from((2000, 40, 2)))
    def crash(self, index: int, calls_most: int) -> None:
        self.world.crash(index, calls_most)

    @rule(index=indexes, what=st.sampled_from(("claim", "dispatch", "keep up", "receipts")),
          is_made=st.booleans())  # fmt: skip
    def lose_a_commit(self, index: int, what: str, is_made: bool) -> None:
        try:
            self.run(self.world.lose_a_commit(index, what, is_made=is_made))
        except PASSING:
            return

    # --- what may never be -------------------------------------------------------------------

    @invariant()
    def the_judge_finds_nothing(self) -> None:
        faults = self.world.faults()
        assert not faults, faults

    def teardown(self) -> None:
        faults = self.run(self.world.come_to_rest())
        assert not faults, faults


@pytest.mark.timeout(0 if HUNT else 300)
def test_whatever_happens_nothing_is_lost_doubled_over_the_limit_or_out_of_hours(
    database_url: str,
) -> None:
    with Stage(database_url) as stage:
        machine = type("MachineOnStage", (Machine,), {"stage": stage})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=HUNT or 30,
                stateful_step_count=50,
                derandomize=not HUNT,
                # Stories of fifty steps shrink for minutes; their own steps are read faster.
                phases=(Phase.explicit, Phase.generate),
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
