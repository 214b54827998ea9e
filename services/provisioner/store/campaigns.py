"""What is known of use cases and campaigns beside their orders."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from asyncpg.pool import PoolConnectionProxy

from services.provisioner.domain import UseCase
from services.provisioner.store.keys import Key, columns_of
from shared.events import CampaignLaunched, UseCaseRegistered, WindowChanged
from shared.rules.hours import Window


async def put_use_cases(sql: PoolConnectionProxy, events: Iterable[UseCaseRegistered]) -> None:
    """Remember use cases as they were registered last."""
    last = {(event.org_id, event.use_case_id): event for event in events}
    rows = [last[key] for key in sorted(last)]
    await sql.execute(
        """
        INSERT INTO use_cases (org_id, use_case_id, provider_campaign_id, messaging_profile_id)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
        ON CONFLICT (org_id, use_case_id) DO UPDATE SET
            provider_campaign_id = excluded.provider_campaign_id,
            messaging_profile_id = excluded.messaging_profile_id
        """,
        [row.org_id for row in rows],
        [row.use_case_id for row in rows],
        [row.provider_campaign_id for row in rows],
        [row.messaging_profile_id for row in rows],
    )


async def use_cases(sql: PoolConnectionProxy, keys: Collection[Key]) -> dict[Key, UseCase]:
    """Those of these use cases that are known."""
    rows = await sql.fetch(
        """
        SELECT org_id, use_case_id, provider_campaign_id, messaging_profile_id
        FROM unnest($1::text[], $2::text[]) AS wanted (org_id, use_case_id)
        JOIN use_cases USING (org_id, use_case_id)
        """,
        *columns_of(keys),
    )
    return {
        (row["org_id"], row["use_case_id"]): UseCase(
            row["provider_campaign_id"], row["messaging_profile_id"]
        )
        for row in rows
    }


async def put_windows(
    sql: PoolConnectionProxy, events: Sequence[CampaignLaunched | WindowChanged]
) -> None:
    """Remember campaigns' windows, unless a later revision is known."""
    await sql.executemany(
        """
        INSERT INTO windows AS known (org_id, campaign_id, revision, opens_at, closes_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (org_id, campaign_id) DO UPDATE
        SET revision = excluded.revision, opens_at = excluded.opens_at,
            closes_at = excluded.closes_at
        WHERE known.revision < excluded.revision
        """,
        [
            (
                event.org_id,
                event.campaign_id,
                event.revision,
                event.window.opens_at,
                event.window.closes_at,
            )
            for event in events
        ],
    )


async def windows(sql: PoolConnectionProxy, keys: Collection[Key]) -> dict[Key, Window]:
    """The latest windows of these campaigns."""
    rows = await sql.fetch(
        """
        SELECT org_id, campaign_id, opens_at, closes_at FROM windows
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, campaign_id)
            USING (org_id, campaign_id)
        """,
        *columns_of(keys),
    )
    return {
        (row["org_id"], row["campaign_id"]): Window(row["opens_at"], row["closes_at"])
        for row in rows
    }


async def meet(sql: PoolConnectionProxy, keys: Collection[Key]) -> set[Key]:
    """Know these campaigns from here on, and hold them; those of them that are archived."""
    rows = await sql.fetch(
        """
        INSERT INTO campaigns (org_id, campaign_id) SELECT * FROM unnest($1::text[], $2::text[])
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET org_id = excluded.org_id
        RETURNING org_id, campaign_id, archived_at
        """,
        *columns_of(keys),
    )
    return {(row["org_id"], row["campaign_id"]) for row in rows if row["archived_at"] is not None}


async def archive(sql: PoolConnectionProxy, archived_at: Mapping[Key, datetime]) -> None:
    """Remember since when campaigns are archived, launched or not, and hold them."""
    keys = sorted(archived_at)
    await sql.execute(
        """
        INSERT INTO campaigns AS known (org_id, campaign_id, archived_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
        ON CONFLICT (org_id, campaign_id) DO UPDATE
        SET archived_at = coalesce(known.archived_at, excluded.archived_at)
        """,
        *columns_of(keys),
        [archived_at[key] for key in keys],
    )
