"""Queued texts in great number, as rows that intake itself would have written.

Campaigns, limits and one text of each lane go the ordinary way, through the collider's own
handlers; that text is then copied in the database as often as is asked for, each copy with an id,
a phone and a place in the queue of its own. So a million texts wait in seconds, and what they
stand in is what the collider made.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from services.collider import handlers
from shared.consumer import record
from shared.database import Database
from shared.envelope import Received
from shared.events import CampaignLaunched, Event, LimitsChanged, MessageQueued, WindowChanged
from shared.fields import Carrier, Kind
from shared.ids import new_id
from shared.migrate import migrate
from tests.engine import phone
from tests.other_system import zone_at_noon

CARRIERS: tuple[Carrier, ...] = ("att", "tmobile", "verizon")
MIGRATIONS = Path(handlers.__file__).parent / "migrations"
_BATCH = 500


@dataclass(frozen=True)
class Campaign:
    """One campaign of an organization, open for as long as it lasts: hours are no matter here."""

    org_id: str
    campaign_id: str
    number: str
    opens_at: datetime
    closes_at: datetime

    def launched(self) -> CampaignLaunched:
        """What the collider hears of it."""
        return CampaignLaunched.model_validate(
            {
                "org_id": self.org_id,
                "campaign_id": self.campaign_id,
                "use_case_id": f"use-case-{self.org_id}",
                "name": "Bench",
                "launched_by": {"name": "Ada", "email": "ada@example.org"},
                "window": {"opens_at": self.opens_at, "closes_at": self.closes_at},
                "hours": _hours(),
                "revision": 1,
                "number": self.number,
            }
        )

    def rescheduled(self, revision: int) -> WindowChanged:
        """What the collider hears when the window has been edited to this one's."""
        return WindowChanged.model_validate(
            {
                "org_id": self.org_id,
                "campaign_id": self.campaign_id,
                "window": {"opens_at": self.opens_at, "closes_at": self.closes_at},
                "hours": _hours(),
                "revision": revision,
            }
        )

    def text(self, carrier: Carrier, index: int, kind: Kind = "initial") -> MessageQueued:
        """A text of one segment to a contact of this carrier."""
        return MessageQueued.model_validate(
            {
                "org_id": self.org_id,
                "campaign_id": self.campaign_id,
                "message_id": new_id(),
                "kind": kind,
                "channel": "sms",
                "to": phone(carrier, index),
                "text": "Hi, this is Ada. Early voting has begun: will you vote this week?",
                "carrier": carrier,
                "queued_at": datetime.now(UTC),
            }
        )


def _hours() -> dict[str, str]:
    """All day, in a zone whose midnight is far, and with it the end of the open hours."""
    return {"opens": "00:00", "closes": "24:00", "time_zone": zone_at_noon(datetime.now(UTC))}


def campaigns(
    orgs: int, *, each: int = 1, lasts_s: float = 6 * 3600, opens_in_s: float = 0
) -> list[Campaign]:
    """So many campaigns of so many organizations; those of one organization end one by one."""
    opens_at = datetime.now(UTC) + timedelta(seconds=opens_in_s)
    return [
        Campaign(
            f"org-{org:05d}",
            f"campaign-{org:05d}-{index:03d}",
            f"+1212{org * each + index:07d}",
            opens_at,
            opens_at + timedelta(seconds=lasts_s + index),
        )
        for org in range(orgs)
        for index in range(each)
    ]


def limits(org_id: str, carrier: Carrier, per_minute: int | None) -> LimitsChanged:
    """An organization's limit with a carrier: so many texts a minute, the day's without end."""
    return LimitsChanged.model_validate(
        {
            "org_id": org_id,
            "carrier": carrier,
            "version": 1,
            "sms_per_minute": per_minute,
            "sms_unit": "message",
            "mms_per_minute": None,
            "segments_per_day": None,
            "day_zone": zone_at_noon(datetime.now(UTC)),
        }
    )


@asynccontextmanager
async def collider_database(url: str) -> AsyncIterator[Database]:
    """The collider's schema in this database."""
    await migrate(url, "collider", MIGRATIONS)
    database = await Database.open(url, "collider")
    try:
        yield database
    finally:
        await database.close()


async def hear(database: Database, events: Iterable[Event]) -> None:
    """Record events as the consumer does."""
    read = [Received(f"bench {new_id()}", event, {}) for event in events]
    for start in range(0, len(read), _BATCH):
        await record(database, "bench", handlers.HANDLERS, read[start : start + _BATCH])


async def fill(
    url: str,
    database: Database,
    launched: Sequence[Campaign],
    *,
    per_minute: int | None,
    per_lane: int,
    carriers: Sequence[Carrier] = CARRIERS,
) -> None:
    """Launch these campaigns, set their organizations' limits, queue `per_lane` texts of each
    campaign to each carrier; then let the planner know, as autovacuum would."""
    orgs = sorted({campaign.org_id for campaign in launched})
    await hear(
        database, (limits(org_id, carrier, per_minute) for org_id in orgs for carrier in carriers)
    )
    await hear(database, (campaign.launched() for campaign in launched))
    await hear(
        database,
        (campaign.text(carrier, 0) for campaign in launched for carrier in carriers),
    )
    await copy(url, per_lane - 1)
    await tidy(url)


async def copy(url: str, times: int) -> None:
    """Queue each lane's first text again, so many times, the lanes in turn."""
    if times < 1:
        return
    connection = await asyncpg.connect(url, server_settings={"search_path": "collider"})
    try:
        kept = ", ".join(
            row["attname"]
            for row in await connection.fetch(
                """
                SELECT attname FROM pg_attribute
                WHERE attrelid = 'messages'::regclass AND attnum > 0 AND NOT attisdropped
                  AND attidentity = '' AND attname NOT IN ('message_id', 'phone')
                ORDER BY attnum
                """
            )
        )
        # Ids that sort by age, as ours do; the contacts' phones differ in their last six digits.
        await connection.execute(
            f"""
            CREATE TEMPORARY TABLE IF NOT EXISTS first AS
                SELECT DISTINCT ON (lane_id) * FROM messages
                WHERE status = 'queued' ORDER BY lane_id, position;
            INSERT INTO messages (message_id, phone, {kept})
            SELECT substr(to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS'), 1, 20)
                       || substr(md5(lane_id::text || ' ' || number), 1, 16),
                   substr(phone, 1, 6) || lpad((number % 1000000)::text, 6, '0'), {kept}
            FROM generate_series(1, {times}) AS number, first ORDER BY number, lane_id
            """,
            timeout=300,
        )
    finally:
        await connection.close(timeout=10)


async def stored(database: Database) -> int:
    """How many places in the queue were given: to count a million rows again and again would be a
    load of its own."""
    async with database.connection() as connection:
        last: int | None = await connection.fetchval(
            "SELECT pg_sequence_last_value(pg_get_serial_sequence('messages', 'position'))"
        )
    return last or 0


async def tidy(url: str) -> None:
    """What autovacuum would have done by the time that so much waits."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "collider"})
    try:
        await connection.execute("VACUUM ANALYZE", timeout=120)
    finally:
        await connection.close(timeout=10)
