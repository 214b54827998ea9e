"""Senders at work: each takes batches of first texts and sends them one click at a time, and
answers the contacts who reply, meanwhile and afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.demo.api import Refused, Site
from deploy.demo.world import ANSWERS

LOOKS_EVERY_S = 0.7
"""How often a sender looks for replies."""

CONFLICT = 409


@dataclass(frozen=True)
class Sender:
    """Somebody with a token."""

    name: str
    person_id: str
    site: Site


@dataclass(frozen=True)
class Answered:
    """A contact who replied, and the answer that a sender sent."""

    sender: Sender
    conversation_id: str
    phone: str
    contact: str
    said: str
    answer: str
    message_id: str


class Team:
    """The senders of one campaign."""

    def __init__(self, senders: Sequence[Sender], campaign_id: str) -> None:
        self._senders = senders
        self._campaign_id = campaign_id
        self.clicks = 0
        self.refusals: list[str] = []
        """What the API said to clicks that came too late."""
        self.answered: list[Answered] = []

    async def send_all(self) -> None:
        """Return when nothing is left to take, or the window has ended."""
        await asyncio.gather(*(self._send(sender) for sender in self._senders))

    async def _send(self, sender: Sender) -> None:
        while True:
            got = await sender.site.post(f"/campaigns/{self._campaign_id}/assignments")
            if not got["assigned"]:
                return
            for text in got["messages"]:
                try:
                    await sender.site.post(f"/messages/{text['message_id']}/send")
                    self.clicks += 1
                except Refused as refused:
                    if refused.status != CONFLICT:
                        raise
                    self.refusals.append(refused.detail)

    async def keep_answering(self) -> None:
        """Answer whoever waits, until cancelled."""
        await asyncio.gather(*(self._keep_answering(sender) for sender in self._senders))

    async def _keep_answering(self, sender: Sender) -> None:
        while True:
            waiting = await sender.site.get(
                "/conversations", campaign_id=self._campaign_id, waiting="true"
            )
            for conversation in waiting["items"]:
                await self._answer(sender, conversation)
            await asyncio.sleep(LOOKS_EVERY_S)

    async def _answer(self, sender: Sender, conversation: dict[str, str]) -> None:
        conversation_id = conversation["conversation_id"]
        words = ANSWERS.get(conversation["last_text"], "Thank you for your reply!")
        try:
            queued = await sender.site.post(f"/conversations/{conversation_id}/replies", text=words)
        except Refused as refused:
            # They may have texted STOP since the list was read.
            if refused.status != CONFLICT:
                raise
            return
        self.answered.append(
            Answered(
                sender,
                conversation_id,
                conversation["phone"],
                f"{conversation['first_name']} {conversation['last_name']}".strip(),
                conversation["last_text"],
                words,
                queued["message_id"],
            )
        )
