from datetime import UTC, datetime, timedelta

import pytest

from services.sandbox.carriers import Carriers
from services.sandbox.domain import Carrier, Channel, Limit, Submission, carrier_of

NOON = datetime(2026, 6, 1, 19, 0, tzinfo=UTC)


def text(
    carrier: Carrier = "att",
    *,
    brand: str = "acme",
    use_case: str | None = None,
    channel: Channel = "sms",
    segments: int = 1,
) -> Submission:
    return Submission("+12125550100", "+12123340000", carrier, brand, use_case, channel, segments)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_phones_carrier_stands_in_the_first_digit_of_its_exchange() -> None:
    carriers = {digit: carrier_of(f"+1212{digit}550100") for digit in range(10)}
    assert carriers == {
        **dict.fromkeys((2, 3), "att"),
        **dict.fromkeys((4, 5), "tmobile"),
        **dict.fromkeys((6, 7), "verizon"),
        **dict.fromkeys((0, 1, 8, 9), "other"),
    }


def test_without_a_limit_everything_goes_through() -> None:
    carriers = Carriers()
    assert {carriers.answer(NOON, text(segments=9)) for _ in range(5000)} == {None}


@pytest.mark.parametrize(
    ("carrier", "code"), [("att", "40018"), ("tmobile", "40011"), ("verizon", "40011")]
)
def test_att_refuses_with_40018_and_the_others_with_40011(carrier: Carrier, code: str) -> None:
    carriers = Carriers()
    carriers.tell("acme", carrier, Limit(sms_per_minute=2))
    answers = [carriers.answer(NOON, text(carrier)) for _ in range(3)]
    assert answers == [None, None, code]


def test_the_minute_slides_and_is_half_open() -> None:
    carriers = Carriers()
    carriers.tell("acme", "att", Limit(sms_per_minute=2))
    assert carriers.answer(after(0), text()) is None
    assert carriers.answer(after(30), text()) is None
    assert carriers.answer(after(59.999999), text()) == "40018"
    assert carriers.answer(after(60), text()) is None
    assert carriers.answer(after(60), text()) == "40018"


def test_a_text_that_was_refused_spends_nothing() -> None:
    carriers = Carriers()
    carriers.tell("acme", "att", Limit(sms_per_minute=1))
    assert carriers.answer(after(0), text()) is None
    assert [carriers.answer(after(s), text()) for s in range(1, 60)] == ["40018"] * 59
    assert carriers.answer(after(60), text()) is None


def test_a_limit_in_segments_counts_segments_and_one_in_messages_counts_messages() -> None:
    carriers = Carriers()
    carriers.tell("acme", "att", Limit(sms_per_minute=4))
    carriers.tell("acme", "verizon", Limit(sms_per_minute=4, sms_unit="message"))
    assert carriers.answer(NOON, text("att", segments=3)) is None
    assert carriers.answer(NOON, text("att", segments=2)) == "40018"
    assert carriers.answer(NOON, text("att", segments=1)) is None
    assert [carriers.answer(NOON, text("verizon", segments=9)) for _ in range(5)] == [
        *([None] * 4),
        "40011",
    ]


def test_sms_and_mms_are_two_separate_limits() -> None:
    carriers = Carriers()
    carriers.tell("acme", "att", Limit(sms_per_minute=1, mms_per_minute=1))
    assert carriers.answer(NOON, text()) is None
    assert carriers.answer(NOON, text(channel="mms")) is None
    assert carriers.answer(NOON, text(channel="mms")) == "40018"


def test_a_use_cases_limit_holds_beside_its_brands_and_all_or_none_are_spent() -> None:
    carriers = Carriers()
    carriers.tell("acme", "att", Limit(sms_per_minute=3))
    carriers.tell("acme", "att", Limit(sms_per_minute=2), use_case="a")
    assert carriers.answer(NOON, text(use_case="a")) is None
    assert carriers.answer(NOON, text(use_case="a")) is None
    assert carriers.answer(NOON, text(use_case="a")) == "40018"
    assert carriers.answer(NOON, text(use_case="b")) is None
    assert carriers.answer(NOON, text(use_case="b")) == "40018"


def test_brands_do_not_share_limits() -> None:
    carriers = Carriers()
    for brand in ("acme", "other-brand"):
        carriers.tell(brand, "att", Limit(sms_per_minute=1))
        assert carriers.answer(NOON, text(brand=brand)) is None
        assert carriers.answer(NOON, text(brand=brand)) == "40018"


def test_the_day_counts_sms_segments_and_mms_together_with_40016() -> None:
    carriers = Carriers()
    carriers.tell("acme", "tmobile", Limit(segments_per_day=4))
    assert carriers.answer(NOON, text("tmobile", segments=3)) is None
    assert carriers.answer(NOON, text("tmobile", segments=2)) == "40016"
    assert carriers.answer(NOON, text("tmobile", channel="mms")) is None
    assert carriers.answer(NOON, text("tmobile")) == "40016"


def test_what_other_vendors_spent_of_the_day_is_gone() -> None:
    carriers = Carriers()
    carriers.tell("acme", "tmobile", Limit(segments_per_day=10, used_elsewhere_per_day=9))
    assert carriers.answer(NOON, text("tmobile")) is None
    assert carriers.answer(NOON, text("tmobile")) == "40016"


@pytest.mark.parametrize(
    ("midnight", "hours"),
    [
        (datetime(2026, 3, 8, 8, 0, tzinfo=UTC), 23),
        (datetime(2026, 6, 1, 7, 0, tzinfo=UTC), 24),
        (datetime(2026, 11, 1, 7, 0, tzinfo=UTC), 25),
    ],
)
def test_the_day_ends_at_the_carriers_midnight_after_23_24_or_25_hours(
    midnight: datetime, hours: int
) -> None:
    carriers = Carriers()
    carriers.tell("acme", "tmobile", Limit(segments_per_day=1))
    just = timedelta(microseconds=1)
    assert carriers.answer(midnight - just, text("tmobile")) is None
    assert carriers.answer(midnight, text("tmobile")) is None
    next_midnight = midnight + timedelta(hours=hours)
    assert carriers.answer(next_midnight - just, text("tmobile")) == "40016"
    assert carriers.answer(next_midnight, text("tmobile")) is None


def test_a_lowered_limit_binds_at_once_and_a_lifted_one_lets_go() -> None:
    carriers = Carriers()
    carriers.tell("acme", "att", Limit(sms_per_minute=5))
    assert [carriers.answer(NOON, text()) for _ in range(3)] == [None] * 3
    carriers.tell("acme", "att", Limit(sms_per_minute=2))
    assert carriers.answer(after(1), text()) == "40018"
    carriers.tell("acme", "att", Limit())
    assert carriers.answer(after(2), text()) is None


def test_a_number_that_is_not_confirmed_is_refused_in_each_carriers_own_words() -> None:
    carriers = Carriers()
    carriers.tell("acme", "att", Limit(sms_per_minute=1))
    assert carriers.answer(NOON, text("att"), "unattached") == "40010"
    assert carriers.answer(NOON, text("att"), "pending") == "40019"
    assert carriers.answer(NOON, text("tmobile"), "pending") == "40010"
    assert carriers.answer(NOON, text("att"), "confirmed") is None
