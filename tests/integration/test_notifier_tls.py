"""Encrypted and authenticated mail servers, and webhooks' receivers whom nobody vouches for."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from deploy.local.ports import free_port
from services.notifier.domain import Taken
from services.notifier.letters import Letter
from services.notifier.posts import NoAnswer
from services.notifier.smtp import Line, MailServer, Unreachable
from services.notifier.webhooks import Webhooks

LETTER = Letter("s@example.com", "ada@example.org", b"Subject: hello\r\n\r\nhello\r\n")


class Inbox:
    def __init__(self) -> None:
        self.letters: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert session.authenticated
        self.letters.append(envelope)
        return "250 OK"


def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> Any:
    assert isinstance(given, LoginPassword)
    # `handled`: the answer is left to the server.
    right = (given.login, given.password) == (b"sluice", b"secret")
    return AuthResult(success=right, handled=False)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of 127.0.0.1, signed by itself, and trusted by this process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        # Python 3.13 and later ask for these two as well.
        .add_extension(_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


def _usage() -> x509.KeyUsage:
    used = {"digital_signature", "key_cert_sign"}
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in used for name in names})


@asynccontextmanager
async def mail_server(inbox: Inbox, certificate: Path, tls: str) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    how: dict[str, Any] = (
        {"ssl_context": context, "auth_require_tls": False}
        if tls == "tls"
        else {"tls_context": context, "require_starttls": True}
    )
    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        port=free_port(),
        authenticator=check,
        auth_required=True,
        **how,
    )
    await asyncio.to_thread(controller.start)
    try:
        yield controller.port
    finally:
        await asyncio.to_thread(controller.stop)


Encryption = Literal["none", "starttls", "tls"]


def server(port: int, tls: Encryption, password: str = "secret") -> MailServer:
    return MailServer(
        "127.0.0.1", port, tls, "sluice", SecretStr(password), "example.com", timeout_s=5
    )


# aiosmtpd warns of log-ins before STARTTLS, and does not see that the line is encrypted already.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_letters_go_encrypted_and_with_our_name(certificate: Path, tls: Any) -> None:
    inbox = Inbox()
    async with mail_server(inbox, certificate, tls) as port:
        conversation = await server(port, tls).connect()
        assert await conversation.offer(LETTER) is None
        assert isinstance(await conversation.hand_over(LETTER), Taken)
        await conversation.leave()
    assert len(inbox.letters) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_server_that_nobody_vouches_for_gets_nothing(
    certificate: Path, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with mail_server(Inbox(), certificate, tls) as port:
        with pytest.raises(Unreachable):
            await server(port, tls).connect()


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_wrong_password_is_for_the_operator_to_mend_and_is_not_told(
    certificate: Path, tls: Any
) -> None:
    async with mail_server(Inbox(), certificate, tls) as port:
        with pytest.raises(Unreachable) as caught:
            await server(port, tls, "wrong-one").connect()
    assert "535" in str(caught.value)
    assert "wrong-one" not in str(caught.value)


async def test_a_log_in_that_a_server_does_not_offer_is_for_the_operator_to_mend() -> None:
    controller = Controller(Inbox(), hostname="127.0.0.1", port=free_port())
    await asyncio.to_thread(controller.start)
    try:
        ways: list[Encryption] = ["none", "starttls", "tls"]
        for tls in ways:
            with pytest.raises(Unreachable):
                await server(controller.port, tls).connect()
    finally:
        await asyncio.to_thread(controller.stop)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_an_encrypted_connection_is_kept_and_used_again(certificate: Path, tls: Any) -> None:
    inbox = Inbox()
    async with mail_server(inbox, certificate, tls) as port:
        line = Line(server(port, tls))
        first = await line.take()
        await line.give_back(first)
        again = await line.take()
        assert again is first
        assert await again.offer(LETTER) is None
        assert isinstance(await again.hand_over(LETTER), Taken)
        await line.give_back(again)
        await line.aclose()
    assert len(inbox.letters) == 1


async def test_what_is_wrong_with_a_receivers_certificate_is_said_in_words(
    certificate: Path,
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with server, Webhooks(private_allowed=True) as webhooks:
        port = server.sockets[0].getsockname()[1]
        said = await webhooks.post(f"https://127.0.0.1:{port}/", {}, b"{}")
    assert said == NoAnswer("no TLS: self-signed certificate")
