"""Notices as signed webhooks: what receivers verify, and when they are asked again."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from services.notifier.domain import NEWS_FOR_S, Delivery, Kind, Notice
from services.notifier.posts import (
    EVENTS,
    RETRY_MOST_S,
    Answer,
    NoAnswer,
    Post,
    Receiver,
    Reception,
    after,
    body,
    keys,
    received,
    signed,
    withheld,
)
from shared import events
from shared.rules.webhook_keys import shown, webhook_key

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
MASTER = b"the platform's own key, of 32 and more characters"
KEY = webhook_key(MASTER, "acme", 1)
NOTICE = Notice("acme", "n1", "spring", "window at risk", {"name": "Frühling", "revision": 1}, NOW)
STOPPED = Reception("stopped", "answered 410", NOW, 4)
FAILING = Reception("failing", "answered 500", NOW, 4)
RECEIVER = Receiver(3, frozenset({"window at risk"}), "https://example.org", 1, None, None)


def post(tries: int = 0, **settings: Any) -> Post:
    delivery = Delivery(NOTICE, "", "due", NOW, NOW, tries, channel="webhook")
    return Post(delivery, replace(RECEIVER, **settings))


@given(
    facts=st.dictionaries(st.text(), st.text() | st.integers() | st.none()),
    org_id=st.from_regex(r"[\x21-\x7e]{1,64}", fullmatch=True),
    version=st.integers(1, 2**31 - 1),
)
def test_what_is_posted_verifies_by_the_secret_that_is_shown(
    facts: dict[str, Any], org_id: str, version: int
) -> None:
    key = webhook_key(MASTER, org_id, version)
    content = body(replace(NOTICE, facts=facts))
    headers = signed("n1", datetime.now(UTC), content, [key])
    assert Webhook(shown(key)).verify(content, headers) == {
        "type": "WindowAtRisk",
        "timestamp": "2030-01-01T12:00:00Z",
        "data": facts,
    }


def test_the_signature_is_that_of_standard_webhooks() -> None:
    content = body(NOTICE)
    headers = signed("n1", NOW, content, [KEY])
    assert headers == {
        "webhook-id": "n1",
        "webhook-timestamp": "1893499200",
        "webhook-signature": Webhook(shown(KEY)).sign("n1", NOW, content.decode()),
    }


def test_the_body_is_the_same_at_every_try() -> None:
    assert body(NOTICE) == body(replace(NOTICE))
    assert "Frühling".encode() in body(NOTICE)
    assert json.loads(body(NOTICE))["data"] == NOTICE.facts


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_is_posted_as_an_event_that_there_is(kind: Kind) -> None:
    assert EVENTS[kind] in events.EVENTS


def test_kinds_are_the_ones_that_settings_choose_from() -> None:
    assert set(get_args(Kind)) == set(get_args(events.NoticeKind))


@pytest.mark.parametrize(
    ("version", "rotated", "versions"),
    [
        (1, None, [1]),
        (2, NOW, [2, 1]),
        (7, NOW - timedelta(hours=23, minutes=59), [7, 6]),
        (7, NOW - timedelta(hours=24), [7]),
        # The first secret has none before it, whatever was heard.
        (1, NOW, [1]),
    ],
)
def test_a_day_long_both_secrets_sign(
    version: int, rotated: datetime | None, versions: list[int]
) -> None:
    receiver = replace(RECEIVER, secret_version=version, rotated_at=rotated)
    assert keys(MASTER, "acme", receiver, NOW) == [
        webhook_key(MASTER, "acme", version) for version in versions
    ]


def test_both_signatures_stand_in_one_header() -> None:
    now = datetime.now(UTC)
    receiver = replace(RECEIVER, secret_version=2, rotated_at=now)
    headers = signed("n1", now, b"{}", keys(MASTER, "acme", receiver, now))
    assert len(headers["webhook-signature"].split(" ")) == 2
    for version in (1, 2):
        Webhook(shown(webhook_key(MASTER, "acme", version))).verify(b"{}", headers)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_taken(status: int) -> None:
    for is_current in (True, False):
        done = after(post(2), Answer(status), NOW, 0.5, is_current=is_current)
        assert (done.state, done.due_at, done.error) == ("sent", None, f"answered {status}")


def test_410_is_for_good_by_the_settings_that_are_current() -> None:
    assert after(post(), Answer(410), NOW, 0.5, is_current=True).state == "refused"
    moved = after(post(), Answer(410), NOW, 0.5, is_current=False)
    assert (moved.state, moved.due_at) == ("due", NOW)


@given(
    answer=st.one_of(
        st.builds(NoAnswer, st.text()),
        st.builds(
            Answer,
            st.integers(100, 599).filter(lambda status: not 200 <= status < 300 and status != 410),
            st.text(),
            st.floats(0, 1e9),
        ),
    ),
    tries=st.integers(0, 1000),
    luck=st.floats(0, 1, exclude_max=True),
)
def test_everything_else_is_tried_again_later(
    answer: Answer | NoAnswer, tries: int, luck: float
) -> None:
    done = after(post(tries), answer, NOW, luck, is_current=True)
    assert (done.state, done.tries) == ("due", tries + 1)
    assert done.due_at is not None
    assert timedelta(seconds=2.5) <= done.due_at - NOW <= timedelta(seconds=RETRY_MOST_S)


def test_tries_grow_ever_rarer_and_end_after_three_days() -> None:
    one, now, waits = post(), NOW, []
    while one.delivery.due_at is not None:
        now = one.delivery.due_at
        one = replace(one, delivery=after(one, NoAnswer("none"), now, 0.99, is_current=True))
        if one.delivery.due_at is not None:
            waits.append((one.delivery.due_at - now).total_seconds())
    assert one.delivery.state == "expired"
    assert timedelta(days=2.5) < now - NOW <= timedelta(seconds=NEWS_FOR_S)
    assert waits == sorted(waits)
    assert waits[0] < 6
    assert 12 <= len(waits) <= 30


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"url": None}, "unwanted"),
        ({"kinds": frozenset({"daily digest"})}, "unwanted"),
        ({"reception": STOPPED}, "refused"),
        ({"reception": FAILING}, None),
        ({}, None),
    ],
)
def test_what_the_settings_do_not_want_any_more_is_not_posted(
    settings: dict[str, Any], state: str | None
) -> None:
    done = withheld(post(**settings), NOW)
    assert (None if done is None else done.state) == state
    assert done is None or (done.error and done.due_at is None)


def test_what_waited_for_too_long_is_not_posted() -> None:
    assert withheld(post(), NOW + timedelta(seconds=NEWS_FOR_S)) is None
    done = withheld(post(), NOW + timedelta(seconds=NEWS_FOR_S + 1))
    assert done is not None
    assert done.state == "expired"


# --- how posts fare --------------------------------------------------------------------------

LATER = NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (Answer(200, "thanks"), "working", None),
        (Answer(299), "working", None),
        (Answer(410, "no more"), "stopped", "answered 410"),
        (Answer(300), "failing", "answered 300"),
        (Answer(500, "of +13035550100, whose key is hush-hush"), "failing", "answered 500"),
        (NoAnswer("no connection within 5 s"), "failing", "no connection within 5 s"),
    ],
)
def test_the_first_try_by_some_settings_says_how_they_fare(
    answer: Answer | NoAnswer, state: Any, reason: str | None
) -> None:
    assert received(None, answer, NOW) == Reception(state, reason, NOW, 1)


def test_what_goes_on_as_it_was_is_no_news() -> None:
    assert received(FAILING, Answer(500, "other words"), LATER) is FAILING
    working = received(FAILING, Answer(200), LATER)
    assert working == Reception("working", None, LATER, 5)
    assert received(working, Answer(204, "thanks"), NOW) is working


def test_another_reason_is_news_of_the_same_failure() -> None:
    assert received(FAILING, Answer(401), LATER) == Reception("failing", "answered 401", NOW, 5)


@pytest.mark.parametrize("answer", [Answer(200), Answer(500), Answer(410), NoAnswer("none")])
def test_whoever_wants_no_more_wants_no_more_whatever_was_under_way(
    answer: Answer | NoAnswer,
) -> None:
    assert received(STOPPED, answer, LATER) is STOPPED


@given(
    answers=st.lists(
        st.one_of(
            st.builds(NoAnswer, st.text(st.characters(exclude_characters="\0"), min_size=1)),
            st.builds(Answer, st.integers(100, 599), st.text()),
        )
    )
)
def test_each_change_is_counted_and_can_be_told(answers: list[Answer | NoAnswer]) -> None:
    was: Reception | None = None
    for answer in answers:
        now = received(was, answer, NOW)
        if now != was:
            assert now.revision == (was.revision if was else 0) + 1
            event = events.WebhookStateChanged(
                org_id="acme",
                version=1,
                revision=now.revision,
                state=now.state,
                reason=now.reason,
                state_since=now.since,
            )
            assert (event.reason is None) == (event.state == "working")
        was = now
