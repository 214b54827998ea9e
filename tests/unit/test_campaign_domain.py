"""The campaign service's rules."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import permutations

import pytest

from services.campaign.domain import (
    RANKS,
    Plan,
    Refused,
    check_edit,
    check_launch,
    latest_of_each,
    status_told_by,
)
from services.campaign.rules.flag import CarrierAnswer, Number, provisioning
from services.campaign.rules.warnings import launch_warnings, window_warnings
from services.campaign.rules.window import (
    checked_hours,
    checked_window,
    chosen_window,
    when_it_goes,
    why_no_initials,
)
from shared.events import (
    MessageDelivered,
    MessageFailed,
    MessageOutcome,
    MessageSent,
    MessageUnclear,
)
from shared.rules.hours import Hours, Window

LOS_ANGELES = Hours(time(9), time(21), "America/Los_Angeles")
AUCKLAND = Hours(time(9), time(21), "Pacific/Auckland")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def plan(hours: Hours = LOS_ANGELES, **window: str) -> Plan:
    ends = {"opens_at": "2026-10-20T09:00-07:00", "closes_at": "2026-10-20T21:00-07:00", **window}
    return Plan(
        name="Spring",
        use_case_id="u",
        contact_list_id="c",
        script="Hi",
        channel="sms",
        media_urls=(),
        area_codes=(),
        window=Window(at(ends["opens_at"]), at(ends["closes_at"])),
        hours=hours,
        self_assign=False,
        batch_size=100,
    )


@pytest.mark.parametrize(
    ("hours", "now", "opens_at", "closes_at"),
    [
        # By day: today, from the morning on, until the close.
        (LOS_ANGELES, "2026-10-20T12:00-07:00", "2026-10-20T09:00-07:00", "2026-10-20T21:00-07:00"),
        # In the evening it is tomorrow in UTC already: the article's trap, and so ours.
        (LOS_ANGELES, "2026-10-20T18:00-07:00", "2026-10-21T09:00-07:00", "2026-10-21T21:00-07:00"),
        # Where the day of UTC is over already, the next one: never a window that has ended.
        (AUCKLAND, "2026-10-21T10:00+13:00", "2026-10-21T09:00+13:00", "2026-10-21T21:00+13:00"),
        (AUCKLAND, "2026-10-21T14:00+13:00", "2026-10-21T09:00+13:00", "2026-10-21T21:00+13:00"),
    ],
)
def test_a_window_starts_on_todays_date_in_utc_and_ends_with_that_days_close(
    hours: Hours, now: str, opens_at: str, closes_at: str
) -> None:
    assert chosen_window(hours, at(now), None, None) == Window(at(opens_at), at(closes_at))


def test_an_end_that_was_not_chosen_is_the_close_of_the_starts_day() -> None:
    now = at("2026-10-20T12:00-07:00")
    for start, end in (
        ("2026-10-25T08:00-07:00", "2026-10-25T21:00-07:00"),
        ("2026-10-25T21:30-07:00", "2026-10-26T21:00-07:00"),
    ):
        assert chosen_window(LOS_ANGELES, now, at(start), None).closes_at == at(end)


def test_a_close_on_a_day_when_the_clocks_change_is_that_days() -> None:
    found = chosen_window(LOS_ANGELES, at("2026-11-01T01:30-07:00"), None, None)
    assert found.closes_at == at("2026-11-01T21:00-08:00")


@pytest.mark.parametrize(
    ("opens_at", "closes_at", "field"),
    [
        ("2026-10-20T09:00Z", "2026-10-20T09:00Z", "window.closes_at"),
        ("2026-10-20T09:00Z", "2026-10-19T09:00Z", "window.closes_at"),
        ("1960-10-20T09:00Z", "2026-10-19T09:00Z", "window.opens_at"),
    ],
)
def test_a_window_that_cannot_be_names_its_field(opens_at: str, closes_at: str, field: str) -> None:
    with pytest.raises(Refused) as refused:
        checked_window(at(opens_at), at(closes_at))
    assert refused.value.field == field


def test_hours_that_cannot_be_name_their_field() -> None:
    for opens, closes, zone, field in (
        (time(9), time(9), "America/New_York", "hours.closes"),
        (time(9), time(21), "America/Gotham", "hours.time_zone"),
    ):
        with pytest.raises(Refused) as refused:
            checked_hours(opens, closes, zone)
        assert refused.value.field == field


def test_senders_see_inbox_zero_before_the_start_and_after_the_end() -> None:
    window = plan().window
    moment = timedelta(microseconds=1)
    assert why_no_initials("active", window, window.opens_at - moment) is not None
    assert why_no_initials("active", window, window.opens_at) is None
    assert why_no_initials("active", window, window.closes_at - moment) is None
    assert "extend" in (why_no_initials("active", window, window.closes_at) or "")
    assert why_no_initials("draft", window, window.opens_at) is not None


def test_a_text_that_is_queued_while_closed_goes_at_the_next_opening() -> None:
    two_days = plan(closes_at="2026-10-21T21:00-07:00").window
    night = at("2026-10-20T23:00-07:00")
    goes_at, note = when_it_goes("initial", two_days, LOS_ANGELES, night)
    assert goes_at == at("2026-10-21T09:00-07:00")
    assert note == (
        "Queued: the campaign is closed now, it goes at the next opening, 09:00 on 2026-10-21."
    )
    noon = at("2026-10-20T12:00-07:00")
    assert when_it_goes("initial", two_days, LOS_ANGELES, noon)[0] == noon


def test_a_text_that_no_open_hour_is_left_for_says_so() -> None:
    window = plan(closes_at="2026-10-20T23:30-07:00").window
    _, note = when_it_goes("initial", window, LOS_ANGELES, at("2026-10-20T22:00-07:00"))
    assert "end before it can go" in note


def test_a_reply_is_bound_by_open_hours_and_never_by_the_window() -> None:
    days_later = at("2026-10-29T22:00-07:00")
    goes_at, _ = when_it_goes("reply", plan().window, LOS_ANGELES, days_later)
    assert goes_at == at("2026-10-30T09:00-07:00")


def test_a_text_that_is_queued_in_a_pause_waits_for_the_resumption_and_for_its_hours() -> None:
    two_days = plan(closes_at="2026-10-21T21:00-07:00").window
    for now, goes in (("T12:00", "2026-10-20T12:00-07:00"), ("T23:00", "2026-10-21T09:00-07:00")):
        goes_at, note = when_it_goes(
            "initial", two_days, LOS_ANGELES, at(f"2026-10-20{now}-07:00"), paused=True
        )
        assert goes_at == at(goes)
        assert "once it is resumed" in note


def test_a_launch_within_the_hour_with_senders_attached_is_warned_of() -> None:
    early = at("2026-10-20T08:30-07:00")
    (warning,) = launch_warnings(plan(), early, senders=1, provisioning=0, numbers=1)
    assert "the day before" in warning
    assert not launch_warnings(plan(), early, senders=0, provisioning=1, numbers=1)
    in_time = at("2026-10-20T07:59-07:00")
    assert not launch_warnings(plan(), in_time, senders=1, provisioning=1, numbers=1)


def test_do_not_launch_more_than_two_campaigns_at_once() -> None:
    now = at("2026-10-20T07:00-07:00")
    (warning,) = launch_warnings(plan(), now, senders=0, provisioning=2, numbers=3)
    assert "two campaigns at once" in warning


def test_a_use_case_near_49_numbers_is_warned_of() -> None:
    now = at("2026-10-20T07:00-07:00")
    assert not launch_warnings(plan(), now, senders=0, provisioning=0, numbers=44)
    (warning,) = launch_warnings(plan(), now, senders=0, provisioning=0, numbers=45)
    assert "archive a few old campaigns" in warning.lower()


def test_a_start_that_is_later_than_today_in_the_campaigns_zone_is_warned_of() -> None:
    (warning,) = window_warnings(plan(), at("2026-10-19T20:00-07:00"))
    assert "2026-10-20" in warning
    assert not window_warnings(plan(), at("2026-10-20T00:30-07:00"))


def test_a_window_that_is_open_since_yesterday_is_not_warned_of_and_one_that_ended_is() -> None:
    two_days = plan(opens_at="2026-10-19T09:00-07:00")
    assert not window_warnings(two_days, at("2026-10-20T12:00-07:00"))
    (warning,) = window_warnings(two_days, at("2026-10-20T21:00-07:00"))
    assert "ended on 2026-10-20" in warning


def test_a_window_without_an_open_hour_is_warned_of() -> None:
    night = plan(opens_at="2026-10-20T22:00-07:00", closes_at="2026-10-20T23:00-07:00")
    (warning,) = window_warnings(night, at("2026-10-20T12:00-07:00"))
    assert "nothing can be sent" in warning


def test_a_launch_after_the_end_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        check_launch(plan(), at("2026-10-20T21:00-07:00"))
    assert refused.value.field == "window.closes_at"


def test_window_and_hours_stay_editable_after_the_launch_and_the_script_does_not() -> None:
    check_edit("active", {"window", "hours", "self_assign", "batch_size", "name"})
    check_edit("draft", {"script", "channel"})
    with pytest.raises(Refused) as refused:
        check_edit("active", {"window", "script"})
    assert refused.value.field == "script"


def test_files_go_with_mms_alone() -> None:
    with pytest.raises(Refused) as refused:
        replace(plan(), channel="mms")
    assert refused.value.field == "media_urls"
    with pytest.raises(Refused) as refused:
        replace(plan(), media_urls=("https://example.org/a.png",))
    assert refused.value.field == "media_urls"


LAUNCHED = at("2026-10-20T09:00Z")


def test_the_flag_is_yellow_until_the_outcome_and_shows_each_carrier() -> None:
    confirmed = CarrierAnswer("confirmed", LAUNCHED + timedelta(seconds=5))
    found = provisioning(LAUNCHED, Number("+12125550100", LAUNCHED), {"att": confirmed})
    assert (found.status, found.flag, found.colour) == ("provisioning", "Provisioning", "yellow")
    states = {name: said.state for name, said in found.carriers.items()}
    assert states == {"att": "confirmed", "tmobile": "pending", "verizon": "pending"}
    assert "lower-than-normal" in found.advice


def test_the_flag_turns_green_when_it_is_complete() -> None:
    found = provisioning(LAUNCHED, Number("+12125550100", LAUNCHED, "complete", None, 30.0), {})
    assert (found.flag, found.colour) == ("Provisioning Complete", "green")
    assert found.since == LAUNCHED + timedelta(seconds=30)


def test_a_red_flag_says_what_to_do() -> None:
    number = Number("+12125550100", LAUNCHED, "failed", "verizon refused it", 30.0)
    found = provisioning(LAUNCHED, number, {})
    assert (found.flag, found.colour) == ("Provisioning Failed", "red")
    assert found.reason == "verizon refused it"
    assert "clone" in found.advice
    assert "49" in found.advice


def outcome(
    kind: type[MessageOutcome],
    message_id: str = "m",
    at_s: int = 0,
    reason: str | None = None,
) -> MessageOutcome:
    return kind(
        org_id="o",
        campaign_id="c",
        message_id=message_id,
        carrier="att",
        segments=1,
        reason=reason,
        at=datetime(2026, 10, 20, tzinfo=UTC) + timedelta(seconds=at_s),
    )


def test_an_archived_campaign_advises_nothing_more() -> None:
    for outcome in (None, "failed", "complete"):
        number = Number("+12125550100", LAUNCHED, outcome)
        found = provisioning(LAUNCHED, number, {}, archived=True)
        assert found.advice == "The campaign is archived: nothing is to be done."
        assert (found.waits_for, found.delayed_at) == (None, None)


def test_a_failure_whose_reason_is_a_status_shows_as_that() -> None:
    told = {
        "sent": outcome(MessageSent),
        "delivered": outcome(MessageDelivered),
        "unclear": outcome(MessageUnclear),
        "failed": outcome(MessageFailed, reason="spam filter"),
        "sending failed": outcome(MessageFailed, reason="sending failed"),
        "campaign closed": outcome(MessageFailed, reason="campaign closed"),
    }
    for status, event in told.items():
        assert status_told_by(event) == status


def test_of_several_outcomes_of_one_text_the_latest_stands_in_any_order() -> None:
    events = [outcome(MessageSent, "a", 1), outcome(MessageSent, "a", 3), outcome(MessageSent, "b")]
    for order in permutations(events):
        found = {event.message_id: event.at.second for event in latest_of_each(order)}
        assert found == {"a": 3, "b": 0}


def test_no_status_is_without_a_rank() -> None:
    assert RANKS["unassigned"] < RANKS["queued"] < RANKS["sent"] < RANKS["delivered"]
    assert RANKS["sent"] == RANKS["unclear"]
    assert {RANKS["sending failed"], RANKS["campaign closed"], RANKS["failed"]} == {
        RANKS["delivered"]
    }
