"""What the sandbox posts of a number on its campaign: late, doubled, lost, in any order."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.sandbox.behaviour import Behaviour
from services.sandbox.registry import Word
from services.sandbox.world import World

START = datetime(2026, 6, 1, 19, 0, tzinfo=UTC)
NUMBER = "+12125550100"


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_world(**behaviour: Any) -> World:
    """A number that goes on a campaign whose changes are posted."""
    world = World(Behaviour.model_validate(behaviour))
    world.provide_number(START, NUMBER, campaign_id=None, messaging_profile_id="profile")
    world.registry.campaign("use-case").webhook_url = "http://provisioner"
    world.registry.attach(START, NUMBER, "use-case")
    return world


def updates(world: World, seconds: float) -> list[Any]:
    """What was posted by then: each update's own time with its payload."""
    world.advance(after(seconds))
    posted = [webhook.data for webhook in world.take_webhooks()]
    assert {data["event_type"] for data in posted} <= {"10dlc.phone_number.update"}
    return posted


def words(world: World, seconds: float) -> list[str]:
    posted = [data["payload"] for data in updates(world, seconds)]
    return [f"{one['type']} {one['status']}" for one in posted]


def mappings(world: World) -> dict[str, str]:
    return {str(carrier): said for carrier, said in world.registry.get(NUMBER).mappings.items()}


def test_every_step_of_a_number_is_posted_with_its_own_time() -> None:
    world = a_world()
    posted = updates(world, 60)
    assert [data["payload"]["type"] for data in posted] == ["ASSIGNMENT"] + 3 * ["STATUS_UPDATE"]
    assert [data["occurred_at"][17:22] for data in posted] == ["00.20", "01.50", "02.00", "03.00"]
    shown = [data["payload"]["nonTmobileNumberMappingStatus"] for data in posted]
    assert shown == ["PENDING", "PENDING", "ADDED", "ADDED"]
    world.registry.detach(after(60), NUMBER)
    assert words(world, 70) == ["DELETION success"]


def test_updates_may_name_no_carrier_as_telnyx_documents_them() -> None:
    world = a_world(number_updates_name_carriers=False)
    payloads = [data["payload"] for data in updates(world, 60)]
    ids = {"phoneNumber": NUMBER, "campaignId": "use-case", "tcrCampaignId": "use-case"}
    assert payloads[0] == {**ids, "type": "ASSIGNMENT", "status": "success", "reasons": []}
    assert payloads[1:] == 3 * [{**ids, "type": "STATUS_UPDATE", "status": "ADDED"}]


@pytest.mark.parametrize(
    ("word", "mapping"), [("confirmed", "ADDED"), ("refused", "FAILED"), ("pending", "PENDING")]
)
def test_a_carrier_speaks_again_when_a_test_lets_it(word: Word, mapping: str) -> None:
    world = a_world()
    updates(world, 60)
    world.registry.speak(after(61), NUMBER, "att", word, reason="AT&T: no.")
    assert mappings(world) == {"att": mapping, "tmobile": "ADDED", "verizon": "ADDED"}
    [update] = updates(world, 61)
    assert update["payload"]["attNumberMappingStatus"] == mapping
    assert update["payload"]["failureReasons"] == ("AT&T: no." if word == "refused" else None)


def test_a_word_older_than_the_carriers_last_is_posted_and_changes_nothing() -> None:
    world = a_world()
    updates(world, 60)
    world.registry.speak(after(61), NUMBER, "att", "refused", said_at=after(1))
    assert set(mappings(world).values()) == {"ADDED"}
    [update] = updates(world, 61)
    assert update["occurred_at"] == "2026-06-01T19:00:01.000000Z"
    said = update["payload"]
    assert (said["attNumberMappingStatus"], said["status"]) == ("FAILED", "FAILED")
    assert said["tmobileNumberMappingStatus"] is said["nonTmobileNumberMappingStatus"] is None


def test_an_assignment_that_all_refused_stands_again_when_one_confirms() -> None:
    world = a_world(refusals=[{"carrier": name, "next": True} for name in mappings(a_world())])
    updates(world, 60)
    assert world.registry.get(NUMBER).assignment_status == "FAILED_ASSIGNMENT"
    world.registry.speak(after(61), NUMBER, "att", "confirmed")
    shown = world.registry.get(NUMBER).data(world.behaviour)
    assert shown["assignmentStatus"] == "ASSIGNED"
    assert "AT&T" not in str(shown["failureReasons"])


def test_updates_are_lost_doubled_and_late_by_shares() -> None:
    assert words(a_world(number_updates_lost_share=1), 60) == []
    assert len(words(a_world(number_updates_duplicate_share=1), 60)) == 8
    late = {"number_updates_late_s": {"min": 30, "max": 31}}
    world = a_world(number_updates_late_share=1, **late)
    assert words(world, 29) == []
    posted = updates(world, 60)
    assert [data["payload"]["status"] for data in posted].count("ADDED") == 3
    assert {data["occurred_at"][17:20] for data in posted} == {"00.", "01.", "02.", "03."}


def test_a_late_update_comes_after_what_was_said_after_it() -> None:
    late = {"number_updates_late_s": {"min": 5, "max": 50}}
    orders = set()
    for seed in range(20):
        posted = updates(a_world(number_updates_late_share=0.5, seed=str(seed), **late), 60)
        assert len(posted) == 4
        orders.add(tuple(data["occurred_at"] for data in posted))
    assert len(orders) > 4
