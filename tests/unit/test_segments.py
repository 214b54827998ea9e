from typing import Any

import pytest
import smsutil
from hypothesis import example, given
from hypothesis import strategies as st
from smsutil.codecs import GSM_CHARSET

from shared.rules.segments import Segments, count, segments_of

BASIC = "aZ 0@Δà\n\r_¤"
EXTENDED = "^{}\\[~]|€\f"
OUTSIDE = "çЖא漢\u2019\u200d`\t"
ASTRAL = "😀🇺\U0001d4b3"


def texts(alphabet: str) -> st.SearchStrategy[str]:
    """Texts of a few long runs: segments end where hundreds of characters have gone by."""
    run = st.builds(str.__mul__, st.sampled_from(alphabet), st.integers(1, 170))
    return st.lists(run, min_size=1, max_size=7).map("".join)


def as_smsutil_counts(text: str) -> Segments:
    split = smsutil.split(text)
    if split.encoding == "gsm0338":
        return Segments("gsm7", len(split.parts), split.total_bytes)
    return Segments("ucs2", len(split.parts), split.total_bytes // 2)


@given(texts(BASIC + EXTENDED))
def test_a_gsm7_text_counts_as_smsutil_counts_it(text: str) -> None:
    assert count(text) == as_smsutil_counts(text)
    assert count(text).encoding == "gsm7"


@given(texts(BASIC + EXTENDED + OUTSIDE + ASTRAL))
def test_any_text_counts_as_smsutil_counts_it(text: str) -> None:
    assert count(text) == as_smsutil_counts(text)


def test_the_gsm7_alphabet_is_that_of_smsutil_without_the_bare_escape() -> None:
    alphabet = {char for char in map(chr, range(0x110000)) if count(char).encoding == "gsm7"}
    assert alphabet == set(GSM_CHARSET) - {"\x1b"}


@given(texts(BASIC + EXTENDED + OUTSIDE + ASTRAL + "\ud83d\ude00\x1b"), texts("a[ж😀"))
def test_a_longer_text_never_takes_fewer_segments(text: str, more: str) -> None:
    assert count(text).segments <= count(text + more).segments


def test_160_basic_characters_are_one_segment_and_161_are_two() -> None:
    assert count("a" * 160) == Segments("gsm7", 1, 160)
    assert count("a" * 161) == Segments("gsm7", 2, 161)


def test_several_gsm7_segments_hold_153_each() -> None:
    assert count("a" * 306).segments == 2
    assert count("a" * 307).segments == 3
    assert count("a" * 1530).segments == 10


@pytest.mark.parametrize("char", EXTENDED)
def test_an_extension_character_costs_two(char: str) -> None:
    assert count(char * 80) == Segments("gsm7", 1, 160)
    assert count(char * 80 + "a") == Segments("gsm7", 2, 161)


def test_an_escape_pair_is_never_split() -> None:
    assert count("a" * 152 + "[" + "a" * 152) == Segments("gsm7", 3, 306)
    assert count("a" * 151 + "[" + "a" * 153) == Segments("gsm7", 2, 306)


def test_a_text_of_nothing_but_escape_pairs_loses_a_septet_in_each_segment() -> None:
    assert count("€" * 76 * 3) == Segments("gsm7", 3, 456)
    assert count("€" * (76 * 3 + 1)) == Segments("gsm7", 4, 458)


def test_one_curly_quote_turns_the_whole_text_to_ucs2() -> None:
    assert count("It's on Tuesday. " * 9) == Segments("gsm7", 1, 153)
    assert count("It\u2019s on Tuesday. " * 9) == Segments("ucs2", 3, 153)


def test_70_ucs2_units_are_one_segment_and_several_hold_67_each() -> None:
    assert count("ж" * 70) == Segments("ucs2", 1, 70)
    assert count("ж" * 71) == Segments("ucs2", 2, 71)
    assert count("ж" * 134).segments == 2
    assert count("ж" * 135).segments == 3


def test_an_extension_character_costs_one_unit_in_ucs2() -> None:
    assert count("ж" + "[" * 69) == Segments("ucs2", 1, 70)


def test_an_emoji_is_two_units() -> None:
    assert count("😀" * 35) == Segments("ucs2", 1, 70)
    assert count("😀" * 36) == Segments("ucs2", 2, 72)


def test_a_surrogate_pair_is_never_split() -> None:
    assert count("ж" * 66 + "😀" + "ж" * 66) == Segments("ucs2", 3, 134)
    assert count("ж" * 65 + "😀" + "ж" * 67) == Segments("ucs2", 2, 134)


def test_a_pair_of_surrogates_that_came_in_two_halves_is_not_split_either() -> None:
    assert count("ж" * 66 + "\ud83d" + "\ude00" + "ж" * 66) == Segments("ucs2", 3, 134)


def test_a_lone_surrogate_counts_as_one_unit_and_holds_nothing_together() -> None:
    assert count("\ud83d" * 70) == Segments("ucs2", 1, 70)
    assert count("ж" * 66 + "\ud83d" + "ж" * 67) == Segments("ucs2", 2, 134)
    assert count("ж" * 67 + "\ude00" + "ж" * 66) == Segments("ucs2", 2, 134)


@pytest.mark.parametrize("char", ["ç", "`", "\t", "\x00", "\x1b", "\xa0"])
def test_what_looks_like_gsm7_but_is_not_goes_as_ucs2(char: str) -> None:
    assert count("a" + char).encoding == "ucs2"


def test_line_feed_and_carriage_return_cost_one_each() -> None:
    assert count("\r\n" * 80) == Segments("gsm7", 1, 160)


def test_the_empty_text_is_one_segment_of_nothing() -> None:
    assert count("") == Segments("gsm7", 1, 0)


@given(st.text())
@example("")
@example("ж" * 1000)
def test_an_mms_counts_as_one_whatever_it_says(text: str) -> None:
    assert segments_of("mms", text) == 1


def test_an_sms_is_charged_with_the_segments_of_its_text() -> None:
    assert segments_of("sms", "a" * 161) == 2


def test_an_unknown_channel_is_refused() -> None:
    from_elsewhere: Any = "rcs"
    with pytest.raises(ValueError, match="sms or mms"):
        segments_of(from_elsewhere, "Hello")


@pytest.mark.parametrize(("segments", "units"), [(0, 0), (1, -1)])
def test_a_count_that_cannot_be_is_refused(segments: int, units: int) -> None:
    with pytest.raises(ValueError, match="a text"):
        Segments("gsm7", segments, units)
