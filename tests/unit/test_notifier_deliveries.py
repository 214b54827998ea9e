"""What becomes of a delivery, and which notices are one and the same."""

from datetime import timedelta
from typing import Any

import pytest

from services.notifier.domain import (
    NEWS_FOR_S,
    Campaign,
    Noticed,
    NotTaken,
    Refused,
    Taken,
    Unclear,
    abandoned,
    followed,
    notice_of,
    overtaken,
)
from services.notifier.page import masked
from services.notifier.samples import NOW, at_risk, failed, held, provisioned, sample


def test_what_surely_was_not_taken_is_tried_again_ever_more_rarely() -> None:
    delivery, waits = sample(provisioned()), []
    for _ in range(12):
        delivery = followed(delivery, NotTaken("451 later"), NOW, 0.999)
        assert delivery.state == "due"
        assert delivery.due_at is not None
        waits.append((delivery.due_at - NOW).total_seconds())
    assert waits == sorted(waits)
    assert waits[0] <= 2
    assert 290 < waits[-1] <= 300


def test_a_notice_that_is_no_news_any_more_is_given_up() -> None:
    late = NOW + timedelta(seconds=NEWS_FOR_S)
    assert followed(sample(provisioned()), NotTaken("away"), late, 0.5).state == "expired"


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Taken("250 ok"), "sent"), (Refused("550 no"), "refused"), (Unclear("lost"), "unclear")],
)
def test_a_clear_or_a_lost_answer_ends_a_delivery(outcome: Any, state: str) -> None:
    delivery = followed(sample(provisioned()), outcome, NOW, 0.5)
    assert delivery.state == state
    assert delivery.due_at is None


def test_a_delivery_whose_worker_died_while_sending_is_unclear() -> None:
    assert abandoned(sample(provisioned()), NOW).state == "unclear"


def test_a_notice_is_the_same_for_what_is_to_be_told_but_once() -> None:
    events: list[Noticed] = [
        provisioned(),
        failed(),
        provisioned(campaign_id="autumn"),
        provisioned(org_id="other"),
        at_risk(),
        at_risk(revision=2),
        held(),
        held(state="refused"),
        held(carrier="att"),
    ]
    ids = {notice_of(event, NOW).notice_id for event in events}
    assert len(ids) == len(events)
    later = NOW + timedelta(hours=1)
    again: list[Noticed] = [
        provisioned(took_s=99, after_failure=True),
        failed(reason="no answer"),
        at_risk(failing=3, safe_end_at=None),
        held(code=None, reason="something else", held_at=later),
    ]
    assert {notice_of(event, later).notice_id for event in again} < ids


def test_a_failure_is_overtaken_by_completion() -> None:
    complete = Campaign(is_complete=True)
    assert overtaken(sample(failed(), complete)) is not None
    assert overtaken(sample(failed(), Campaign())) is None
    assert overtaken(sample(provisioned(after_failure=True), complete)) is None


def test_a_risk_is_overtaken_by_an_edit_of_the_window() -> None:
    assert overtaken(sample(at_risk(revision=2), Campaign(revision=3))) is not None
    assert overtaken(sample(at_risk(revision=2), Campaign(revision=2))) is None
    assert overtaken(sample(at_risk(revision=2), Campaign())) is None


def test_a_hold_that_waits_for_a_confirmation_is_overtaken_by_it() -> None:
    complete = Campaign(is_complete=True)
    assert overtaken(sample(held(state="pending"), complete)) is not None
    assert overtaken(sample(held(state="pending"), Campaign())) is None
    assert overtaken(sample(held(state="refused"), complete)) is None
    assert overtaken(sample(held(state="pending", carrier="other"), complete)) is None


def test_addresses_are_shown_partly() -> None:
    assert masked("email", "ada.lovelace@example.org") == "a***@example.org"
    assert masked("webhook", "https://u:p@hooks.example.org:8443/secret?k=1") == (
        "https://hooks.example.org/..."
    )
    assert masked("webhook", "") == "none"
