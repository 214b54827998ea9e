"""Organizations, their limits and their use cases."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record, UniqueViolationError

from services.campaign.domain import Refused
from shared.database import Transaction
from shared.events import LimitsChanged


async def add(tx: Transaction, org_id: str, name: str, at: datetime) -> None:
    """Write a new organization."""
    await tx.sql.execute(
        "INSERT INTO organizations (org_id, name, created_at) VALUES ($1, $2, $3)",
        org_id,
        name,
        at,
    )


async def listed(tx: Transaction, *, after: str, most: int) -> Sequence[Record]:
    """All organizations, oldest first."""
    return await tx.sql.fetch(
        """
        SELECT org_id AS organization_id, name, invites_add_people, created_at FROM organizations
        WHERE org_id > $1 ORDER BY org_id LIMIT $2
        """,
        after,
        most,
    )


async def lock(tx: Transaction, org_id: str) -> None:
    """Hold an organization's row. Raises Refused when there is none."""
    if not await tx.sql.fetchval(
        "SELECT true FROM organizations WHERE org_id = $1 FOR NO KEY UPDATE", org_id
    ):
        raise Refused("missing", "There is no such organization")


async def get(tx: Transaction, org_id: str) -> Record:
    """An organization. Raises Refused when there is none."""
    row = await tx.sql.fetchrow(
        """
        SELECT org_id AS organization_id, name, invites_add_people, created_at
        FROM organizations WHERE org_id = $1
        """,
        org_id,
    )
    if row is None:
        raise Refused("missing", "There is no such organization")
    return row


async def change(tx: Transaction, org_id: str, *, name: str, invites_add_people: bool) -> None:
    """Write what may change of an organization; hold its row."""
    await tx.sql.execute(
        "UPDATE organizations SET name = $2, invites_add_people = $3 WHERE org_id = $1",
        org_id,
        name,
        invites_add_people,
    )


async def next_version(tx: Transaction, org_id: str, carrier: str) -> int:
    """The version after the highest of this carrier's limits; hold the organization's row."""
    version = await tx.sql.fetchval(
        "SELECT coalesce(max(version), 0) + 1 FROM limits WHERE org_id = $1 AND carrier = $2",
        org_id,
        carrier,
    )
    assert isinstance(version, int)
    return version


async def put_limits(tx: Transaction, limits: LimitsChanged, at: datetime) -> None:
    """Write the whole state of the limits with one carrier."""
    await tx.sql.execute(
        """
        INSERT INTO limits (org_id, carrier, use_case_id, version, sms_per_minute, sms_unit,
                            mms_per_minute, segments_per_day, day_zone, changed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (org_id, carrier, use_case_id) DO UPDATE SET
            version = EXCLUDED.version, sms_per_minute = EXCLUDED.sms_per_minute,
            sms_unit = EXCLUDED.sms_unit, mms_per_minute = EXCLUDED.mms_per_minute,
            segments_per_day = EXCLUDED.segments_per_day, day_zone = EXCLUDED.day_zone,
            changed_at = EXCLUDED.changed_at
        """,
        limits.org_id,
        limits.carrier,
        limits.use_case_id or "",
        limits.version,
        limits.sms_per_minute,
        limits.sms_unit,
        limits.mms_per_minute,
        limits.segments_per_day,
        limits.day_zone,
        at,
    )


async def limits(
    tx: Transaction, org_id: str, *, after: tuple[str, str], most: int
) -> Sequence[Record]:
    """Limits of an organization, after those of this carrier and use case ('': its own)."""
    return await tx.sql.fetch(
        """
        SELECT carrier, nullif(use_case_id, '') AS use_case_id, version, sms_per_minute, sms_unit,
               mms_per_minute, segments_per_day, day_zone, changed_at
        FROM limits WHERE org_id = $1 AND (carrier, limits.use_case_id) > ($2, $3)
        ORDER BY carrier, limits.use_case_id LIMIT $4
        """,
        org_id,
        *after,
        most,
    )


async def limits_with(
    tx: Transaction, org_id: str, carrier: str, use_case_id: str | None
) -> Record | None:
    """The limits with one carrier, of one use case or the organization's own, if any were told."""
    return await tx.sql.fetchrow(
        """
        SELECT sms_per_minute, sms_unit, mms_per_minute, segments_per_day, day_zone
        FROM limits WHERE org_id = $1 AND carrier = $2 AND use_case_id = $3
        """,
        org_id,
        carrier,
        use_case_id or "",
    )


async def add_use_case(
    tx: Transaction,
    org_id: str,
    use_case_id: str,
    *,
    name: str,
    provider_campaign_id: str,
    messaging_profile_id: str | None,
    at: datetime,
) -> None:
    """Write a use case. Raises Refused when the organization has it already."""
    try:
        await tx.sql.execute(
            """
            INSERT INTO use_cases (org_id, use_case_id, name, provider_campaign_id,
                                   messaging_profile_id, registered_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            """,
            org_id,
            use_case_id,
            name,
            provider_campaign_id,
            messaging_profile_id,
            at,
        )
    except UniqueViolationError:
        raise Refused(
            "conflict", "this use case is registered already", field="provider_campaign_id"
        ) from None


async def use_cases(tx: Transaction, org_id: str, *, after: str, most: int) -> Sequence[Record]:
    """An organization's use cases, oldest first."""
    return await tx.sql.fetch(
        """
        SELECT use_case_id, name, provider_campaign_id, messaging_profile_id, registered_at
        FROM use_cases WHERE org_id = $1 AND use_case_id > $2 ORDER BY use_case_id LIMIT $3
        """,
        org_id,
        after,
        most,
    )


async def use_case(tx: Transaction, org_id: str, use_case_id: str) -> Record:
    """One use case. Raises Refused when there is none like that."""
    row = await tx.sql.fetchrow(
        """
        SELECT use_case_id, name, provider_campaign_id, messaging_profile_id, registered_at
        FROM use_cases WHERE org_id = $1 AND use_case_id = $2
        """,
        org_id,
        use_case_id,
    )
    if row is None:
        raise Refused("missing", "There is no such use case")
    return row


async def check_use_case(tx: Transaction, org_id: str, use_case_id: str) -> None:
    """Raise Refused when the organization has no such use case."""
    if not await tx.sql.fetchval(
        "SELECT true FROM use_cases WHERE org_id = $1 AND use_case_id = $2", org_id, use_case_id
    ):
        raise Refused("invalid", "there is no such use case", field="use_case_id")
