from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from services.sandbox.domain import Kind, Limit, Submission
from services.sandbox.hours import PromisedHours
from services.sandbox.judge import Answer, Judge

START = datetime(2026, 6, 1, 19, 0, tzinfo=UTC)


def text(number: str = "+12125550100") -> Submission:
    return Submission(number, "+12123340000", "att", "acme", None, "sms", 1)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def count(judge: Judge, name: str) -> int:
    part: Any = judge.verdict()[name]
    return int(part["count"])


ID = ("org", "message")


def test_a_message_seen_again_is_a_double() -> None:
    judge = Judge()
    judge.record(after(0), text(), message=ID, attempt="1")
    judge.record(after(1), text(), message=("another org", "message"))
    assert count(judge, "doubles") == 0
    judge.record(after(2), text(), message=ID, attempt="2")
    assert count(judge, "doubles") == 1
    assert judge.verdict()["ok"] is False


@pytest.mark.parametrize("code", ["40011", "40018", "40016", "40010", "40019", "40014"])
def test_a_message_may_come_again_after_a_receipt_that_says_limit_or_not_registered(
    code: str,
) -> None:
    judge = Judge()
    entry = judge.record(after(0), text(), message=ID)
    judge.note_receipt(entry, after(1), "delivery_failed", code)
    judge.record(after(2), text(), message=ID)
    assert count(judge, "doubles") == 0
    judge.record(after(3), text(), message=ID)
    assert count(judge, "doubles") == 1


@pytest.mark.parametrize(("status", "code"), [("delivered", None), ("delivery_failed", "40002")])
def test_a_message_may_not_come_again_after_any_other_receipt(
    status: str, code: str | None
) -> None:
    judge = Judge()
    entry = judge.record(after(0), text(), message=ID)
    judge.note_receipt(entry, after(1), status, code)
    judge.record(after(2), text(), message=ID)
    assert count(judge, "doubles") == 1


@pytest.mark.parametrize(
    ("answer", "taken", "doubles"),
    [("refused", False, 0), ("unclear", False, 1), ("unclear", True, 1), ("accepted", True, 1)],
)
def test_a_message_may_come_again_only_after_a_sure_refusal(
    answer: Answer, taken: bool, doubles: int
) -> None:
    judge = Judge()
    judge.record(after(0), text(), message=ID, answer=answer, taken=taken)
    judge.record(after(1), text(), message=ID)
    assert count(judge, "doubles") == doubles


def test_a_refusal_in_between_does_not_hide_that_the_message_was_taken() -> None:
    judge = Judge()
    judge.record(after(0), text(), message=ID)
    judge.record(after(1), text(), message=ID, answer="refused", taken=False)
    judge.record(after(2), text(), message=ID)
    assert count(judge, "doubles") == 2


HOURS = PromisedHours(
    time_zone="America/New_York",
    opens=time(9),
    closes=time(21),
    opens_at=datetime(2026, 6, 1, 13, tzinfo=UTC),
    closes_at=datetime(2026, 6, 2, 16, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("at", "kind", "outside"),
    [
        ("2026-06-01T12:59:59.999999Z", "initial", True),
        ("2026-06-01T13:00:00Z", "initial", False),
        ("2026-06-02T00:59:59.999999Z", "initial", False),
        ("2026-06-02T01:00:00Z", "initial", True),
        ("2026-06-02T12:59:59.999999Z", "reply", True),
        ("2026-06-02T15:59:59.999999Z", "initial", False),
        ("2026-06-02T16:00:00Z", "initial", True),
        ("2026-06-02T16:00:00Z", "reply", False),
        ("2026-06-09T16:00:00Z", "reply", False),
    ],
)
def test_the_window_binds_initials_and_open_hours_bind_all(
    at: str, kind: Kind, outside: bool
) -> None:
    judge = Judge()
    judge.tell_hours(START, "+12125550100", HOURS)
    judge.record(datetime.fromisoformat(at), text(), kind=kind)
    assert count(judge, "outside_hours") == outside


def test_open_hours_are_kept_on_the_days_when_the_clocks_change() -> None:
    hours = PromisedHours(time_zone="America/New_York", opens=time(9), closes=time(21))
    for first_open in ("2026-03-08T13:00:00Z", "2026-11-01T14:00:00Z"):
        at = datetime.fromisoformat(first_open)
        assert hours.allow("initial", at)
        assert not hours.allow("initial", at - timedelta(microseconds=1))


def test_nothing_may_come_after_the_archive() -> None:
    judge = Judge()
    judge.tell_hours(START, "+12125550100", PromisedHours(archived_at=after(10)))
    judge.record(after(9), text(), kind="reply")
    assert count(judge, "outside_hours") == 0
    judge.record(after(10), text(), kind="reply")
    assert count(judge, "outside_hours") == 1


def test_hours_first_told_late_bind_what_has_already_arrived() -> None:
    judge = Judge()
    judge.record(after(-36_000), text())
    judge.record(after(-36_000), text("+12125550199"))
    judge.tell_hours(after(0), "+12125550100", HOURS)
    assert count(judge, "outside_hours") == 1


def test_edited_hours_bind_one_second_after_the_edit() -> None:
    judge = Judge()
    judge.tell_hours(START, "+12125550100", HOURS)
    shut = PromisedHours(closes_at=START)
    judge.tell_hours(after(5), "+12125550100", shut)
    judge.record(after(5.9), text())
    assert count(judge, "outside_hours") == 0
    judge.record(after(6), text())
    assert count(judge, "outside_hours") == 1


def test_a_reset_empties_the_ledger_and_keeps_the_limits() -> None:
    judge = Judge()
    judge.tell_limit(START, "acme", "att", Limit(sms_per_minute=1))
    entry = judge.record(after(0), text(), message=ID)
    judge.record(after(1), text(), message=ID)
    judge.reset(after(2))
    judge.note_receipt(entry, after(2), "delivered", None)
    assert (judge.verdict()["ok"], judge.verdict()["messages"]) == (True, 0)
    judge.record(after(3), text(), message=ID)
    judge.record(after(3), text(), message=("org", "other"))
    buckets: Any = judge.verdict()["buckets"]
    seen = [line for line in buckets if line["seen"]]
    assert [(line["peak_60s"], line["over"]) for line in seen] == [(2, True)]
    assert count(judge, "doubles") == 0


def test_the_ledger_is_read_in_pages() -> None:
    judge = Judge()
    for index in range(5):
        judge.record(after(index), text(), message=("org", str(index)), attempt=f"a{index}")
    lines = [entry.line() for entry in judge.page(2, 2)]
    assert [(line["n"], line["message_id"], line["attempt"]) for line in lines] == [
        (3, "2", "a2"),
        (4, "3", "a3"),
    ]
    assert list(judge.page(5, 10)) == []
