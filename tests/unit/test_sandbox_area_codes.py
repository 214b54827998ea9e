"""What the provider has for sale, by area code and by state."""

from services.sandbox.behaviour import Behaviour
from services.sandbox.world import World


def test_a_state_has_numbers_of_all_its_area_codes_that_are_not_sold_out() -> None:
    world = World(Behaviour(sold_out_area_codes=("775",)))
    for state, area_code, codes in (
        ("NV", None, {"702"}),
        ("NV", "702", {"702"}),
        ("NV", "212", set()),
        ("XX", None, set()),
        ("NM", None, {"505", "575"}),
    ):
        found = world.numbers.search(world.behaviour, area_code, 1000, False, state)
        assert {str(number["phone_number"])[2:5] for number in found} == codes
        assert all(state in str(number["region_information"]) for number in found)
