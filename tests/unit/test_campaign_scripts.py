"""Scripts with fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.campaign.domain import Refused
from services.campaign.rules.scripts import check, field_name, fields_of, render


def test_a_script_reads_with_the_contacts_own_words() -> None:
    assert render("Hi {first_name} of {town}!", {"first_name": "Al", "town": "X"}) == "Hi Al of X!"


def test_a_field_that_a_contact_leaves_empty_leaves_no_double_space() -> None:
    assert render("Hi {first_name} there", {"first_name": ""}) == "Hi there"


def test_doubled_braces_are_braces() -> None:
    assert render("{{first_name}} {first_name}", {"first_name": "Al"}) == "{first_name} Al"
    assert fields_of("{{a}} {b}") == ["b"]


def test_a_contacts_words_are_never_read_as_fields() -> None:
    assert render("{a}{b}", {"a": "{b}", "b": "x"}) == "{b}x"


@pytest.mark.parametrize("script", ["Hi {frist_name}", "{}", "{ first_name }", "{First_Name}"])
def test_an_unknown_field_is_refused_by_its_name(script: str) -> None:
    with pytest.raises(Refused) as refused:
        check(script, ["first_name"])
    assert refused.value.field == "script"
    assert script[script.index("{") : script.index("}") + 1] in refused.value.reason


@pytest.mark.parametrize("script", ["Hi {first_name", "Hi first_name}", "a { b"])
def test_a_brace_that_stands_alone_is_refused(script: str) -> None:
    with pytest.raises(Refused) as refused:
        check(script, ["first_name"])
    assert "lone" in refused.value.reason


@pytest.mark.parametrize(
    ("heading", "name"),
    [("First Name", "first_name"), (" ZIP-Code ", "zip_code"), ("Größe", "gr_e"), ("?", "")],
)
def test_a_column_is_called_by_its_heading_in_small_letters(heading: str, name: str) -> None:
    assert field_name(heading) == name


@given(st.text())
def test_any_text_is_either_refused_or_rendered(script: str) -> None:
    try:
        check(script, [])
    except Refused:
        return
    render(script, {})
