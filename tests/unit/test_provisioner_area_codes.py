"""Area codes by state, and what is searched when the preferred ones are sold out."""

import pytest
from phonenumbers.geodata import GEOCODE_DATA

from services.provisioner.domain import Search
from services.provisioner.rules.area_codes import _OVERLAYS, _STATES, fits, searches
from tests.unit.test_provisioner_steps import launch

STATES = {
    "Alabama": "AL", "Alaska": "AK", "Arizona": "AZ", "Arkansas": "AR", "California": "CA",
    "Colorado": "CO", "Connecticut": "CT", "Delaware": "DE", "Florida": "FL", "Georgia": "GA",
    "Hawaii": "HI", "Idaho": "ID", "Illinois": "IL", "Indiana": "IN", "Iowa": "IA",
    "Kansas": "KS", "Kentucky": "KY", "Louisiana": "LA", "Maine": "ME", "Maryland": "MD",
    "Massachusetts": "MA", "Michigan": "MI", "Minnesota": "MN", "Mississippi": "MS",
    "Missouri": "MO", "Montana": "MT", "Nebraska": "NE", "Nevada": "NV", "New Hampshire": "NH",
    "New Jersey": "NJ", "New Mexico": "NM", "New York": "NY", "North Carolina": "NC",
    "North Dakota": "ND", "Ohio": "OH", "Oklahoma": "OK", "Oregon": "OR", "Pennsylvania": "PA",
    "Rhode Island": "RI", "South Carolina": "SC", "South Dakota": "SD", "Tennessee": "TN",
    "Texas": "TX", "Utah": "UT", "Vermont": "VT", "Virginia": "VA", "Washington D.C.": "DC",
    "Washington State": "WA", "West Virginia": "WV", "Wisconsin": "WI", "Wyoming": "WY",
}  # fmt: skip


def state_in(description: str) -> str | None:
    """The state in words such as "Utah" or "Jersey City, NJ"; None: it is none of the US."""
    last = description.rpartition(", ")[2]
    return STATES.get(last) or (last if last in STATES.values() else None)


def test_every_area_code_is_of_the_state_that_the_geodata_of_phonenumbers_says() -> None:
    told: dict[str, set[str]] = {}
    for prefix, words in GEOCODE_DATA.items():
        if prefix.startswith("1") and len(prefix) >= 4:
            state = state_in(words.get("en", ""))
            if state is not None:
                told.setdefault(prefix[1:4], set()).add(state)
    assert len(told) > 300
    wrong = {code: states for code, states in told.items() if _STATES.get(code) not in states}
    assert wrong == {}
    by_themselves = {
        prefix[1:]: state_in(words["en"])
        for prefix, words in GEOCODE_DATA.items()
        if prefix.startswith("1") and len(prefix) == 4 and state_in(words["en"])
    }
    assert {code: _STATES[code] for code in by_themselves} == by_themselves


def test_each_area_code_stands_once_with_those_of_its_own_state() -> None:
    assert len(_STATES) == len(_OVERLAYS)
    for code, places in _OVERLAYS.items():
        assert code in places
        assert {_STATES[one] for one in places} == {_STATES[code]}


def test_the_same_city_comes_before_the_rest_of_the_state() -> None:
    assert searches(launch(area_codes=("312", "415"))) == (
        Search("312"),
        Search("415"),
        Search("773"),
        Search("872"),
        Search("628"),
        Search(state="IL"),
        Search(state="CA"),
    )


def test_a_state_is_searched_once_however_many_of_its_area_codes_are_preferred() -> None:
    assert searches(launch(area_codes=("512", "737", "512"))) == (
        Search("512"),
        Search("737"),
        Search(state="TX"),
    )


def test_nothing_is_near_an_unknown_area_code_or_where_the_campaign_allows_none() -> None:
    assert searches(launch(area_codes=("999",))) == (Search("999"),)
    assert searches(launch(area_codes=("212",), nearby=False)) == (Search("212"),)


def test_a_campaign_without_preferences_takes_any_number_whether_nearby_or_not() -> None:
    assert searches(launch(area_codes=())) == (Search(),)
    assert searches(launch(area_codes=(), nearby=False)) == (Search(),)


@pytest.mark.parametrize(
    ("search", "number", "is_right"),
    [
        (Search("212"), "+12125550101", True),
        (Search("212"), "+16465550101", False),
        (Search(state="NY"), "+15855550101", True),
        (Search(state="NY"), "+12015550101", False),
        (Search(state="NY"), "+19995550101", False),
        (Search(), "+19995550101", True),
    ],
)
def test_whatever_the_provider_offers_only_what_was_searched_is_bought(
    search: Search, number: str, is_right: bool
) -> None:
    assert fits(search, number) is is_right
