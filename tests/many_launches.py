"""Many launches at once by another system, and all the books in which they can be found again: what
is told, our rows, the provider's account and the judge's word. No code of ours on its side."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import aio_pika
import aiohttp
import asyncpg
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage

from deploy.local.platform import Platform
from tests.other_system import Json, campaign_launched

PLACES = 49
LAUNCHES = (90, 70, 55, 49, *(30,) * 7, 26)
"""Of 500 campaigns, on each of twelve use cases: three are asked for more than they can hold."""
AREA_CODES = (["212", "646"], ["303", "720"], ["415"], ["512", "737"])
BATCH = 500
PAGE = 250


@dataclass(frozen=True)
class UseCase:
    """One use case and how many campaigns are launched on it."""

    org_id: str
    use_case_id: str
    launches: int

    @property
    def provider_campaign_id(self) -> str:
        return f"C-{self.use_case_id}"


def use_cases() -> list[UseCase]:
    """Twelve of three organizations."""
    return [
        UseCase(f"org-{index % 3}", f"use-{index:02}", launches)
        for index, launches in enumerate(LAUNCHES)
    ]


class Crowd:
    """The other system: it launches all at once, and hears what becomes of it."""

    def __init__(
        self, channel: AbstractChannel, exchange: AbstractExchange, uses: Sequence[UseCase]
    ) -> None:
        self._channel = channel
        self._exchange = exchange
        self.uses = uses
        self.launches = [
            self._launch(use, f"{use.use_case_id}-{index:03}", index)
            for use in uses
            for index in range(use.launches)
        ]
        self.told: dict[str, list[Json]] = {}
        """Data of the events heard, each once, by type."""
        self.took_s: dict[str, float] = {}
        """By campaign, from the first launch's publishing until its outcome was heard."""
        self._ids: set[str] = set()
        self._begun_s = 0.0

    def _launch(self, use: UseCase, campaign_id: str, index: int) -> Json:
        now = datetime.now(UTC)
        launched = campaign_launched(
            opens_at=now, closes_in_s=86_400, org_id=use.org_id, campaign_id=campaign_id
        )
        codes = AREA_CODES[index % len(AREA_CODES)]
        return {**launched, "use_case_id": use.use_case_id, "area_codes": codes}

    async def listen(self) -> None:
        """Hear everything that is told on this exchange."""
        queue = await self._channel.declare_queue(exclusive=True)
        await queue.bind(self._exchange, "#")
        await queue.consume(self._hear, no_ack=True)

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        heard_s = time.monotonic()
        document = json.loads(message.body)
        for event in document if isinstance(document, list) else [document]:
            if event["id"] in self._ids:
                continue
            self._ids.add(event["id"])
            self.told.setdefault(event["type"], []).append(event["data"])
            if event["type"] == "NumberProvisioned":
                self.took_s[event["data"]["campaign_id"]] = heard_s - self._begun_s

    async def register(self) -> None:
        """Make the use cases known."""
        data = [
            {"org_id": use.org_id, "use_case_id": use.use_case_id,
             "provider_campaign_id": use.provider_campaign_id, "messaging_profile_id": "profile"}
            for use in self.uses
        ]  # fmt: skip
        await self._publish("UseCaseRegistered", data)

    async def launch_all(self) -> None:
        """Publish all launches at once: half of them in batches, the others one a message."""
        self._begun_s = time.monotonic()
        half = len(self.launches) // 2
        await asyncio.gather(
            self._publish("CampaignLaunched", self.launches[:half]),
            *(self._publish("CampaignLaunched", [one]) for one in self.launches[half:]),
        )

    async def _publish(self, kind: str, data: Sequence[Json]) -> None:
        events = [
            {"specversion": "1.0", "id": str(uuid4()), "source": "crowd", "type": kind, "data": one}
            for one in data
        ]
        for start in range(0, len(events), BATCH):
            message = aio_pika.Message(
                json.dumps(events[start : start + BATCH]).encode(),
                content_type="application/cloudevents-batch+json",
                delivery_mode=2,
            )
            await self._exchange.publish(message, routing_key=kind)

    async def until_told(self, count: int, kind: str, *, within_s: float) -> None:
        """Wait until so many events of a type were heard."""
        async with asyncio.timeout(within_s):
            while len(self.told.get(kind, ())) < count:
                await asyncio.sleep(0.05)

    async def until_settled(self, *, within_s: float) -> None:
        """Wait for every campaign's outcome."""
        await self.until_told(len(self.launches), "NumberProvisioned", within_s=within_s)


@asynccontextmanager
async def crowd(amqp_url: str, prefix: str, uses: Sequence[UseCase]) -> AsyncIterator[Crowd]:
    """One that listens, and has made its use cases known; the exchange must be there already."""
    async with await aio_pika.connect(amqp_url, timeout=10) as connection:
        channel = await connection.channel(on_return_raises=True)
        one = Crowd(channel, await channel.get_exchange(prefix), uses)
        await one.listen()
        await one.register()
        yield one


@dataclass(frozen=True)
class Account:
    """What the provider has in its books for us."""

    owned: Sequence[str]
    ordered: Sequence[str]
    """Numbers of orders that succeeded."""
    verdict: Json


async def account(platform: Platform) -> Account:
    """Read the provider's books, page by page, as any customer can."""
    key = platform.environment("provisioner")["SLUICE_TELNYX_API_KEY"]
    async with aiohttp.ClientSession(
        platform.url("sandbox"),
        headers={"Authorization": f"Bearer {key}"},
        timeout=aiohttp.ClientTimeout(total=30),
    ) as session:
        owned = await _pages(session, "/v2/phone_numbers")
        orders = await _pages(session, "/v2/number_orders")
        async with session.get("/judge") as answer:
            verdict: Json = await answer.json()
    ordered = [
        phone["phone_number"]
        for order in orders
        if order["status"] == "success"
        for phone in order["phone_numbers"]
    ]
    return Account([one["phone_number"] for one in owned], ordered, verdict)


async def _pages(session: aiohttp.ClientSession, path: str) -> list[Json]:
    found: list[Json] = []
    while True:
        number = len(found) // PAGE + 1
        query = {"page[number]": str(number), "page[size]": str(PAGE)}
        async with session.get(path, params=query) as answer:
            answer.raise_for_status()
            page = (await answer.json())["data"]
        found += page
        if len(page) < PAGE:
            return found


async def numbers_held(database_url: str) -> list[tuple[str, str, str]]:
    """Organization, use case and number of each row that holds a number."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        rows = await connection.fetch(
            "SELECT org_id, use_case_id, number FROM provisioner.numbers WHERE step = 'held'"
        )
    finally:
        await connection.close(timeout=10)
    return [tuple(row) for row in rows]


async def check_the_books(one: Crowd, platform: Platform, database_url: str) -> None:
    """Every campaign has its one end; every number is bought once, and has its campaign; each use
    case holds what it can. Raises AssertionError."""
    ends = {end["campaign_id"]: end for end in one.told["NumberProvisioned"]}
    launched = {launch["campaign_id"]: launch for launch in one.launches}
    assert ends.keys() == launched.keys()
    assert len(one.told["NumberProvisioned"]) == len(ends), "an end was told twice"
    complete = [end for end in ends.values() if end["outcome"] == "complete"]
    numbers = [end["number"] for end in complete]
    assert len(set(numbers)) == len(numbers), "a number was told twice"
    for end in ends.values():
        if end["outcome"] == "failed":
            assert end["number"] is None
            assert "Archive a few old campaigns" in end["reason"], end["reason"]
    bought = {event["campaign_id"]: event["number"] for event in one.told["NumberPurchased"]}
    assert len(one.told["NumberPurchased"]) == len(bought) == len(complete)
    assert bought == {end["campaign_id"]: end["number"] for end in complete}

    held = await numbers_held(database_url)
    assert sorted(number for _, _, number in held) == sorted(numbers), "our rows hold others"
    of_use_cases = Counter((org_id, use_case_id) for org_id, use_case_id, _ in held)
    assert of_use_cases == {
        (use.org_id, use.use_case_id): min(use.launches, PLACES) for use in one.uses
    }

    books = await account(platform)
    assert sorted(books.owned) == sorted(numbers), "the provider has numbers that nobody holds"
    assert sorted(books.ordered) == sorted(numbers), "something was bought twice"
    assert books.verdict["ok"], books.verdict
    peaks = {line["use_case"]: line["peak"] for line in books.verdict["use_cases"]}
    assert peaks == {use.provider_campaign_id: min(use.launches, PLACES) for use in one.uses}
