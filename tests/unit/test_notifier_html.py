"""The HTML part of e-mails: the same words, and nothing that a mail program should mind."""

from collections.abc import Iterator
from typing import Any

import pytest

from services.notifier.domain import Campaign, Delivery
from services.notifier.samples import (
    CAMPAIGN,
    at_risk,
    failed,
    held,
    provisioned,
    sample,
)
from shared.events import Person
from tests.letters_read import EVERY_TURN, Page, named, page_of, part, read, text_of


@pytest.mark.parametrize("delivery", EVERY_TURN, ids=named)
def test_both_parts_say_the_same(delivery: Delivery) -> None:
    message = read(delivery)
    assert message.get_content_type() == "multipart/alternative"
    kinds = [one.get_content_type() for one in message.iter_parts()]
    assert kinds == ["text/plain", "text/html"]
    page = Page(part(message, "html"))
    text = part(message, "plain").partition("\n\n")[2].rpartition("-- \n")[0]
    assert text.startswith("Hello Ada Lovelace,\n\n")
    for line in text.split("\n\n"):
        said = " ".join(line.split()).removeprefix("* ")
        if "http" in said:
            links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
            assert links == [said.removeprefix("Open the campaign: ")]
        elif ":   " in line or line.startswith("    "):
            rows = [row.partition(":") for row in facts(line)]
            assert rows
            for label, _, value in rows:
                assert f"{label} {value}".replace("  ", " ") in page.words
        else:
            assert said.removesuffix(":") in page.words


def facts(block: str) -> Iterator[str]:
    """The rows of a block of facts, each on one line."""
    row = ""
    for line in block.strip("\n").splitlines():
        if line.startswith(" " * 5):
            row = f"{row} {line.strip()}"
            continue
        if row:
            yield row
        label, _, value = line.strip().partition(":")
        row = f"{label}:{value.strip()}"
    yield row


@pytest.mark.parametrize("delivery", EVERY_TURN, ids=named)
def test_nothing_in_a_letter_is_fetched_from_anywhere_or_run(delivery: Delivery) -> None:
    html = part(read(delivery), "html")
    page = Page(html)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "form", "svg", "base"}
    attributes = {name for _, attrs in page.tags for name in attrs}
    assert not attributes & {"src", "srcset", "background", "onclick", "onload", "action"}
    assert not [word for word in ("url(", "@import", "http-equiv") if word in html.lower()]
    assert html.count("http") == 1  # the link


@pytest.mark.parametrize("delivery", EVERY_TURN, ids=named)
def test_a_letter_is_readable_on_a_phone(delivery: Delivery) -> None:
    html = part(read(delivery), "html")
    page = Page(html)
    metas = [attrs for tag, attrs in page.tags if tag == "meta"]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in metas
    assert {"name": "color-scheme", "content": "light dark"} in metas
    styles = ";".join(attrs.get("style") or "" for _, attrs in page.tags)
    sizes = [int(rest.partition("px")[0]) for rest in styles.split("font-size:")[1:]]
    assert min(sizes) >= 16
    assert "max-width:600px" in styles
    assert "prefers-color-scheme: dark" in html


@pytest.mark.parametrize(
    ("delivery", "colour"),
    [
        (sample(provisioned()), "#1a7f37"),
        (sample(failed()), "#c5221f"),
        (sample(at_risk()), "#ffc83d"),
        (sample(held()), "#ffc83d"),
        (sample(held(state="refused")), "#c5221f"),
    ],
    ids=["complete", "failed", "at risk", "held", "refused"],
)
def test_the_flag_has_the_colour_of_the_details_page(delivery: Delivery, colour: str) -> None:
    flags = [attrs for tag, attrs in page_of(delivery).tags if tag == "span"]
    assert f"background:{colour}" in (flags[0].get("style") or "")


def test_each_carrier_has_the_colour_of_its_word() -> None:
    dots = [attrs for tag, attrs in page_of(sample(failed())).tags if "aria-hidden" in attrs]
    assert [dot["style"] for dot in dots] == ["color:#1a7f37", "color:#c5221f", "color:#ffc83d"]


def test_a_hostile_name_is_text_and_nothing_else() -> None:
    name = "</h1><script>alert('1')</script><img src=x onerror=y>\"'&amp;{{ 7*7 }}"
    person = Person(name=name, email="ada@example.org")
    campaign = Campaign(name, person, CAMPAIGN.window, CAMPAIGN.hours, 1)
    reason = "<b onclick=z>no</b>"
    for event in (
        provisioned(name=name, launched_by=person, reason=reason),
        failed(name=name, launched_by=person, reason=reason),
        at_risk(name=name, launched_by=person),
        held(reason=reason, code="<i>"),
    ):
        plain, hostile = sample(event), sample(event, campaign)
        clean = page_of(sample(type(event)(**{**dict(event), **_tame(event)})))
        page = page_of(hostile)
        assert [tag for tag, _ in page.tags] == [tag for tag, _ in clean.tags]
        assert name in page.words
        assert name in text_of(hostile)
        assert plain.notice == hostile.notice


def _tame(event: Any) -> dict[str, Any]:
    tame = {"name": "Spring drive", "launched_by": CAMPAIGN.launched_by, "reason": "no"}
    return {key: value for key, value in tame.items() if hasattr(event, key)}
