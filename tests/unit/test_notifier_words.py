"""Facts in words."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.notifier.samples import (
    NOW,
)
from services.notifier.words import duration, filled, moment, one_line, open_hours, readable
from shared.rules.hours import Hours
from tests.letters_read import LINK


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a second"),
        (1, "1 second"),
        (41.2, "41 seconds"),
        (59.9, "1 minute"),
        (61, "1 minute 1 second"),
        (3600, "1 hour"),
        (3605, "1 hour"),
        (7500, "2 hours 5 minutes"),
        (97_200, "1 day 3 hours"),
        (259_200, "3 days"),
    ],
)
def test_durations_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("America/New_York", "Tuesday, January 1, 2030 at 7:00 AM EST"),
        ("America/Los_Angeles", "Tuesday, January 1, 2030 at 4:00 AM PST"),
        ("Asia/Tokyo", "Tuesday, January 1, 2030 at 9:00 PM JST"),
        ("America/Sao_Paulo", "Tuesday, January 1, 2030 at 9:00 AM UTC-03"),
        ("Pacific/Auckland", "Wednesday, January 2, 2030 at 1:00 AM NZDT"),
        ("UTC", "Tuesday, January 1, 2030 at 12:00 PM UTC"),
    ],
)
def test_times_are_said_in_the_campaigns_own_zone(zone: str, words: str) -> None:
    assert moment(NOW, ZoneInfo(zone)) == words


def test_a_time_in_summer_has_the_summers_name() -> None:
    summer = NOW + timedelta(days=181)
    assert moment(summer, ZoneInfo("America/New_York")).endswith("at 8:00 AM EDT")


def test_a_time_that_stands_for_no_end_is_said_as_it_stands_where_zones_have_no_date_for_it() -> (
    None
):
    never = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    assert moment(never, ZoneInfo("Asia/Tokyo")) == "Friday, December 31, 9999 at 11:59 PM UTC"


@pytest.mark.parametrize(
    ("opens", "closes", "words"),
    [
        ("9:00", "21:00", "9:00 AM to 9:00 PM"),
        ("8:30", "24:00", "8:30 AM to midnight"),
        ("0:00", "12:05", "midnight to 12:05 PM"),
        ("0:00", "24:00", "all day"),
    ],
)
def test_open_hours_are_said_as_people_say_them(opens: str, closes: str, words: str) -> None:
    assert open_hours(Hours.parse(opens, closes, "UTC")) == words


def test_numbers_are_written_as_people_write_them() -> None:
    assert readable("+12125550123") == "(212) 555-0123"
    assert readable("+442071838750") == "+442071838750"


def test_control_characters_become_spaces() -> None:
    assert one_line(" a\r\nb\tc\x85d\u2028e\x7f ") == "a b c d e"


def test_an_id_cannot_lead_a_link_astray() -> None:
    assert filled(LINK, "{campaign_id}", "../x?y=1#z&") == (
        "https://sluice.example.com/%7Bcampaign_id%7D/campaigns/..%2Fx%3Fy%3D1%23z%26"
    )
