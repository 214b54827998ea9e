"""Which messages may go now: the order, the limits that apply together, and when to ask again."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from services.collider.bucket import Bucket, Candidate, Lane, Quota, Room, paced
from services.collider.domain import (
    NEVER,
    OPTED_OUT,
    TOO_LARGE,
    TOO_LARGE_FOR_A_DAY,
    WITHDRAWN,
)
from services.collider.plan import Plan, ask, plan
from shared.fields import Channel, Kind
from shared.rules import meters
from shared.rules.limits import CAUTIOUS, ORGANIZATION, Limits
from shared.rules.meters import Meter

# Noon in Los Angeles.
NOW = datetime(2026, 10, 20, 19, tzinfo=UTC)
TODAY = date(2026, 10, 20)
NEXT_MIDNIGHT = datetime(2026, 10, 21, 7, tzinfo=UTC)


def limits(
    scope: str = ORGANIZATION,
    sms: int | None = None,
    *,
    mms: int | None = None,
    day: int | None = None,
) -> Limits:
    return Limits(scope, sms, "segment", mms, day)


def lane(
    lane_id: int,
    kind: Kind = "initial",
    *,
    use_case: str = "a",
    channel: Channel = "sms",
    ends_at: datetime | None = None,
) -> Lane:
    """A lane whose campaign ends after those with smaller numbers, unless it says so itself."""
    return Lane(lane_id, use_case, kind, channel, ends_at or NOW + timedelta(hours=lane_id))


class Waiting:
    """A bucket and what waits in its lanes, planned as the claim does it."""

    def __init__(
        self,
        *told: Limits,
        lanes: list[tuple[Lane, list[int]]],
        meters: dict[tuple[str, Channel], Meter] | None = None,
        quotas: dict[tuple[str, date], Quota] | None = None,
        opens_at: datetime | None = None,
    ) -> None:
        self.bucket = Bucket(
            "org",
            "att",
            {one.use_case_id: one for one in told},
            CAUTIOUS["att"],
            meters or {},
            quotas or {},
            [one for one, _ in lanes],
            opens_at,
        )
        self.heads = {
            one.lane_id: [
                Candidate(one.lane_id, "org", f"{one.lane_id}-{index}", index + 1, segments)
                for index, segments in enumerate(costs)
            ]
            for one, costs in lanes
        }

    def plan(self, now: datetime = NOW, *, most: int = 500) -> Plan:
        bucket = paced(self.bucket, now)
        lanes = [one for one in bucket.lanes if (one.use_case_id, one.channel) not in bucket.shut]
        bucket = replace(bucket, lanes=lanes)
        room = Room(bucket, now)
        asked = ask(bucket, room, most=most)
        found = {lane_id: self.heads[lane_id][:count] for lane_id, count in asked.items()}
        return plan(bucket, room, asked, found, now, most=most)


def gone(result: Plan) -> list[str]:
    return [one.candidate.message_id for one in result.chosen]


def test_without_a_cap_all_go_and_the_lane_is_empty() -> None:
    result = Waiting(limits(), lanes=[(lane(1), [1, 1, 1])]).plan()
    assert gone(result) == ["1-0", "1-1", "1-2"]
    assert result.emptied == [1]
    assert result.due_at is None


def test_lanes_go_in_the_order_given() -> None:
    waiting = Waiting(
        limits(sms=60), lanes=[(lane(1, "reply", use_case="b"), [1]), (lane(2), [1, 1, 1])]
    )
    # A fresh meter for one-segment texts takes one, and a little that leaks between claims.
    assert gone(waiting.plan()) == ["1-0"]


def test_a_message_is_charged_to_all_limits_that_apply_or_to_none() -> None:
    waiting = Waiting(limits(sms=6000), limits("a", sms=60), lanes=[(lane(1), [1] * 50)])
    result = waiting.plan()
    assert len(result.chosen) == 1
    assert result.meters[ORGANIZATION, "sms"].level(NOW) == pytest.approx(1, abs=1e-3)
    assert result.meters["a", "sms"].level(NOW) == pytest.approx(1, abs=1e-3)


def test_another_use_case_goes_on_when_one_has_no_room() -> None:
    waiting = Waiting(
        limits("a", sms=1), limits("b", sms=6000),
        lanes=[(lane(1), [1, 1]), (lane(2, use_case="b"), [1] * 5)],
    )  # fmt: skip
    assert gone(waiting.plan()) == ["1-0", *(f"2-{index}" for index in range(5))]


def test_mms_and_sms_have_minutes_of_their_own() -> None:
    waiting = Waiting(
        limits(sms=1, mms=1),
        lanes=[(lane(1), [1, 1]), (lane(2, channel="mms"), [1, 1])],
    )
    assert gone(waiting.plan()) == ["1-0", "2-0"]


def test_small_texts_do_not_eat_the_room_that_a_large_reply_waits_for() -> None:
    full = meters.poured(meters.fitted(meters.fresh(100, NOW), 10, NOW), 4, NOW)
    waiting = Waiting(
        limits(sms=100),
        lanes=[(lane(1, "reply"), [10]), (lane(2), [1] * 20)],
        meters={(ORGANIZATION, "sms"): full},
    )
    later = NOW + timedelta(seconds=6)
    assert 5 < full.room(later) < 10
    result = waiting.plan(later)
    assert gone(result) == []
    assert result.due_at == full.room_at(10, later)


def test_a_text_dearer_than_the_whole_limit_is_refused_and_blocks_nobody() -> None:
    result = Waiting(limits(sms=5), lanes=[(lane(1), [6, 1])]).plan()
    assert [(head.message_id, why) for head, why in result.refused] == [("1-0", TOO_LARGE)]
    assert gone(result) == ["1-1"]


def test_a_contact_who_opted_out_while_it_waited_gets_nothing() -> None:
    waiting = Waiting(limits(), lanes=[(lane(1), [1])])
    waiting.heads[1] = [Candidate(1, "org", "1-0", 1, 1, opted_out=True)]
    result = waiting.plan()
    assert gone(result) == []
    assert result.refused == [(waiting.heads[1][0], OPTED_OUT)]


def test_a_closed_limit_only_waits_for_a_change() -> None:
    result = Waiting(limits(sms=0), lanes=[(lane(1), [1])]).plan()
    assert gone(result) == []
    assert not result.refused
    assert result.due_at is None


def test_a_used_up_day_waits_for_the_carriers_midnight() -> None:
    waiting = Waiting(
        limits(day=10),
        lanes=[(lane(1), [1])],
        quotas={(ORGANIZATION, TODAY): Quota(10, full=False)},
    )
    result = waiting.plan()
    assert gone(result) == []
    assert result.due_at == NEXT_MIDNIGHT


def test_the_last_segments_of_a_day_go_to_who_fits() -> None:
    waiting = Waiting(
        limits(day=10),
        lanes=[(lane(1), [3]), (lane(2), [2])],
        quotas={(ORGANIZATION, TODAY): Quota(8, full=False)},
    )
    assert gone(waiting.plan()) == ["2-0"]


def test_a_day_that_the_carrier_called_full_is_over_whatever_we_counted() -> None:
    waiting = Waiting(
        limits(day=10),
        lanes=[(lane(1), [1])],
        quotas={(ORGANIZATION, TODAY): Quota(0, full=True)},
    )
    assert gone(waiting.plan()) == []


def test_nothing_is_claimed_in_the_last_moment_before_the_carriers_midnight() -> None:
    waiting = Waiting(limits(day=10), lanes=[(lane(1), [1])])
    just_before = NEXT_MIDNIGHT - timedelta(milliseconds=200)
    assert gone(waiting.plan(just_before)) == []
    assert waiting.plan(just_before).due_at == NEXT_MIDNIGHT
    assert gone(waiting.plan(NEXT_MIDNIGHT)) == ["1-0"]


def test_days_are_counted_even_where_nothing_limits_them() -> None:
    result = Waiting(limits(), lanes=[(lane(1), [3])]).plan()
    assert list(result.spent()) == [(ORGANIZATION, TODAY, 3), ("a", TODAY, 3)]


def test_what_nobody_limited_has_the_operators_cautious_limit() -> None:
    result = Waiting(lanes=[(lane(1), [1] * 100)]).plan()
    assert 0 < len(result.chosen) < 5


def test_no_more_are_chosen_than_can_be_called() -> None:
    result = Waiting(limits(), lanes=[(lane(1), [1] * 10), (lane(2), [1] * 10)]).plan(most=3)
    assert len(result.chosen) == 3
    assert result.due_at == NOW
    assert result.cursors == {1: 3}


def test_a_lane_whose_texts_found_no_hands_is_not_taken_for_empty() -> None:
    lanes = [(lane(1), [1] * 2), (lane(2), [1] * 2), (lane(3), [1])]
    result = Waiting(limits(), lanes=lanes).plan(most=4)
    assert gone(result) == ["1-0", "1-1", "2-0", "2-1"]
    assert 3 not in result.emptied
    assert result.due_at == NOW


def test_among_campaigns_that_end_together_the_oldest_text_goes_first() -> None:
    together = NOW + timedelta(hours=3)
    waiting = Waiting(
        limits(sms=2),
        lanes=[(lane(1, ends_at=together), [1] * 3), (lane(2, ends_at=together), [1] * 3)],
    )
    waiting.heads[1] = [replace(head, position=head.position + 10) for head in waiting.heads[1]]
    assert gone(waiting.plan()) == ["2-0"]


def test_replies_of_several_campaigns_go_by_their_age() -> None:
    waiting = Waiting(
        limits(),
        lanes=[
            (lane(1, "reply", ends_at=NEVER), [1] * 2),
            (lane(2, "reply", ends_at=NEVER), [1] * 2),
        ],
    )
    waiting.heads[1] = [
        replace(head, position=2 * index) for index, head in enumerate(waiting.heads[1])
    ]
    waiting.heads[2] = [
        replace(head, position=2 * index + 1) for index, head in enumerate(waiting.heads[2])
    ]
    assert gone(waiting.plan()) == ["1-0", "2-0", "1-1", "2-1"]


def test_an_older_text_that_has_to_wait_keeps_its_room_from_younger_equals() -> None:
    together = NOW + timedelta(hours=3)
    waiting = Waiting(
        limits(sms=10),
        lanes=[(lane(1, ends_at=together), [1, 9, 1]), (lane(2, ends_at=together), [1] * 3)],
    )
    waiting.heads[2] = [replace(head, position=head.position + 10) for head in waiting.heads[2]]
    assert "2-0" not in gone(waiting.plan())


def test_what_was_withdrawn_is_refused_and_blocks_nothing() -> None:
    waiting = Waiting(limits(), lanes=[(lane(1), [1, 1])])
    waiting.heads[1][0] = replace(waiting.heads[1][0], withdrawn=True)
    result = waiting.plan()
    assert [reason for _, reason in result.refused] == [WITHDRAWN]
    assert gone(result) == ["1-1"]


def test_a_text_larger_than_a_days_limit_is_refused_and_blocks_nothing() -> None:
    result = Waiting(limits(day=5), lanes=[(lane(1), [6, 1])]).plan()
    assert [reason for _, reason in result.refused] == [TOO_LARGE_FOR_A_DAY]
    assert gone(result) == ["1-1"]


def test_a_lane_that_was_not_read_to_its_end_is_looked_at_again() -> None:
    result = Waiting(limits(sms=6000), lanes=[(lane(1), [1] * 500)]).plan()
    assert result.emptied == []
    assert result.due_at is not None
    assert result.due_at <= NOW + timedelta(seconds=0.25)


def test_a_limit_told_to_a_use_case_that_has_been_sending_shuts_it_for_a_moment_only() -> None:
    sent = {(ORGANIZATION, TODAY): Quota(100, full=False)}
    waiting = Waiting(limits("a", sms=60), lanes=[(lane(1), [1])], quotas=sent)
    result = waiting.plan()
    assert not result.chosen
    assert result.due_at is not None
    # The meter is begun full, and has to be written down, or it would be full for ever.
    waiting.bucket = replace(waiting.bucket, meters=result.meters)
    assert gone(waiting.plan(result.due_at)) == ["1-0"]


def test_a_bucket_whose_lanes_are_all_shut_waits_for_the_next_opening() -> None:
    opens_at = NOW + timedelta(hours=3)
    result = Waiting(limits(), lanes=[], opens_at=opens_at).plan()
    assert result.due_at == opens_at


def test_a_closed_use_case_keeps_no_room_from_the_others_of_its_organization() -> None:
    waiting = Waiting(
        limits(sms=60),
        limits("a", sms=0),
        lanes=[(lane(1, "reply"), [1]), (lane(2, use_case="b"), [1] * 5)],
    )
    assert gone(waiting.plan()) == ["2-0"]
    due_at = waiting.plan().due_at
    assert due_at is not None
    assert due_at < NOW + timedelta(seconds=2)


def test_a_text_that_waits_for_its_day_keeps_no_minute_from_the_others() -> None:
    waiting = Waiting(
        limits(sms=60),
        limits("a", day=10),
        lanes=[(lane(1), [2]), (lane(2, use_case="b"), [1] * 5)],
        quotas={("a", TODAY): Quota(9, full=False)},
        meters={(ORGANIZATION, "sms"): meters.fresh(60, NOW)},
    )
    assert gone(waiting.plan()) == ["2-0"]


def test_a_full_day_rests_the_bucket_even_where_nobody_told_a_cap() -> None:
    waiting = Waiting(
        limits(),
        lanes=[(lane(1), [1])],
        quotas={(ORGANIZATION, TODAY): Quota(3, full=True)},
    )
    assert gone(waiting.plan()) == []
    assert waiting.plan().due_at == NEXT_MIDNIGHT


def test_a_limit_told_to_a_bucket_that_has_been_sending_starts_with_a_full_meter() -> None:
    waiting = Waiting(
        limits(sms=60),
        lanes=[(lane(1), [1])],
        quotas={(ORGANIZATION, TODAY): Quota(3, full=False)},
    )
    assert gone(waiting.plan()) == []
    assert waiting.plan().due_at is not None


def test_lanes_behind_those_that_may_take_all_are_read_in_the_next_claim() -> None:
    waiting = Waiting(limits(), lanes=[(lane(index), [1] * 20) for index in range(1, 65)])
    room = Room(waiting.bucket, NOW)
    assert sum(ask(waiting.bucket, room, most=30).values()) <= 50
    result = waiting.plan(most=30)
    assert 20 < len(result.chosen) <= 30
    assert result.due_at == NOW


def test_a_text_too_large_for_the_room_hides_no_lane_behind_it() -> None:
    waiting = Waiting(
        limits("a", day=100),
        limits("b"),
        lanes=[(lane(1), [24]), (lane(2, use_case="b"), [1])],
        quotas={("a", TODAY): Quota(80, full=False)},
    )
    assert gone(waiting.plan(most=3)) == ["2-0"]
