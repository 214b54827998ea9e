"""Templates that an operator puts in place of ours."""

import os
import subprocess
import sys
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from services.notifier.letters import Writer
from services.notifier.samples import failed, provisioned, sample, samples
from services.notifier.templating import FILES, TEMPLATES, BadTemplate

ROOT = Path(__file__).parents[2]
OWN = """
{% set colour = "green" %}
{% set title = "Ready" %}
{% set subject = "Your number: " ~ number %}
{% set says %}
All set, {{ admin }}.
{% endset %}
{% set facts = [("Number", number)] %}
{% set steps = "" %}
{% set notes = "" %}
"""


def parts(writer: Writer, *, is_failure: bool = False) -> tuple[str, str, str]:
    """Subject, text and HTML of a letter."""
    delivery = sample(failed() if is_failure else provisioned())
    message = message_from_bytes(writer.write(delivery).content, policy=default)
    assert isinstance(message, EmailMessage)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    return str(message["Subject"]), text.get_content(), html.get_content()


def test_our_own_templates_can_say_whatever_comes() -> None:
    Writer("s@example.com", link="https://example.com/{campaign_id}").check(samples())


def test_the_samples_hold_every_kind() -> None:
    assert {one.notice.kind for one in samples()} == set(FILES)


def test_a_template_in_the_folder_counts_before_ours(tmp_path: Path) -> None:
    (tmp_path / "provisioning_complete.jinja").write_text(OWN)
    writer = Writer("s@example.com", folder=tmp_path)
    writer.check(samples())
    subject, text, html = parts(writer)
    assert subject == "Your number: (212) 555-0123"
    for part in (text, html):
        assert "All set, Ada Lovelace." in part
        assert "Sending opens" not in part
    # The others are ours still.
    assert parts(writer, is_failure=True)[0] == "Provisioning Failed: Spring drive"


def test_a_letter_may_have_no_facts_at_all(tmp_path: Path) -> None:
    (tmp_path / "provisioning_complete.jinja").write_text(OWN.replace('("Number", number)', ""))
    writer = Writer("s@example.com", folder=tmp_path)
    writer.check(samples())
    _, text, html = parts(writer)
    assert text.replace("\r\n", "\n").startswith(
        "Ready: Spring drive\n\nHello Ada Lovelace,\n\nAll set, Ada Lovelace.\n\n-- \n"
    )
    assert "<table" not in html


def test_a_layout_can_build_on_ours(tmp_path: Path) -> None:
    (tmp_path / "layout.html").write_text(
        '{% extends "built_in/layout.html" %}\n'
        "{% block footer %}<p>{% include 'imprint.html' %}</p>{% endblock %}\n"
    )
    (tmp_path / "imprint.html").write_text("Acme, Main Street 1")
    writer = Writer("s@example.com", folder=tmp_path)
    writer.check(samples())
    _, text, html = parts(writer)
    assert "Acme, Main Street 1" in html
    assert "(212) 555-0123" in html
    assert "You get this e-mail" not in html
    assert "You get this e-mail" in text


def test_a_layout_of_ones_own_escapes_as_ours_does(tmp_path: Path) -> None:
    (tmp_path / "layout.html").write_text("<h1>{{ campaign }}</h1>")
    writer = Writer("s@example.com", folder=tmp_path)
    delivery = sample(provisioned(name="<b>&"))
    assert b"<h1>&lt;b&gt;&amp;</h1>" in writer.write(delivery).content


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("provisioning_complete.jinja", OWN + "\n{% if %}", ["line 12", "Expected an expression"]),
        ("provisioning_failed.jinja", OWN.replace("admin", "boss"), ["line 6", "'boss'"]),
        ("window_at_risk.jinja", OWN, ["line 4", "'number'"]),
        ("window_at_risk.jinja", OWN.replace("~ number", ""), ["line 8", "'number'"]),
        ("campaign_held.jinja", "{% set title = 'x' %}", ["it has to set colour"]),
        ("provisioning_complete.jinja", OWN.replace("green", "blue"), ["one of green, yellow"]),
        ("layout.html", "<p>\n{{ says.x.y }}", ["line 2"]),
        ("layout.html", "<p>\n\n{{ says | nope }}", ["line 3", "nope"]),
        ("layout.txt", "{% include 'gone.txt' %}", ["line 1", "gone.txt"]),
        ("provisioning_compleet.jinja", OWN, ["no letter is called so"]),
        ("layout.txt", b"\xff\xfe", ["utf-8"]),
    ],
)
def test_a_broken_template_is_named_with_file_and_line(
    tmp_path: Path, name: str, content: str | bytes, words: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadTemplate) as caught:
        Writer("s@example.com", folder=tmp_path).check(samples())
    for word in [name, *words]:
        assert word in str(caught.value)


def test_a_broken_template_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "campaign_held.jinja").write_text(OWN)
    ended = start(SLUICE_TEMPLATES=str(tmp_path))
    assert ended.returncode != 0
    assert ended.stderr.startswith("SLUICE_TEMPLATES: ")
    assert "campaign_held.jinja, line 4: 'number' is undefined" in ended.stderr


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("SLUICE_TEMPLATES", "nowhere/at/all", "does not point to a directory"),
        ("SLUICE_CAMPAIGN_LINK", "javascript:alert(1)", "must begin with http"),
        ("SLUICE_CAMPAIGN_LINK", "https://example.org/{campaign}", "and nothing else"),
        ("SLUICE_CAMPAIGN_LINK", "https://example.org/{org_id!r}", "and nothing else"),
    ],
)
def test_a_setting_that_no_letter_could_use_stops_the_start(
    setting: str, value: str, words: str
) -> None:
    ended = start(**{setting: value})
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{setting}: ")
    assert words in ended.stderr


def start(**settings: str) -> subprocess.CompletedProcess[str]:
    """The notifier, as far as it comes without servers."""
    servers = {
        "SLUICE_DATABASE_URL": "postgresql://sluice@127.0.0.1:1/sluice",
        "SLUICE_AMQP_URL": "amqp://127.0.0.1:1/",
    }
    return subprocess.run(
        [sys.executable, "-m", "services.notifier"],
        env={"PATH": os.environ["PATH"], **servers, **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_template_that_is_edited_while_we_run_counts_from_the_next_start(
    tmp_path: Path,
) -> None:
    path = tmp_path / "provisioning_complete.jinja"
    path.write_text(OWN)
    writer = Writer("s@example.com", folder=tmp_path)
    writer.check(samples())
    path.write_text("{% half")
    assert parts(writer)[0] == "Your number: (212) 555-0123"


def test_no_template_of_ours_says_a_thing_in_html_but_the_layout() -> None:
    for name in FILES.values():
        assert "<" not in (TEMPLATES / name).read_text()
