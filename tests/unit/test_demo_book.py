"""The demonstration's own account of the events, and what it reads off them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.demo.book import Book

NOON = datetime(2026, 10, 20, 12, tzinfo=UTC)
_ids = iter(range(1_000_000))


def _event(topic: str, message_id: str, at_s: float, **data: Any) -> dict[str, Any]:
    at = (NOON + timedelta(seconds=at_s)).isoformat()
    when = {"queued_at": at} if topic == "MessageQueued" else {"at": at, "segments": 1}
    return {
        "source": "test",
        "id": str(next(_ids)),
        "type": topic,
        "data": {"org_id": "acme", "message_id": message_id, "carrier": "att", **when, **data},
    }


def _queued(message_id: str, at_s: float, kind: str = "initial") -> dict[str, Any]:
    return _event("MessageQueued", message_id, at_s, kind=kind, to="+13032345678")


def _book(*events: dict[str, Any]) -> Book:
    book = Book("acme")
    for event in events:
        book.write(event, 100.0)
    return book


def test_a_text_is_what_its_latest_outcome_says_in_whatever_order_they_come() -> None:
    told = [
        _queued("m", 0),
        _event("MessageSent", "m", 1),
        _event("MessageDelivered", "m", 2),
    ]
    for order in (told, told[::-1], [told[1], told[0], told[2]]):
        text = _book(*order).texts["m"]
        assert (text.status, text.kind, text.waited_s) == ("delivered", "initial", 1.0)


def test_the_end_of_the_window_has_a_status_of_its_own() -> None:
    failed = _event("MessageFailed", "m", 5, reason="sending failed")
    assert _book(_queued("m", 0), failed).texts["m"].status == "sending failed"
    failed = _event("MessageFailed", "m", 5, reason="blocked", code="40002")
    assert _book(_queued("m", 0), failed).texts["m"].status == "failed"


def test_an_event_counts_once_and_a_stranger_s_not_at_all() -> None:
    sent = _event("MessageSent", "m", 1)
    strange = _event("MessageQueued", "x", 1, org_id="other", kind="initial", to="+1")
    book = _book(_queued("m", 0), sent, sent, strange)
    assert list(book.texts) == ["m"]
    assert book.rate("att", "segment", 101.0) == 1 / 5


def test_an_answer_overtakes_what_was_queued_before_it_and_goes_after_it() -> None:
    book = _book(
        _queued("gone before", 0),
        _event("MessageSent", "gone before", 1),
        _queued("goes later", 0),
        _event("MessageSent", "goes later", 9),
        _queued("waits still", 0),
        _queued("failed meanwhile", 0),
        _event("MessageFailed", "failed meanwhile", 1.5, reason="sending failed"),
        _queued("came later", 3),
        _event("MessageQueued", "elsewhere", 0, kind="initial", to="+1", carrier="verizon"),
        _queued("answer", 2, "reply"),
        _event("MessageSent", "answer", 2.5),
    )
    [overtaking] = book.overtakings()
    assert (overtaking.overtaken, overtaking.waited_s) == (2, 0.5)


def test_only_answers_may_wait_when_all_is_settled() -> None:
    book = _book(_queued("first", 0), _queued("answer", 0, "reply"))
    assert not book.is_settled()
    book.write(_event("MessageSent", "first", 1), 100.0)
    assert not book.is_settled()
    book.write(_event("MessageDelivered", "first", 2), 100.0)
    assert book.is_settled()


def test_the_rate_is_of_the_last_seconds_in_the_limit_s_own_unit() -> None:
    book = Book("acme")
    for second in range(30):
        book.write(_event("MessageSent", f"m{second}", second, segments=2), 100.0 + second)
    assert book.rate("att", "message", 129.5) == 1.0
    assert book.rate("att", "segment", 129.5) == 2.0
    assert book.rate("verizon", "segment", 129.5) == 0.0
