"""A campaign service for a fuzzer: on a loop of its own, with one of everything in it."""

import asyncio
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shared.events import MessageReceived
from tests.campaign_desk import NOON, Desk, desk

PHONE = "+13032000000"


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """Where it listens, whose tokens open it, and which ids are those of something."""

    url: str
    operator: str
    admin: str
    ids: dict[str, str]

    def known(self, name: str, value: Any) -> Any:
        """The id of something in place of every second one: most of those made up are of nothing.

        Which ones follows from the value, so that a failure is the same when it is tried again.
        """
        told = isinstance(value, str) and zlib.crc32(value.encode("utf-8", "replace")) % 2
        return self.ids.get(name, value) if told else value

    def filled(self, part: Any) -> Any:
        """A body with known ids in it."""
        if isinstance(part, list):
            return [self.filled(one) for one in part]
        if not isinstance(part, dict):
            return part
        return {name: self.known(name, self.filled(value)) for name, value in part.items()}


@contextmanager
def fuzzed_desk(database_url: str) -> Iterator[Fuzzed]:
    """A desk that answers until the end, beside the fuzzer, which blocks while it waits."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fuzzed desk", daemon=True)
    thread.start()
    try:
        opened = desk(database_url)
        office = asyncio.run_coroutine_threadsafe(opened.__aenter__(), loop).result(60)
        try:
            yield asyncio.run_coroutine_threadsafe(_furnished(office), loop).result(60)
        finally:
            asyncio.run_coroutine_threadsafe(opened.__aexit__(None, None, None), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _furnished(office: Desk) -> Fuzzed:
    acme = await office.organization()
    sue = await acme.sender()
    contact_list_id = await acme.contacts(50)
    campaign_id = await acme.launch(sue, contact_list_id=contact_list_id)
    me = await office.good("GET", "/me", acme.admin)
    await office.good(
        "POST", f"/campaigns/{campaign_id}/senders", acme.admin, person_ids=[me["person_id"]]
    )
    work = await office.good("GET", f"/campaigns/{campaign_id}/assignment", sue.token)
    message_id = work["messages"][0]["message_id"]
    await office.good("POST", f"/messages/{message_id}/send", sue.token)
    await office.hear(
        MessageReceived(
            org_id=acme.org_id, campaign_id=campaign_id, sender=PHONE, to="+12125550100",
            text="hello", received_at=NOON,
        )
    )  # fmt: skip
    talks = await office.good("GET", "/conversations", sue.token)
    await office.good("PUT", "/webhook", acme.admin, url="https://example.org/notices")
    return Fuzzed(
        url=str(office.client.make_url("/api/v1")),
        operator=office.operator,
        admin=acme.admin,
        ids={
            "organization_id": acme.org_id,
            "use_case_id": acme.use_case_id,
            "person_id": sue.person_id,
            "contact_list_id": contact_list_id,
            "campaign_id": await acme.draft(contact_list_id=contact_list_id),
            "message_id": work["messages"][1]["message_id"],
            "conversation_id": talks["items"][0]["conversation_id"],
        },
    )
