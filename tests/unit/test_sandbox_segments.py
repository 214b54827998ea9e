import pytest
import smsutil
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox.segments import count_segments, encoding_of

ALPHABET = "aZ 0@Δ\n\r^{}\\[~]|€\fç漢\u2019😀🇺"


def runs(alphabet: str) -> st.SearchStrategy[str]:
    """Texts of a few long runs, so that segments end where the alphabet changes."""
    run = st.builds(str.__mul__, st.sampled_from(alphabet), st.integers(1, 170))
    return st.lists(run, min_size=1, max_size=7).map("".join)


@given(runs(ALPHABET))
def test_any_text_costs_what_smsutil_says(text: str) -> None:
    assert count_segments(text) == len(smsutil.split(text).parts)


@given(runs("aZ 0@Δ\n\r^{}\\[~]|€\f"))
def test_a_text_within_gsm7_costs_what_smsutil_says(text: str) -> None:
    assert encoding_of(text) == "GSM-7"
    assert count_segments(text) == len(smsutil.split(text).parts)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 80 + "a", 2),
        ("a" * 152 + "[" + "a" * 152, 3),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("ж" * 134, 2),
        ("ж" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("ж" * 66 + "😀" + "ж" * 66, 3),
        ("a" * 160 + "\u2019", 3),
    ],
)
def test_the_known_traps(text: str, segments: int) -> None:
    assert count_segments(text) == segments
