"""Texts that take long to gather room for, beside small ones, claim after claim."""

from datetime import UTC, datetime, timedelta

import pytest

from services.collider.bucket import Bucket, Candidate, Lane, Room, paced
from services.collider.domain import NEVER
from services.collider.plan import ask, plan
from services.collider.standing import Standing, followed
from shared.rules.limits import CAUTIOUS, ORGANIZATION, Limits

NOON = datetime(2026, 10, 20, 19, tzinfo=UTC)
LIMIT = Limits(ORGANIZATION, 15, "segment", None, None)
SMALL, LARGE = Lane(1, "a", "reply", "sms", NEVER), Lane(2, "a", "reply", "sms", NEVER)


@pytest.mark.parametrize("lanes", [(SMALL, LARGE), (LARGE, SMALL)])
def test_a_text_that_needs_more_than_a_minutes_rest_goes_though_small_ones_wait_behind_it(
    lanes: tuple[Lane, ...],
) -> None:
    # It was there before them, and of equals the oldest goes first.
    waiting = {
        LARGE.lane_id: [Candidate(LARGE.lane_id, "org", f"large {at}", at, 10) for at in range(3)],
        SMALL.lane_id: [Candidate(SMALL.lane_id, "org", f"small {at}", at, 1) for at in (7, 8)],
    }
    now, standing, gone = NOON, Standing(), []
    while waiting and now < NOON + timedelta(minutes=15):
        open_lanes = [one for one in lanes if one.lane_id in waiting]
        told = {ORGANIZATION: LIMIT}
        bucket = Bucket("org", "att", told, CAUTIOUS["att"], standing.meters, {}, open_lanes)
        bucket = paced(bucket, now)
        room = Room(bucket, now)
        asked = ask(bucket, room, most=500)
        found = {lane_id: heads[: asked[lane_id]] for lane_id, heads in waiting.items()}
        result = plan(bucket, room, asked, found, now, most=500)
        standing = followed(standing, bucket, result, now)
        for one in result.chosen:
            gone.append(one.candidate.message_id)
            waiting[one.candidate.lane_id].remove(one.candidate)
        waiting = {lane_id: heads for lane_id, heads in waiting.items() if heads}
        assert result.due_at is not None or not waiting
        now = result.due_at or now
    assert gone == ["large 0", "large 1", "large 2", "small 7", "small 8"]
    # Ten of fifteen at six a minute, three times over; then the small ones, a little later.
    assert now - NOON < timedelta(minutes=8)
