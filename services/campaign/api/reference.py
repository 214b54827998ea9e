"""What the API is: its description for programs, and the same as a page for people."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from services.campaign.api.calls import BASE, STRANGERS, Call, Route
from services.campaign.api.openapi import document

TEMPLATES = Path(__file__).parent / "templates"
# The page is one file: it loads nothing, and runs nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def routes(described: Sequence[Route]) -> tuple[Route, ...]:
    """The two routes that tell of these, and of themselves."""

    async def openapi(_call: Call) -> web.StreamResponse:
        """This description, as OpenAPI 3.1."""
        return web.Response(body=description, content_type="application/json")

    async def docs(_call: Call) -> web.StreamResponse:
        """This description, as a page."""
        return web.Response(
            text=shown,
            content_type="text/html",
            headers={"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"},
        )

    made = (
        Route("GET", "/openapi.json", STRANGERS, openapi, gives="json"),
        Route("GET", "/docs", STRANGERS, docs, gives="html"),
    )
    api = document([*described, *made])
    description, shown = f"{json.dumps(api)}\n".encode(), page(api)
    return made


def page(api: dict[str, Any]) -> str:
    """A description as one HTML file."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["kind"] = kind
    templates.filters["words"] = words
    schemas = api["components"]["schemas"]
    operations = [
        {"path": BASE + path, "method": method.upper(), **operation}
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    ]
    rooms = [
        {
            "name": tag["name"],
            "operations": [one for one in operations if tag["name"] in one["tags"]],
        }
        for tag in api["tags"]
    ]
    return templates.get_template("reference.html").render(api=api, rooms=rooms, schemas=schemas)


def words(text: str) -> Markup:
    """A docstring's words, with `names` set as such."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def kind(schema: dict[str, Any]) -> str:
    """What a field holds, in a few words: "text", "list of Person", "number or null"."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(one) for one in schema["anyOf"]))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return ", ".join(json.dumps(one) for one in schema["enum"])
    of_type = schema.get("type")
    if of_type == "array":
        return f"list of {kind(schema.get('items', {}))}"
    if of_type == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {kind(schema['additionalProperties'])}"
    if of_type == "string" and "format" in schema:
        return str(schema["format"])
    plain = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    return plain.get(str(of_type), str(of_type or "anything"))
