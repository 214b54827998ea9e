"""What is known of campaigns: who launched them, and when they are open.

A campaign's row is the lock under which its launch and what waits for it meet.
"""

from collections.abc import Iterable, Sequence

from asyncpg.pool import PoolConnectionProxy

from services.notifier.domain import CampaignKey
from shared.events import CampaignLaunched, NumberProvisioned, WindowAtRisk, WindowChanged


async def meet(sql: PoolConnectionProxy, keys: Iterable[CampaignKey]) -> None:
    """Know these campaigns from here on, launched or not, and hold them."""
    met = sorted(set(keys))
    await sql.execute(
        """
        INSERT INTO campaigns (org_id, campaign_id) SELECT * FROM unnest($1::text[], $2::text[])
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET org_id = excluded.org_id
        """,
        [org_id for org_id, _ in met],
        [campaign_id for _, campaign_id in met],
    )


async def put_launchers(
    sql: PoolConnectionProxy, events: Sequence[CampaignLaunched | NumberProvisioned | WindowAtRisk]
) -> None:
    """Remember who launched these campaigns, and hold them. Told twice, the first one counts.

    Not by CampaignLaunched alone: of campaigns that were launched before anybody here listened for
    that, only what came of them says who is to be told more.
    """
    rows = sorted(events, key=lambda event: (event.org_id, event.campaign_id))
    await sql.executemany(
        """
        INSERT INTO campaigns AS known (org_id, campaign_id, name, admin_name, admin_email)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            name = coalesce(known.name, excluded.name),
            admin_name = coalesce(known.admin_name, excluded.admin_name),
            admin_email = coalesce(known.admin_email, excluded.admin_email)
        """,
        [
            (
                event.org_id,
                event.campaign_id,
                event.name,
                event.launched_by.name,
                event.launched_by.email,
            )
            for event in rows
        ],
    )


async def put_windows(
    sql: PoolConnectionProxy, events: Sequence[CampaignLaunched | WindowChanged]
) -> None:
    """Remember campaigns' windows and open hours, unless a later revision is known."""
    rows = sorted(events, key=lambda event: (event.org_id, event.campaign_id))
    await sql.executemany(
        """
        INSERT INTO campaigns AS known (org_id, campaign_id, revision, window_opens_at,
            window_closes_at, opens, closes, time_zone)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            revision = excluded.revision,
            window_opens_at = excluded.window_opens_at,
            window_closes_at = excluded.window_closes_at,
            opens = excluded.opens, closes = excluded.closes, time_zone = excluded.time_zone
        WHERE known.revision < excluded.revision
        """,
        [
            (
                event.org_id,
                event.campaign_id,
                event.revision,
                event.window.opens_at,
                event.window.closes_at,
                event.hours.opens,
                event.hours.closes,
                event.hours.time_zone,
            )
            for event in rows
        ],
    )
