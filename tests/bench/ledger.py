"""The sandbox as a bench uses it: told what it needs over HTTP, and asked for its ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from tests.bench.stock import Campaign
from tests.other_system import Json

_PAGE = 2000


@dataclass(frozen=True, slots=True)
class Arrival:
    """One text that the provider took, as its ledger has it. `carrier` is the judge's word."""

    org_id: str
    carrier: str
    message_id: str
    attempt: int
    kind: str
    arrived_at: datetime


class Sandbox:
    """A running sandbox process."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def know(self, campaigns: Iterable[Campaign]) -> None:
        """Each campaign's number, on the organization's use case, confirmed by all carriers; and
        the window that the campaign promises."""
        for campaign in campaigns:
            await self._put(
                f"/sandbox/numbers/{campaign.number}",
                {"messaging_profile_id": "profile", "campaign_id": campaign.org_id},
            )
            await self.promise(campaign.number, campaign.opens_at, campaign.closes_at)

    async def promise(self, number: str, opens_at: datetime, closes_at: datetime) -> None:
        """The judge holds the number's initials against this window from now on."""
        window = {"opens_at": opens_at.isoformat(), "closes_at": closes_at.isoformat()}
        await self._put(f"/judge/hours/{number}", {"window": window})

    async def limit(self, org_id: str, carrier: str, per_minute: int) -> None:
        """The carrier's limit: so many messages a minute."""
        caps = {"sms_per_minute": per_minute, "sms_unit": "message"}
        await self._put(f"/sandbox/limits/{org_id}/{carrier}", caps)

    async def verdict(self) -> Json:
        """What the judge says of all that has arrived."""
        verdict: Json = await self._get("/judge", {})
        return verdict

    async def arrivals(self, after: int = 0) -> list[Arrival]:
        """Every text that was taken, in the order of arrival, behind the ledger's entry `after`."""
        found: list[Arrival] = []
        while True:
            page = await self._get("/judge/messages", {"after": str(after), "limit": str(_PAGE)})
            lines = page["messages"]
            found += [_arrival(line) for line in lines if line["taken"]]
            if len(lines) < _PAGE:
                return found
            after = page["next"]

    async def _put(self, path: str, document: Json) -> None:
        async with self._session.put(path, json=document) as answer:
            if answer.status >= 300:
                raise RuntimeError(f"the sandbox refuses {path}: {await answer.text()}")

    async def _get(self, path: str, query: dict[str, str]) -> Any:
        async with self._session.get(path, params=query) as answer:
            answer.raise_for_status()
            return await answer.json()


def _arrival(line: Json) -> Arrival:
    return Arrival(
        line["org_id"],
        line["carrier"],
        line["message_id"],
        int(line["attempt"]),
        line["kind"],
        datetime.fromisoformat(line["arrived_at"]),
    )


@asynccontextmanager
async def sandbox(url: str) -> AsyncIterator[Sandbox]:
    """The sandbox that listens there."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(url, timeout=timeout) as session:
        yield Sandbox(session)
