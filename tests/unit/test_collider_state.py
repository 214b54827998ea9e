"""How a bucket is doing at one instant, and what is said to somebody who wonders why it waits."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest

from services.collider.bucket import Bucket, Quota
from services.collider.pace import Pace
from services.collider.standing import Standing
from services.collider.state import State, Waiting, state_of, waits_for
from shared.fields import Carrier, Channel
from shared.rules import meters
from shared.rules.limits import CAUTIOUS, ORGANIZATION, Limits
from shared.rules.meters import Meter

# Noon in Los Angeles.
NOW = datetime(2026, 10, 20, 19, tzinfo=UTC)
TODAY = date(2026, 10, 20)
NOBODY = Standing()
OPENS_AT = NOW + timedelta(hours=20)


def bucket(
    *told: Limits,
    carrier: Carrier = "att",
    quotas: Mapping[str, Quota] | None = None,
    poured: int = 0,
    paused_until: datetime | None = None,
    paces: Mapping[str, Pace] | None = None,
) -> Bucket:
    """A bucket whose organization has poured so much into its SMS minute just now."""
    limits = {one.use_case_id: one for one in told}
    per_minute = limits[ORGANIZATION].sms_per_minute if ORGANIZATION in limits else None
    known: dict[tuple[str, Channel], Meter] = {}
    if per_minute is not None:
        known[ORGANIZATION, "sms"] = meters.poured(meters.fresh(per_minute, NOW), poured, NOW)
    return Bucket(
        "org",
        carrier,
        limits,
        CAUTIOUS[carrier],
        known,
        {(scope, TODAY): quota for scope, quota in (quotas or {}).items()},
        lanes=(),
        paused_until=paused_until,
        paces={(scope, "sms"): pace for scope, pace in (paces or {}).items()},
    )


def organization(sms: int | None = None, *, day: int | None = None) -> Limits:
    return Limits(ORGANIZATION, sms, "segment", None, day)


def waiting(queued: int = 10, *, may_go: int = 10, replies: int = 0, held: int = 0) -> Waiting:
    return Waiting(
        "use-case", "sms", queued, replies, may_go, held,
        oldest_queued_at=NOW - timedelta(minutes=5),
        oldest_reply_at=NOW - timedelta(minutes=1) if replies else None,
        opens_at=None if may_go or held else OPENS_AT,
    )  # fmt: skip


def state(one: Bucket, *texts: Waiting, standing: Standing = NOBODY) -> State:
    return state_of(one, texts, standing, NOW)


# --- room and rate ---------------------------------------------------------------------------


def test_room_is_what_the_organizations_own_meter_leaves() -> None:
    assert state(bucket(organization(2400))).room == 10
    assert state(bucket(organization(2400), poured=4)).room == 6


def test_without_a_cap_there_is_no_figure_for_the_room() -> None:
    seen = state(bucket(organization()))
    assert (seen.room, seen.per_minute, seen.day_quota_left) == (None, None, None)


def test_a_bucket_of_which_nobody_told_limits_has_the_cautious_ones() -> None:
    seen = state(bucket(carrier="tmobile"))
    assert (seen.per_minute, seen.day_quota_left) == (None, 2000)
    assert state(bucket()).per_minute == 75


def test_limits_of_a_use_case_alone_are_not_the_organizations() -> None:
    assert state(bucket(Limits("use-case", 60, "segment", None, 100))).per_minute is None


def test_a_closed_limit_has_no_room() -> None:
    assert state(bucket(organization(0))).room == 0


def test_after_a_limit_was_lowered_there_is_no_room_rather_than_less_than_none() -> None:
    one = bucket(organization(2400), poured=10)
    lowered = Bucket(
        "org", "att", {ORGANIZATION: organization(60)}, one.default, one.meters, {}, lanes=()
    )
    assert state(lowered).room == 0


def test_the_days_quota_is_what_is_not_used_of_this_civil_day() -> None:
    quotas = {ORGANIZATION: Quota(1500, full=False)}
    assert state(bucket(organization(day=2000), quotas=quotas)).day_quota_left == 500


def test_a_day_that_the_carrier_has_closed_has_nothing_left_even_without_a_cap() -> None:
    quotas = {ORGANIZATION: Quota(1500, full=True)}
    assert state(bucket(organization(), quotas=quotas)).day_quota_left == 0


@pytest.mark.parametrize(
    ("minute_at", "sent"),
    [
        (NOW, 40),
        (NOW - timedelta(seconds=15), 10 + 30),
        (NOW - timedelta(seconds=45), 10 + 10),
        (NOW - timedelta(seconds=60), 10),
        (NOW - timedelta(seconds=90), 5),
        (NOW - timedelta(seconds=120), 0),
        (NOW - timedelta(days=1), 0),
    ],
)
def test_the_rate_slides_from_one_minute_to_the_next(minute_at: datetime, sent: int) -> None:
    at_its_begin = minute_at == NOW
    this_minute = 0 if at_its_begin else 10
    standing = Standing(minute_at=minute_at, this_minute=this_minute, last_minute=40)
    assert round(standing.handed_over(NOW)) == sent


def test_a_bucket_whose_carrier_said_too_fast_is_slowed() -> None:
    resting = bucket(organization(60), paused_until=NOW + timedelta(seconds=1))
    assert state(resting).slowed
    cut = {"use-case": Pace(30.0, NOW - timedelta(minutes=1))}
    slow = bucket(organization(60), paces=cut)
    assert state(slow).slowed
    assert (state(slow, waiting()).ready, state(slow).per_minute) == (10, 60)
    assert (
        state(bucket(organization(60), paces={"use-case": Pace(30.0, NOW)}), waiting()).ready == 0
    )
    assert not state(bucket(organization(60))).slowed


# --- what waits ------------------------------------------------------------------------------


def test_the_backlog_is_counted_over_all_use_cases() -> None:
    seen = state(bucket(organization(60)), waiting(10, replies=2), waiting(5, may_go=0))
    assert (seen.backlog, seen.replies, seen.ready) == (15, 2, 10)
    assert seen.oldest_queued_at == NOW - timedelta(minutes=5)
    assert seen.oldest_reply_at == NOW - timedelta(minutes=1)


@pytest.mark.parametrize(
    "one",
    [
        bucket(organization(60), poured=1),
        bucket(organization(0)),
        bucket(organization(60), paused_until=NOW + timedelta(seconds=9)),
        bucket(organization(day=5), quotas={ORGANIZATION: Quota(5, full=False)}),
    ],
    ids=["no room", "closed", "resting", "no quota"],
)
def test_what_a_limit_keeps_is_not_ready(one: Bucket) -> None:
    assert state(one, waiting()).ready == 0


def test_an_event_says_what_is_told_of_a_state() -> None:
    event = state(bucket(organization(2400)), waiting(10, replies=2)).event(NOW)
    assert (event.org_id, event.carrier, event.backlog, event.replies) == ("org", "att", 10, 2)
    assert (event.room, event.at) == (10, NOW)


# --- in plain words --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "texts", "words"),
    [
        (bucket(organization(60)), (), "nothing: no text waits"),
        (bucket(organization(60)), (waiting(),), "nothing: texts are going"),
        (bucket(organization(60), poured=1), (waiting(),), "room under the limit a minute"),
        (bucket(organization(0)), (waiting(),), "that of the organization is 0 SMS a minute"),
        (
            bucket(organization(60), paused_until=NOW + timedelta(seconds=9)),
            (waiting(),),
            "too fast, until 2026-10-20T19:00:09",
        ),
        (
            bucket(organization(day=5), quotas={ORGANIZATION: Quota(5, full=False)}),
            (waiting(),),
            "the carrier's next day: the organization has used up this one, until 2026-10-21T07:00",
        ),
        (bucket(), (waiting(may_go=0),), "the next campaign opens at 2026-10-21T15:00:00"),
        (bucket(), (waiting(may_go=0, held=10),), "it does not know the campaign's number yet"),
    ],
)
def test_a_bucket_says_what_it_waits_for(
    one: Bucket, texts: tuple[Waiting, ...], words: str
) -> None:
    assert words in waits_for(one, texts, NOW)


def test_a_use_case_with_room_goes_while_another_waits_for_its_own_limit() -> None:
    closed = Limits("closed", 0, "segment", None, None)
    shut = Waiting("closed", "sms", 5, 0, 5, 0, NOW, None, None)
    one = bucket(organization(60), closed)
    assert "that of use case closed is 0 SMS a minute" in waits_for(one, (shut,), NOW)
    assert waits_for(one, (shut, waiting()), NOW) == "nothing: texts are going"
    assert state(one, shut, waiting()).ready == 10
