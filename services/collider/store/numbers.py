"""Numbers from which several campaigns send: what is known of a number holds for all of them.

A follow-up is launched with its original's number, and nothing is bought or confirmed for it: what
the carriers say is said of the original. So it takes over what they have said, and hears with it
what they say next.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from services.collider.store.campaigns import CampaignKey
from shared.database import Transaction, columns
from shared.events import NumberReleased

NumberKey = tuple[str, str]
"""Organization and number."""


async def lock(tx: Transaction, keys: Collection[NumberKey]) -> None:
    """Lock numbers, in one order and before any campaign. Who launches a campaign with a number and
    who learns something of that number wait for each other here, or one could miss the other."""
    await tx.sql.execute(
        """
        INSERT INTO numbers (org_id, number)
        SELECT org_id, number FROM unnest($1::text[], $2::text[]) AS key (org_id, number)
        ORDER BY org_id, number
        ON CONFLICT (org_id, number) DO UPDATE SET number = excluded.number
        """,
        *columns(sorted(keys), 2),
    )


async def sharing(
    tx: Transaction, keys: Collection[NumberKey]
) -> Mapping[NumberKey, Sequence[str]]:
    """The campaigns that are on each of these locked numbers."""
    rows = await tx.sql.fetch(
        """
        SELECT org_id, number, campaign_id FROM campaigns
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, number) USING (org_id, number)
        """,
        *columns(sorted(keys), 2),
    )
    found: dict[NumberKey, list[str]] = defaultdict(list)
    for row in rows:
        found[row["org_id"], row["number"]].append(row["campaign_id"])
    return found


async def lend(tx: Transaction, campaigns: Mapping[CampaignKey, str]) -> None:
    """Campaigns were launched with numbers, which are locked: what all carriers know for a campaign
    on one, they know for these. After the last one's archive it leaves its use case, and they have
    to confirm it anew."""
    await tx.sql.execute(
        """
        UPDATE campaigns SET provisioned_at = others.provisioned_at
        FROM unnest($1::text[], $2::text[], $3::text[]) AS lent (org_id, campaign_id, number)
        CROSS JOIN LATERAL (
            SELECT min(others.provisioned_at) AS provisioned_at
            FROM campaigns AS others JOIN numbers USING (org_id, number)
            WHERE org_id = lent.org_id AND number = lent.number AND others.archived_at IS NULL
              AND others.provisioned_at > coalesce(released_at, '-infinity')) AS others
        WHERE campaigns.org_id = lent.org_id AND campaigns.campaign_id = lent.campaign_id
          AND campaigns.provisioned_at IS NULL
        """,
        *columns([(*key, number) for key, number in sorted(campaigns.items())], 3),
    )


async def lend_words(tx: Transaction, campaigns: Mapping[CampaignKey, str]) -> None:
    """And what each carrier has said of them. After buckets are locked: as where a carrier's word
    on a number is written down."""
    await tx.sql.execute(
        """
        INSERT INTO registrations AS known (
            org_id, campaign_id, carrier, confirmed_at, refused_at)
        SELECT lent.org_id, lent.campaign_id, said.carrier,
               max(said.confirmed_at), max(said.refused_at)
        FROM unnest($1::text[], $2::text[], $3::text[]) AS lent (org_id, campaign_id, number)
        JOIN campaigns AS others ON others.org_id = lent.org_id AND others.number = lent.number
        JOIN registrations AS said
            ON said.org_id = others.org_id AND said.campaign_id = others.campaign_id
        JOIN numbers ON numbers.org_id = lent.org_id AND numbers.number = lent.number
        WHERE greatest(said.confirmed_at, said.refused_at)
            > coalesce(numbers.released_at, '-infinity')
        GROUP BY lent.org_id, lent.campaign_id, said.carrier
        ORDER BY lent.org_id, lent.campaign_id, said.carrier
        ON CONFLICT (org_id, campaign_id, carrier) DO UPDATE
        SET confirmed_at = greatest(known.confirmed_at, excluded.confirmed_at),
            refused_at = greatest(known.refused_at, excluded.refused_at)
        """,
        *columns([(*key, number) for key, number in sorted(campaigns.items())], 3),
    )


async def learn_provisioned(
    tx: Transaction, numbers: Mapping[NumberKey, datetime]
) -> list[CampaignKey]:
    """All carriers know these locked numbers, since then; the campaigns on them for which that is
    news."""
    said = columns([(*key, at) for key, at in sorted(numbers.items())], 3)
    await tx.sql.execute(
        """
        UPDATE numbers SET provisioned_at = greatest(provisioned_at, said.at)
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS said (org_id, number, at)
        WHERE numbers.org_id = said.org_id AND numbers.number = said.number
        """,
        *said,
    )
    rows = await tx.sql.fetch(
        """
        UPDATE campaigns SET provisioned_at = said.at
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS said (org_id, number, at)
        WHERE campaigns.org_id = said.org_id AND campaigns.number = said.number
          AND campaigns.provisioned_at IS NULL
        RETURNING campaigns.org_id, campaigns.campaign_id
        """,
        *said,
    )
    return [(row["org_id"], row["campaign_id"]) for row in rows]


async def learn_released(tx: Transaction, events: Sequence[NumberReleased]) -> None:
    """Remember which numbers are their organization's no longer."""
    now = await tx.now()
    await tx.sql.executemany(
        """
        INSERT INTO numbers AS known (org_id, number, released_at) VALUES ($1, $2, $3)
        ON CONFLICT (org_id, number) DO UPDATE
        SET released_at = greatest(known.released_at, excluded.released_at)
        """,
        sorted((event.org_id, event.number, min(now, event.released_at)) for event in events),
    )
