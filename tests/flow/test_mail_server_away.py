"""The mail server is away for an hour, in every way in which it can be: with real processes.

The hour is not waited for: what is due later is made due now, as often as an hour has rounds.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any, Literal

import asyncpg
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.platform import Platform
from deploy.local.ports import free_port
from tests.other_system import Json, campaign_launched, iso, other_system

NOTICES = 90
ROUND_S = 330
"""More than the notifier waits between two tries, so that each round tries every letter."""
TIMEOUT_S = 0.5
LOST_MOST = 6
STALLED_MOST = 3
NOBODY = "nobody@example.org"

Mood = Literal[
    "away",
    "silent",  # connects, and says nothing
    "busy",  # 421 at once
    "greylists",
    "full",  # takes the content, and says that it does not
    "stalls",  # at the sender; then closes
    "loses answers",  # of some letters, after their content; the others it puts off
    "fine",
]
AN_HOUR: tuple[Mood, ...] = (
    "away", "silent", "busy", "away", "greylists", "full", "stalls", "loses answers", "busy",
    "away", "full", "away",
)  # fmt: skip


class PostOffice:
    """An SMTP server that remembers each answer to a letter's content."""

    def __init__(self) -> None:
        self.port = free_port()
        self.mood: Mood = "away"
        self.answers: defaultdict[str, list[str]] = defaultdict(list)
        """By Message-ID; `lost` where none was given."""
        self._server: asyncio.Server | None = None
        self._stalled = 0
        self._lost = 0

    async def be(self, mood: Mood) -> None:
        """Go on like this, on the same port."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.mood = mood
        loop = asyncio.get_running_loop()
        if mood in ("silent", "busy"):
            self._server = await asyncio.start_server(self._greet, "127.0.0.1", self.port)
        elif mood != "away":
            self._server = await loop.create_server(
                lambda: SMTP(self, hostname="localhost", loop=loop), "127.0.0.1", self.port
            )

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mood == "silent":
            await reader.read()
        else:
            writer.write(b"421 come back later\r\n")
            await writer.drain()
        writer.close()

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        if self.mood == "stalls":
            self._stalled += 1
            if self._stalled <= STALLED_MOST:
                await asyncio.sleep(60)
            return "421 closing down"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        if address == NOBODY:
            return "550 no such mailbox"
        if self.mood == "greylists":
            return "451 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message_id = str(message_from_bytes(envelope.content, policy=default)["Message-ID"])
        if self.mood == "loses answers" and self._lost < LOST_MOST:
            self._lost += 1
            self.answers[message_id].append("lost")
            if self._lost % 2:
                assert isinstance(server.transport, asyncio.Transport)
                server.transport.abort()
            await asyncio.sleep(60)
        taken = self.mood == "fine"
        self.answers[message_id].append("taken" if taken else "put off")
        return "250 OK" if taken else "452 no room"


@asynccontextmanager
async def post_office() -> AsyncIterator[PostOffice]:
    office = PostOffice()
    yield office
    await office.be("away")


def outcome(index: int, now: datetime) -> tuple[Json, Json]:
    """A campaign's launch and its outcome: every third has failed."""
    launched = campaign_launched(opens_at=now, closes_in_s=86_400, campaign_id=f"c{index:03}")
    address = NOBODY if index == 0 else f"admin{index:03}@example.org"
    launched["launched_by"] = {"name": "Grace", "email": address}
    state = "refused" if index % 3 == 0 else "confirmed"
    carriers = {name: {"state": state, "at": iso(now)} for name in ("att", "tmobile", "verizon")}
    provisioned = {
        "org_id": "acme", "campaign_id": launched["campaign_id"], "name": launched["name"],
        "number": "+13035550100", "outcome": "failed" if index % 3 == 0 else "complete",
        "carriers": carriers, "reason": "Refused by all." if index % 3 == 0 else None,
        "launched_by": launched["launched_by"], "window": launched["window"], "took_s": 12.5,
    }  # fmt: skip
    return launched, provisioned


class Deliveries:
    """The notifier's rows, and how time passes for them."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def rows(self) -> dict[tuple[str, str], Json]:
        """State, tries and so on by notice and address."""
        found = await self._connection.fetch(
            """
            SELECT notice_id, address, state, tries, error, due_at
            FROM notifier.deliveries WHERE channel = 'email'
            """
        )
        return {(row["notice_id"], row["address"]): dict(row) for row in found}

    async def pass_a_round(self, within_s: float = 40) -> None:
        """Let some minutes pass, until each letter that waits has been tried once more, or has its
        end. What is being sent at this moment is not to look abandoned: its time passes later."""
        before = await self.rows()
        await self._connection.execute(
            "UPDATE notifier.notices SET created_at = created_at - $1::interval",
            timedelta(seconds=ROUND_S),
        )
        async with asyncio.timeout(within_s):
            while untried := [
                key
                for key, row in (await self.rows()).items()
                if row["due_at"] is not None and row["tries"] <= before[key]["tries"]
            ]:
                await self._make_due(untried)
                await asyncio.sleep(0.1)

    async def _make_due(self, keys: Sequence[tuple[str, str]]) -> None:
        await self._connection.execute(
            """
            UPDATE notifier.deliveries SET due_at = deliveries.due_at - $3::interval
            FROM unnest($1::text[], $2::text[]) AS waiting (notice_id, address)
            WHERE deliveries.notice_id = waiting.notice_id
              AND deliveries.address = waiting.address AND channel = 'email'
              AND lease IS NULL AND due_at > clock_timestamp()
            """,
            [notice_id for notice_id, _ in keys],
            [address for _, address in keys],
            timedelta(seconds=ROUND_S),
        )


@pytest.mark.timeout(180)
async def test_after_an_hour_without_a_mail_server_each_letter_is_sent_once(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    async with (
        post_office() as office,
        Platform(
            database_url=database_url,
            amqp_url=amqp_url,
            bus_prefix=bus_prefix,
            services=("notifier",),
            replicas={"notifier": 2},
            settings={
                "notifier": {
                    "SLUICE_SMTP_PORT": str(office.port),
                    "SLUICE_SMTP_TIMEOUT_S": str(TIMEOUT_S),
                }
            },
        ),
        other_system(amqp_url, bus_prefix) as other,
    ):
        connection = await asyncpg.connect(database_url, timeout=10)
        deliveries = Deliveries(connection)
        now = datetime.now(UTC)
        launched, ended = zip(*(outcome(index, now) for index in range(NOTICES)), strict=True)
        await other.publish_batch("CampaignLaunched", launched)
        await other.publish_batch("NumberProvisioned", ended)
        await _until(deliveries, NOTICES)
        for mood in AN_HOUR:
            await office.be(mood)
            await deliveries.pass_a_round()
        _check_the_hour(office, await deliveries.rows())
        await office.be("fine")
        await deliveries.pass_a_round()
        # Whoever asks again, or hears it again, changes nothing.
        await other.publish_batch("NumberProvisioned", ended)
        await asyncio.sleep(2)
        rows = await deliveries.rows()
        await connection.close()
    _check_the_end(office, rows)


async def _until(deliveries: Deliveries, count: int) -> None:
    async with asyncio.timeout(20):
        while len(await deliveries.rows()) < count:
            await asyncio.sleep(0.1)


def _check_the_hour(office: PostOffice, rows: dict[tuple[str, str], Json]) -> None:
    states = Counter(row["state"] for row in rows.values())
    assert states == {"due": NOTICES - LOST_MOST - 1, "unclear": LOST_MOST, "refused": 1}
    assert min(row["tries"] for row in rows.values() if row["state"] == "due") >= len(AN_HOUR)
    assert not [answers for answers in office.answers.values() if "taken" in answers]


def _check_the_end(office: PostOffice, rows: dict[tuple[str, str], Json]) -> None:
    assert len(rows) == NOTICES
    states = Counter(row["state"] for row in rows.values())
    assert states == {"sent": NOTICES - LOST_MOST - 1, "unclear": LOST_MOST, "refused": 1}
    ends = [
        "".join(answer for answer in answers if answer != "put off")
        for answers in office.answers.values()
    ]
    # A letter whose answer was lost is the last of it; all others were taken, each once.
    assert Counter(ends) == {"taken": NOTICES - LOST_MOST - 1, "lost": LOST_MOST}
    for answers in office.answers.values():
        assert answers[-1] != "put off"
    [refused] = [row for row in rows.values() if row["state"] == "refused"]
    assert (refused["address"], refused["due_at"]) == (NOBODY, None)
    assert "no such mailbox" in refused["error"]
