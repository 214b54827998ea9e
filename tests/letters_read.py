"""Letters as mail programs read them."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser

from services.notifier.domain import Delivery
from services.notifier.letters import Writer
from services.notifier.samples import samples

LINK = "https://sluice.example.com/{org_id}/campaigns/{campaign_id}"
WRITER = Writer("Sluice <sluice@example.com>", link=LINK)
EVERY_TURN = list(samples())
# HTML that has no end tag.
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """What a mail program sees in HTML: texts, tags, attributes; and that every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self.open):
            self.said.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.said).replace("●", "").split())


def read(delivery: Delivery, writer: Writer = WRITER) -> EmailMessage:
    message = message_from_bytes(writer.write(delivery).content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    content = found.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")


def text_of(delivery: Delivery) -> str:
    """The text part's words, wherever its lines end."""
    return " ".join(part(read(delivery), "plain").split())


def page_of(delivery: Delivery) -> Page:
    return Page(part(read(delivery), "html"))


def named(delivery: Delivery) -> str:
    return f"{delivery.notice.kind} {delivery.notice.facts.get('carrier', '')}"
