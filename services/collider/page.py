"""`/buckets` on the ops port: every bucket as the next claim would find it, and what it waits for.

Read only, a few hundred buckets at most; no texts, no phone numbers.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from services.collider.bucket import CHANNELS, Bucket, BucketKey
from services.collider.domain import NEVER
from services.collider.standing import Standing
from services.collider.state import Waiting, left_today, meter_of, room_of, state_of, waits_for
from services.collider.store import standings, survey
from shared.database import Database, Transaction
from shared.http import Problem
from shared.rules.hours import civil_day
from shared.rules.limits import CARRIERS, Limits

BUCKETS_DEFAULT, BUCKETS_MOST = 50, 200
LANES_MOST = 300
# Use cases with limits of their own that are shown in a list; asked for alone, a bucket shows all.
SCOPES_MOST = 20


class BucketPage:
    """The page. Parameters: org_id, carrier, limit (1 to 200), after ("org_id carrier", as `next`
    gives it). Asked for one organization and carrier, it shows that bucket's lanes too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def show(self, request: web.Request) -> web.Response:
        """Answer a request."""
        query = request.query
        org_id, carrier = query.get("org_id"), query.get("carrier")
        if carrier is not None and carrier not in CARRIERS:
            raise Problem(422, "A field is not valid", detail=str(CARRIERS), field="carrier")
        most = _limit(query.get("limit", str(BUCKETS_DEFAULT)))
        after_org_id, _, after_carrier = query.get("after", "").partition(" ")
        one = org_id is not None and carrier is not None
        async with self._database.transaction() as tx:
            keys = await survey.bucket_keys(
                tx,
                org_id=org_id,
                carrier=carrier,
                after=(after_org_id, after_carrier),
                most=most + 1,
            )
            shown = await _buckets(tx, keys[:most], scopes_most=None if one else SCOPES_MOST)
            if one and shown:
                lanes = await survey.lanes(tx, keys[0], await tx.now(), most=LANES_MOST + 1)
                shown[0]["lanes"] = [_plain(lane) for lane in lanes[:LANES_MOST]]
                shown[0]["more_lanes"] = len(lanes) > LANES_MOST
            answer = {
                "at": await tx.now(),
                "buckets": shown,
                "next": " ".join(keys[most - 1]) if len(keys) > most else None,
            }
        return web.json_response(_plain(answer))


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= BUCKETS_MOST:
        raise Problem(
            422, "A field is not valid", detail=f"from 1 to {BUCKETS_MOST}", field="limit"
        )
    return int(text)


async def _buckets(
    tx: Transaction, keys: Sequence[BucketKey], *, scopes_most: int | None
) -> list[dict[str, Any]]:
    if not keys:
        return []
    now = await tx.now()
    standing = await standings.read(tx, keys)
    buckets = {one.key: one for one in await standings.read_buckets(tx, standing, {}, now)}
    waiting = await survey.waiting(tx, standing, now)
    return [
        _bucket(buckets[key], waiting[key], standing[key], now, scopes_most=scopes_most)
        for key in keys
    ]


def _bucket(
    bucket: Bucket,
    waiting: Sequence[Waiting],
    standing: Standing,
    now: datetime,
    *,
    scopes_most: int | None,
) -> dict[str, Any]:
    state = state_of(bucket, waiting, standing, now)
    limits = sorted(bucket.told.values(), key=lambda one: one.use_case_id) or [bucket.default]
    return {
        "org_id": bucket.org_id,
        "carrier": bucket.carrier,
        "waits_for": waits_for(bucket, waiting, now),
        "backlog": state.backlog,
        "replies": state.replies,
        "ready": state.ready,
        "oldest_queued_at": state.oldest_queued_at,
        "oldest_reply_at": state.oldest_reply_at,
        "sent_per_minute": state.sent_per_minute,
        "due_at": standing.due_at,
        "paused_until": bucket.paused_until if bucket.is_paused(now) else None,
        "slowed": [
            {
                "use_case_id": use_case_id or None,
                "channel": channel,
                "refused_per_minute": round(pace.refused, 1),
                "cut_at": pace.cut_at,
            }
            for (use_case_id, channel), pace in bucket.paces.items()
        ],
        "limits": [
            _limits(bucket, one, now, is_default=not bucket.told) for one in limits[:scopes_most]
        ],
        "more_limits": scopes_most is not None and len(limits) > scopes_most,
    }


def _limits(bucket: Bucket, limits: Limits, now: datetime, *, is_default: bool) -> dict[str, Any]:
    """One scope's limits and what they have left; use_case_id null: the organization's."""
    meters = {}
    for channel in CHANNELS:
        meter = meter_of(bucket, limits, channel, now)
        if meter is not None:
            meters[channel] = {
                "per_minute": meter.per_minute,
                "room": room_of(bucket, limits, channel, now),
                "dry_at": meter.dry_at,
            }
    day = civil_day(limits.day_zone, now)
    quota = bucket.quotas.get((limits.use_case_id, day))
    return {
        "use_case_id": limits.use_case_id or None,
        "is_default": is_default,
        "sms_per_minute": limits.sms_per_minute,
        "sms_unit": limits.sms_unit,
        "mms_per_minute": limits.mms_per_minute,
        "segments_per_day": limits.segments_per_day,
        "meters": meters,
        "day": {
            "date": day.isoformat(),
            "zone": limits.day_zone,
            "used": quota.used if quota else 0,
            "left": left_today(bucket, limits, now),
            "closed_by_carrier": quota.full if quota else False,
        },
    }


def _plain(value: Any) -> Any:
    """As JSON has it: times as text, those that never come as null."""
    if isinstance(value, datetime):
        return None if value >= NEVER else value.astimezone(UTC).isoformat()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
