"""Campaigns' invite links."""

from dataclasses import dataclass
from datetime import datetime

from asyncpg import Record

from services.campaign.domain import Campaign
from services.campaign.store import scope
from shared.database import Transaction


@dataclass(frozen=True, slots=True)
class Invite:
    """A link to a campaign. `replaced_at`: since when another is the campaign's, if it is so."""

    org_id: str
    campaign_id: str
    secret: str
    enabled: bool
    made_at: datetime
    replaced_at: datetime | None


async def of_campaign(tx: Transaction, campaign: Campaign) -> Invite | None:
    """A campaign's link, on or off, if it ever had one."""
    return _invite(
        await tx.sql.fetchrow(
            """
            SELECT org_id, campaign_id, secret, enabled, made_at, replaced_at FROM invites
            WHERE org_id = $1 AND campaign_id = $2 AND replaced_at IS NULL
            """,
            campaign.org_id,
            campaign.campaign_id,
        )
    )


async def presented(tx: Transaction, digest: bytes) -> Invite | None:
    """The link whose secret has this hash, whoever's it is."""
    await scope.present(tx, digest)
    return _invite(
        await tx.sql.fetchrow(
            """
            SELECT org_id, campaign_id, secret, enabled, made_at, replaced_at FROM invites
            WHERE hash = $1
            """,
            digest,
        )
    )


async def hold(tx: Transaction, invite: Invite) -> Invite:
    """A link that was found, as it stands now, and until the end: nobody turns it off meanwhile."""
    row = await tx.sql.fetchrow(
        """
        SELECT org_id, campaign_id, secret, enabled, made_at, replaced_at FROM invites
        WHERE org_id = $1 AND campaign_id = $2 AND secret = $3 FOR SHARE
        """,
        invite.org_id,
        invite.campaign_id,
        invite.secret,
    )
    assert row is not None
    return Invite(**row)


def _invite(row: Record | None) -> Invite | None:
    return None if row is None else Invite(**row)


async def add(tx: Transaction, invite: Invite, digest: bytes) -> None:
    """Write a campaign's link, which has none; hold the campaign."""
    await tx.sql.execute(
        """
        INSERT INTO invites (org_id, campaign_id, hash, secret, enabled, made_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        invite.org_id,
        invite.campaign_id,
        digest,
        invite.secret,
        invite.enabled,
        invite.made_at,
    )


async def turn(tx: Transaction, invite: Invite, *, enabled: bool) -> None:
    """Turn a campaign's link on or off."""
    await tx.sql.execute(
        """
        UPDATE invites SET enabled = $3
        WHERE org_id = $1 AND campaign_id = $2 AND replaced_at IS NULL
        """,
        invite.org_id,
        invite.campaign_id,
        enabled,
    )


async def retire(tx: Transaction, invite: Invite, at: datetime) -> None:
    """Turn a campaign's link off for good: another takes its place."""
    await tx.sql.execute(
        """
        UPDATE invites SET enabled = false, replaced_at = $3
        WHERE org_id = $1 AND campaign_id = $2 AND replaced_at IS NULL
        """,
        invite.org_id,
        invite.campaign_id,
        at,
    )
