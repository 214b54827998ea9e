"""The API's description (OpenAPI 3.1), out of the routes and the very models that validate."""

import re
from collections.abc import Sequence
from inspect import getdoc
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.campaign.api.calls import BASE, STRANGERS, Answer, Body, Route
from services.campaign.api.limits import CARRIERS
from services.campaign.api.repeats import HEADER

ABOUT = (
    "What operators, admins and senders do. Errors are problem+json; times are ISO 8601 with an "
    "offset, answers give UTC; phone numbers are E.164. Lists are paged: `after` takes the `next` "
    "of the page before."
)
_REF = "#/components/schemas/{model}"
_PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "In words, for a person."},
        "field": {"type": "string", "description": "The field at fault, in dotted form."},
    },
    "required": ["type", "title", "status"],
}
_SAID = {
    400: "The body is not JSON",
    401: "No token, or none that is good",
    403: "Not for this role, or somebody else's",
    404: "There is no such thing in this organization",
    408: "The upload stood still",
    409: "Not as things stand",
    410: "It was there, and is shut now",
    413: "The body is too large",
    415: "Not a file of this kind",
    422: "A field is not valid, or there is no such field",
    503: "Try again in a moment",
}
_MEDIA = {"csv": "text/csv", "html": "text/html", "json": "application/json"}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole description, as JSON takes it."""
    modes: dict[tuple[type[BaseModel], Any], None] = {}
    for route in routes:
        if route.takes is not None:
            modes[route.takes, "validation"] = None
        if not isinstance(route.gives, str):
            modes[route.gives, "serialization"] = None
    names, schemas = models_json_schema(list(modes), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, names)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sluice", "version": "1", "description": ABOUT},
        "servers": [{"url": BASE}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(route) for route in routes)],
        "paths": paths,
        "components": {
            "schemas": {
                **{name: _shown(name, one) for name, one in schemas.get("$defs", {}).items()},
                "Problem": _PROBLEM,
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _shown(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A model's schema without what tells a reader nothing, or something wrong."""
    # What an edit leaves out stays as it is: its fields' defaults never count.
    hidden = {"title", "default"} if name.endswith("Edit") else {"title"}
    fields = {
        field: {key: value for key, value in one.items() if key not in hidden}
        for field, one in schema.get("properties", {}).items()
    }
    return {**schema, "properties": fields}


def _operation(route: Route, names: Any) -> dict[str, Any]:
    summary, _, more = (getdoc(route.handle) or "").partition("\n")
    found: dict[str, Any] = {
        "operationId": f"{route.handle.__module__.rpartition('.')[2]}_{route.handle.__name__}",
        "tags": [_tag(route)],
        "summary": summary.removesuffix("."),
        "description": " ".join([_for_whom(route), *more.split()]),
        "parameters": [*_in_path(route), *_in_query(route), *_in_header(route)],
        "responses": _responses(route, names),
    }
    # An empty requirement beside the other: a token may come and need not.
    found["security"] = [{"token": []}, *([{}] if route.roles == STRANGERS else [])]
    if route.takes is not None:
        needs = any(field.is_required() for field in route.takes.model_fields.values())
        found["requestBody"] = {
            "required": needs,
            "content": {"application/json": {"schema": names[route.takes, "validation"]}},
        }
    elif route.streams:
        found["requestBody"] = {
            "required": True,
            "content": {"text/csv": {"schema": {"type": "string"}}},
        }
    return found


def _tag(route: Route) -> str:
    return route.handle.__module__.rpartition(".")[2]


def _for_whom(route: Route) -> str:
    if route.roles == STRANGERS:
        return "For anybody, with or without a token."
    return f"For {' and '.join(f'{role}s' for role in sorted(route.roles))}."


def _in_path(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(name)}
        for name in re.findall(r"{(\w+)}", route.path)
    ]


def _path_schema(name: str) -> dict[str, Any]:
    if name == "carrier":
        return {"type": "string", "enum": list(CARRIERS)}
    return {"type": "string", "pattern": "^[!-~]{1,64}$"}


def _in_query(route: Route) -> list[dict[str, Any]]:
    if route.asks is None:
        return []
    schema = _inlined(route.asks)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": of_it}
        for name, of_it in schema["properties"].items()
    ]


def _inlined(model: type[Body]) -> dict[str, Any]:
    """A query's schema with what it refers to put in place: parameters stand one by one."""
    schema = model.model_json_schema()
    named = schema.pop("$defs", {})

    def put(part: Any) -> Any:
        if isinstance(part, list):
            return [put(one) for one in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return put(named[part["$ref"].rpartition("/")[2]])
        return {name: put(one) for name, one in part.items()}

    found: dict[str, Any] = put(schema)
    return found


def _in_header(route: Route) -> list[dict[str, Any]]:
    if route.method != "POST":
        return []
    return [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "A request sent again with its key is done once, and answered alike.",
            "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
        }
    ]


def _responses(route: Route, names: Any) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done", "content": _content(route.gives, names)}
    if route.status == 201:
        good["headers"] = {"Location": {"schema": {"type": "string"}}}
    bad = {
        str(status): {
            "description": _SAID[status],
            "content": {
                "application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}
            },
        }
        for status in _refusals(route)
    }
    found = {str(route.status): good, **bad}
    if route.pages:
        for answer in found.values():
            answer["content"]["text/html"] = {"schema": {"type": "string"}}
    return found


def _content(gives: type[Answer] | str, names: Any) -> dict[str, Any]:
    if isinstance(gives, str):
        kind = {"type": "object"} if gives == "json" else {"type": "string"}
        return {_MEDIA[gives]: {"schema": kind}}
    return {"application/json": {"schema": names[gives, "serialization"]}}


def _refusals(route: Route) -> list[int]:
    found = {401, 503}
    if route.roles != STRANGERS:
        found |= {403, 404, 422}
    elif "{" in route.path:
        found |= {403, 404, 410}
    if route.method != "GET":
        found |= {400, 409, 413, 422}
    if route.asks is not None:
        found.add(422)
    if route.streams:
        found |= {408, 413, 415}
    return sorted(found)
