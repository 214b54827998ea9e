"""What a text's bucket was last said to be like, read with one statement for each click."""

from dataclasses import replace
from datetime import datetime

from services.campaign.domain import Campaign, Carrier
from services.campaign.store import buckets
from shared.database import Transaction
from shared.rules.forecast import Bucket, BucketSeen
from shared.rules.limits import Limits

SINCE_MOST = 200
"""Texts of the campaign that are looked at, of those that were queued since the collider told."""


async def bucket(tx: Transaction, campaign: Campaign, carrier: Carrier, now: datetime) -> Bucket:
    """A carrier's limits for a campaign's texts, and what is known of its bucket.

    That is what the collider told last, some seconds ago, and what this campaign has queued since,
    besides the one text that is queued just now: of a burst each click sees the clicks before it.
    """
    row = await tx.sql.fetchrow(
        """
        SELECT at, backlog, replies, sent_per_minute, room, day_quota_left, slowed, since,
               replies_since, (
            SELECT jsonb_agg(one) FROM (
                SELECT use_case_id, sms_per_minute, sms_unit, mms_per_minute, segments_per_day,
                       day_zone
                FROM limits
                WHERE org_id = $1 AND carrier = $2 AND use_case_id IN ('', $3)) AS one) AS told
        -- Fenced: a coalesce() beside the texts would be a filter under row-level security, and the
        -- walk along their times would go back to the first of them.
        FROM (SELECT b.*, coalesce(at, '-infinity') AS told_at
              FROM (SELECT $1::text, $2::text) AS asked (org_id, carrier)
              LEFT JOIN bucket_states AS b USING (org_id, carrier) OFFSET 0) AS known
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE mine) AS since,
                   count(*) FILTER (WHERE mine AND kind = 'reply') AS replies_since
            FROM (
                SELECT kind, status = 'queued' AND m.carrier = $2 AS mine FROM messages AS m
                WHERE m.org_id = $1 AND m.campaign_id = $4
                  AND m.queued_at > told_at AND m.queued_at < $5
                ORDER BY m.queued_at DESC LIMIT $6) AS latest) AS counted
        """,
        campaign.org_id,
        carrier,
        campaign.plan.use_case_id,
        campaign.campaign_id,
        now,
        SINCE_MOST,
    )
    assert row is not None
    told = [Limits(**one) for one in row["told"] or []]
    before = BucketSeen(now) if row["at"] is None else buckets.seen_of(row)
    seen = replace(
        before,
        backlog=before.backlog + row["since"],
        replies=before.replies + row["replies_since"],
    )
    return Bucket(carrier, {one.use_case_id: one for one in told}, seen)
