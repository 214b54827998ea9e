"""The words in which an admin reads why provisioning ended as it did."""

from dataclasses import replace

import pytest

from services.provisioner.rules import reasons
from tests.unit.test_provisioner_steps import NOW, NUMBER, launch, order


@pytest.mark.parametrize(
    ("area_codes", "named"),
    [
        (("212",), "area code 212"),
        (("212", "646"), "area codes 212 and 646"),
        (("212", "646", "917"), "area codes 212, 646 and 917"),
        (("212", "212"), "area code 212"),
        (tuple(str(code) for code in range(201, 301)), "all 100 area codes"),
    ],
)
def test_area_codes_are_named_each_once_and_as_many_as_they_are(
    area_codes: tuple[str, ...], named: str
) -> None:
    failed = order(launch=launch(area_codes=area_codes))
    assert f" in {named} or nearby in the same state." in reasons.no_number(failed)
    found = replace(failed, number="+13325550123", purchase=1)
    assert reasons.from_nearby(found) == f"Sold out in {named}: the number is from 332."


def test_where_nothing_was_for_sale_the_reason_says_what_a_clone_has_to_differ_in() -> None:
    """A clone as it is would fail as well."""
    nearby = order(launch=launch(area_codes=("212",)))
    assert reasons.no_number(nearby).endswith("Clone the campaign with other area codes.")
    strict = order(launch=launch(area_codes=("212",), nearby=False))
    assert reasons.no_number(strict).endswith(
        "Clone the campaign with other area codes, or allow nearby ones."
    )


def test_the_longest_reason_comes_whole() -> None:
    codes = tuple(str(code) for code in range(201, 201 + reasons.NAMED_MOST))
    for nearby in (True, False):
        reason = reasons.no_number(order(launch=launch(area_codes=codes, nearby=nearby)))
        assert reasons.short(reason) == reason


def test_a_campaign_that_was_archived_on_the_way_says_what_was_missing() -> None:
    assert reasons.archived(order()) == "The campaign was archived before it had a number."
    bought = order(number=NUMBER, purchased_at=NOW)
    assert reasons.archived(bought) == (
        "The campaign was archived before all carriers had confirmed its number."
    )


def test_a_number_that_was_there_already_is_explained_in_an_admins_words() -> None:
    assert "no number was bought for it" in reasons.LAUNCHED_WITH
    assert "no number was bought for it" in reasons.DEDICATED
