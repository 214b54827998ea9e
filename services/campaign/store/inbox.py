"""Contacts of campaigns as the messenger lists them: newest campaign first, page by page.

A page walks along one index and ends after so many rows, however many texts there are
(migrations/0009_messenger.sql). A place in the list is the campaign's id and the text's, or the
conversation's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from asyncpg import Record

from services.campaign.domain import Kind, Status
from shared.database import Transaction


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a list. None: of anybody, of all campaigns; `after`: the place of the last one
    of the part before, ('', '') for the first part."""

    most: int
    after: tuple[str, str] = ("", "")
    sender_id: str | None = None
    campaign_id: str | None = None


_INITIAL = """(
        SELECT message_id FROM messages AS m
        WHERE m.org_id = v.org_id AND m.phone = v.phone AND m.campaign_id = v.campaign_id
          AND kind = 'initial' LIMIT 1)"""
# The parameters of every part of a list: $1 organization, $2 campaign, $3 sender, $4 and $5 the
# place, $6 how many.
_TEXTS = """
    SELECT found.* FROM unnest($7::text[]) AS wanted (status) CROSS JOIN LATERAL (
        SELECT campaign_id, message_id AS item_id, phone, message_id
        FROM messages
        WHERE org_id = $1 AND kind = ANY($8::text[])
          -- Between, and in its order: no index will do that is not in order of status. Where most
          -- texts have one, the planner expects it anywhere, and looks for others among them all.
          AND status BETWEEN wanted.status AND wanted.status
          AND ($2::text IS NULL OR campaign_id = $2) AND ($3::text IS NULL OR sender_id = $3)
          AND ($4 = '' OR (campaign_id, message_id) < ($4, $5))
        ORDER BY status DESC, campaign_id DESC, message_id DESC LIMIT $6) AS found
"""
_TALKS = """
    SELECT campaign_id, conversation_id AS item_id, phone, {initial} AS message_id
    FROM conversations AS v
    WHERE org_id = $1 AND ($2::text IS NULL OR campaign_id = $2)
      AND ($3::text IS NULL OR sender_id = $3)
      AND ($4 = '' OR (campaign_id, conversation_id) < ($4, $5)) AND {kind}
    ORDER BY campaign_id DESC, conversation_id DESC LIMIT $6
"""
_PART = "SELECT * FROM ({found}) AS found ORDER BY campaign_id DESC, item_id DESC LIMIT $6"
_TEXT = """
    SELECT campaign_id, message_id AS item_id, phone, message_id FROM messages
    WHERE org_id = $1 AND message_id = $2 AND kind IN ('initial', 'reply')
"""
_TALK = """
    SELECT campaign_id, conversation_id AS item_id, phone, {initial} AS message_id
    FROM conversations AS v WHERE org_id = $1 AND conversation_id = $2
"""
# What is shown of them, each found by its key: under row-level security a computed one
# (coalesce(this, that)) is taken for a filter, and the whole table is read.
_SHOWN = """
    WITH page AS MATERIALIZED ({page})
    SELECT page.campaign_id, page.item_id, page.phone, page.message_id, m.status, m.text,
           first_name, last_name, fields, coalesce(v.sender_id, m.sender_id) AS sender_id,
           conversation_id, waiting, last_received_at, state, script, opens_at, closes_at,
           EXISTS (SELECT FROM opt_outs AS o
                   WHERE o.org_id = $1 AND o.phone = page.phone AND o.stands) AS opted_out,
           (SELECT r.text FROM received AS r
            WHERE r.org_id = $1 AND r.campaign_id = page.campaign_id AND r.phone = page.phone
            ORDER BY received_at DESC LIMIT 1) AS last_received
    FROM page
    JOIN campaigns AS c ON c.org_id = $1 AND c.campaign_id = page.campaign_id
    LEFT JOIN LATERAL (
        SELECT status, text, contact_id, sender_id FROM messages
        WHERE org_id = $1 AND campaign_id = page.campaign_id AND message_id = page.message_id
        LIMIT 1) AS m ON true
    LEFT JOIN LATERAL (
        SELECT conversation_id, sender_id, waiting, last_received_at FROM conversations
        WHERE org_id = $1 AND campaign_id = page.campaign_id AND phone = page.phone
        LIMIT 1) AS v ON true
    LEFT JOIN LATERAL (
        SELECT first_name, last_name, fields FROM contacts
        WHERE org_id = $1 AND contact_list_id = c.contact_list_id AND contact_id = m.contact_id
        LIMIT 1) AS k ON true
    ORDER BY page.campaign_id DESC, page.item_id DESC
"""


async def texts(
    tx: Transaction, org_id: str, part: Part, statuses: Sequence[Status], kinds: Sequence[Kind]
) -> Sequence[Record]:
    """Texts of these statuses and kinds, each with its contact."""
    return await tx.sql.fetch(
        _SHOWN.format(page=_PART.format(found=_TEXTS)), *_parameters(org_id, part), statuses, kinds
    )


async def talks(
    tx: Transaction, org_id: str, part: Part, *, waiting: bool | None
) -> Sequence[Record]:
    """Contacts who have answered; `waiting` for an answer or not, None: either."""
    kind = {None: "true", True: "waiting", False: "NOT waiting"}[waiting]
    found = _TALKS.format(initial=_INITIAL, kind=kind)
    return await tx.sql.fetch(_SHOWN.format(page=found), *_parameters(org_id, part))


async def everything(
    tx: Transaction, org_id: str, part: Part, statuses: Sequence[Status]
) -> Sequence[Record]:
    """All contacts of the campaigns, and the numbers in no list that wrote to them."""
    strangers = _TALKS.format(initial="NULL", kind="contact_id IS NULL")
    return await tx.sql.fetch(
        _SHOWN.format(page=_PART.format(found=f"{_TEXTS} UNION ALL ({strangers})")),
        *_parameters(org_id, part),
        statuses,
        ["initial"],
    )


async def text(tx: Transaction, org_id: str, message_id: str) -> Record | None:
    """One text with its contact, as lists show it."""
    return await tx.sql.fetchrow(_SHOWN.format(page=_TEXT), org_id, message_id)


async def talk(tx: Transaction, org_id: str, conversation_id: str) -> Record | None:
    """One conversation with its contact, as lists show it."""
    return await tx.sql.fetchrow(
        _SHOWN.format(page=_TALK.format(initial=_INITIAL)), org_id, conversation_id
    )


def _parameters(org_id: str, part: Part) -> tuple[object, ...]:
    return (org_id, part.campaign_id, part.sender_id, *part.after, part.most)
