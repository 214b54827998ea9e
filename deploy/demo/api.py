"""The public HTTP API as a person uses it, and the sandbox's own routes."""

from __future__ import annotations

import json
from typing import Any

import aiohttp


class Refused(Exception):
    """An answer that says no: the HTTP status, and the reason in the API's own words."""

    def __init__(self, status: int, request: str, body: str) -> None:
        self.status = status
        self.detail = _detail(body)
        super().__init__(f"{request} was answered with {status}: {self.detail}")


def _detail(body: str) -> str:
    """What a problem document says, with the field at fault; other bodies as they are."""
    try:
        problem = json.loads(body)
        words = problem.get("detail") or problem["title"]
        return f"{problem['field']}: {words}" if problem.get("field") else str(words)
    except (ValueError, KeyError, AttributeError):
        return body[:500]


class Site:
    """JSON over HTTP at one address, with one person's token or with none."""

    def __init__(self, session: aiohttp.ClientSession, base: str, token: str = "") -> None:
        self._session = session
        self._base = base
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def as_person(self, token: str) -> Site:
        """The same address, as somebody else."""
        return Site(self._session, self._base, token)

    async def get(self, path: str, **query: str | int) -> Any:
        """GET JSON."""
        return json.loads(await self._call("GET", path, params=query))

    async def get_text(self, path: str) -> str:
        """GET something that is not JSON."""
        return await self._call("GET", path)

    async def post(self, path: str, **body: object) -> Any:
        """POST JSON, get JSON."""
        return json.loads(await self._call("POST", path, json=body))

    async def put(self, path: str, **body: object) -> Any:
        """PUT JSON, get JSON."""
        return json.loads(await self._call("PUT", path, json=body))

    async def patch(self, path: str, **body: object) -> Any:
        """PATCH JSON, get JSON."""
        return json.loads(await self._call("PATCH", path, json=body))

    async def upload(self, path: str, table: bytes, **query: str) -> Any:
        """POST a CSV file."""
        return json.loads(
            await self._call(
                "POST", path, data=table, params=query, headers={"Content-Type": "text/csv"}
            )
        )

    async def _call(
        self, method: str, path: str, headers: dict[str, str] | None = None, **rest: Any
    ) -> str:
        async with self._session.request(
            method, self._base + path, headers={**self._headers, **(headers or {})}, **rest
        ) as response:
            body = await response.text()
            if response.status >= 300:
                raise Refused(response.status, f"{method} {path}", body)
            return body
