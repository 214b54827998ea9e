"""The way of a number back to the provider, one step at a time; and who gets a place."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.provisioner.domain import (
    RETRY_MOST_S,
    Absent,
    Answer,
    AskCarriers,
    Attach,
    Done,
    Drop,
    LookUp,
    Moment,
    NotTaken,
    Ordered,
    Refused,
    Room,
    SetProfile,
    TakePlace,
    Unclear,
)
from services.provisioner.rules import reasons
from services.provisioner.rules.moves import Followed
from services.provisioner.rules.release import (
    Detach,
    GiveBack,
    Held,
    LetGo,
    Number,
    ReleaseAct,
    Released,
    Use,
    follow,
    intend,
    next_act,
    room_for,
    standing_of,
    use_of,
)
from services.provisioner.rules.steps import intend as intend_order
from services.provisioner.rules.steps import next_act as next_of_order
from services.provisioner.rules.steps import open_order
from shared.events import Event, NumberProvisioned, NumberPurchased, NumberReleased
from tests.unit.test_provisioner_steps import (
    ALL_CONFIRMED,
    NOW,
    NUMBER,
    PATIENCE,
    USE_CASE,
    after,
    buying,
    launch,
    order,
    wait_s,
)

DAY_S = 24 * 3600


def number(**changes: Any) -> Number:
    told: dict[str, Any] = {
        "org_id": "acme", "number": NUMBER, "use_case_id": "votes", "step": "detach",
        "step_since": NOW, "let_go_at": NOW, "due_at": NOW,
    }  # fmt: skip
    return Number(**{**told, **changes})


def came(before: Number, act: ReleaseAct, answer: Answer | Use, s: float = 0) -> Released:
    return follow(before, act, answer, Moment(NOW + timedelta(seconds=s), PATIENCE, 0))


def due_s(released: Released) -> float | None:
    due_at = released.number.due_at
    return None if due_at is None else (due_at - NOW).total_seconds()


def test_a_number_goes_from_its_use_case_over_a_days_rest_back_to_the_provider() -> None:
    current, acts = number(step="held"), []
    told: list[Event] = []
    answers: list[Answer | Use] = [Use("idle"), Done(), ALL_CONFIRMED, Absent(), Done()]
    at = NOW
    for answer in answers:
        at = max(at, current.due_at or NOW)
        act = next_act(current, at, PATIENCE)
        acts.append(act)
        released = follow(intend(current, act, at), act, answer, Moment(at, PATIENCE, 0))
        current = released.number
        told += released.told
    assert acts == [
        LetGo(), Detach(NUMBER), AskCarriers(NUMBER), AskCarriers(NUMBER), GiveBack(NUMBER)
    ]  # fmt: skip
    assert (current.step, current.due_at) == ("gone", None)
    assert current.off_at == NOW + timedelta(seconds=4)
    assert at == NOW + timedelta(seconds=DAY_S)
    (event,) = told
    assert isinstance(event, NumberReleased)
    assert (event.number, event.use_case_id, event.released_at) == (NUMBER, "votes", at)


def test_a_number_that_a_campaign_is_on_stays() -> None:
    used = came(number(step="held"), LetGo(), Use("used"))
    assert (used.number.step, used.number.due_at) == ("held", None)
    kept = came(number(step="held"), LetGo(), Use("kept"))
    assert (kept.number.step, due_s(kept)) == ("held", PATIENCE.poll_most_s)


def test_of_a_use_cases_idle_numbers_the_newest_is_kept_where_there_is_no_other() -> None:
    old, new = Held("a", NOW, False), Held("b", NOW + timedelta(seconds=1), False)
    used = Held("c", NOW, True)
    assert use_of("c", [old, new, used], keep_last=True) == Use("used")
    assert use_of("a", [old, new, used], keep_last=True) == Use("idle")
    assert use_of("b", [old, new, used], keep_last=True) == Use("idle")
    assert use_of("a", [old, new], keep_last=True) == Use("idle")
    assert use_of("b", [old, new], keep_last=True) == Use("kept")
    assert use_of("b", [new], keep_last=False) == Use("idle")
    assert use_of("taken back meanwhile", [new], keep_last=False) == Use("used")


def test_its_place_is_free_only_when_the_provider_shows_it_on_no_use_case() -> None:
    asked = came(number(), Detach(NUMBER), Done())
    assert (asked.number.step, asked.number.off_at) == ("leaving", None)
    still = came(asked.number, AskCarriers(NUMBER), ALL_CONFIRMED, s=30)
    assert (still.number.step, still.number.off_at) == ("leaving", None)
    stuck = came(asked.number, AskCarriers(NUMBER), ALL_CONFIRMED, s=61)
    assert (stuck.number.step, stuck.number.off_at) == ("detach", None)
    off = came(asked.number, AskCarriers(NUMBER), Absent(), s=30)
    assert off.number.off_at == NOW + timedelta(seconds=30)
    assert (off.number.step, due_s(off)) == ("rest", DAY_S)


def test_while_an_attachment_may_still_land_its_absence_is_not_believed() -> None:
    doubtful = number(attach_asked_at=NOW)
    early = came(doubtful, Detach(NUMBER), Absent(), s=PATIENCE.look_up_s - 1)
    assert (early.number.step, early.number.off_at) == ("detach", None)
    late = came(doubtful, Detach(NUMBER), Absent(), s=PATIENCE.look_up_s)
    assert late.number.step == "rest"
    assert came(number(), Detach(NUMBER), Absent()).number.step == "rest"
    # Also when it was on its use case in between: of two requests the first may land last.
    leaving = number(step="leaving", attach_asked_at=NOW)
    off = came(leaving, AskCarriers(NUMBER), Absent(), s=PATIENCE.look_up_s - 1)
    assert (off.number.step, off.number.off_at) == ("leaving", None)


def test_an_attachment_whose_answer_was_lost_is_remembered_when_a_second_one_is_answered() -> None:
    attach = Attach(NUMBER, "C123")
    first = intend_order(order(step="attach", number=NUMBER, purchased_at=NOW), attach, NOW)
    assert after(first, attach, Done()).order.asked_at is None
    # A worker that died with the answer has not counted it as a fault.
    for doubtful in (after(first, attach, Unclear("reset")).order, first):
        later = NOW + timedelta(seconds=20)
        second = intend_order(doubtful, attach, later)
        attached = after(second, attach, Done(), s=20).order
        assert (attached.step, attached.asked_at) == ("confirm", later)


def test_a_request_to_put_a_held_number_back_is_known_until_all_of_them_are_answered() -> None:
    attach = Attach(NUMBER, "C123")
    astray = number(step="held", attach_to="C123")
    asked = intend(astray, attach, NOW)
    assert asked.attach_asked_at == NOW
    assert came(asked, attach, Done()).number.attach_asked_at is None
    later = NOW + timedelta(seconds=20)
    for unheard in (asked, came(asked, attach, Unclear("reset")).number):
        answered = came(intend(unheard, attach, later), attach, Done(), s=20).number
        assert (answered.attach_to, answered.attach_asked_at) == (None, later)
    # What was clearly not taken cannot land later.
    turned_away = came(asked, attach, NotTaken("429")).number
    assert turned_away.attach_asked_at is None
    answered = came(intend(turned_away, attach, later), attach, Done(), s=20).number
    assert answered.attach_asked_at is None


@pytest.mark.parametrize("step", ["detach", "leaving"])
def test_what_cannot_be_taken_off_its_use_case_is_given_back_all_the_same(step: Any) -> None:
    stuck = number(step=step)
    late = NOW + timedelta(seconds=DAY_S)
    assert next_act(stuck, late, PATIENCE) == GiveBack(NUMBER)
    asked = intend(stuck, GiveBack(NUMBER), late)
    assert asked.step == "return"
    gone = came(asked, GiveBack(NUMBER), Absent(), s=DAY_S)
    assert gone.number.off_at == late


@pytest.mark.parametrize("fault", [Refused("422 locked"), NotTaken("429"), Unclear("reset")])
@pytest.mark.parametrize(
    ("step", "act"),
    [
        ("detach", Detach(NUMBER)),
        ("leaving", AskCarriers(NUMBER)),
        ("return", GiveBack(NUMBER)),
        ("seek", LookUp("o1-1")),
    ],
)
def test_a_fault_is_tried_again_for_ever_and_rarely_only_where_nobody_waits_for_it(
    step: Any, act: ReleaseAct, fault: Refused | NotTaken | Unclear
) -> None:
    current = number(step=step)
    first = came(current, act, fault)
    assert (first.number.step, first.number.tries, first.told) == (step, 1, ())
    assert due_s(first) == PATIENCE.poll_s / (2 if step in ("detach", "leaving") else 1)
    assert first.number.error == fault.reason
    late = came(replace(first.number, tries=99), act, fault, s=DAY_S)
    is_waited_for = step in ("detach", "leaving")
    assert due_s(late) == DAY_S + (RETRY_MOST_S / 2 if is_waited_for else PATIENCE.poll_most_s)


def test_a_number_that_is_put_back_is_asked_for_again_soon_however_long_it_has_been_held() -> None:
    astray = number(step="held", attach_to="C123")
    first = came(astray, Attach(NUMBER, "C123"), Unclear("500"), s=DAY_S)
    assert due_s(first) == DAY_S + PATIENCE.poll_s / 2


def test_a_number_that_was_perhaps_bought_is_looked_for_for_a_day() -> None:
    sought = number(step="seek", reference="o1-1", off_at=NOW)
    assert next_act(sought, NOW, PATIENCE) == LookUp("o1-1")
    missing = came(sought, LookUp("o1-1"), Absent(), s=DAY_S - 1)
    assert missing.number.step == "seek"
    never = came(sought, LookUp("o1-1"), Absent(), s=DAY_S)
    assert (never.number.step, never.number.due_at, never.told) == ("gone", None, ())
    pending = came(sought, LookUp("o1-1"), Ordered("po1", "pending"), s=1)
    assert pending.number.step == "seek"
    failed = came(sought, LookUp("o1-1"), Ordered("po1", "failure"), s=1)
    assert (failed.number.step, failed.told) == ("gone", ())
    found = came(sought, LookUp("o1-1"), Ordered("po1", "success"), s=60)
    assert (found.number.step, due_s(found)) == ("rest", 60 + DAY_S)


@pytest.mark.parametrize(
    ("step", "standing"),
    [
        ("held", "ready"),
        ("detach", "on its way back"),
        ("leaving", "on its way back"),
        ("rest", "on its way back"),
        ("return", "given back"),
        ("gone", "given back"),
    ],
)
def test_a_number_can_be_had_again_until_it_is_being_given_back(step: Any, standing: str) -> None:
    assert standing_of(step, confirmed=True) == standing
    assert standing_of("held", confirmed=False) == "unconfirmed"


def test_a_number_that_is_had_again_comes_off_first_and_needs_a_place_then() -> None:
    full: dict[str, Any] = {"held": 49, "most": 49, "leaving": False}
    assert room_for(None, **full) == room_for("rest", **full) == Room(49, 49, leaving=False)
    step: Any
    for step in ("detach", "leaving"):
        assert room_for(step, held=3, most=49, leaving=False) == Room(49, 49, leaving=True)
    assert room_for("held", **full) == Room(48, 49, leaving=False)
    for step in ("return", "gone"):
        assert room_for(step, **full).number_is_gone


# --- what it means for orders --------------------------------------------------------------------


def test_the_fiftieth_ends_at_once_and_waits_only_while_a_place_is_on_its_way() -> None:
    wanting = order(step="place")
    assert after(wanting, TakePlace(), Room(48, 49, leaving=False)).order.step == "search"
    waiting = after(wanting, TakePlace(), Room(49, 49, leaving=True))
    assert (waiting.order.step, wait_s(waiting), waiting.told) == ("place", 2, ())
    full = after(wanting, TakePlace(), Room(49, 49, leaving=False))
    (event,) = full.told
    assert isinstance(event, NumberProvisioned)
    assert (event.outcome, event.number, event.reason) == ("failed", None, reasons.no_place(49))


@pytest.mark.parametrize("most", [1, 49, 1000])
def test_every_reason_fits_into_its_event(most: int) -> None:
    for reason in (reasons.no_place(most), reasons.GIVEN_BACK, reasons.archived(order())):
        assert len(reason) <= 200


@pytest.mark.parametrize("step", ["waiting", "place", "search", "profile", "attach", "confirm"])
def test_the_archive_ends_an_order_at_any_step(step: Any) -> None:
    bought = NOW if step in ("profile", "attach", "confirm") else None
    number = NUMBER if bought else None
    dropped = order(step=step, number=number, purchased_at=bought, archived=True)
    assert next_of_order(dropped, NOW, PATIENCE) == Drop()
    ended = after(dropped, Drop(), Done())
    assert (ended.order.step, ended.order.due_at) == ("failed", None)
    (event,) = ended.told
    assert isinstance(event, NumberProvisioned)
    assert (event.outcome, event.number) == ("failed", number)
    assert not ended.order.may_have_bought


@pytest.mark.parametrize("step", ["profile", "attach"])
def test_an_archived_buyer_puts_a_number_that_others_send_from_on_its_use_case_first(
    step: Any,
) -> None:
    bought = order(step=step, number=NUMBER, purchased_at=NOW, archived=True)
    assert next_of_order(bought, NOW, PATIENCE) == Drop()
    followed = replace(bought, is_followed=True)
    assert isinstance(next_of_order(followed, NOW, PATIENCE), SetProfile | Attach)
    on_it = replace(followed, step="confirm")
    assert next_of_order(on_it, NOW, PATIENCE) == Drop()


@pytest.mark.parametrize(
    ("changes", "may_have_bought"),
    [
        ({"ask": "new"}, False),
        ({"ask": "asked"}, True),
        ({"ask": "doubted"}, True),
        ({"ask": "asked again"}, True),
        ({"ask": "gone"}, True),
        ({"step": "ordered", "provider_order_id": "po1"}, True),
    ],
)
def test_a_purchase_that_may_have_landed_is_not_forgotten_at_the_archive(
    changes: dict[str, Any], may_have_bought: bool
) -> None:
    ended: Followed = after(buying(archived=True, **changes), Drop(), Done())
    assert ended.order.may_have_bought is may_have_bought


def test_that_an_attachment_was_asked_for_is_known_until_its_answer_is() -> None:
    attaching = order(step="attach", number=NUMBER, purchased_at=NOW)
    asked = intend_order(attaching, Attach(NUMBER, "C123"), NOW)
    assert asked.asked_at == NOW
    assert after(asked, Attach(NUMBER, "C123"), Unclear("reset")).order.asked_at == NOW
    assert after(asked, Attach(NUMBER, "C123"), Done()).order.asked_at is None
    # Nor does what was clearly not taken land later; what was asked for before it still may.
    for no in (NotTaken("429"), Refused("422")):
        assert after(asked, Attach(NUMBER, "C123"), no).order.asked_at is None
        lost = after(asked, Attach(NUMBER, "C123"), Unclear("reset")).order
        again = after(intend_order(lost, Attach(NUMBER, "C123"), NOW), Attach(NUMBER, "C123"), no)
        assert again.order.asked_at == NOW


def test_a_purchases_own_word_says_nothing_of_how_its_number_came_on_its_use_case() -> None:
    # As the version before left it: only the time says whether a request was not answered.
    bought = order(step="attach", number=NUMBER, purchased_at=NOW, ask="asked again")
    attach = Attach(NUMBER, "C123")
    assert after(intend_order(bought, attach, NOW), attach, Done()).order.asked_at is None
    unheard = replace(bought, ask="new", asked_at=NOW)
    assert after(intend_order(unheard, attach, NOW), attach, Done()).order.asked_at == NOW


def test_a_number_that_is_taken_back_is_put_on_its_use_case_and_confirmed_anew() -> None:
    given = launch(number=NUMBER)
    opened = open_order("o1", given, use_case=USE_CASE, standing="on its way back", now=NOW)
    assert opened.told == ()
    assert next_of_order(opened.order, NOW, PATIENCE) == TakePlace()
    placed = after(opened.order, TakePlace(), Room(0, 49, leaving=False))
    assert (placed.order.step, placed.order.number) == ("profile", NUMBER)
    assert [type(event) for event in placed.told] == [NumberPurchased]
    for room in (Room(49, 49, leaving=False), Room(0, 49, leaving=False, number_is_gone=True)):
        (event,) = after(opened.order, TakePlace(), room).told
        assert isinstance(event, NumberProvisioned)
        assert (event.outcome, event.number) == ("failed", None)


def test_a_follow_up_after_the_number_was_given_back_fails_at_once_with_the_way_out() -> None:
    opened = open_order(
        "o1", launch(number=NUMBER), use_case=USE_CASE, standing="given back", now=NOW
    )
    (event,) = opened.told
    assert isinstance(event, NumberProvisioned)
    assert (event.outcome, event.number, event.reason) == ("failed", None, reasons.GIVEN_BACK)
    assert opened.order.due_at is None
