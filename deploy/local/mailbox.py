"""A local SMTP server that keeps what it gets: the place where the notifier's e-mail arrives."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.ports import free_port


class Mailbox:
    """Takes mail inside of its block and keeps it, in the order in which it came.

    folder: gets each mail as an .eml file, too.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = free_port()
        self.mails: list[EmailMessage] = []
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Condition()

    async def __aenter__(self) -> Self:
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
        await self.take_mail()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.go_away()

    async def take_mail(self) -> None:
        """Listen on the port, which stays the same for the mailbox's life."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="localhost", enable_SMTPUTF8=True, loop=loop),
            self.host,
            self.port,
        )

    async def go_away(self) -> None:
        """Refuse connections, as a mail server does that is down."""
        if self._server:
            self._server.close()
            self._server = None

    async def wait_for(
        self, is_wanted: Callable[[EmailMessage], bool], within_s: float = 30
    ) -> EmailMessage:
        """The first mail that is wanted, come already or coming; TimeoutError when none comes."""

        def found() -> EmailMessage | None:
            return next((mail for mail in self.mails if is_wanted(mail)), None)

        async with asyncio.timeout(within_s), self._arrived:
            await self._arrived.wait_for(lambda: found() is not None)
        mail = found()
        assert mail is not None
        return mail

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep one mail; called by aiosmtpd."""
        content = envelope.content or b""
        raw = content.encode() if isinstance(content, str) else content
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        async with self._arrived:
            self.mails.append(mail)
            self._arrived.notify_all()
        if self.folder:
            (self.folder / f"{len(self.mails):04d}.eml").write_bytes(raw)
        return "250 OK"
