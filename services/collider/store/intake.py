"""Texts come in: recorded once each, in the lane where they wait."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.collider.domain import Schedule
from shared.database import Transaction, columns
from shared.events import MessageQueued
from shared.fields import Carrier, Channel, Kind
from shared.rules.limits import Limits

LaneKey = tuple[str, Carrier, str, Kind, Channel]
"""Organization, carrier, campaign, kind, channel."""


@dataclass(frozen=True, slots=True)
class Text:
    """What decides where a text waits."""

    org_id: str
    message_id: str
    campaign_id: str
    kind: Kind
    channel: Channel
    carrier: Carrier
    phone: str
    segments: int
    queued_at: datetime
    awaits_carrier: bool
    """Its carrier is looked up; until then it says `other`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text is put, in which status; with a reason, it has failed."""

    status: str
    lane_id: int | None = None
    reason: str | None = None


async def limits_of(
    tx: Transaction, buckets: Collection[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, Limits]]:
    """The limits that were told for these buckets (organization, carrier), by scope."""
    rows = await tx.sql.fetch(
        """
        SELECT limits.* FROM limits
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, carrier) USING (org_id, carrier)
        """,
        [org_id for org_id, _ in buckets],
        [carrier for _, carrier in buckets],
    )
    told: dict[tuple[str, str], dict[str, Limits]] = {key: {} for key in buckets}
    for row in rows:
        told[row["org_id"], row["carrier"]][row["use_case_id"]] = Limits(
            row["use_case_id"],
            row["sms_per_minute"],
            row["sms_unit"],
            row["mms_per_minute"],
            row["segments_per_day"],
            row["day_zone"],
        )
    return told


async def opted_out(tx: Transaction, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Of these (organization, phone) those that want no texts."""
    rows = await tx.sql.fetch(
        """
        SELECT org_id, phone FROM opt_outs
        JOIN unnest($1::text[], $2::text[]) AS key (org_id, phone) USING (org_id, phone)
        WHERE coalesce(opted_out_at >= opted_in_at, true)
        """,
        [org_id for org_id, _ in keys],
        [phone for _, phone in keys],
    )
    return {(row["org_id"], row["phone"]) for row in rows}


async def lane_ids(tx: Transaction, keys: Collection[LaneKey]) -> dict[LaneKey, int]:
    """The ids of those of these lanes that exist."""
    rows = await tx.sql.fetch(
        """
        SELECT lane_id, org_id, carrier, campaign_id, kind, channel FROM lanes
        JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
            AS key (org_id, carrier, campaign_id, kind, channel)
            USING (org_id, carrier, campaign_id, kind, channel)
        """,
        *(list(column) for column in zip(*keys, strict=True)),
    )
    return {
        (row["org_id"], row["carrier"], row["campaign_id"], row["kind"], row["channel"]): row[
            "lane_id"
        ]
        for row in rows
    }


async def open_lanes(tx: Transaction, lanes: Sequence[tuple[LaneKey, str, Schedule]]) -> None:
    """Make lanes, of a use case and with a schedule, and the buckets that they stand under."""
    keys = [key for key, _, _ in lanes]
    # A confirmation that is being written down waits, and sees the lanes; or we wait, and see it.
    await tx.sql.execute(
        """
        SELECT FROM registrations
        JOIN unnest($1::text[], $2::text[], $3::text[]) AS key (org_id, carrier, campaign_id)
            USING (org_id, carrier, campaign_id)
        ORDER BY org_id, campaign_id, carrier FOR SHARE OF registrations
        """,
        *columns([key[:3] for key in keys], 3),
    )
    await tx.sql.execute(
        """
        INSERT INTO lanes (org_id, carrier, campaign_id, kind, channel, use_case_id,
                           opens_at, closes_at, last_sendable_at, held_until)
        SELECT lane.*, registrations.held_until
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                    $6::text[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[])
            AS lane (org_id, carrier, campaign_id, kind, channel, use_case_id,
                     opens_at, closes_at, last_sendable_at)
        LEFT JOIN registrations USING (org_id, campaign_id, carrier)
        ON CONFLICT DO NOTHING
        """,
        *(list(column) for column in zip(*keys, strict=True)),
        [use_case_id for _, use_case_id, _ in lanes],
        [schedule.opens_at for _, _, schedule in lanes],
        [schedule.closes_at for _, _, schedule in lanes],
        [schedule.last_sendable_at for _, _, schedule in lanes],
    )
    await tx.sql.execute(
        """
        INSERT INTO buckets (org_id, carrier)
        SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS key (org_id, carrier)
        ON CONFLICT DO NOTHING
        """,
        [org_id for org_id, *_ in keys],
        [carrier for _, carrier, *_ in keys],
    )


async def insert(
    tx: Transaction, events: Sequence[MessageQueued], texts: Sequence[Text], places: Sequence[Place]
) -> set[tuple[str, str]]:
    """Record new texts and wake their buckets; which (organization, message) were new.

    The message id alone decides, for as long as the message is kept. No id may be in it twice.
    """
    rows = await tx.sql.fetch(
        """
        WITH text AS (
            SELECT * FROM unnest(
                $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::text[], $9::text[], $10::smallint[], $11::timestamptz[], $12::bigint[],
                $13::text[], $14::text[], $16::boolean[])
            AS text (org_id, message_id, campaign_id, kind, channel, carrier, phone,
                     text, media_urls, segments, queued_at, lane_id, status, reason,
                     awaits_carrier)),
        new AS (
            INSERT INTO messages (
                org_id, message_id, campaign_id, kind, channel, carrier, phone, text, media_urls,
                segments, queued_at, lane_id, status, reason, awaits_carrier, recorded_at)
            SELECT org_id, message_id, campaign_id, kind, channel, carrier, phone, text,
                   string_to_array(media_urls, ' '), segments, queued_at, lane_id, status, reason,
                   awaits_carrier, $15
            FROM text
            ON CONFLICT (org_id, message_id) DO NOTHING
            RETURNING org_id, message_id, carrier, lane_id, position, status),
        woken AS (
            INSERT INTO wakes (org_id, carrier, lane_id, position)
            SELECT org_id, carrier, lane_id, min(position) FROM new WHERE status = 'queued'
            GROUP BY org_id, carrier, lane_id)
        SELECT org_id, message_id FROM new
        """,
        [text.org_id for text in texts],
        [text.message_id for text in texts],
        [text.campaign_id for text in texts],
        [text.kind for text in texts],
        [text.channel for text in texts],
        [text.carrier for text in texts],
        [text.phone for text in texts],
        [event.text for event in events],
        # Arrays of arrays must be rectangular in PostgreSQL, and an address holds no space.
        [" ".join(event.media_urls) for event in events],
        [text.segments for text in texts],
        [text.queued_at for text in texts],
        [place.lane_id for place in places],
        [place.status for place in places],
        [place.reason for place in places],
        await tx.now(),
        [text.awaits_carrier for text in texts],
    )
    return {(row["org_id"], row["message_id"]) for row in rows}


async def lock_unrouted(tx: Transaction, *, most: int) -> list[Text]:
    """Texts whose campaign was unknown when they came and has been launched since. Those that wait
    for their carrier as well are routed by who looks it up."""
    rows = await tx.sql.fetch(
        """
        SELECT org_id, message_id, campaign_id, kind, channel, carrier, phone, segments,
               queued_at, awaits_carrier
        FROM messages JOIN campaigns USING (org_id, campaign_id)
        WHERE status = 'unrouted' AND NOT awaits_carrier AND campaigns.use_case_id IS NOT NULL
        LIMIT $1 FOR UPDATE OF messages SKIP LOCKED
        """,
        most,
    )
    return [Text(**row) for row in rows]


async def lock_unknown(tx: Transaction, *, most: int, older_than_s: float) -> list[Text]:
    """Unrouted texts that have waited long enough for their campaign."""
    rows = await tx.sql.fetch(
        """
        SELECT org_id, message_id, campaign_id, kind, channel, carrier, phone, segments,
               queued_at, awaits_carrier
        FROM messages
        WHERE status = 'unrouted' AND NOT awaits_carrier
          AND recorded_at < $2::timestamptz - make_interval(secs => $3)
        LIMIT $1 FOR UPDATE SKIP LOCKED
        """,
        most,
        await tx.now(),
        older_than_s,
    )
    return [Text(**row) for row in rows]


async def settle(tx: Transaction, texts: Sequence[Text], places: Sequence[Place]) -> None:
    """Put texts that were unrouted into their places and wake their buckets."""
    await tx.sql.execute(
        """
        WITH routed AS (
            UPDATE messages SET lane_id = new.lane_id, status = new.status, reason = new.reason,
                carrier = new.carrier, awaits_carrier = false
            FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[])
                AS new (org_id, message_id, lane_id, status, reason, carrier)
            WHERE messages.org_id = new.org_id AND messages.message_id = new.message_id
            RETURNING messages.org_id, messages.carrier, messages.lane_id, position,
                      messages.status)
        INSERT INTO wakes (org_id, carrier, lane_id, position)
        SELECT org_id, carrier, lane_id, min(position) FROM routed WHERE status = 'queued'
        GROUP BY org_id, carrier, lane_id
        """,
        [text.org_id for text in texts],
        [text.message_id for text in texts],
        [place.lane_id for place in places],
        [place.status for place in places],
        [place.reason for place in places],
        [text.carrier for text in texts],
    )
