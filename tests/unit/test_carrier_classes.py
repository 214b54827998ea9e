"""The table of carriers' classes, against what the carriers are known to publish."""

import pytest

from shared.rules.classes import CLASSES, class_named
from shared.rules.limits import CARRIERS, CAUTIOUS, of_class


def test_a_class_is_named_once_for_each_carrier() -> None:
    assert len({(one.carrier, one.name) for one in CLASSES}) == len(CLASSES)
    assert {one.carrier for one in CLASSES} == set(CARRIERS)


@pytest.mark.parametrize(
    ("names", "sms", "mms"),
    [("ABK", 4500, 2400), ("CDP", 2400, 1200), ("EF", 240, 150), ("T", 75, 50), ("W", 15, 50)],
)
def test_att_counts_sms_segments_and_mms_by_the_minute(names: str, sms: int, mms: int) -> None:
    for name in names:
        limits = of_class("att", name)
        assert (limits.sms_per_minute, limits.sms_unit) == (sms, "segment")
        assert (limits.mms_per_minute, limits.segments_per_day) == (mms, None)


def test_tmobile_counts_the_day_alone() -> None:
    tiers = [one for one in CLASSES if one.carrier == "tmobile"]
    assert [one.segments_per_day for one in tiers] == [200_000, 40_000, 10_000, 2_000, 1_000, None]
    assert {(one.sms_per_minute, one.mms_per_minute) for one in tiers} == {(None, None)}
    assert of_class("tmobile", "top").day_zone == "America/Los_Angeles"


def test_verizons_reported_figure_counts_messages() -> None:
    reported = class_named("verizon", "reported")
    assert (reported.sms_per_minute, reported.sms_unit) == (6_000, "message")


def test_nobody_starts_without_a_limit_where_nothing_was_told() -> None:
    for carrier in CARRIERS:
        limits = CAUTIOUS[carrier]
        assert limits.segments_per_day or (limits.sms_per_minute and limits.mms_per_minute)


def test_a_class_that_there_is_not_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(LookupError, match="the classes of att are A, B, K, C, D, P, E, F, T, W"):
        class_named("att", "top")
