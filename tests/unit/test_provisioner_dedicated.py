"""An order that is to send from the number that its use case keeps for many campaigns."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.provisioner.domain import (
    Absent,
    AskCarriers,
    Attach,
    Buy,
    Dedicated,
    Done,
    Drop,
    LookUp,
    Order,
    Ordered,
    Refused,
    Room,
    SeeOrder,
    SetProfile,
    TakePlace,
)
from services.provisioner.rules.reasons import DEDICATED
from services.provisioner.rules.steps import next_act
from shared.events import NumberProvisioned, NumberPurchased, ProvisioningDelayed
from tests.unit.test_provisioner_steps import NOW, NUMBER, PATIENCE, after, buying, launch, order

SHARED = launch(dedicated=True)


def placing(**changes: Any) -> Order:
    return order(step="place", launch=SHARED, **changes)


def test_a_number_that_is_confirmed_makes_the_campaign_complete_at_once() -> None:
    followed = after(placing(), TakePlace(), Dedicated(NUMBER, is_confirmed=True), s=1)
    purchased, provisioned = followed.told
    assert isinstance(purchased, NumberPurchased)
    assert isinstance(provisioned, NumberProvisioned)
    assert (provisioned.outcome, provisioned.reason) == ("complete", DEDICATED)
    assert purchased.number == provisioned.number == NUMBER
    assert followed.order.due_at is None


def test_a_number_that_is_not_confirmed_yet_is_the_campaigns_and_the_carriers_are_asked() -> None:
    followed = after(placing(), TakePlace(), Dedicated(NUMBER))
    assert [type(event) for event in followed.told] == [NumberPurchased]
    assert next_act(followed.order, NOW, PATIENCE) == AskCarriers(NUMBER)


def test_a_campaign_that_is_archived_as_it_takes_it_is_told_of_no_success() -> None:
    followed = after(placing(archived=True), TakePlace(), Dedicated(NUMBER, is_confirmed=True))
    assert followed.told == ()
    assert (followed.order.due_at, next_act(followed.order, NOW, PATIENCE)) == (NOW, Drop())


def test_while_another_order_buys_it_the_campaign_waits_and_tells_so_after_a_while() -> None:
    soon = after(placing(), TakePlace(), Dedicated(None), s=10)
    assert (soon.order.step, soon.told) == ("place", ())
    assert soon.order.error == "waits for the use case's dedicated number"
    late = after(soon.order, TakePlace(), Dedicated(None), s=70)
    (told,) = late.told
    assert isinstance(told, ProvisioningDelayed)
    assert told.waits_for == "the dedicated number of its use case: it is not bought yet"
    assert after(late.order, TakePlace(), Dedicated(None), s=80).told == ()


def test_where_there_is_none_it_takes_a_place_and_buys_one() -> None:
    assert after(placing(), TakePlace(), Room(48, 49, leaving=False)).order.step == "search"
    full = after(placing(), TakePlace(), Room(49, 49, leaving=False))
    assert full.order.step == "failed"


@pytest.mark.parametrize(("step", "act"), [("order", LookUp("o1-1")), ("ordered", SeeOrder("po1"))])
def test_an_archive_does_not_stop_a_purchase_that_may_have_landed(step: Any, act: Any) -> None:
    under_way = buying(step=step, provider_order_id="po1", archived=True)
    assert next_act(under_way, NOW, PATIENCE) == Drop()
    for_many = replace(under_way, launch=SHARED)
    assert next_act(for_many, NOW, PATIENCE) == act
    bought = after(for_many, act, Ordered("po1", "success"))
    assert [type(event) for event in bought.told] == [NumberPurchased]
    # It puts it on its use case as well: those that wait for the carriers would wait for nothing.
    profile = next_act(bought.order, NOW, PATIENCE)
    assert isinstance(profile, SetProfile)
    attach = next_act(after(bought.order, profile, Done()).order, NOW, PATIENCE)
    assert isinstance(attach, Attach)
    on_use_case = after(replace(bought.order, step="attach"), attach, Done()).order
    assert next_act(on_use_case, NOW, PATIENCE) == Drop()


def test_an_archived_buyer_does_not_try_for_others_longer_than_for_itself() -> None:
    bought = order(step="attach", number=NUMBER, purchased_at=NOW, launch=SHARED, archived=True)
    assert isinstance(next_act(bought, NOW + timedelta(hours=71), PATIENCE), Attach)
    assert next_act(bought, NOW + timedelta(hours=73), PATIENCE) == Drop()


def test_an_archive_stops_the_purchase_as_soon_as_nothing_of_it_can_have_landed() -> None:
    under_way = buying(launch=SHARED, archived=True)
    gone = after(under_way, Buy(NUMBER, "o1-1", None), Refused("422 not available")).order
    assert next_act(gone, NOW, PATIENCE) == Drop()
    not_asked = replace(under_way, ask="new")
    assert next_act(not_asked, NOW, PATIENCE) == Drop()
    nowhere = after(under_way, LookUp("o1-1"), Absent(), s=121).order
    assert nowhere.may_have_bought
    assert next_act(nowhere, NOW, PATIENCE) == Drop()
