"""However many texts there are, a page of the admin's view reads as many blocks as it shows."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import get_args

import asyncpg
import pytest
from asyncpg import Record

from services.campaign import operator_token
from services.campaign.domain import Status
from services.campaign.rules import sendable
from services.campaign.store import inbox
from services.campaign.store.inbox import Part
from shared.database import Transaction
from tests.plans import TEN_CAMPAIGNS, blocks_read

MANY = 200_000
"""Measured once with 1,000,000: at most 471 blocks, in half a millisecond."""
PAGE = 20
BLOCKS_MOST = 600
"""Of some 6,000 that the texts alone take; an item takes ten to twenty, by half a dozen keys."""

# Ten campaigns of a hundred senders; nearly all delivered, and of all else one in a thousand.
STOCK = """
INSERT INTO contacts (org_id, contact_list_id, contact_id, phone, first_name, last_name, fields)
    SELECT 'acme', 'l', to_char(n, 'FM0000000'), '+1303' || to_char(n, 'FM0000000'), '', '', '{{}}'
    FROM generate_series(1, {many} / 10) AS n;
INSERT INTO messages (org_id, campaign_id, message_id, kind, channel, phone, contact_id, carrier,
                      sender_id, status, rank, status_at, queued_at, text)
    SELECT 'acme', 'c' || n % 10, to_char(n, 'FM0000000'), 'initial', 'sms',
           '+1303' || to_char(1 + n / 10, 'FM0000000'), to_char(1 + n / 10, 'FM0000000'), 'att',
           's' || n % 97, coalesce((ARRAY[{statuses}])[(n / 10) % 1000], 'delivered'), 0,
           now(), now(),
           repeat('x', 100)
    FROM generate_series(1, {many} - 1) AS n;
INSERT INTO conversations (org_id, conversation_id, campaign_id, phone, contact_id, sender_id,
                           waiting, last_received_at)
    SELECT org_id, 'v' || message_id, campaign_id, phone, contact_id, sender_id,
           message_id LIKE '%99_', now()
    FROM messages WHERE message_id LIKE '%9_';
"""


@pytest.fixture(scope="module")
def stocked_url(database_url: str) -> str:
    """A database with very many texts, made once for all questions."""
    asyncio.run(_stock(database_url))
    return database_url


async def _stock(url: str) -> None:
    await operator_token.make(url)
    others = ", ".join(f"'{status}'" for status in get_args(Status) if status != "delivered")
    connection = await asyncpg.connect(url, command_timeout=300)
    try:
        await connection.execute("SET search_path = campaign")
        await connection.execute(TEN_CAMPAIGNS)
        await connection.execute(STOCK.format(many=MANY, statuses=others))
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


FAILED = sendable.FAILED
QUESTIONS: dict[str, Callable[[Transaction, Part], Awaitable[Sequence[Record]]]] = {
    "all": lambda tx, part: inbox.everything(tx, "acme", part, get_args(Status)),
    "initials": lambda tx, part: inbox.texts(tx, "acme", part, sendable.UNSENT, ["initial"]),
    "failed": lambda tx, part: inbox.texts(tx, "acme", part, FAILED, ["initial", "reply"]),
    "unclear": lambda tx, part: inbox.texts(tx, "acme", part, ["unclear"], ["initial"]),
    "delivered": lambda tx, part: inbox.texts(tx, "acme", part, ["delivered"], ["initial"]),
    "replied": lambda tx, part: inbox.talks(tx, "acme", part, waiting=None),
    "waiting": lambda tx, part: inbox.talks(tx, "acme", part, waiting=True),
}
PARTS = {
    "of all": Part(PAGE),
    "further on": Part(PAGE, after=("c5", "0100000")),
    "of a campaign": Part(PAGE, campaign_id="c3"),
    "of a sender": Part(PAGE, sender_id="s13"),
    "of a sender in a campaign": Part(PAGE, campaign_id="c3", sender_id="s13"),
    "of a sender, further on": Part(PAGE, sender_id="s13", after=("c5", "0100000")),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_page_reads_no_more_when_there_are_very_many_texts(
    stocked_url: str, question: str, part: str
) -> None:
    blocks, found, plan = await blocks_read(
        stocked_url, "acme", lambda tx: QUESTIONS[question](tx, PARTS[part])
    )
    assert blocks <= BLOCKS_MOST, (blocks, len(found), plan)
    assert len(found) <= PAGE
