"""What is told of an order and its number, as events. Pure."""

from datetime import datetime
from typing import Literal

from services.provisioner.domain import Carrier, Order, seconds
from services.provisioner.rules import reasons
from shared.events import (
    CarrierAnswered,
    Carriers,
    NumberProvisioned,
    NumberPurchased,
    ProvisioningDelayed,
)


def purchased(order: Order, now: datetime) -> NumberPurchased:
    """The campaign has a number."""
    return NumberPurchased(
        org_id=order.launch.org_id,
        campaign_id=order.launch.campaign_id,
        use_case_id=order.launch.use_case_id,
        number=_number(order),
        purchased_at=now,
    )


def answered(order: Order, carrier: Carrier) -> CarrierAnswered:
    """A carrier has given its word."""
    word = order.told_word(carrier)
    assert word.state != "pending"
    return CarrierAnswered(
        org_id=order.launch.org_id,
        campaign_id=order.launch.campaign_id,
        number=_number(order),
        carrier=carrier,
        answer=word.state,
        reason=word.reason,
        answered_at=word.at,
    )


def provisioned(
    order: Order,
    outcome: Literal["complete", "failed"],
    reason: str | None,
    now: datetime,
    *,
    after_failure: bool,
) -> NumberProvisioned:
    """The order has come to its end; `after_failure`: to a better one, late. What fails after its
    campaign was archived is told as such: nobody waits for it."""
    launch = order.launch
    return NumberProvisioned(
        org_id=launch.org_id,
        campaign_id=launch.campaign_id,
        name=launch.name,
        number=order.number if order.purchased_at is not None else None,
        outcome=outcome,
        carriers=Carriers(
            att=order.told_word("att"),
            tmobile=order.told_word("tmobile"),
            verizon=order.told_word("verizon"),
        ),
        reason=None if reason is None else reasons.short(reason),
        launched_by=launch.launched_by,
        window=launch.window,
        took_s=max(0.0, seconds(now, launch.launched_at)),
        after_failure=after_failure,
        archived=order.archived and outcome == "failed",
    )


def delayed(order: Order, waits_for: str, now: datetime) -> ProvisioningDelayed:
    """It takes longer than it should."""
    return ProvisioningDelayed(
        org_id=order.launch.org_id,
        campaign_id=order.launch.campaign_id,
        waits_for=waits_for,
        delayed_at=now,
    )


def _number(order: Order) -> str:
    assert order.number is not None
    return order.number
