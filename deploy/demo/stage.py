"""Who plays in the demonstration, and where; waiting for things that have to come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from deploy.demo.api import Site
from deploy.demo.book import Book
from deploy.demo.narrator import Narrator
from deploy.demo.view import Scene
from deploy.local.mailbox import Mailbox

LOOKS_EVERY_S = 0.3


class StoryBroke(Exception):
    """Something did not come as it was told; the text says what."""


@dataclass
class Stage:
    """Who plays, where, and what has become of it so far."""

    narrator: Narrator
    api: Site
    sandbox: Site
    webhooks: str
    number_webhooks: str
    """Where the provider posts what becomes of numbers."""
    mailbox: Mailbox
    book: Book
    run: str
    """Tells this run from others on the same database."""
    zone: str
    """Where it is the middle of the day now."""
    window_s: float
    """How long first texts may go, at most."""
    operator: Site
    scene: Scene
    admin: Site = field(init=False)
    org_id: str = ""
    use_case_id: str = ""
    contact_list_id: str = ""
    campaign_id: str = ""

    @property
    def brand(self) -> str:
        """What the carriers know the organization by."""
        return f"brand-{self.run}"


async def until(
    what: str, look: Callable[[], Awaitable[bool]], within_s: float, every_s: float = LOOKS_EVERY_S
) -> None:
    """Look until it is so; StoryBroke when it takes too long."""
    deadline = time.monotonic() + within_s
    while not await look():
        if time.monotonic() > deadline:
            raise StoryBroke(f"Waited {within_s:.0f} s in vain: {what}")
        await asyncio.sleep(every_s)
