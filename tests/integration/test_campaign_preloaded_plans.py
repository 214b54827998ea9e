"""Soon after the launch of a campaign with very many texts, whoever asks for some reads little."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from services.campaign import operator_token
from services.campaign.domain import RANKS
from services.campaign.rules import sendable
from services.campaign.store import assignments, campaigns, inbox, messages, outlooks, reports
from services.campaign.store.inbox import Part
from shared.database import Transaction
from shared.events import MessageSent
from tests.campaign_desk import NOON
from tests.plans import TEN_CAMPAIGNS, blocks_read

MANY = 100_000
BLOCKS_MOST = 600
"""Of some 2,000 that the texts alone take, and 500 that what was heard does."""

# Pre-loaded: all are unassigned, and other campaigns have none. Contacts of before have written.
STOCK = """
INSERT INTO messages (org_id, campaign_id, message_id, kind, channel, phone, status, rank,
                      status_at)
    SELECT 'acme', 'c5', to_char(n, 'FM0000000'), 'initial', 'sms',
           '+1303' || to_char(n, 'FM0000000'), 'unassigned', 0, now()
    FROM generate_series(1, {many}) AS n;
INSERT INTO messages (org_id, campaign_id, message_id, kind, channel, phone, carrier, status, rank,
                      status_at, queued_at)
    SELECT 'acme', 'c6', 'q' || n, 'initial', 'sms', '+1404' || to_char(n, 'FM0000000'), 'att',
           'queued', 1, now(), now() - interval '1 hour'
    FROM generate_series(1, {many} / 3) AS n;
INSERT INTO bucket_states (org_id, carrier, backlog, replies, sent_per_minute, slowed, at)
    VALUES ('acme', 'att', {many} / 3, 0, 0, false, now() - interval '5 seconds');
INSERT INTO received (org_id, campaign_id, phone, received_at, received_id, text)
    SELECT 'acme', 'c5', '+1202' || to_char(n, 'FM0000000'), now(), 'r' || n, 'Hello'
    FROM generate_series(1, {many} / 3) AS n;
"""
CAMPAIGNS = [f"c{number}" for number in range(10)]

OUTCOMES = [
    MessageSent(
        org_id="acme", campaign_id="c5", message_id=f"{number:07}", carrier="att", at=NOON,
        segments=1, provider_id=f"p{number}",
    )
    for number in range(1, 11)
]  # fmt: skip

Question = Callable[[Transaction], Awaitable[Any]]
QUESTIONS: dict[str, Question] = {
    "a sender's campaigns": lambda tx: reports.work_of_sender(tx, "acme", CAMPAIGNS, "s1"),
    "initials": lambda tx: inbox.texts(tx, "acme", Part(20), sendable.UNSENT, ["initial"]),
    "a campaign's initials": lambda tx: inbox.texts(
        tx, "acme", Part(20, campaign_id="c5"), sendable.UNSENT, ["initial"]
    ),
    "a batch": lambda tx: assignments.hand_over(
        tx, "acme", "c5", status="unassigned", holder="", to="s1", most=10, at=NOON
    ),
    "outcomes": lambda tx: messages.record_outcomes(tx, OUTCOMES),
    "all": lambda tx: inbox.everything(tx, "acme", Part(20), list(RANKS)),
}


@pytest.fixture(scope="module")
def stocked_url(database_url: str) -> str:
    """A database with such a campaign, a second after its launch."""
    asyncio.run(_stock(database_url))
    return database_url


async def _stock(url: str) -> None:
    await operator_token.make(url)
    connection = await asyncpg.connect(url, command_timeout=300)
    try:
        await connection.execute("SET search_path = campaign")
        await connection.execute(TEN_CAMPAIGNS)
        await connection.execute(STOCK.format(many=MANY))
        # As the service does it itself, a moment later (shared/statistics.py).
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def test_a_click_reads_what_was_queued_since_the_collider_told_and_not_what_was_before(
    stocked_url: str,
) -> None:
    async def bucket(tx: Transaction) -> Any:
        campaign = await campaigns.get(tx, "acme", "c6")
        await asyncio.sleep(0)
        return await outlooks.bucket(tx, campaign, "att", await tx.now())

    blocks, found, plan = await blocks_read(stocked_url, "acme", bucket)
    assert found.seen.backlog == MANY // 3
    assert blocks < 30, (blocks, plan)


@pytest.mark.parametrize("question", QUESTIONS)
async def test_whoever_asks_for_some_texts_of_very_many_reads_a_few_blocks(
    stocked_url: str, question: str
) -> None:
    blocks, _, plan = await blocks_read(stocked_url, "acme", QUESTIONS[question])
    assert blocks <= BLOCKS_MOST, (blocks, plan)


async def test_a_sender_sees_which_campaigns_have_unassigned_texts(stocked_url: str) -> None:
    _, found, _ = await blocks_read(stocked_url, "acme", QUESTIONS["a sender's campaigns"])
    assert {one for one in CAMPAIGNS if found[one]["any_unassigned"]} == {"c5"}
