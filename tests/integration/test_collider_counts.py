"""What is counted for each bucket: what its carrier refused, and what was lost with a replica."""

import pytest
from prometheus_client import REGISTRY

from shared.events import LimitsChanged
from tests.engine import EVENING, MORNING, Engine


def count(name: str, **labels: str) -> float:
    found = REGISTRY.get_sample_value(name, {"org_id": "org", "carrier": "att", **labels})
    return found or 0.0


async def test_what_a_carrier_refuses_is_counted_by_its_code(collider: Engine) -> None:
    before = count("sluice_refusals_total", code="40018")
    await collider.limit("att", version=2, sms_per_minute=30)
    too_high = {"sms_per_minute": 600, "mms_per_minute": None, "segments_per_day": None}
    await collider.hear(
        LimitsChanged.model_validate(
            {"org_id": "org", "carrier": "att", "version": 3, "sms_unit": "segment", **too_high}
        )
    )
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 100))
    await collider.run(15)
    refused = sum(entry.receipt_code == "40018" for entry in collider.world.judge.page(0, 1000))
    assert refused > 0
    assert count("sluice_refusals_total", code="40018") - before == refused


@pytest.mark.parametrize("status", ["claimed", "calling"])
async def test_what_was_in_a_dead_replicas_hands_is_counted(collider: Engine, status: str) -> None:
    before = count("sluice_leases_lost_total", status=status)
    await collider.launch(opens_at=MORNING, closes_at=EVENING)
    await collider.hear(*collider.texts("att", 5))
    async with collider.database.connection() as connection:
        await connection.execute(
            "UPDATE messages SET status = $1, lease_until = $2, attempt = 1", status, collider.now
        )
    collider.clock.advance(1)
    await collider.upkeep.reap()
    assert count("sluice_leases_lost_total", status=status) - before == 5
