"""What a text's bucket was last said to be like, read with one statement for each click."""

from services.campaign.domain import Carrier
from shared.database import Transaction
from shared.rules.forecast import Bucket, BucketSeen
from shared.rules.limits import Limits


async def bucket(tx: Transaction, org_id: str, carrier: Carrier, use_case_id: str) -> Bucket:
    """A carrier's limits for a use case's texts, and what the collider told of its bucket last."""
    row = await tx.sql.fetchrow(
        """
        SELECT at, backlog, replies, sent_per_minute, room, day_quota_left, slowed, (
            SELECT jsonb_agg(one) FROM (
                SELECT use_case_id, sms_per_minute, sms_unit, mms_per_minute, segments_per_day,
                       day_zone
                FROM limits
                WHERE org_id = $1 AND carrier = $2 AND use_case_id IN ('', $3)) AS one) AS told
        FROM (SELECT $1::text, $2::text) AS asked (org_id, carrier)
        LEFT JOIN bucket_states USING (org_id, carrier)
        """,
        org_id,
        carrier,
        use_case_id,
    )
    assert row is not None
    told = [Limits(**one) for one in row["told"] or []]
    seen = None
    if row["at"] is not None:
        seen = BucketSeen(
            row["at"],
            row["backlog"],
            row["replies"],
            row["sent_per_minute"],
            row["room"],
            row["day_quota_left"],
            row["slowed"],
        )
    return Bucket(carrier, {one.use_case_id: one for one in told}, seen)
