"""Handing e-mails to a mail server, so that it is always known who has them.

Up to the end of the content the server has nothing: whatever fails before is `NotTaken`, or
`Refused` where it said so for good. From there on only its answer tells; without one, `Unclear`.
"""

import re
import time
from dataclasses import dataclass
from typing import Literal

import aiosmtplib
from pydantic import SecretStr

from services.notifier.domain import NotTaken, Refused, Taken, Unclear
from services.notifier.letters import Letter

# SMTPException for what the server says, the others for what happens to the line.
FAULTS = (aiosmtplib.SMTPException, OSError, TimeoutError)
# No letter's fault, however final it sounds: a name or password of ours is wrong.
_NOT_LOGGED_IN = (530, 534, 535, 538)
KEEP_S = 15.0
"""Servers close what is idle after some minutes, and may count what is open."""


class Unreachable(Exception):
    """No conversation came about: the server is away, busy, or will not talk to us."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where e-mails are handed over."""

    host: str
    port: int
    tls: Literal["none", "starttls", "tls"]
    username: str | None
    password: SecretStr | None
    own_name: str
    """How we introduce ourselves: the domain that our e-mails come from."""
    timeout_s: float
    """For each answer."""

    async def connect(self) -> "Conversation":
        """Connect, greet, log in. Raises Unreachable."""
        smtp = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            local_hostname=self.own_name,
            timeout=self.timeout_s,
            use_tls=self.tls == "tls",
            start_tls=self.tls == "starttls",
            username=self.username,
            password=None if self.password is None else self.password.get_secret_value(),
        )
        try:
            await smtp.connect()
        except FAULTS as error:
            raise Unreachable(_words(error)) from None
        return Conversation(smtp, self.timeout_s)


class Line:
    """A worker's own way to the server: its connection is kept for a while after a letter, since a
    greeting, encryption and a log-in cost more than the letter."""

    def __init__(self, server: MailServer, *, keep_s: float = KEEP_S) -> None:
        self._server = server
        self._keep_s = keep_s
        self._kept: Conversation | None = None
        self._kept_since_s = 0.0

    async def take(self) -> "Conversation":
        """The connection that was kept, if it still answers, or a new one. Raises Unreachable.

        Whoever takes it gives it back, or aborts it.
        """
        kept, self._kept = self._kept, None
        if kept is not None and await kept.is_ready():
            return kept
        fresh = await self._server.connect()
        if not fresh.is_open:
            # Greeted, and left: whoever comes back at once does so without end.
            raise Unreachable("the server left after its greeting")
        return fresh

    async def give_back(self, conversation: "Conversation") -> None:
        """Keep it for the next letter; `rest` lets it go."""
        assert self._kept is None
        if conversation.is_open:
            self._kept, self._kept_since_s = conversation, time.monotonic()

    async def rest(self) -> None:
        """There is nothing to send: leave, if that has been so for a while."""
        if self._kept is not None and time.monotonic() - self._kept_since_s >= self._keep_s:
            await self.aclose()

    async def aclose(self) -> None:
        """Leave now."""
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.leave()


class Conversation:
    """One connection; letters go one after the other."""

    def __init__(self, smtp: aiosmtplib.SMTP, timeout_s: float) -> None:
        self._smtp = smtp
        self._timeout_s = timeout_s

    @property
    def is_open(self) -> bool:
        """Whether another letter may be offered."""
        return self._smtp.is_connected

    async def is_ready(self) -> bool:
        """Whether the server still answers, and has forgotten what was before; else it is left."""
        await self._forget()
        return self.is_open

    async def offer(self, letter: Letter) -> Refused | NotTaken | None:
        """Sender, recipient, and the server's word that it waits for the content: then None."""
        smtp = self._smtp
        try:
            await smtp.mail(letter.sender)
        except aiosmtplib.SMTPResponseException as error:
            await self._forget()
            # All letters have this sender: for the operator to mend, and no letter's fault.
            return NotTaken(f"{error.code} {error.message}")
        except FAULTS as error:
            smtp.close()
            return NotTaken(_words(error))
        try:
            await smtp.rcpt(letter.recipient)
            go = await smtp.execute_command(b"DATA")
        except aiosmtplib.SMTPResponseException as error:
            await self._forget()
            return _turned_down(error.code, error.message)
        except FAULTS as error:
            smtp.close()
            return NotTaken(_words(error))
        except ValueError as error:
            await self._forget()
            return Refused(f"the address cannot be told to the server: {error}")
        if go.code == 354:
            return None
        await self._forget()
        return _turned_down(go.code, go.message)

    async def hand_over(self, letter: Letter) -> Taken | Refused | NotTaken | Unclear:
        """The content, after an offer that came to None."""
        protocol = self._smtp.protocol
        if protocol is None:
            return NotTaken("the server left before the content")
        stuffed = re.sub(rb"(?m)^\.", b"..", letter.content)
        end = b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"
        try:
            protocol.write(stuffed + end)
        except aiosmtplib.SMTPServerDisconnected as error:
            # Raised before anything is written.
            return NotTaken(_words(error))
        try:
            answer = await protocol.read_response(timeout=self._timeout_s)
        except FAULTS as error:
            self._smtp.close()
            return Unclear(_words(error))
        words = f"{answer.code} {answer.message}"
        if 200 <= answer.code < 300:
            return Taken(words)
        if 400 <= answer.code < 600:
            return _turned_down(answer.code, answer.message)
        return Unclear(words)

    def abort(self) -> None:
        """Leave without the content: the server drops what it was offered."""
        self._smtp.close()

    async def leave(self) -> None:
        """Say goodbye."""
        if self.is_open:
            try:
                await self._smtp.quit(timeout=2)
            except FAULTS:
                self._smtp.close()

    async def _forget(self) -> None:
        """Let the server forget a half-made offer, or leave."""
        if not self.is_open:
            return
        try:
            await self._smtp.rset()
        except FAULTS:
            self._smtp.close()


def _turned_down(code: int, message: str) -> Refused | NotTaken:
    words = f"{code} {message}"
    if code in _NOT_LOGGED_IN:
        return NotTaken(words)
    return Refused(words) if 500 <= code < 600 else NotTaken(words)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
