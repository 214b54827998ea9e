"""What a script is said to take, with the traps of its encodings."""

from services.campaign.rules.sizes import Trap, size_of, typical
from shared.rules.segments import count, not_gsm7


def test_one_curly_quote_makes_the_whole_text_ucs2_and_is_named() -> None:
    plain = size_of("sms", "It's on" + "x" * 150)
    assert (plain.segments, plain.encoding, plain.traps) == (1, "gsm7", ())
    curly = size_of("sms", "It\u2019s on" + "x" * 150)
    assert (curly.segments, curly.encoding, curly.units) == (3, "ucs2", 157)
    assert curly.traps == (Trap("\u2019", "U+2019", "RIGHT SINGLE QUOTATION MARK"),)


def test_traps_are_named_once_each_in_order_also_those_that_nobody_sees() -> None:
    found = size_of("sms", "\u201cHi\u201d\u200b \U0001f600 \u201cyou\u201d\u00a0").traps
    assert [trap.code for trap in found] == ["U+201C", "U+201D", "U+200B", "U+1F600", "U+00A0"]
    assert found[2].name == "ZERO WIDTH SPACE"
    assert size_of("sms", "\x01").traps[0].name == "a control or private character"


def test_characters_of_the_extension_table_are_no_trap_but_take_two_units() -> None:
    found = size_of("sms", "{}[]~\\^|\u20ac")
    assert (found.encoding, found.units, found.traps) == ("gsm7", 18, ())


def test_a_text_has_traps_if_and_only_if_it_goes_as_ucs2() -> None:
    for text in ("", "Hi", "\u00e9\u00e8\u20ac", "\u00e7", "\u0410", "\x1b", "\t", "\U0001f600"):
        assert bool(not_gsm7(text)) is (count(text).encoding == "ucs2")


def test_an_mms_is_one_segment_whatever_its_text() -> None:
    assert size_of("mms", "\u2019" * 1000).segments == 1


def test_the_typical_size_is_that_of_the_text_in_the_middle() -> None:
    assert typical("sms", []) is None
    texts = ["x" * length for length in (400, 10, 161, 12, 11)]
    found = typical("sms", texts)
    assert found is not None
    assert (found.segments, found.units) == (1, 12)
    # Ten short ones and one with an emoji: typical is the short one.
    found = typical("sms", ["Hi"] * 10 + ["\U0001f600" * 100])
    assert found == size_of("sms", "Hi")
    # Of two the one that takes less.
    found = typical("sms", ["x" * 161, "x"])
    assert found is not None
    assert found.segments == 1
