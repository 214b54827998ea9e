"""What carriers said of campaigns' numbers, and the lanes that are held for it."""

from collections.abc import Collection, Mapping

from services.collider.registration import Registration
from shared.database import Transaction, columns
from shared.fields import Carrier

RegistrationKey = tuple[str, str, Carrier]
"""Organization, campaign, carrier."""


async def read(
    tx: Transaction, keys: Collection[RegistrationKey]
) -> dict[RegistrationKey, Registration]:
    """What is known of each of these, locked where there is a row."""
    rows = await tx.sql.fetch(
        """
        SELECT registrations.* FROM registrations
        JOIN unnest($1::text[], $2::text[], $3::text[]) AS key (org_id, campaign_id, carrier)
            USING (org_id, campaign_id, carrier)
        ORDER BY org_id, campaign_id, carrier FOR NO KEY UPDATE OF registrations
        """,
        *columns(sorted(keys), 3),
    )
    known = {
        (row["org_id"], row["campaign_id"], row["carrier"]): Registration(
            row["confirmed_at"], row["refused_at"], row["held_until"], row["told_at"]
        )
        for row in rows
    }
    return {key: known.get(key) or Registration() for key in keys}


async def write(tx: Transaction, changed: Mapping[RegistrationKey, Registration]) -> None:
    """Write these down, bring their lanes in line, and wake the buckets.

    Two that wrote a new row at the same time lose neither's word: the later of each counts.
    """
    await tx.sql.execute(
        """
        INSERT INTO registrations AS known (
            org_id, campaign_id, carrier, confirmed_at, refused_at, held_until, told_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[],
                             $5::timestamptz[], $6::timestamptz[], $7::timestamptz[])
        ON CONFLICT (org_id, campaign_id, carrier) DO UPDATE
        SET confirmed_at = greatest(known.confirmed_at, excluded.confirmed_at),
            refused_at = greatest(known.refused_at, excluded.refused_at),
            held_until = excluded.held_until, told_at = excluded.told_at
        """,
        *columns(
            [
                (*key, one.confirmed_at, one.refused_at, one.held_until, one.told_at)
                for key, one in sorted(changed.items())
            ],
            7,
        ),
    )
    await tx.sql.execute(
        """
        WITH changed AS (
            UPDATE lanes SET held_until = registrations.held_until
            FROM unnest($1::text[], $2::text[], $3::text[]) AS key (org_id, campaign_id, carrier)
            JOIN registrations USING (org_id, campaign_id, carrier)
            WHERE lanes.org_id = key.org_id AND lanes.campaign_id = key.campaign_id
              AND lanes.carrier = key.carrier
              AND lanes.held_until IS DISTINCT FROM registrations.held_until
            RETURNING lanes.org_id, lanes.carrier)
        INSERT INTO wakes (org_id, carrier) SELECT DISTINCT org_id, carrier FROM changed
        """,
        *columns(sorted(changed), 3),
    )
