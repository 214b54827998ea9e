"""Which notices are wanted: by admins as e-mails, by organizations as posts.

Each row is a whole state, and the higher version wins, whenever it comes.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from services.notifier.posts import Receiver, Reception
from shared.database import columns
from shared.events import NoticeSettingsChanged

AdminKey = tuple[str, str]
"""Organization, e-mail address in small letters."""


def admin_key(org_id: str, email: str) -> AdminKey:
    """Whose wishes these are, however the address is written."""
    return org_id, email.lower()


async def put_admins(
    sql: PoolConnectionProxy, wishes: Mapping[AdminKey, NoticeSettingsChanged]
) -> None:
    """Remember what admins want as e-mails."""
    rows = [(*key, one.version, one.notices) for key, one in sorted(wishes.items(), key=_key)]
    await sql.execute(
        """
        INSERT INTO admin_settings AS known (org_id, email, version, notices)
        SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::jsonb[])
        ON CONFLICT (org_id, email) DO UPDATE SET
            version = excluded.version, notices = excluded.notices
        WHERE known.version < excluded.version
        """,
        *columns(rows, 4),
    )


async def wanted(
    sql: PoolConnectionProxy, letters: Collection[tuple[str, str, str]]
) -> set[tuple[str, str, str]]:
    """Which of these e-mails (organization, address, kind) their admins want: all of which nothing
    else was said."""
    rows = await sql.fetch(
        """
        SELECT letter.* FROM unnest($1::text[], $2::text[], $3::text[])
          AS letter (org_id, email, kind)
        WHERE NOT EXISTS (
            SELECT 1 FROM admin_settings AS wish
            WHERE (wish.org_id, wish.email) = (letter.org_id, lower(letter.email))
              AND NOT wish.notices ? letter.kind)
        """,
        *columns(letters, 3),
    )
    return {(row["org_id"], row["email"], row["kind"]) for row in rows}


async def put_receivers(
    sql: PoolConnectionProxy, wishes: Mapping[str, NoticeSettingsChanged], *, now: datetime
) -> list[str]:
    """Remember organizations' addresses and kinds; those to whom this was news.

    How posts fare is open again by that: also whoever has said that they want no more is asked.
    """
    rows = [
        (org_id, one.version, one.notices, one.webhook_url, one.secret_version)
        for org_id, one in sorted(wishes.items(), key=_key)
    ]
    news = await sql.fetch(
        """
        INSERT INTO webhook_settings AS known
            (org_id, version, notices, url, secret_version, rotated_at)
        SELECT org_id, version, notices, url, secret_version,
            -- Not the first secret: there was a rotation, perhaps just now.
            CASE WHEN secret_version > 1 THEN $6::timestamptz END
        FROM unnest($1::text[], $2::int[], $3::jsonb[], $4::text[], $5::int[])
          AS wish (org_id, version, notices, url, secret_version)
        ON CONFLICT (org_id) DO UPDATE SET
            version = excluded.version, notices = excluded.notices, url = excluded.url,
            secret_version = excluded.secret_version, reception = NULL,
            rotated_at = CASE WHEN known.secret_version = excluded.secret_version
                THEN known.rotated_at ELSE $6 END
        WHERE known.version < excluded.version
        RETURNING org_id
        """,
        *columns(rows, 5),
        now,
    )
    return [row["org_id"] for row in news]


async def hold_receiver(sql: PoolConnectionProxy, org_id: str) -> Receiver:
    """An organization's settings as they are, and stay until the end of the transaction."""
    row = await sql.fetchrow(
        "SELECT * FROM webhook_settings WHERE org_id = $1 FOR NO KEY UPDATE", org_id
    )
    assert row is not None, "what is posted has settings, and these are never deleted"
    return receiver_of(row)


async def put_reception(sql: PoolConnectionProxy, org_id: str, reception: Reception) -> None:
    """Remember how posts to an organization fare."""
    await sql.execute(
        """
        UPDATE webhook_settings SET reception = $2, reception_reason = $3, reception_since = $4,
            reception_revision = $5
        WHERE org_id = $1
        """,
        org_id,
        reception.state,
        reception.reason,
        reception.since,
        reception.revision,
    )


def receiver_of(row: Record) -> Receiver:
    """The settings that a row holds, beside whatever else."""
    return Receiver(
        version=row["version"],
        kinds=frozenset(row["notices"]),
        url=row["url"],
        secret_version=row["secret_version"],
        rotated_at=row["rotated_at"],
        reception=None
        if row["reception"] is None
        else Reception(
            row["reception"],
            row["reception_reason"],
            row["reception_since"],
            row["reception_revision"],
        ),
    )


def _key(item: tuple[AdminKey | str, NoticeSettingsChanged]) -> AdminKey | str:
    return item[0]
