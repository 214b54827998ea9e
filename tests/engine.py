"""The collider in virtual time: a manual clock, a real database, the sandbox's carriers and judge.

Everything runs here but the broker and HTTP: events are recorded as the consumer records them,
workers step as the runtime steps them, and the adapter's own functions write the requests and read
the answers and receipts.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from services.collider import api, handlers
from services.collider.api import Signed
from services.collider.domain import Inbound, Receipt
from services.collider.providers import telnyx
from services.collider.upkeep import Upkeep
from services.sandbox.domain import Carrier, Limit, Webhook
from services.sandbox.hours import PromisedHours
from services.sandbox.world import World
from shared import envelope
from shared.clock import ManualClock
from shared.consumer import record
from shared.database import Database
from shared.envelope import Received
from shared.events import CampaignLaunched, Event, LimitsChanged, MessageQueued, NumberPurchased
from shared.ids import new_id
from shared.migrate import migrate
from shared.rules.hours import Hours, Window
from tests.replicas import Replica, WeakDatabase, virtual_time

MIGRATIONS = Path(handlers.__file__).parent / "migrations"
NUMBER = "+12125550100"
MORNING = datetime(2026, 10, 20, 9, 0, tzinfo=ZoneInfo("America/Los_Angeles"))
EVENING = MORNING + timedelta(hours=12)
PREFIXES: dict[Carrier, str] = {"att": "2", "tmobile": "4", "verizon": "6", "other": "8"}

Told = TypeVar("Told", bound=Event)


def phone(carrier: Carrier, index: int) -> str:
    """A contact's phone that the sandbox knows to be with this carrier."""
    return f"+1303{PREFIXES[carrier]}{index:06d}"


class Engine:
    """One collider, of one replica or of several, with its time in a test's hands."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.database = database
        self.clock = clock
        self.world = World()
        self.events: dict[type[Event], list[Event]] = defaultdict(list)
        self.replicas: list[Replica] = []
        first = self.start_replica()
        self.claimer, self.dispatcher = first.claimer, first.dispatcher
        self.upkeep = Upkeep(database, unrouted_most_s=86_400, reply_most_s=7 * 86_400)

    @property
    def now(self) -> datetime:
        return self.clock.at

    def start_replica(self, *, calls_most: int = 2000) -> Replica:
        """Another process on the same database."""
        replica = Replica(self.database, self.world, self.clock, calls_most=calls_most)
        self.replicas.append(replica)
        return replica

    async def hear(self, *events: Event) -> None:
        """Record events as the consumer does, 500 at a time."""
        read = [Received(f"test {new_id()}", event, {}) for event in events]
        for start in range(0, len(read), 500):
            batch = read[start : start + 500]
            await record(self.database, "test", handlers.HANDLERS, batch)

    async def launch(
        self,
        *,
        opens_at: datetime,
        closes_at: datetime,
        campaign_id: str = "campaign",
        opens: str = "09:00",
        closes: str = "21:00",
        time_zone: str = "America/Los_Angeles",
        number: str = NUMBER,
        org_id: str = "org",
        use_case_id: str = "use-case",
    ) -> None:
        """Launch a campaign whose number the carriers know."""
        self.world.registry.campaign(use_case_id).brand = org_id
        self.world.provide_number(
            self.now, number, campaign_id=use_case_id, messaging_profile_id="profile"
        )
        profile = self.world.numbers.profile(self.now, "profile")
        profile.webhook_url = f"http://127.0.0.1{telnyx.INBOUND_PATH}"
        common = {"org_id": org_id, "campaign_id": campaign_id, "use_case_id": use_case_id}
        await self.hear(
            CampaignLaunched.model_validate(
                {
                    **common,
                    "name": "Get out the vote",
                    "launched_by": {"name": "Ada", "email": "ada@example.org"},
                    "window": {"opens_at": opens_at, "closes_at": closes_at},
                    "hours": {"opens": opens, "closes": closes, "time_zone": time_zone},
                    "revision": 1,
                }
            ),
            NumberPurchased.model_validate({**common, "number": number, "purchased_at": self.now}),
        )

    def promise(self, window: Window, hours: Hours, *, number: str = NUMBER) -> PromisedHours:
        """Tell the judge what the number's campaign promises from now on."""
        promised = PromisedHours(
            hours.time_zone, hours.opens, hours.closes, window.opens_at, window.closes_at
        )
        self.world.judge.tell_hours(self.now, number, promised)
        return promised

    async def limit(
        self,
        carrier: Carrier,
        *,
        version: int = 1,
        org_id: str = "org",
        use_case_id: str | None = None,
        **caps: object,
    ) -> None:
        """Tell the collider a limit, and the carrier the same."""
        caps = {"sms_per_minute": None, "mms_per_minute": None, "segments_per_day": None, **caps}
        event = LimitsChanged.model_validate(
            {
                "org_id": org_id, "use_case_id": use_case_id, "carrier": carrier,
                "version": version, "sms_unit": "segment", **caps,
            }
        )  # fmt: skip
        await self.hear(event)
        limit = Limit(
            sms_per_minute=event.sms_per_minute,
            sms_unit=event.sms_unit,
            mms_per_minute=event.mms_per_minute,
            segments_per_day=event.segments_per_day,
            day_zone=event.day_zone,
        )
        self.world.tell_limit(self.now, org_id, carrier, limit, use_case_id)

    def texts(self, carrier: Carrier, count: int, **fields: object) -> list[MessageQueued]:
        """So many texts to contacts of one carrier."""
        return [
            MessageQueued.model_validate(
                {
                    "org_id": "org", "campaign_id": "campaign", "message_id": new_id(),
                    "kind": "initial", "channel": "sms", "to": phone(carrier, index),
                    "text": "Will you vote?", "carrier": carrier, "queued_at": self.now,
                    **fields,
                }
            )
            for index in range(count)
        ]  # fmt: skip

    async def step(self) -> None:
        """Let everything happen that is due at this instant."""
        await self.keep_up()
        self.world.advance(self.now)
        await self.receive(self.world.take_webhooks())
        await self.send()
        await self.collect()

    async def keep_up(self) -> None:
        """What time does by itself."""
        of = self.upkeep
        for upkeep in (of.turn, of.route, of.reap, of.settle, of.close):
            while await upkeep():
                pass

    async def send(self) -> None:
        """Claim and call until nothing more may go at this instant."""
        claimed = True
        while claimed:
            claimed = False
            for replica in self.replicas:
                claimed |= await replica.work()

    async def receive(self, webhooks: Sequence[Webhook]) -> None:
        """Record webhooks as the HTTP edge does once their signature is right."""
        says = [self._read(webhook) for webhook in webhooks]
        async with self.database.transaction() as tx:
            await api.record(tx, [Signed(self.now, one) for one in says if one is not None])

    @staticmethod
    def _read(webhook: Webhook) -> Receipt | Inbound | None:
        body = json.dumps({"data": webhook.data}).encode()
        path = urlsplit(webhook.url).path
        if path == telnyx.INBOUND_PATH:
            return telnyx.read_inbound(body)
        *_, org_id, message_id, attempt = path.split("/")
        return telnyx.read_receipt(body, unquote(org_id), unquote(message_id), int(attempt))

    async def run(self, seconds: float, *, every_s: float = 0.25) -> None:
        """Turn the clock on, step by step."""
        until = self.now + timedelta(seconds=seconds)
        while self.now < until:
            self.clock.advance(min(every_s, (until - self.now).total_seconds()))
            await self.step()

    async def go_to(self, until: datetime, *, least_s: float = 0.25) -> None:
        """Turn the clock on to this instant, from one due time to the next, but by `least_s` at
        least: nights pass in a step or two."""
        until = until.astimezone(UTC)
        while self.now < until:
            due_at = await self._next_due_at() or until
            self.clock.at = min(until, max(self.now + timedelta(seconds=least_s), due_at))
            await self.step()

    async def _next_due_at(self) -> datetime | None:
        async with self.database.connection() as connection:
            ours = await connection.fetchval(
                """
                SELECT least(
                    (SELECT min(due_at) FROM standings),
                    (SELECT min(lease_until) FROM messages
                     WHERE status IN ('claimed', 'calling')),
                    (SELECT min(least(turn_at, close_due_at)) FROM campaigns),
                    (SELECT max($1::timestamptz) FROM wakes))
                """,
                self.now,
            )
        dues = [at for at in (ours, self.world.next_due_at) if at is not None]
        return min(dues, default=None)

    async def collect(self) -> None:
        """Take the events that were told since the last time, in the order of their commits."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                """
                WITH taken AS (DELETE FROM outbox RETURNING position, body)
                SELECT body FROM taken ORDER BY position
                """
            )
        for row in rows:
            for reading in envelope.read(envelope.batch([row["body"].decode()]), None, {}):
                assert isinstance(reading, Received), reading
                self.events[type(reading.event)].append(reading.event)

    def told(self, event: type[Told]) -> list[Told]:
        """The events of this type that were told so far."""
        return [one for one in self.events[event] if isinstance(one, event)]

    async def statuses(self) -> dict[str, int]:
        """How many messages are in which status."""
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT status, count(*) FROM messages GROUP BY status")
        return {row["status"]: row["count"] for row in rows}


@asynccontextmanager
async def engine(database_url: str, at: datetime) -> AsyncIterator[Engine]:
    """A collider on an empty schema, at this time."""
    await migrate(database_url, "collider", MIGRATIONS)
    clock = ManualClock(at.astimezone(UTC))
    database = await WeakDatabase.open(database_url, "collider", clock=clock)
    try:
        await empty(database)
        with virtual_time(clock):
            yield Engine(database, clock)
    finally:
        await database.close()


async def empty(database: Database) -> None:
    """Forget all rows."""
    async with database.connection() as connection:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'collider' "
            "AND tablename <> 'migrations'"
        )
        names = ", ".join(row["tablename"] for row in tables)
        await connection.execute(f"TRUNCATE {names} RESTART IDENTITY")
