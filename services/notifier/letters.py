"""Letters: what a notice says, set as an e-mail of two parts, text and HTML.

A kind's template says what is to be said, once, in plain text: it does not print, it sets
variables (`Said`). Two layouts, layout.txt and layout.html, set that. What an operator's folder
has of these files is taken instead of ours.
"""

import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any

import jinja2
import jinja2.nodes

from services.notifier.domain import Delivery, Kind
from services.notifier.words import Words, one_line, words_for

TEMPLATES = Path(__file__).parent / "templates"
FILES: dict[Kind, str] = {
    "provisioning complete": "provisioning_complete.jinja",
    "provisioning failed": "provisioning_failed.jinja",
    "window at risk": "window_at_risk.jinja",
    "campaign held": "campaign_held.jinja",
}
SUFFIXES = (".jinja", ".txt", ".html")
COLOURS = ("green", "yellow", "red")
# Seven bits: every server takes that.
_POLICY = SMTP.clone(cte_type="7bit")


class Unaddressable(Exception):
    """An address that no header can carry."""


class BadTemplate(Exception):
    """A template that cannot be used: which file, which line, and why."""


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
        self._folder = folder
        self._link = link
        # In plain text there is nothing to escape; what is HTML escapes all that it is given.
        self._text = _environment(folder, autoescape=False)
        self._html = _environment(folder, autoescape=True)

    @property
    def domain(self) -> str:
        """Where our e-mails come from."""
        return self._from.domain

    def check(self, samples: Iterable[Delivery]) -> None:
        """Write a letter of each sample, with a link and without. Raises BadTemplate."""
        for name in sorted(self._own_names() - set(FILES.values())):
            raise BadTemplate(f"{name}: no letter has this name, but {', '.join(FILES.values())}")
        for sample in samples:
            for link in (self._link, None):
                self._parts(sample.notice.kind, words_for(sample, link))

    def write(self, delivery: Delivery) -> Letter:
        """The e-mail of a delivery. Raises Unaddressable, BadTemplate."""
        notice = delivery.notice
        words = words_for(delivery, self._link)
        subject, text, html = self._parts(notice.kind, words)
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

    def _parts(self, kind: Kind, words: Words) -> tuple[str, str, str]:
        """Subject, text and HTML. Raises BadTemplate."""
        name = FILES[kind]
        try:
            said = self._said(name, words)
            name = "layout.txt"
            text = self._text.get_template(name).render(said)
            name = "layout.html"
            html = self._html.get_template(name).render(said)
        except Exception as error:
            raise BadTemplate(f"{self._place(error, name)}: {error}") from error
        return said["subject"], text, html

    def _said(self, name: str, words: Words) -> dict[str, Any]:
        template = self._text.get_template(name)
        try:
            return _said(template.make_module(words), words)
        except Exception:
            # Raises it again, as of the template's own lines.
            self._text.handle_exception()

    def _own_names(self) -> set[str]:
        return set() if self._folder is None else {one.name for one in self._folder.glob("*.jinja")}

    def _place(self, error: Exception, name: str) -> str:
        """Where in a template it broke: file and line, as far as they can be known."""
        if isinstance(error, jinja2.TemplateSyntaxError):
            return f"{error.filename or error.name}, line {error.lineno}"
        frames = traceback.extract_tb(error.__traceback__)
        of_templates = [one for one in frames if one.filename.endswith(SUFFIXES)]
        if of_templates:
            return f"{of_templates[-1].filename}, line {of_templates[-1].lineno}"
        own = [folder for folder in (self._folder,) if folder and (folder / name).exists()]
        path = (own or [TEMPLATES])[0] / name
        line = ""
        # A variable that is not there is found out only when what was set with it is used.
        if isinstance(error, jinja2.UndefinedError) and (found := re.match("'(.+?)'", str(error))):
            names = self._text.parse(path.read_text()).find_all(jinja2.nodes.Name)
            line = next((f", line {one.lineno}" for one in names if one.name == found[1]), "")
        return f"{path}{line}"


def _loader(folder: Path | None) -> jinja2.BaseLoader:
    ours = jinja2.FileSystemLoader(TEMPLATES)
    own = [] if folder is None else [jinja2.FileSystemLoader(folder)]
    # By the name "built_in/layout.html" a layout of theirs can build on ours.
    return jinja2.ChoiceLoader([*own, ours, jinja2.PrefixLoader({"built_in": ours})])


def _environment(folder: Path | None, *, autoescape: bool) -> jinja2.Environment:
    return jinja2.Environment(
        loader=_loader(folder),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Read once, when they are checked: nobody gets a letter that is half edited.
        auto_reload=False,
    )


def _said(template: Any, words: Words) -> dict[str, Any]:
    """What a kind's template has set, in the form that layouts take. Raises ValueError."""
    for name in ("title", "colour", "says", "facts", "steps", "notes"):
        if not hasattr(template, name):
            raise ValueError(f"it has to set {name}")
    if template.colour not in COLOURS:
        raise ValueError(f"colour has to be one of {', '.join(COLOURS)}, not {template.colour}")
    title = one_line(template.title)
    facts = [_fact(*fact) for fact in template.facts]
    return {
        "title": title,
        "subject": one_line(getattr(template, "subject", f"{title}: {words['campaign']}")),
        "colour": template.colour,
        "campaign": words["campaign"],
        "admin": words["admin"],
        "link": words["link"],
        "says": _paragraphs(template.says),
        "facts": [fact for fact in facts if fact["value"]],
        "steps": _paragraphs(template.steps),
        "notes": _paragraphs(template.notes),
    }


def _fact(label: str, value: str | None, colour: str | None = None) -> dict[str, str | None]:
    return {"label": one_line(label), "value": value and one_line(value), "colour": colour}


def _paragraphs(text: str) -> list[str]:
    """What stands between empty lines; a name cannot bring any, for it is one line."""
    found = (one_line(part) for part in re.split(r"\n[ \t]*\n", text))
    return [paragraph for paragraph in found if paragraph]


def _address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    try:
        # A header takes the ASCII form of a domain; a local part has none.
        ascii_domain = domain.encode("idna").decode("ascii")
        local.encode("ascii")
        return Address(one_line(name), addr_spec=f"{local}@{ascii_domain}")
    except (UnicodeError, ValueError) as error:
        raise Unaddressable(f"the address cannot be written to: {error}") from None
