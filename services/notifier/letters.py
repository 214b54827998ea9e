"""Letters: notices as e-mails of two parts, text and HTML."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path

from services.notifier.domain import Delivery
from services.notifier.templating import Templates
from services.notifier.words import one_line, words_for

# Seven bits: every server takes that.
_POLICY = SMTP.clone(cte_type="7bit")


class Unaddressable(Exception):
    """An address that no header can carry."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One e-mail, ready to be handed over."""

    sender: str
    recipient: str
    content: bytes


class Writer:
    """Writes e-mails."""

    def __init__(
        self, mail_from: str, *, folder: Path | None = None, link: str | None = None
    ) -> None:
        """`folder`: with templates that count before ours. `link`: a campaign's address, with
        {org_id} and {campaign_id} in it; None: no letter has a link."""
        name, address = parseaddr(mail_from)
        self._from = Address(name, addr_spec=address)
        self._templates = Templates(folder)
        self._link = link

    @property
    def domain(self) -> str:
        """Where our e-mails come from."""
        return self._from.domain

    def check(self, samples: Iterable[Delivery]) -> None:
        """See whether each of these could be written. Raises BadTemplate."""
        self._templates.check(samples)

    def write(self, delivery: Delivery) -> Letter:
        """The e-mail of a delivery. Raises Unaddressable, BadTemplate."""
        notice = delivery.notice
        words = words_for(delivery, self._link)
        subject, text, html = self._templates.parts(notice.kind, words)
        message = EmailMessage(policy=_POLICY)
        message["From"] = self._from
        message["To"] = _address(words["admin"], delivery.address)
        message["Subject"] = subject
        message["Date"] = format_datetime(notice.created_at.astimezone(UTC))
        # The same one whenever it is written.
        message["Message-ID"] = f"<{notice.notice_id}@{self.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        return Letter(self._from.addr_spec, message["To"].addresses[0].addr_spec, bytes(message))


def _address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    try:
        # A header takes the ASCII form of a domain; a local part has none.
        ascii_domain = domain.encode("idna").decode("ascii")
        local.encode("ascii")
        return Address(one_line(name), addr_spec=f"{local}@{ascii_domain}")
    except (UnicodeError, ValueError, IndexError, MessageError) as error:
        raise Unaddressable(f"the address cannot be written to: {error}") from None
