"""The campaign service at a test's hands: its API in-process, a real database, a manual clock."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from aiohttp.test_utils import TestClient, TestServer

from services.campaign import handlers, operator_token
from services.campaign.api.app import create_app
from services.campaign.settings import CampaignSettings
from services.campaign.store.scope import API_ROLE
from shared import envelope
from shared.clock import ManualClock
from shared.consumer import record
from shared.database import Database
from shared.envelope import Received
from shared.events import CampaignEvent, Event
from shared.ids import new_id

NOON = datetime.fromisoformat("2026-10-20T16:00:00+00:00")
MASTER_KEY = "from this all keys of webhooks are derived"
NEW_YORK = {"opens": "9:00", "closes": "21:00", "time_zone": "America/New_York"}

Told = TypeVar("Told", bound=Event)
ToldOf = TypeVar("ToldOf", bound=CampaignEvent)


@dataclass
class Reply:
    """What the API said."""

    status: int
    body: Any
    headers: dict[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.body[name]


class Desk:
    """Calls the API as anybody, and hears events as the consumer would."""

    def __init__(self, database: Database, client: Any, clock: ManualClock, operator: str) -> None:
        self.database = database
        self.client = client
        self.clock = clock
        self.operator = operator

    async def call(self, method: str, path: str, token: str = "", /, **body: Any) -> Reply:
        sent = json.dumps(body).encode() if body else None
        return await self._request(method, path, token, sent, "application/json")

    async def once(
        self, key: str, method: str, path: str, token: str = "", /, **body: Any
    ) -> Reply:
        """A call with an Idempotency-Key."""
        sent = json.dumps(body).encode() if body else None
        return await self._request(method, path, token, sent, "application/json", key)

    async def send_file(self, path: str, token: str, data: bytes, *, key: str = "") -> Reply:
        return await self._request("POST", path, token, data, "text/csv", key)

    async def _request(
        self, method: str, path: str, token: str, data: bytes | None, kind: str, key: str = ""
    ) -> Reply:
        headers = {"Content-Type": kind}
        if key:
            headers["Idempotency-Key"] = key
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with self.client.request(
            method, f"/api/v1{path}", data=data, headers=headers
        ) as response:
            raw = await response.read()
            found = json.loads(raw) if "json" in response.content_type else raw.decode()
            return Reply(response.status, found, dict(response.headers))

    async def good(self, method: str, path: str, token: str = "", /, **body: Any) -> Reply:
        """A call that has to succeed."""
        reply = await self.call(method, path, token, **body)
        assert reply.status < 300, (method, path, reply.status, reply.body)
        return reply

    async def organization(self, name: str = "Acme") -> "Organization":
        made = await self.good("POST", "/organizations", self.operator, name=name)
        org_id = made["organization_id"]
        use_case = await self.good(
            "POST",
            f"/organizations/{org_id}/use-cases",
            self.operator,
            name="Fundraising",
            provider_campaign_id=f"C{new_id()}",
        )
        admin = await self.good(
            "POST",
            f"/organizations/{org_id}/people",
            self.operator,
            name="Ada",
            email="ada@example.org",
            role="admin",
        )
        return Organization(self, org_id, use_case["use_case_id"], admin["token"])

    async def hear(self, *events: Event) -> None:
        read = [Received(new_id(), event, {}) for event in events]
        await record(self.database, "campaign", handlers.HANDLERS, read)

    async def told(self, kind: type[Told]) -> list[Told]:
        """All events of a type that stand in the outbox, oldest first."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT body FROM outbox WHERE topic = $1 AND NOT dead ORDER BY position",
                kind.__name__,
            )
        found: list[Told] = []
        for row in rows:
            for item in envelope.read(b"[" + row["body"] + b"]", envelope.BATCH, {}):
                assert isinstance(item, Received)
                assert isinstance(item.event, kind)
                found.append(item.event)
        return found

    async def told_of(self, kind: type[ToldOf], campaign_id: str) -> list[ToldOf]:
        """Those about one campaign."""
        return [event for event in await self.told(kind) if event.campaign_id == campaign_id]

    async def rows(self, table: str) -> int:
        async with self.database.connection() as connection:
            count: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
            return count


@dataclass
class Sender:
    """A person with a token."""

    person_id: str
    token: str


@dataclass
class Organization:
    """An organization with a use case and an admin."""

    desk: Desk
    org_id: str
    use_case_id: str
    admin: str

    async def sender(self, name: str = "Sue") -> Sender:
        made = await self.desk.good(
            "POST", "/people", self.admin, name=name, email=f"{name.lower()}@example.org"
        )
        return Sender(made["person_id"], made["token"])

    async def contacts(self, rows: int = 10, first: int = 0) -> str:
        lines = [f"+1303200{first + row:04d},Carl{row},att,Boulder" for row in range(rows)]
        table = "\n".join(["phone,first_name,carrier,town", *lines]).encode()
        made = await self.desk.send_file("/contact-lists?name=all", self.admin, table)
        assert made["contacts"] == rows
        found: str = made["contact_list_id"]
        return found

    async def draft(self, **differs: Any) -> str:
        contact_list_id = differs.pop("contact_list_id", None) or await self.contacts()
        plan = {
            "name": "Spring",
            "use_case_id": self.use_case_id,
            "contact_list_id": contact_list_id,
            "script": "Hi {first_name} of {town}",
            "hours": NEW_YORK,
            "self_assign": {"enabled": True, "batch_size": 4},
            **differs,
        }
        made = await self.desk.good("POST", "/campaigns", self.admin, **plan)
        found: str = made["campaign_id"]
        return found

    async def launch(self, *senders: Sender, **differs: Any) -> str:
        campaign_id = await self.draft(**differs)
        if senders:
            await self.desk.good(
                "POST",
                f"/campaigns/{campaign_id}/senders",
                self.admin,
                person_ids=[sender.person_id for sender in senders],
            )
        await self.desk.good("POST", f"/campaigns/{campaign_id}/launch", self.admin)
        return campaign_id

    async def details(self, campaign_id: str) -> Any:
        return (await self.desk.good("GET", f"/campaigns/{campaign_id}", self.admin)).body


@asynccontextmanager
async def desk(database_url: str, at: datetime = NOON, **settings: Any) -> AsyncIterator[Desk]:
    """A desk on an empty database, at noon in New York."""
    operator = await operator_token.make(database_url)
    clock = ManualClock(at)
    database = await Database.open(database_url, "campaign", size=6, clock=clock)
    async with (
        database,
        await Database.open(
            database_url, "campaign", size=6, clock=clock, role=API_ROLE, told=database.told
        ) as api,
        TestClient(TestServer(create_app(api, _settings(database_url, **settings)))) as client,
    ):
        yield Desk(database, client, clock, operator)


def _settings(database_url: str, **settings: Any) -> CampaignSettings:
    return CampaignSettings.model_validate(
        {
            "database_url": database_url,
            "amqp_url": "amqp://127.0.0.1/",
            "webhook_master_key": MASTER_KEY,
            **settings,
        }
    )
