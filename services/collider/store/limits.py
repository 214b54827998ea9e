"""What was told of use cases and limits."""

from collections.abc import Collection, Sequence

from shared.database import Transaction
from shared.events import LimitsChanged, UseCaseRegistered


async def learn_use_cases(tx: Transaction, events: Sequence[UseCaseRegistered]) -> None:
    """Remember what the provider calls these use cases."""
    await tx.sql.executemany(
        """
        INSERT INTO use_cases (org_id, use_case_id, messaging_profile_id) VALUES ($1, $2, $3)
        ON CONFLICT (org_id, use_case_id) DO UPDATE
        SET messaging_profile_id = excluded.messaging_profile_id
        """,
        [(event.org_id, event.use_case_id, event.messaging_profile_id) for event in events],
    )


async def learn_limits(tx: Transaction, events: Sequence[LimitsChanged]) -> None:
    """Remember limits, unless a later version is known, and wake their buckets."""
    await tx.sql.executemany(
        """
        INSERT INTO limits (org_id, carrier, use_case_id, version, sms_per_minute, sms_unit,
                            mms_per_minute, segments_per_day, day_zone)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (org_id, carrier, use_case_id) DO UPDATE
        SET version = excluded.version, sms_per_minute = excluded.sms_per_minute,
            sms_unit = excluded.sms_unit, mms_per_minute = excluded.mms_per_minute,
            segments_per_day = excluded.segments_per_day, day_zone = excluded.day_zone
        WHERE limits.version < excluded.version
        """,
        [
            (
                event.org_id,
                event.carrier,
                event.use_case_id or "",
                event.version,
                event.sms_per_minute,
                event.sms_unit,
                event.mms_per_minute,
                event.segments_per_day,
                event.day_zone,
            )
            for event in events
        ],
    )
    await wake_buckets(tx, {(event.org_id, event.carrier) for event in events})


async def wake_buckets(tx: Transaction, keys: Collection[tuple[str, str]]) -> None:
    """Have these buckets looked at again, where they exist."""
    await tx.sql.execute(
        """
        INSERT INTO wakes (org_id, carrier)
        SELECT org_id, carrier FROM buckets
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, carrier) USING (org_id, carrier)
        """,
        [org_id for org_id, _ in keys],
        [carrier for _, carrier in keys],
    )
