"""Templates: what a notice says, once, and how that is set as text and as HTML.

A kind's template is plain text. It does not print, it sets variables (`_said`); two layouts,
layout.txt and layout.html, set those. What an operator's folder has of these files is taken
instead of ours.
"""

import re
import traceback
from collections.abc import Iterable
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


class BadTemplate(Exception):
    """A template that cannot be used: which file, which line, and why."""


class Templates:
    """Ours, and those of a folder, which count before ours."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        # In plain text there is nothing to escape; what is HTML escapes all that it is given.
        self._text = _environment(folder, autoescape=False)
        self._html = _environment(folder, autoescape=True)

    def check(self, samples: Iterable[Delivery]) -> None:
        """Set each sample, with a link and without. Raises BadTemplate."""
        own = [] if self._folder is None else sorted(self._folder.glob("*.jinja"))
        for path in own:
            if path.name not in FILES.values():
                raise BadTemplate(
                    f"{path}: no letter is called so, but {', '.join(FILES.values())}"
                )
        for sample in samples:
            for link in ("https://example.org/{org_id}/{campaign_id}", None):
                self.parts(sample.notice.kind, words_for(sample, link))

    def parts(self, kind: Kind, words: Words) -> tuple[str, str, str]:
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
