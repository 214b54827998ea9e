"""A collider in virtual time whose recipients' carriers have to be looked up."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from services.collider.carriers import LookUp
from services.collider.providers import telnyx
from services.collider.recipients import LookUps
from services.sandbox.messages import CARRIER_NAMES
from shared.events import MessageQueued, MessageSent
from tests.engine import Engine

NEW = "+13034000001"


class Directory:
    """Telnyx's look-up, of the sandbox's phones; `answer` may stand in its way."""

    name = "telnyx"

    def __init__(self, collider: Engine) -> None:
        self._collider = collider
        self.asked: list[str] = []
        self.answer: Callable[[str], Awaitable[LookUp]] = self.right

    async def look_up(self, phone: str) -> LookUp:
        self.asked.append(phone)
        return await self.answer(phone)

    async def right(self, phone: str) -> LookUp:
        return self.named(CARRIER_NAMES[self._collider.world.phones.carrier_of(phone)])

    @staticmethod
    def named(name: str | None, line: str = "mobile") -> LookUp:
        carrier = {"name": name, "normalized_carrier": None, "type": line}
        return telnyx.looked_up(200, {}, json.dumps({"data": {"carrier": carrier}}).encode())


class Story:
    """A collider and its look-ups."""

    def __init__(self, collider: Engine) -> None:
        self.collider = collider
        self.directory = Directory(collider)
        self.look_ups = LookUps(collider.database, self.directory)

    async def look_up(self) -> None:
        """Look up what is due at this instant."""
        more = True
        while more:
            more = await self.look_ups.step()
            for _ in range(3):
                await asyncio.sleep(0)

    async def run(self, seconds: float, *, every_s: float = 0.25) -> None:
        until = self.collider.now + timedelta(seconds=seconds)
        while self.collider.now < until:
            self.collider.clock.advance(every_s)
            await self.look_up()
            await self.collider.step()

    async def queue(self, *phones: str, **fields: Any) -> None:
        await self.collider.hear(*(self.text(one, **fields) for one in phones))

    def text(self, to: str, **fields: Any) -> MessageQueued:
        [text] = self.collider.texts("att", 1)
        return text.model_copy(update={"to": to, "carrier": None, **fields})

    def sent_by(self) -> list[str]:
        """The carriers by which texts were sent, in turn."""
        return [event.carrier for event in self.collider.told(MessageSent)]

    async def rows(self, query: str) -> list[Any]:
        async with self.collider.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(query)]

    async def in_line(self) -> int:
        return len(await self.rows("SELECT FROM look_ups"))
