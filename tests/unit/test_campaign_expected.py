"""When a queued text is said to go, and what can be done with a text now."""

from datetime import datetime, time, timedelta

import pytest

from services.campaign.domain import Campaign, Plan, Status
from services.campaign.rules.expected import Text, expected
from services.campaign.rules.sendable import sendable, why_no_answer, why_replies_first
from shared.rules.forecast import Bucket, BucketSeen
from shared.rules.hours import Hours, Window
from shared.rules.limits import Limits

NOON = datetime.fromisoformat("2026-10-20T16:00:00+00:00")
WINDOW = Window(NOON - timedelta(hours=2), NOON + timedelta(hours=8))
INITIAL = Text("initial", "sms", 1, "tmobile")


def campaign(window: Window = WINDOW, **state: datetime | None) -> Campaign:
    plan = Plan(
        name="Spring",
        use_case_id="u",
        contact_list_id="l",
        script="Hi",
        channel="sms",
        media_urls=(),
        area_codes=(),
        window=window,
        hours=Hours(time(9), time(21), "America/New_York"),
        self_assign=False,
        batch_size=100,
    )
    return Campaign(
        org_id="acme",
        campaign_id="c",
        state="active",
        plan=plan,
        revision=1,
        created_at=NOON,
        launched_at=NOON,
        paused_at=state.get("paused_at"),
        pause_revision=0,
        archived_at=None,
        number_of="",
        cloned_from="",
        audience=None,
    )


def bucket(backlog: int, *, per_minute: int = 100) -> Bucket:
    limits = Limits("", per_minute, "message", per_minute, None)
    return Bucket("tmobile", {"": limits}, BucketSeen(NOON, backlog, room=0))


def test_what_waits_before_a_text_is_said_in_words() -> None:
    found = expected(campaign(), INITIAL, bucket(4000), NOON, held=False)
    assert found.expected_at is not None
    assert timedelta(minutes=40) <= found.expected_at - NOON <= timedelta(minutes=42)
    assert found.note.startswith(
        "Queued: 4,000 texts to T-Mobile go before it; expected about 12:4"
    )
    assert found.goes_at == NOON


def test_one_text_is_not_many() -> None:
    found = expected(campaign(), INITIAL, bucket(1), NOON, held=False)
    assert "1 text to T-Mobile goes before it" in found.note


@pytest.mark.parametrize("why", ["paused", "held", "unknown carrier"])
def test_nobody_guesses_what_cannot_be_known(why: str) -> None:
    one = campaign(paused_at=NOON if why == "paused" else None)
    known = None if why == "unknown carrier" else bucket(10)
    assert expected(one, INITIAL, known, NOON, held=why == "held").expected_at is None


def test_a_text_that_no_open_hour_is_left_for_says_so() -> None:
    one = campaign(Window(NOON, NOON + timedelta(hours=11)))
    late = NOON + timedelta(hours=10)
    found = expected(one, INITIAL, bucket(10), late, held=False)
    assert (found.expected_at, "open hours end" in found.note) == (None, True)


@pytest.mark.parametrize(
    ("status", "can"),
    [
        ("unassigned", True),
        ("assigned", True),
        ("skipped", False),
        ("queued", False),
        ("delivered", False),
        ("sending failed", False),
        ("campaign closed", False),
        ("opted out", False),
    ],
)
def test_inside_of_the_window_a_text_can_be_sent_until_it_was(status: Status, can: bool) -> None:
    found = sendable(status, "active", WINDOW, NOON, opted_out=False)
    assert found.sendable is can
    assert (found.warning is None) == (can or status in ("queued", "delivered"))


def test_the_window_is_half_open() -> None:
    at = {
        WINDOW.opens_at - timedelta(microseconds=1): False,
        WINDOW.opens_at: True,
        WINDOW.closes_at - timedelta(microseconds=1): True,
        WINDOW.closes_at: False,
    }
    for now, can in at.items():
        assert sendable("assigned", "active", WINDOW, now, opted_out=False).sendable is can
    assert not sendable("assigned", "archived", WINDOW, NOON, opted_out=False).sendable
    assert not sendable("assigned", "active", WINDOW, NOON, opted_out=True).sendable


def test_who_opted_out_or_wrote_after_the_archive_is_not_answered() -> None:
    assert why_no_answer("active", opted_out=False) is None
    assert "opted out" in (why_no_answer("active", opted_out=True) or "")
    assert "archived" in (why_no_answer("archived", opted_out=False) or "")


def test_more_than_so_many_replies_is_more() -> None:
    assert why_replies_first(1000, None) is None
    assert why_replies_first(3, 3) is None
    assert why_replies_first(4, 3) is not None
    assert why_replies_first(1, 0) is not None
