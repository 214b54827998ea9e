"""Letters: a notice's facts, in words that an admin reads. Pure, but for reading templates."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any

import jinja2

from services.notifier.domain import Delivery, Kind, Notice
from shared.events import Carriers, NumberProvisioned

TEMPLATES = Path(__file__).parent / "templates"
FILES: dict[Kind, str] = {
    "provisioning complete": "provisioning_complete.txt",
    "provisioning failed": "provisioning_failed.txt",
}
_WORDS = {"confirmed": "confirmed", "refused": "refused", "pending": "has not answered"}
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
    """Writes e-mails from templates, whose first line is the subject."""

    def __init__(self, mail_from: str) -> None:
        name, address = parseaddr(mail_from)
        self._from = Address(name, addr_spec=address)
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            # Plain text: there is nothing to escape.
            autoescape=False,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @property
    def domain(self) -> str:
        """Where our e-mails come from."""
        return self._from.domain

    def write(self, delivery: Delivery) -> Letter:
        """The e-mail of a delivery; the same one each time. Raises Unaddressable."""
        notice = delivery.notice
        template = self._templates.get_template(FILES[notice.kind])
        text = template.render(words_for(notice))
        subject, _, body = text.partition("\n")
        message = EmailMessage(policy=_POLICY)
        message["From"] = self._from
        message["To"] = _address(notice.facts["launched_by"]["name"], delivery.address)
        message["Subject"] = subject
        message["Date"] = format_datetime(notice.created_at.astimezone(UTC))
        message["Message-ID"] = f"<{notice.notice_id}@{self.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(body.lstrip("\n"))
        return Letter(self._from.addr_spec, message["To"].addresses[0].addr_spec, bytes(message))


def words_for(notice: Notice) -> dict[str, Any]:
    """What the templates may use."""
    event = NumberProvisioned.model_validate(notice.facts)
    return {
        "admin": one_line(event.launched_by.name),
        "campaign": one_line(event.name),
        "number": None if event.number is None else readable(event.number),
        "took": duration(event.took_s),
        "opens": moment(event.window.opens_at),
        "closes": moment(event.window.closes_at),
        "reason": None if event.reason is None else one_line(event.reason),
        "carriers": _carriers(event.carriers),
    }


def one_line(text: str) -> str:
    """Text that cannot start a line, or a header, of its own."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split())


def readable(number: str) -> str:
    """A phone number as people write it: (212) 555-0123 in North America."""
    match = re.fullmatch(r"\+1(\d{3})(\d{3})(\d{4})", number)
    return f"({match[1]}) {match[2]}-{match[3]}" if match else number


def moment(at: datetime) -> str:
    """A time in UTC, to the minute."""
    at = at.astimezone(UTC)
    return f"{at:%A}, {at:%B} {at.day}, {at.year}, {at:%H:%M} UTC"


def duration(seconds: float) -> str:
    """A duration in its two largest units."""
    if seconds < 1:
        return "less than a second"
    whole = round(seconds)
    units = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)]
    parts = []
    for name, size in units:
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
        elif parts:
            # "1 day 5 seconds" would claim an exactness that nobody asked for.
            break
    return " ".join(parts[:2])


def _carriers(carriers: Carriers) -> list[dict[str, str]]:
    named = [
        ("AT&T", carriers.att),
        ("T-Mobile", carriers.tmobile),
        ("Verizon", carriers.verizon),
    ]
    return [{"name": name, "state": _WORDS[carrier.state]} for name, carrier in named]


def _address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    try:
        # A header takes the ASCII form of a domain; a local part has none.
        ascii_domain = domain.encode("idna").decode("ascii")
        local.encode("ascii")
        return Address(one_line(name), addr_spec=f"{local}@{ascii_domain}")
    except (UnicodeError, ValueError) as error:
        raise Unaddressable(f"the address cannot be written to: {error}") from None
