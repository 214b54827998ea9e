"""Which notices people want, where an organization's webhooks go, and whether they get there."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from services.campaign.domain import Refused
from shared.database import Transaction
from shared.events import WebhookStateChanged


async def next_version(tx: Transaction, org_id: str) -> int:
    """The version of what is told next of an organization's notices; holds its row."""
    version = await tx.sql.fetchval(
        """
        UPDATE organizations SET notice_version = notice_version + 1 WHERE org_id = $1
        RETURNING notice_version
        """,
        org_id,
    )
    assert isinstance(version, int)
    return version


async def chosen(tx: Transaction, org_id: str, person_id: str) -> Record:
    """Somebody's address, and what they want there (null: they have never said)."""
    row = await tx.sql.fetchrow(
        "SELECT email, notices FROM people WHERE org_id = $1 AND person_id = $2",
        org_id,
        person_id,
    )
    assert row is not None, "who asks is there"
    return row


async def choose(tx: Transaction, org_id: str, person_id: str, notices: Sequence[str]) -> None:
    """Write what somebody wants; hold the organization's row."""
    await tx.sql.execute(
        "UPDATE people SET notices = $3 WHERE org_id = $1 AND person_id = $2",
        org_id,
        person_id,
        notices,
    )


async def webhook(tx: Transaction, org_id: str) -> Record:
    """Where an organization's webhooks go. Raises Refused where they go nowhere."""
    row = await find_webhook(tx, org_id)
    if row is None:
        raise Refused("missing", "There is no webhook")
    return row


async def find_webhook(tx: Transaction, org_id: str) -> Record | None:
    """Where an organization's webhooks go, if they go anywhere."""
    return await tx.sql.fetchrow(
        """
        SELECT url, notices, time_zone, secret_version, changed_at, coalesce(state, 'new') AS state,
               coalesce(state_since, changed_at) AS state_since, error
        FROM webhooks
        WHERE org_id = $1 AND url IS NOT NULL
        """,
        org_id,
    )


async def put_webhook(
    tx: Transaction,
    org_id: str,
    *,
    url: str,
    notices: Sequence[str],
    time_zone: str,
    at: datetime,
) -> None:
    """Write where they go from now on; hold the organization's row."""
    await tx.sql.execute(
        """
        INSERT INTO webhooks (org_id, url, notices, time_zone, changed_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (org_id) DO UPDATE SET
            url = EXCLUDED.url, notices = EXCLUDED.notices, time_zone = EXCLUDED.time_zone,
            changed_at = EXCLUDED.changed_at
        """,
        org_id,
        url,
        notices,
        time_zone,
        at,
    )


async def remove_webhook(tx: Transaction, org_id: str, at: datetime) -> None:
    """Write that they go nowhere; hold the organization's row."""
    await tx.sql.execute(
        "UPDATE webhooks SET url = NULL, notices = '{}', changed_at = $2 WHERE org_id = $1",
        org_id,
        at,
    )


async def replace_secret(tx: Transaction, org_id: str, at: datetime) -> None:
    """Write that the next secret signs from now on; hold the organization's row."""
    await tx.sql.execute(
        """
        UPDATE webhooks SET secret_version = secret_version + 1, changed_at = $2
        WHERE org_id = $1
        """,
        org_id,
        at,
    )


async def begin_anew(tx: Transaction, org_id: str, version: int) -> None:
    """Write by which version the settings are told now: nothing was posted by these yet. Hold the
    organization's row."""
    await tx.sql.execute(
        """
        UPDATE webhooks SET version = $2, state = NULL, state_since = NULL, error = NULL,
               state_revision = 0
        WHERE org_id = $1
        """,
        org_id,
        version,
    )


async def put_states(tx: Transaction, events: Sequence[WebhookStateChanged]) -> None:
    """Keep how posts fare, as it was told last of each webhook's settings; what was told of earlier
    settings says nothing any more."""
    await tx.sql.execute(
        """
        WITH told AS MATERIALIZED (
            SELECT DISTINCT ON (org_id) *
            FROM unnest($1::text[], $2::int[], $3::int[], $4::text[], $5::timestamptz[], $6::text[])
                 AS e (org_id, version, revision, state, state_since, reason)
            ORDER BY org_id, version DESC, revision DESC),
        -- In one order, so that two replicas cannot deadlock.
        held AS MATERIALIZED (
            SELECT org_id FROM webhooks JOIN told USING (org_id)
            ORDER BY org_id FOR NO KEY UPDATE OF webhooks)
        UPDATE webhooks AS w
        SET version = told.version, state = told.state, state_since = told.state_since,
            error = told.reason, state_revision = told.revision
        FROM told JOIN held USING (org_id)
        WHERE w.org_id = told.org_id
          AND (w.version, w.state_revision) < (told.version, told.revision)
        """,
        [event.org_id for event in events],
        [event.version for event in events],
        [event.revision for event in events],
        [event.state for event in events],
        [event.state_since for event in events],
        [event.reason for event in events],
    )
