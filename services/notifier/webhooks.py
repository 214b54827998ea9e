"""Posting to organizations' own servers, and to nothing that only our machines can reach."""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any, NamedTuple, Self
from urllib.parse import unquote

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from services.notifier.posts import Answer, NoAnswer
from shared.rules.addresses import Unpostable, closed, postable

# Standard Webhooks' advice is 15 to 30 s for all of it.
CONNECT_S, TOTAL_S = 5.0, 15.0
ANSWER_MOST_BYTES = 4096
WORDS_MOST = 200
# Shorter parts of an address are no secret, and may be any word's.
SECRET_LEAST = 6
_PERSONAL = re.compile(r"\+\d{7,15}|[^\s\"'<>@]+@[^\s\"'<>@]+")
# Names at once, each in a thread. One that nobody answers for keeps its own for half a minute.
LOOK_UPS_MOST = 256

_FAULTS = (aiohttp.ClientError, OSError, TimeoutError)

_Found = Sequence[tuple[Any, ...]]
LookUp = Callable[..., _Found]
"""As socket.getaddrinfo."""


class _Question(NamedTuple):
    host: str
    port: int
    family: socket.AddressFamily


class Forbidden(OSError):
    """An address that is not to be asked, and why, in words."""


class Webhooks:
    """Our way out to receivers. Nothing is followed, kept or believed: no redirect, no cookie, no
    proxy of the environment, no connection for a second post."""

    def __init__(
        self,
        *,
        private_allowed: bool,
        total_s: float = TOTAL_S,
        look_up: LookUp = socket.getaddrinfo,
    ) -> None:
        """`private_allowed`: addresses that are not of the open internet, and plain HTTP, too;
        `total_s`: for a post, to its answer."""
        self._private_allowed = private_allowed
        self._total_s = total_s
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                force_close=True,
                # Asked afresh each time: the guard and the connection see the same answer.
                use_dns_cache=False,
                resolver=Resolver(look_up, private_allowed=private_allowed),
                # An IP address in place of a name passes no resolver.
                socket_factory=None if private_allowed else guarded_socket,
            ),
            timeout=aiohttp.ClientTimeout(total=total_s, connect=CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            # What is shown of an answer is its beginning: nothing is to be blown up.
            auto_decompress=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(
        self, address: str, headers: Mapping[str, str], content: bytes
    ) -> Answer | NoAnswer:
        """Post once, and say what came of it.

        Words hold neither the address, which may be secret, nor what was posted, though servers
        like to repeat both.
        """
        try:
            url = postable(address, private_allowed=self._private_allowed)
        except Unpostable as error:
            return NoAnswer(str(error))
        said = {**headers, "Content-Type": "application/json", "User-Agent": "Sluice"}
        try:
            async with self._session.post(
                url, data=content, headers=said, allow_redirects=False
            ) as answer:
                words = _discreet(await _beginning(answer.content), url)[:WORDS_MOST]
                return Answer(answer.status, words, _again_s(answer.headers))
        except _FAULTS as error:
            return NoAnswer(self._words(error))

    def _words(self, error: Exception) -> str:
        """Never the error's own text: it may hold the address, and with it a secret."""
        match error:
            case aiohttp.ClientConnectorError(os_error=Forbidden() as forbidden):
                return str(forbidden.strerror)
            case aiohttp.ClientConnectorDNSError():
                return f"the host was not found: {error.os_error.strerror}"
            case aiohttp.ClientConnectorCertificateError(
                certificate_error=ssl.SSLCertVerificationError() as fault
            ):
                return f"no TLS: {fault.verify_message}"
            case aiohttp.ClientSSLError():
                return f"no TLS: {type(error).__name__}"
            case aiohttp.ClientConnectorError():
                number = error.os_error.errno
                return f"no connection: {os.strerror(number) if number else 'the host hung up'}"
            case aiohttp.InvalidURL():
                return "the host is neither a name nor an IP address in its plain form"
            case aiohttp.ConnectionTimeoutError():
                return f"no connection within {CONNECT_S:g} s"
            case TimeoutError():
                return f"no answer within {self._total_s:g} s"
        return f"the answer was lost: {type(error).__name__}"


class Resolver(AbstractResolver):
    """Looks names up; raises Forbidden if any of a name's addresses is not to be asked.

    Each name in a thread of its own, which the end of the process does not wait for: a look-up
    cannot be cut short. Who asks for a name that is being looked up waits for the same answer, so
    that a name nobody answers for takes one thread, however often it is asked for.
    """

    def __init__(self, look_up: LookUp, *, private_allowed: bool) -> None:
        self._look_up = look_up
        self._private_allowed = private_allowed
        self._answers: dict[_Question, asyncio.Future[_Found]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises OSError."""
        try:
            found = await asyncio.shield(self._answer(_Question(host, port, family)))
        except UnicodeError:
            raise OSError(None, "the host is no name") from None
        if not self._private_allowed:
            for *_, address in found:
                _guard(address[0])
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Wait for nobody."""

    def _answer(self, question: _Question) -> "asyncio.Future[_Found]":
        answer = self._answers.get(question)
        if answer is None:
            if len(self._answers) >= LOOK_UPS_MOST:
                raise OSError(None, "too many names are being looked up")
            loop = asyncio.get_running_loop()
            answer = loop.create_future()
            Thread(target=self._ask, args=(question, loop), name="look-up", daemon=True).start()
            # Not before: where no thread can be had, nobody would ever settle it.
            self._answers[question] = answer
        return answer

    def _ask(self, question: _Question, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread."""
        found: _Found | Exception
        try:
            found = self._look_up(*question, socket.SOCK_STREAM)
        except Exception as error:
            found = error
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._settle, question, found)

    def _settle(self, question: _Question, found: "_Found | Exception") -> None:
        answer = self._answers.pop(question)
        if isinstance(found, Exception):
            answer.set_exception(found)
            answer.exception()  # looked at, though everybody may have gone
        else:
            answer.set_result(found)


def guarded_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for this very address, right before it connects. Raises Forbidden."""
    family, kind, protocol, _, address = info
    _guard(str(address[0]))
    return socket.socket(family, kind, protocol)


def _guard(host: str) -> None:
    if why := closed(host):
        # Not which one: organizations are told this, and would learn what our name server knows.
        raise Forbidden(None, f"the host's address {why}: nothing is posted there")


async def _beginning(content: aiohttp.StreamReader) -> str:
    """The first words of an answer's body, on one line."""
    read = b""
    # The status has come: whatever becomes of the rest, it counts.
    with suppress(*_FAULTS):
        read = await content.read(ANSWER_MOST_BYTES)
    text = re.sub(r"[^\x20-\x7e\u00a0-\ud7ff]+", " ", read.decode(errors="replace"))
    # Longer than what is kept: what is masked must not be cut before.
    return " ".join(text.split())[: 5 * WORDS_MOST]


def _discreet(words: str, url: URL) -> str:
    """Without the parts of the address, phone numbers and e-mail addresses."""
    parts = re.split("[/?&=#]", f"{url.raw_path_qs}/{unquote(url.raw_path_qs)}")
    for part in sorted({part for part in parts if len(part) >= SECRET_LEAST}, key=len)[::-1]:
        words = words.replace(part, "...")
    return _PERSONAL.sub("...", words)


def _again_s(headers: Mapping[str, str]) -> float:
    """`Retry-After`, where it is a number of seconds."""
    asked = headers.get("Retry-After", "")
    return float(asked) if re.fullmatch(r"[0-9]{1,9}", asked) else 0.0
