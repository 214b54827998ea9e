"""The story of a number order, one step at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.provisioner.domain import (
    Absent,
    Act,
    Answer,
    AskCarriers,
    Attach,
    Buy,
    CarriersSaid,
    Done,
    Found,
    GiveUp,
    Launch,
    LookUp,
    Moment,
    NotTaken,
    Order,
    Ordered,
    Patience,
    Refused,
    Room,
    Search,
    SeeOrder,
    SetProfile,
    TakePlace,
    Unclear,
    UseCase,
    Wait,
)
from services.provisioner.rules.moves import Followed
from services.provisioner.rules.steps import (
    REFUSALS_MOST,
    follow,
    intend,
    next_act,
    open_order,
    with_profile,
)
from shared.events import (
    CarrierAnswered,
    CarrierState,
    Event,
    NumberProvisioned,
    NumberPurchased,
    Person,
)
from shared.rules.hours import Window

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
PATIENCE = Patience(poll_s=2, poll_most_s=300, look_up_s=120, limit_s=72 * 3600)
USE_CASE = UseCase("C123", "profile")
NUMBER = "+12125550101"
PENDING = CarrierState(state="pending", at=NOW)
ALL_CONFIRMED = CarriersSaid({"att": "confirmed", "tmobile": "confirmed", "verizon": "confirmed"})


def launch(**changes: Any) -> Launch:
    told: dict[str, Any] = {
        "org_id": "acme",
        "campaign_id": "spring",
        "use_case_id": "votes",
        "name": "Spring drive",
        "launched_by": Person(name="Ada", email="ada@example.org"),
        "area_codes": ("212", "646"),
        "window": Window(NOW, NOW + timedelta(days=1)),
        "number": None,
        "launched_at": NOW,
    }
    return Launch(**{**told, **changes})


def order(**changes: Any) -> Order:
    """As it is once it has its place, if its use case is known."""
    known = changes.pop("use_case", USE_CASE)
    opened = open_order("o1", changes.pop("launch", launch()), use_case=known, now=NOW).order
    step = "waiting" if known is None else "search"
    return replace(opened, **{"step": step, **changes})


def buying(**changes: Any) -> Order:
    told: dict[str, Any] = {"step": "order", "number": NUMBER, "purchase": 1, "ask": "asked",
                            "asked_at": NOW}  # fmt: skip
    return order(**{**told, **changes})


def after(before: Order, act: Act, answer: Answer, s: float = 0, luck: float = 0) -> Followed:
    return follow(before, act, answer, Moment(NOW + timedelta(seconds=s), PATIENCE, luck))


def wait_s(followed: Followed, s: float = 0) -> float:
    assert followed.order.due_at is not None
    return (followed.order.due_at - NOW).total_seconds() - s


def test_an_order_goes_from_search_to_complete() -> None:
    current, acts = order(step="place"), []
    answers: list[Answer] = [
        Room(48, 49, leaving=False),
        Found((NUMBER,)),
        Ordered("po1", "pending"),
        Ordered("po1", "success"),
        Done(),
        Done(),
        ALL_CONFIRMED,
    ]
    told: list[Event] = []
    for answer in answers:
        act = next_act(current, NOW, PATIENCE)
        acts.append(act)
        followed = after(intend(current, act, NOW), act, answer, s=1)
        current = followed.order
        told += followed.told
    assert acts == [
        TakePlace(),
        Search("212"),
        Buy(NUMBER, "o1-1", "profile"),
        SeeOrder("po1"),
        SetProfile(NUMBER, "profile"),
        Attach(NUMBER, "C123"),
        AskCarriers(NUMBER),
    ]
    assert current.step == "complete"
    assert current.due_at is None
    assert [type(event) for event in told] == [
        NumberPurchased,
        CarrierAnswered,
        CarrierAnswered,
        CarrierAnswered,
        NumberProvisioned,
    ]
    assert isinstance(told[-1], NumberProvisioned)
    assert told[-1].took_s == 1


def test_without_its_use_case_an_order_waits() -> None:
    waiting = order(use_case=None)
    assert waiting.step == "waiting"
    assert next_act(waiting, NOW, PATIENCE) == Wait()
    known = replace(waiting, use_case=USE_CASE)
    act = next_act(known, NOW, PATIENCE)
    assert act == TakePlace()
    assert intend(known, act, NOW).step == "place"


def test_without_a_profile_of_its_own_a_use_case_takes_the_default_or_none() -> None:
    bare = order(use_case=UseCase("C123", None))
    assert with_profile(bare, "default").use_case == UseCase("C123", "default")
    assert with_profile(order(), "default").use_case == USE_CASE
    bought = after(replace(bare, step="ordered", number=NUMBER), SeeOrder("po1"),
                   Ordered("po1", "success"))  # fmt: skip
    assert bought.order.step == "attach"


@pytest.mark.parametrize("nothing", [Found(()), Refused("400 no coverage")])
def test_area_codes_are_searched_in_order_and_their_neighbours_last(nothing: Answer) -> None:
    current, searched = order(), []
    for _ in range(9):
        act = next_act(current, NOW, PATIENCE)
        searched.append(act)
        current = after(current, act, nothing).order
    assert searched == [
        Search("212"),
        Search("646"),
        *(Search(code) for code in ("332", "347", "465", "718", "917", "929")),
        Search(state="NY"),
    ]


def test_where_another_version_had_more_searches_an_order_starts_again_from_the_first() -> None:
    late = order(launch=launch(area_codes=("999",)), preference=1)
    assert next_act(late, NOW, PATIENCE) == Search("999")
    assert after(late, Search("999"), Found(("+19995550101",))).order.step == "order"
    assert after(late, Search("999"), Found(())).order.preference == 0


def test_a_campaign_without_preferences_takes_any_number() -> None:
    anywhere = order(launch=launch(area_codes=()))
    assert next_act(anywhere, NOW, PATIENCE) == Search()
    found = after(anywhere, Search(), Found((NUMBER,))).order
    assert not found.found_nearby


def test_when_nothing_is_for_sale_after_several_rounds_the_campaign_fails() -> None:
    current, rounds = order(), 0
    followed = Followed(current)
    while followed.order.due_at is not None:
        act = next_act(followed.order, NOW, PATIENCE)
        followed = after(followed.order, act, Found(()))
        rounds += 1
    assert rounds == 27
    (event,) = followed.told
    assert isinstance(event, NumberProvisioned)
    assert event.outcome == "failed"
    assert event.number is None
    sold_out = "No number is for sale in area codes 212 and 646 or nearby in the same state."
    assert event.reason is not None
    assert event.reason.startswith(sold_out)


def test_campaigns_that_search_at_once_start_with_different_numbers() -> None:
    numbers = tuple(f"+1212555010{digit}" for digit in range(10))
    firsts = {
        after(order(), Search("212"), Found(numbers), luck=luck / 10).order.number
        for luck in range(10)
    }
    assert len(firsts) == 10


def test_a_purchase_is_asked_for_once_and_then_looked_up() -> None:
    fresh = buying(ask="new", asked_at=None)
    act = next_act(fresh, NOW, PATIENCE)
    asked = intend(fresh, act, NOW)
    assert (asked.ask, asked.asked_at) == ("asked", NOW)
    lost = after(asked, act, Unclear("reset")).order
    assert next_act(lost, NOW, PATIENCE) == LookUp("o1-1")
    assert next_act(asked, NOW, PATIENCE) == LookUp("o1-1")
    found = after(lost, LookUp("o1-1"), Ordered("po9", "pending"))
    assert found.order.step == "ordered"
    assert found.order.provider_order_id == "po9"


def test_a_purchase_that_was_not_taken_is_asked_for_again() -> None:
    again = after(buying(), Buy(NUMBER, "o1-1", None), NotTaken("refused connection")).order
    assert again.ask == "new"
    assert next_act(again, NOW, PATIENCE) == Buy(NUMBER, "o1-1", "profile")


def test_what_cannot_be_found_for_a_while_is_asked_for_again_by_the_same_number() -> None:
    asked = buying()
    early = after(asked, LookUp("o1-1"), Absent(), s=100).order
    assert early.ask == "asked"
    late = after(early, LookUp("o1-1"), Absent(), s=121).order
    act = next_act(late, NOW, PATIENCE)
    assert act == Buy(NUMBER, "o1-1", "profile")
    assert intend(late, act, NOW).ask == "asked again"


def test_a_number_that_is_gone_at_once_gives_way_to_the_next() -> None:
    gone = after(buying(candidates=("+12125550102",)), Buy(NUMBER, "o1-1", None), Refused("422"))
    assert gone.order.number == "+12125550102"
    assert gone.order.reference == "o1-2"
    assert gone.order.ask == "new"
    last = after(buying(), Buy(NUMBER, "o1-1", None), Refused("422"))
    assert last.order.step == "search"
    assert last.order.number is None


def test_a_number_that_is_gone_after_a_lost_answer_may_be_ours_and_is_looked_for() -> None:
    again = buying(ask="asked again", candidates=("+12125550102",))
    gone = after(again, Buy(NUMBER, "o1-1", None), Refused("422 not available"), s=130).order
    assert next_act(gone, NOW, PATIENCE) == LookUp("o1-1")
    ours = after(gone, LookUp("o1-1"), Ordered("po1", "success"), s=131)
    assert ours.order.purchased_at is not None
    assert ours.order.number == NUMBER
    waiting = after(gone, LookUp("o1-1"), Absent(), s=240).order
    assert waiting.number == NUMBER
    not_ours = after(gone, LookUp("o1-1"), Absent(), s=251).order
    assert not_ours.number == "+12125550102"


def test_what_may_land_after_its_order_went_on_to_another_number_is_looked_for() -> None:
    gone = buying(ask="gone", candidates=("+12125550102",))
    left = after(gone, LookUp("o1-1"), Absent(), s=121)
    assert left.order.number == "+12125550102"
    assert left.sought is not None
    assert (left.sought.number, left.sought.reference) == (NUMBER, "o1-1")


def test_an_order_that_fails_may_have_failed_for_an_earlier_request_of_ours() -> None:
    ordered = buying(step="ordered", ask="asked again", provider_order_id="po2")
    failed = after(ordered, SeeOrder("po2"), Ordered("po2", "failure"), s=10).order
    assert next_act(failed, NOW, PATIENCE) == LookUp("o1-1")
    still = after(failed, LookUp("o1-1"), Ordered("po2", "failure"), s=20).order
    assert next_act(still, NOW, PATIENCE) == LookUp("o1-1")
    ours = after(still, LookUp("o1-1"), Ordered("po1", "success"), s=30).order
    assert (ours.number, ours.purchase) == (NUMBER, 1)
    left = after(still, LookUp("o1-1"), Ordered("po2", "failure"), s=131)
    assert left.sought is not None
    assert left.order.number is None


def test_an_order_that_fails_gives_way_to_the_next_number() -> None:
    ordered = buying(step="ordered", provider_order_id="po1", candidates=("+12125550102",))
    failed = after(ordered, SeeOrder("po1"), Ordered("po1", "failure")).order
    assert (failed.step, failed.number, failed.purchase) == ("order", "+12125550102", 2)


def test_numbers_that_are_gone_one_after_the_other_are_asked_for_more_and_more_slowly() -> None:
    quick = after(buying(purchase=5), Buy(NUMBER, "o1-5", None), Refused("422"))
    slow = after(buying(purchase=40), Buy(NUMBER, "o1-40", None), Refused("422"))
    assert (wait_s(quick), wait_s(slow)) == (0, 30)
    # What is listed and always gone is as good as sold out: then the next preference is searched.
    assert (quick.order.preference, slow.order.preference) == (0, 1)


def test_faults_are_tried_again_ever_later_up_to_a_minute() -> None:
    current, waits = order(), []
    for _ in range(10):
        followed = after(current, Search("212"), Unclear("502"))
        waits.append(wait_s(followed))
        current = followed.order
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == 30
    assert current.error == "502"


def test_a_provider_that_says_when_to_come_again_is_believed_within_reason() -> None:
    search = Search("212")
    assert wait_s(after(order(), search, NotTaken("429", 45))) == 45
    assert wait_s(after(order(), search, NotTaken("429", 999_999))) == 600


def test_carriers_are_asked_often_at_first_and_rarely_later() -> None:
    confirming = order(step="confirm", number=NUMBER, purchased_at=NOW)
    silent = CarriersSaid({"att": "pending", "tmobile": "pending", "verizon": "pending"})
    waits = {
        s: wait_s(after(confirming, AskCarriers(NUMBER), silent, s=s), s)
        for s in (0, 59, 60, 600, 86_400)
    }
    assert waits == {0: 2, 59: 2, 60: 6, 600: 60, 86_400: 300}


def test_each_carrier_is_told_when_it_answers_and_once() -> None:
    confirming = order(step="confirm", number=NUMBER, purchased_at=NOW)
    some = CarriersSaid({"att": "confirmed", "tmobile": "pending", "verizon": "pending"})
    first = after(confirming, AskCarriers(NUMBER), some, s=3)
    (event,) = first.told
    assert isinstance(event, CarrierAnswered)
    assert (event.carrier, event.answer) == ("att", "confirmed")
    assert after(first.order, AskCarriers(NUMBER), some, s=5).told == ()


def test_one_refusal_fails_the_campaign_and_says_who_and_why() -> None:
    confirming = order(step="confirm", number=NUMBER, purchased_at=NOW)
    said = CarriersSaid({"att": "refused", "tmobile": "refused", "verizon": "confirmed"}, "no pool")
    followed = after(confirming, AskCarriers(NUMBER), said)
    event = followed.told[-1]
    assert isinstance(event, NumberProvisioned)
    assert event.outcome == "failed"
    assert event.reason == "Refused by AT&T and T-Mobile: no pool"
    assert event.carriers.verizon.state == "confirmed"


@pytest.mark.parametrize("act", [SetProfile(NUMBER, "profile"), Attach(NUMBER, "C123")])
def test_only_a_refusal_that_stays_is_believed(act: Act) -> None:
    current = order(step="attach", number=NUMBER, purchased_at=NOW)
    for _ in range(REFUSALS_MOST - 1):
        current = after(current, act, Refused("400 not ready")).order
        assert current.due_at is not None
    followed = after(current, act, Refused("400 not ready"))
    assert followed.order.step == "failed"
    assert followed.order.error == "The provider refused it: 400 not ready"


def test_a_number_that_is_on_no_use_case_is_put_on_it_like_one_that_was_just_bought() -> None:
    confirming = order(step="confirm", number=NUMBER, purchased_at=NOW)
    assert after(confirming, AskCarriers(NUMBER), Absent(), s=10).order.step == "confirm"
    assert after(confirming, AskCarriers(NUMBER), Absent(), s=61).order.step == "profile"
    unknown = replace(confirming, use_case=None)
    assert after(unknown, AskCarriers(NUMBER), Absent(), s=61).order.step == "confirm"


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        (order(use_case=None), "The use case was not registered within 72 hours."),
        (order(), "No number could be bought within 72 hours."),
        (
            order(step="confirm", number=NUMBER, purchased_at=NOW),
            "Not confirmed by AT&T, T-Mobile and Verizon within 72 hours.",
        ),
    ],
)
def test_the_time_limit_ends_every_order(late: Order, reason: str) -> None:
    end = NOW + timedelta(hours=72)
    assert next_act(late, end, PATIENCE) == GiveUp()
    followed = after(late, GiveUp(), Done(), s=72 * 3600)
    assert followed.order.due_at is None
    (event,) = followed.told
    assert isinstance(event, NumberProvisioned)
    assert event.outcome == "failed"
    assert event.reason == reason


def test_a_campaign_that_came_with_a_number_is_complete_unless_our_books_say_otherwise() -> None:
    given = launch(number=NUMBER)
    known = open_order("o1", given, use_case=None, now=NOW)
    assert known.order.step == "complete"
    assert [type(event) for event in known.told] == [NumberPurchased, NumberProvisioned]
    doubtful = open_order("o1", given, use_case=None, standing="unconfirmed", now=NOW)
    assert [type(event) for event in doubtful.told] == [NumberPurchased]
    assert next_act(doubtful.order, NOW, PATIENCE) == AskCarriers(NUMBER)
