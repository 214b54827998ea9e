"""The demonstration's verdict: a difference, or a promise that was broken, is an exit code of 1."""

import io
from collections.abc import Coroutine
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from deploy.demo import __main__ as demo
from deploy.demo.book import Text
from deploy.demo.closing import say_verdict
from deploy.demo.narrator import Narrator
from deploy.demo.verdict import Held, Row, Seen, differences, promises, rows_in, seen_in

TEXTS = {
    "1": Text("1", "initial", "att", status="delivered", segments=1),
    "2": Text("2", "initial", "tmobile", status="sending failed", segments=1),
    "3": Text("3", "reply", "tmobile", status="queued"),
}
ROWS = [
    Row("0", "initial", "att", "unassigned", None, None),
    Row("1", "initial", "att", "delivered", 1, None),
    Row("2", "initial", "tmobile", "sending failed", 1, None),
    Row("3", "reply", "tmobile", "queued", 1, None),
]
SEEN = [Seen("1", "initial", "att", 1, True, "delivered", "")]


def _row(place: int, **differs: Any) -> list[Row]:
    return [replace(row, **differs) if index == place else row for index, row in enumerate(ROWS)]


def test_three_ledgers_that_say_the_same_do_not_differ() -> None:
    assert differences(TEXTS, ROWS, SEEN) == []


def test_a_text_that_a_ledger_lacks_is_a_difference() -> None:
    assert differences({**TEXTS, "9": TEXTS["1"]}, ROWS, SEEN) == ["9: only in events"]
    assert differences(TEXTS, ROWS, [*SEEN, replace(SEEN[0], message_id="0")]) == [
        "0: only in provider, and no sender sent it"
    ]
    without = {key: text for key, text in TEXTS.items() if key != "1"}
    assert differences(without, ROWS, SEEN) == ["1: only in rows and provider"]


@pytest.mark.parametrize(
    "differs", [{"status": "sent"}, {"carrier": "verizon"}, {"kind": "reply"}, {"segments": 2}]
)
def test_a_row_that_says_otherwise_is_a_difference(differs: dict[str, Any]) -> None:
    assert differences(TEXTS, _row(1, **differs), SEEN)


def test_a_text_that_the_provider_never_saw_was_not_delivered() -> None:
    assert differences(TEXTS, ROWS, []) == [
        "1: delivered by rows, 0 times at the provider",
        "1: delivered by rows, not delivered by the provider",
    ]


def test_a_text_that_failed_at_the_window_s_end_must_not_be_at_the_provider() -> None:
    late = Seen("2", "initial", "tmobile", 1, True, "", "")
    assert differences(TEXTS, ROWS, [*SEEN, late]) == [
        "2: sending failed by rows, 1 times at the provider"
    ]


def test_a_request_that_the_carrier_put_back_counts_for_nothing() -> None:
    put_back = Seen("2", "initial", "tmobile", 1, True, "delivery_failed", "40016")
    refused = Seen("3", "reply", "tmobile", 1, False, "", "")
    assert differences(TEXTS, ROWS, [*SEEN, put_back, refused]) == []


def test_a_text_at_the_provider_twice_is_a_difference() -> None:
    assert differences(TEXTS, ROWS, SEEN * 2) == ["1: delivered by rows, 2 times at the provider"]


def test_ledgers_are_read_from_the_export_and_from_the_judge() -> None:
    export = (
        "message_id,direction,kind,carrier,status,reason,code,segments\n"
        "1,out,initial,att,sent,,,2\n2,in,answer,,received,,,\n"
    )
    assert rows_in(export) == [Row("1", "initial", "att", "sent", 2, None)]
    line = {
        "org_id": "acme", "message_id": "1", "kind": "initial", "carrier": "att", "segments": 1,
        "taken": True, "receipt": {"status": "delivery_failed", "code": "40002", "at": "-"},
    }  # fmt: skip
    [seen] = seen_in([line, {**line, "org_id": "other"}], "acme")
    assert seen == Seen("1", "initial", "att", 1, True, "delivery_failed", "40002")


def _bucket(carrier: str, limit: int | None, peak: int) -> dict[str, Any]:
    return {
        "brand": "b", "carrier": carrier, "channel": "sms", "limit": limit, "peak_60s": peak,
        "over": False, "seen": peak,
    }  # fmt: skip


JUDGED: dict[str, Any] = {
    "ok": True,
    "buckets": [
        _bucket("att", 420, 418),
        _bucket("tmobile", None, 350),
        _bucket("verizon", 500, 499),
        _bucket("other", 105, 104),
    ],
    "days": [{"brand": "b", "carrier": "tmobile", "limit": 350, "segments": 350, "over": False}],
    "doubles": {"count": 0},
    "outside_hours": {"count": 0},
    "unnamed": 0,
    "excursions": 0,
}


def _broken(judged: dict[str, Any]) -> list[str]:
    return [one.what for one in promises(judged, "b") if not one.is_kept]


def test_promises_are_kept_when_the_judge_says_so() -> None:
    assert _broken(JUDGED) == []


def test_a_limit_that_was_passed_or_that_the_judge_never_knew_is_broken() -> None:
    for place, change in ((0, {"over": True}), (0, {"limit": None}), (0, {"limit": 9000})):
        judged = deepcopy(JUDGED)
        judged["buckets"][place].update(change)
        assert _broken(judged) == ["AT&T: segments in any 60 s"]
    assert _broken({**JUDGED, "days": []}) == ["T-Mobile: segments of the day"]


def test_doubles_lateness_and_strangers_are_broken_promises() -> None:
    stranger = {**_bucket("att", None, 1), "brand": "unregistered"}
    for change in (
        {"doubles": {"count": 1}},
        {"outside_hours": {"count": 1}},
        {"unnamed": 1},
        {"buckets": [*JUDGED["buckets"], stranger]},
        {"ok": False},
    ):
        assert len(_broken({**JUDGED, **change})) == 1


def test_the_verdict_is_good_only_when_all_is_kept_and_nothing_differs() -> None:
    page = io.StringIO()
    narrator = Narrator(Console(file=page))
    kept, broken = Held("doubles", "0", True), Held("doubles", "1", False)
    assert say_verdict(narrator, [kept], [])
    assert not say_verdict(narrator, [kept, broken], [])
    assert not say_verdict(narrator, [kept], ["1: only in rows"])
    assert "1: only in rows" in page.getvalue()


@pytest.mark.parametrize(("is_good", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_is_the_verdict(
    monkeypatch: pytest.MonkeyPatch, is_good: bool, code: int
) -> None:
    def judged(story: Coroutine[Any, Any, bool]) -> bool:
        story.close()
        return is_good

    servers = SimpleNamespace(database_url="", amqp_url="")
    monkeypatch.setattr(demo, "PrivateServers", lambda durable: nullcontext(servers))
    monkeypatch.setattr(demo, "interruptible", judged)
    monkeypatch.setattr(demo, "raise_on_signals", lambda: None)
    assert demo.main() == code
