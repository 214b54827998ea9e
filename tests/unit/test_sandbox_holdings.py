"""Numbers on and off use cases, and what the judge says of how many there are."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.sandbox.behaviour import Behaviour
from services.sandbox.domain import Refused
from services.sandbox.world import World

START = datetime(2030, 6, 1, 17, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def phone(index: int) -> str:
    return f"+1212555{index:04d}"


def attach(world: World, index: int, at: datetime = START) -> None:
    world.numbers.own(at, phone(index), None, "profile")
    world.registry.attach(at, phone(index), "use-case")


def holding(world: World) -> dict[str, Any]:
    lines: Any = world.judge.verdict()["use_cases"]
    [line] = lines
    return dict(line)


def test_forty_nine_numbers_are_as_many_as_a_use_case_may_hold() -> None:
    world = World()
    for index in range(49):
        attach(world, index)
    assert world.judge.verdict()["ok"] is True
    assert (holding(world)["numbers"], holding(world)["over"]) == (49, False)
    attach(world, 49, after(1))
    assert world.judge.verdict()["ok"] is False
    assert (holding(world)["peak"], holding(world)["over_at"]) == (
        50,
        "2030-06-01T17:00:01.000000Z",
    )


def test_a_number_counts_until_the_registry_has_let_it_go() -> None:
    world = World(Behaviour(numbers_per_campaign=1, unassignment_delay_s=5))
    attach(world, 0)
    assert world.registry.detach(after(1), phone(0)).assignment_status == "PENDING_UNASSIGNMENT"
    world.advance(after(5))
    assert holding(world)["numbers"] == 1
    attach(world, 1, after(5))
    assert world.judge.verdict()["ok"] is False
    world.advance(after(6))
    assert holding(world)["numbers"] == 1
    with pytest.raises(Refused) as refused:
        world.registry.get(phone(0))
    assert refused.value.status == 404
    world.judge.reset(after(6))
    assert world.judge.verdict()["ok"] is True
    assert holding(world)["peak"] == 1


def test_a_number_that_is_being_taken_off_cannot_be_put_on_again_meanwhile() -> None:
    world = World(Behaviour(unassignment_delay_s=5))
    attach(world, 0)
    world.registry.detach(after(1), phone(0))
    with pytest.raises(Refused):
        attach(world, 0, after(2))
    world.advance(after(6))
    attach(world, 0, after(6))
    assert holding(world)["numbers"] == 1


def test_an_unassignment_that_fails_leaves_the_number_where_it_is() -> None:
    world = World(Behaviour(unassignments_failing=1))
    attach(world, 0)
    world.registry.detach(after(1), phone(0))
    world.advance(after(2))
    shown = world.registry.get(phone(0)).data(world.behaviour)
    assert shown["assignmentStatus"] == "FAILED_UNASSIGNMENT"
    world.registry.detach(after(3), phone(0))
    world.advance(after(4))
    assert world.registry.attachment(phone(0)) is None


def test_numbers_that_a_test_gives_are_nobodys_fault() -> None:
    world = World(Behaviour(numbers_per_campaign=2))
    for index in range(3):
        world.provide_number(
            START, phone(index), campaign_id="use-case", messaging_profile_id="profile"
        )
    assert world.judge.verdict()["ok"] is True
    attach(world, 3)
    assert world.judge.verdict()["ok"] is False
