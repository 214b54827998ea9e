"""Texts as they are exported: page after page by key, each page a short statement.

A page is a walk along an index from where the one before ended, so a million texts cost what a
thousand pages cost, and no statement or snapshot lives for longer than a page.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncpg import Record

from shared.database import Transaction

Open = Callable[[], AbstractAsyncContextManager[Transaction]]


@dataclass(frozen=True, slots=True)
class Exported:
    """A campaign whose texts are exported."""

    org_id: str
    campaign_id: str
    campaign: str
    contact_list_id: str


@dataclass(frozen=True, slots=True)
class Period:
    """When texts were queued or, those of contacts, received. Half-open."""

    begins_at: datetime
    ends_at: datetime


async def of_campaign(
    transaction: Open, campaign: Exported, period: Period | None, *, most: int
) -> AsyncIterator[Sequence[Record]]:
    """All texts of a campaign: those that go out, then contacts' own.

    Without a period in the order of their ids, those that nobody has sent yet among them: an id
    never changes, so each text is there exactly once, whatever becomes of it meanwhile. With one
    in the order of its times.
    """
    out = _out(transaction, campaign, most) if period is None else _out_in(
        transaction, campaign, period, most
    )  # fmt: skip
    async for rows in out:
        yield rows
    async for rows in _received(transaction, campaign, period, most):
        yield rows


async def campaigns_after(
    tx: Transaction, org_id: str, after: str, period: Period | None, *, most: int
) -> list[Exported]:
    """Campaigns that can have texts, in the order in which they were made."""
    rows = await tx.sql.fetch(
        """
        SELECT org_id, campaign_id, name AS campaign, contact_list_id FROM campaigns
        WHERE org_id = $1 AND campaign_id > $2 AND ($3::timestamptz IS NULL OR created_at < $3)
        ORDER BY campaign_id LIMIT $4
        """,
        org_id,
        after,
        None if period is None else period.ends_at,
        most,
    )
    return [Exported(**row) for row in rows]


Place = tuple[Any, ...]
"""Where a page ended: what the next one begins behind."""


async def _pages(
    transaction: Open,
    begin: Place,
    read: Callable[[Transaction, Place], Awaitable[Sequence[Record]]],
    columns: Sequence[str],
    most: int,
) -> AsyncIterator[Sequence[Record]]:
    """Pages of at most so many, each in a transaction of its own; by these columns they go on."""
    after = begin
    while True:
        async with transaction() as tx:
            rows = await read(tx, after)
        if rows:
            yield rows
            after = tuple(rows[-1][column] for column in columns)
        if len(rows) < most:
            return


def _out(transaction: Open, campaign: Exported, most: int) -> AsyncIterator[Sequence[Record]]:
    async def read(tx: Transaction, after: Place) -> Sequence[Record]:
        return await tx.sql.fetch(
            """
            SELECT m.*, 'out' AS direction, $5::text AS campaign, c.first_name, c.last_name,
                   p.name AS sender, p.email AS sender_email, NULL::timestamptz AS received_at
            FROM (SELECT message_id, campaign_id, kind, channel, phone, contact_id, sender_id,
                         segments, carrier, status, reason, code, queued_at, sent_at,
                         delivered_at, failed_at, provider_id, text
                  FROM messages WHERE org_id = $1 AND campaign_id = $2 AND message_id > $3
                  ORDER BY message_id LIMIT $4) AS m
            LEFT JOIN contacts AS c
                   ON c.org_id = $1 AND c.contact_list_id = $6 AND c.contact_id = m.contact_id
            LEFT JOIN people AS p ON p.org_id = $1 AND p.person_id = m.sender_id
            ORDER BY message_id
            """,
            campaign.org_id,
            campaign.campaign_id,
            *after,
            most,
            campaign.campaign,
            campaign.contact_list_id,
        )

    return _pages(transaction, ("",), read, ("message_id",), most)


def _out_in(
    transaction: Open, campaign: Exported, period: Period, most: int
) -> AsyncIterator[Sequence[Record]]:
    async def read(tx: Transaction, after: Place) -> Sequence[Record]:
        return await tx.sql.fetch(
            """
            SELECT m.*, 'out' AS direction, $7::text AS campaign, c.first_name, c.last_name,
                   p.name AS sender, p.email AS sender_email, NULL::timestamptz AS received_at
            FROM (SELECT message_id, campaign_id, kind, channel, phone, contact_id, sender_id,
                         segments, carrier, status, reason, code, queued_at, sent_at,
                         delivered_at, failed_at, provider_id, text
                  FROM messages
                  WHERE org_id = $1 AND campaign_id = $2
                    AND (queued_at, message_id) > ($3, $4) AND queued_at < $5
                  ORDER BY queued_at, message_id LIMIT $6) AS m
            LEFT JOIN contacts AS c
                   ON c.org_id = $1 AND c.contact_list_id = $8 AND c.contact_id = m.contact_id
            LEFT JOIN people AS p ON p.org_id = $1 AND p.person_id = m.sender_id
            ORDER BY queued_at, message_id
            """,
            campaign.org_id,
            campaign.campaign_id,
            *after,
            period.ends_at,
            most,
            campaign.campaign,
            campaign.contact_list_id,
        )

    # No id is '': the first page begins with the period's first instant itself.
    return _pages(transaction, (period.begins_at, ""), read, ("queued_at", "message_id"), most)


def _received(
    transaction: Open, campaign: Exported, period: Period | None, most: int
) -> AsyncIterator[Sequence[Record]]:
    begins_at, ends_at = (None, None) if period is None else (period.begins_at, period.ends_at)

    async def read(tx: Transaction, after: Place) -> Sequence[Record]:
        return await tx.sql.fetch(
            """
            SELECT r.*, 'in' AS direction, $7::text AS campaign, 'answer' AS kind,
                   'sms' AS channel, c.first_name, c.last_name, p.name AS sender,
                   p.email AS sender_email, NULL::int AS segments, NULL AS carrier,
                   'received' AS status, NULL AS reason, NULL AS code,
                   NULL::timestamptz AS queued_at, NULL::timestamptz AS sent_at,
                   NULL::timestamptz AS delivered_at, NULL::timestamptz AS failed_at,
                   NULL AS provider_id
            FROM (SELECT received_id AS message_id, campaign_id, phone, received_at, text
                  FROM received
                  WHERE org_id = $1 AND campaign_id = $2
                    AND (received_at, received_id)
                        > (coalesce($3::timestamptz, '-infinity'), $4)
                    AND received_at < coalesce($5::timestamptz, 'infinity')
                  ORDER BY received_at, received_id LIMIT $6) AS r
            LEFT JOIN conversations AS t
                   ON t.org_id = $1 AND t.campaign_id = r.campaign_id AND t.phone = r.phone
            LEFT JOIN contacts AS c
                   ON c.org_id = $1 AND c.contact_list_id = $8 AND c.contact_id = t.contact_id
            LEFT JOIN people AS p ON p.org_id = $1 AND p.person_id = t.sender_id
            ORDER BY received_at, message_id
            """,
            campaign.org_id,
            campaign.campaign_id,
            *after,
            ends_at,
            most,
            campaign.campaign,
            campaign.contact_list_id,
        )

    return _pages(transaction, (begins_at, ""), read, ("received_at", "message_id"), most)
